use tonic::metadata::MetadataMap;

use super::*;

fn refused(status: &Status, about: About) -> (Exit, String) {
    match judge(status, about, &Address::default()) {
        Judged::Refused(error) => (error.exit(), error.to_string()),
        other => panic!("{status:?} is {other:?}"),
    }
}

fn with_exit(code: Code, exit: &str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(EXIT_KEY, exit.parse().unwrap());
    Status::with_metadata(code, "no such column", metadata)
}

#[test]
fn each_refusal_has_its_exit_code() {
    use About::{Run, Spec};
    for (code, about, exit) in [
        (Code::NotFound, Run, Exit::NoInput),
        (Code::NotFound, Spec, Exit::NoInput),
        (Code::InvalidArgument, Run, Exit::Usage),
        (Code::InvalidArgument, Spec, Exit::Config),
        (Code::FailedPrecondition, Run, Exit::Usage),
        (Code::FailedPrecondition, Spec, Exit::Config),
        (Code::PermissionDenied, Spec, Exit::Permission),
        (Code::Unauthenticated, Run, Exit::Permission),
        (Code::Unimplemented, Run, Exit::Unavailable),
        (Code::Internal, Spec, Exit::Software),
    ] {
        let (found, text) = refused(&Status::new(code, "said the server"), about);
        assert_eq!(found, exit, "{code:?} {about:?}");
        assert!(text.contains("said the server"), "{text}");
    }
}

#[test]
fn the_exit_code_that_the_coordinator_names_wins_if_it_is_one() {
    for (told, exit) in [
        ("65", Exit::Data),
        ("73", Exit::CannotCreate),
        // Not ours, or no failure: as though it was not there.
        ("0", Exit::Config),
        ("1", Exit::Config),
        ("300", Exit::Config),
        ("sixty-five", Exit::Config),
        ("", Exit::Config),
    ] {
        let status = with_exit(Code::InvalidArgument, told);
        assert_eq!(refused(&status, About::Spec).0, exit, "{told:?}");
    }
    let away = judge(&with_exit(Code::Unavailable, "74"), About::Spec, &Address::default());
    assert!(matches!(away, Judged::Unable { exit: Exit::Io, .. }), "{away:?}");
}

#[test]
fn an_error_of_the_transport_is_no_answer() {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "nobody is there");
    // With any code that tonic may have chosen for it.
    let judged = judge(&Status::from_error(Box::new(broken)), About::Run, &Address::default());
    let Judged::Unanswered { reason } = judged else { panic!("{judged:?}") };
    assert_eq!(reason, "nobody is there");
}

#[test]
fn texts_are_kept_but_harmless_and_of_bearable_length() {
    let lines = "spec.yaml:3:5: spec.input: \x1b[31mred\nspec.yaml:9:1: spec.task: no";
    let (_, text) = refused(&Status::invalid_argument(lines), About::Spec);
    let kept = "spec.yaml:3:5: spec.input: \u{fffd}[31mred; spec.yaml:9:1: spec.task: no";
    assert_eq!(text, kept);
    let (_, text) = refused(&Status::invalid_argument("ä".repeat(100_000)), About::Spec);
    assert_eq!(text.chars().count(), MESSAGE_MAX_CHARS);
    let (_, text) = refused(&Status::not_found(""), About::Run);
    assert!(text.starts_with("NotFound without a word; "), "{text}");
}
