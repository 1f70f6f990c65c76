//! The line that a program leaves behind when it ends: the termination message of its container.
//!
//! Kubernetes keeps what is in the file at the end, at most [`MAX_BYTES`], and shows it in the
//! status of the pod. So whoever looks at the pod, and the coordinator, has the program's own
//! words and not only a number.

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::ids::ShardIndex;

/// Longest termination message that Kubernetes keeps of a container.
pub const MAX_BYTES: usize = 4096;

/// Longest reason, as in the protocol.
const REASON_MAX_BYTES: usize = 64;

/// Stands where text was cut off.
const CUT: char = '…';

/// What a program says about its own end. Other programs in its place may say anything, so
/// everything may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastWords {
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// Short name of why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened and what to do, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run that it was working on, where there was one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The shard, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardIndex>,
}

impl LastWords {
    /// The words of `program`, which ends with `exit`.
    pub fn new(program: &str, version: &str, exit: Exit) -> Self {
        Self {
            program: Some(program.to_owned()),
            version: Some(version.to_owned()),
            exit: Some(exit.code()),
            reason: Some(exit.name().to_owned()),
            ..Self::default()
        }
    }

    /// One line of JSON of at most [`MAX_BYTES`]. Where that is too short the message is cut, on
    /// the border of a character.
    pub fn line(&self) -> String {
        let line = self.json();
        let excess = line.len().saturating_sub(MAX_BYTES);
        let Some(message) = self.message.as_ref().filter(|_| excess > 0) else { return line };
        // Each byte of the message is at least one of the line.
        let kept = message.len().saturating_sub(excess + CUT.len_utf8());
        let mut cut = message[..message.floor_char_boundary(kept)].to_owned();
        cut.push(CUT);
        Self { message: Some(cut), ..self.clone() }.json()
    }

    fn json(&self) -> String {
        // Strings and numbers always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a termination message; text that is no such line is kept as its message.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::default();
        }
        let line = text.lines().next_back().unwrap_or_default();
        let parsed: Option<Self> = serde_json::from_str(line).ok();
        let mut words =
            parsed.unwrap_or_else(|| Self { message: Some(text.to_owned()), ..Self::default() });
        words.reason = words.reason.filter(|reason| is_reason(reason));
        words
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
    use proptest::prelude::*;

    use super::*;

    fn words(message: &str) -> LastWords {
        LastWords {
            message: Some(message.to_owned()),
            run: Some("flights-2013-01-01-g1".to_owned()),
            shard: Some(ShardIndex(17)),
            ..LastWords::new("nightshift-worker", "0.1.0", Exit::Config)
        }
    }

    #[test]
    fn the_line_names_the_exit_the_reason_and_the_shard() {
        assert_eq!(
            words("no model").line(),
            "{\"program\":\"nightshift-worker\",\"version\":\"0.1.0\",\"exit\":78,\"reason\":\"config\",\
             \"message\":\"no model\",\"run\":\"flights-2013-01-01-g1\",\"shard\":17}"
        );
    }

    #[test]
    fn words_are_read_or_kept() {
        let words = LastWords::parse(
            "{\"exit\":78,\"reason\":\"model_digest\",\"message\":\"no\",\"new\":\"r\"}\n",
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
    fn every_exit_has_a_name_that_can_be_a_reason() {
        for exit in Exit::ALL {
            assert!(is_reason(exit.name()), "{exit:?}");
        }
    }

    proptest! {
        /// However long and whatever is in it, the line fits and says as much as fits.
        #[test]
        fn any_message_fits(message in prop_oneof![".{0,40}", "[\\x00é\"a]{0,3000}"]) {
            let line = words(&message).line();
            prop_assert!(line.len() <= MAX_BYTES && !line.contains('\n'), "{}", line.len());
            let read = LastWords::parse(&line);
            prop_assert_eq!(read.exit, Some(78));
            let said = read.message.unwrap();
            if said != message {
                let kept = said.strip_suffix(CUT).unwrap();
                prop_assert!(message.starts_with(kept));
                // A character more takes six bytes at most.
                prop_assert!(words(&message).json().len() > MAX_BYTES);
            }
        }
    }
}
