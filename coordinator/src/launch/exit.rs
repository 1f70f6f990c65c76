//! What the exit code of a worker means.

use nightshift_core::exit::Exit;
use nightshift_core::record::FailureClass;

/// What an exit code of a worker means for the attempts that it left.
pub(super) fn class_of_exit(code: i32) -> FailureClass {
    let is = |exit: Exit| code == i32::from(exit.code());
    if code == 0 || is(Exit::Temporary) {
        FailureClass::Preempted
    } else if is(Exit::Usage) || is(Exit::Permission) || is(Exit::Config) {
        FailureClass::Config
    } else {
        FailureClass::Lost
    }
}

/// One line for an exit code, as in `78, spec, model or configuration is wrong`.
pub(super) fn meaning_of_exit(code: i32) -> String {
    let known = Exit::ALL.into_iter().find(|exit| code == i32::from(exit.code()));
    match (known, code) {
        (Some(exit), _) => format!("{code}, {}", exit.meaning()),
        (None, 129..=192) => format!("{code}, killed by signal {}", code - 128),
        (None, _) => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_say_what_became_of_attempts() {
        for (code, class) in [
            (0, FailureClass::Preempted),
            (75, FailureClass::Preempted),
            (64, FailureClass::Config),
            (77, FailureClass::Config),
            (78, FailureClass::Config),
            (1, FailureClass::Lost),
            (69, FailureClass::Lost),
            (137, FailureClass::Lost),
        ] {
            assert_eq!(class_of_exit(code), class, "{code}");
        }
        assert_eq!(meaning_of_exit(139), "139, killed by signal 11");
        assert_eq!(meaning_of_exit(3), "3");
    }
}
