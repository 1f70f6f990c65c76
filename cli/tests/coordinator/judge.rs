//! `nightshift approve` and `reject` through a coordinator.

use nightshift_core::gates::Judgement;
use nightshift_proto::runs::judge::{JudgeRun, Judged, JudgedRun};
use nightshift_proto::runs::list::RunPage;
use nightshift_proto::runs::status::RunState::Running;
use tonic::Status;

use crate::fixtures::{Spec, ask, ended, fits, going, id, json, nightshift, plain};
use crate::server::{Call, Script, Server};

const RUN: &str = "flights-2013-01-01-g1";

fn judged(judge: JudgeRun, first: bool) -> JudgedRun {
    let JudgeRun { run, judgement, reason, .. } = judge;
    // Somebody else may have written it, with the output at hand.
    let decided_by =
        "somebody\u{1b}[2J with a long name on a machine with a long name:1".to_owned();
    let decided_at = "2026-01-01T00:00:00.123456789Z".parse().unwrap();
    let visible = judgement == Judgement::Approved;
    JudgedRun {
        run,
        judged: Judged { judgement, decided_by, decided_at, reason },
        first,
        output: visible.then(|| "/out/date=2013-01-01/gen=1".to_owned()),
    }
}

/// The first call gets no answer, the second decides, and later ones come too late to be first.
fn judging() -> Script {
    Script::default().judge(|judge, n| match n {
        0 => Err(Status::unavailable("recovering")),
        _ => Ok(judged(judge, n == 1)),
    })
}

#[test]
fn what_is_decided_is_said_and_said_again() {
    let server = Server::start(judging());
    let words = ["approve", RUN, "--reason", " a holiday "];
    let done = ask(&server, &words).run().expect(0);
    plain(&done);
    assert_eq!(
        done.stdout,
        format!("{RUN} is approved\nvisible now: /out/date=2013-01-01/gen=1/\n")
    );
    let calls = server.calls();
    let [Call::Judge(first), Call::Judge(second)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(first, second);
    assert_eq!((first.judgement, first.reason.as_str()), (Judgement::Approved, "a holiday"));
    let again = ask(&server, &words).run().expect(0);
    plain(&again);
    fits(&again);
    assert!(again.stdout.starts_with(&format!("{RUN} was approved already, at 2026-")), "{again}");
    let rejected = ask(&server, &["reject", RUN, "--reason", "no"]).run().expect(0);
    assert!(rejected.stdout.contains("stays out of sight"), "{rejected}");
    let told = ask(&server, &[&words[..], &["--output-format", "json"]].concat()).run().expect(0);
    let told = json(&told);
    assert_eq!(told["approval"]["run"], RUN);
    assert_eq!(told["approval"]["judgement"], "approved");
    assert_eq!(
        (&told["first"], &told["output"]),
        (&false.into(), &"/out/date=2013-01-01/gen=1".into())
    );
}

#[test]
fn a_date_is_its_newest_run_with_a_verdict() {
    let script = judging().list(|list, _| {
        assert_eq!(list.name.unwrap().as_str(), "flights");
        let (third, second) = (id("flights-2013-01-01-g3"), id("flights-2013-01-01-g2"));
        let runs = vec![going(&third, Running, 1, 8), ended(&second, 0, 8).run];
        Ok(RunPage { runs, next: None })
    });
    let server = Server::start(script);
    let spec = Spec::new();
    let dated = |spec: &[&str]| {
        let words = [&["approve", "2013-01-01"], spec, &["--reason", "yes"]].concat();
        ask(&server, &words).run()
    };
    let done = dated(&[&spec.path()]).expect(0);
    assert!(done.stdout.starts_with("flights-2013-01-01-g2 is approved"), "{done}");
    let refused = dated(&[]).expect(64);
    assert!(refused.stderr.contains("name the spec too"), "{refused}");
}

#[test]
fn a_refusal_ends_with_the_exit_code_that_it_names() {
    let script = Script::default().judge(|judge, _| {
        let mut status = Status::failed_precondition(format!("{} was rejected", judge.run));
        status.metadata_mut().insert("nightshift-exit", "65".parse().unwrap());
        Err(status)
    });
    let server = Server::start(script);
    let done = ask(&server, &["approve", RUN, "--reason", "yes"]).run().expect(65);
    assert_eq!(done.errors(), [format!("error: {RUN} was rejected")]);
}

#[test]
fn where_the_run_is_must_be_said_once() {
    let server = Server::start(judging());
    let nowhere = nightshift(&["approve", RUN, "--reason", "yes"]).run().expect(64);
    assert!(nowhere.stderr.contains("--output DIR or --coordinator URL"), "{nowhere}");
    let both = ["approve", RUN, "--reason", "yes", "--output", "out"];
    ask(&server, &both).run().expect(64);
    assert!(server.calls().is_empty());
    // The variable is enough where nothing else says where; a folder in the environment is of no
    // use beside the flag.
    let by_variable = nightshift(&["approve", RUN, "--reason", "yes"]);
    by_variable.env("NIGHTSHIFT_COORDINATOR", server.url()).run().expect(0);
    let words = ["approve", RUN, "--reason", "yes"];
    ask(&server, &words).env("NIGHTSHIFT_OUTPUT", "/nowhere").run().expect(0);
    let local = nightshift(&["approve", RUN, "--reason", "yes", "--output", "/nowhere"]);
    local.env("NIGHTSHIFT_COORDINATOR", server.url()).run().expect(78);
}
