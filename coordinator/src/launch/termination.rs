//! The line that a worker leaves behind when it ends.

use nightshift_core::exit::Exit;
use nightshift_core::record::FailureClass;
use serde::Deserialize;

/// Longest reason, as in the protocol.
const REASON_MAX_BYTES: usize = nightshift_proto::limits::REASON_MAX_BYTES;

/// What a worker says about its own end; other programs in its place may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastWords {
    /// Short name.
    pub(super) reason: Option<String>,
    /// For people.
    pub(super) message: Option<String>,
}

impl LastWords {
    /// Reads the termination message; text that is no such line is kept as it is.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::default();
        }
        let line = text.lines().next_back().unwrap_or_default();
        let parsed: Option<Self> = serde_json::from_str(line).ok();
        let mut words =
            parsed.unwrap_or_else(|| Self { reason: None, message: Some(text.to_owned()) });
        words.reason = words.reason.filter(|reason| is_reason(reason));
        words
    }
}

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

fn is_reason(text: &str) -> bool {
    let mut chars = text.chars();
    text.len() <= REASON_MAX_BYTES
        && chars.next().is_some_and(|first| first.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_read_or_kept() {
        let words = LastWords::parse(
            "{\"exit\":78,\"reason\":\"model_digest\",\"message\":\"no\",\"run\":\"r\"}\n",
        );
        assert_eq!(words.reason.as_deref(), Some("model_digest"));
        assert_eq!(words.message.as_deref(), Some("no"));
        assert_eq!(LastWords::parse(" \n"), LastWords::default());
        let other = LastWords::parse("Traceback: {");
        assert_eq!((other.reason, other.message.as_deref()), (None, Some("Traceback: {")));
        assert_eq!(LastWords::parse("{\"reason\":\"No Reason!\"}").reason, None);
        assert_eq!(LastWords::parse("{\"reason\":7}").message.as_deref(), Some("{\"reason\":7}"));
    }

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
