//! From a failure of this process to what the coordinator is told.

use std::time::Instant;

use nightshift_core::record::FailureClass;
use nightshift_proto::leases::report::Failure as Reported;
use nightshift_proto::limits::{MESSAGE_MAX_CHARS, REASON_MAX_BYTES};
use nightshift_proto::names::Reason;

use super::shared::State;
use crate::source::{Failure, Scope};

/// The reason where a failure has none that can be a name.
const NO_REASON: &str = "failed";

/// Notes a failure: one whose cause is this host makes the worker hold back.
pub(super) fn note(state: &mut State, failure: &Failure, now: Instant) {
    state.tally.failed += 1;
    if failure.scope == Scope::Host {
        let pause = state.caution.failed(now);
        tracing::warn!(
            reason = failure.reason,
            pause_s = pause.as_secs(),
            "the cause may be this host: no new shards for a while"
        );
    }
}

/// What the coordinator is told.
///
/// `config` stops the run for every worker and `data` gives the shard up at once, so both are
/// only said of what every worker has alike. The same failure with a cause in this host is
/// `transient`: the shard is tried again elsewhere, within its budget.
pub(super) fn reported(failure: Failure) -> Reported {
    let Failure { class, reason, message, scope, .. } = failure;
    let class = match (class, scope) {
        (FailureClass::Config | FailureClass::Data, Scope::Host) => FailureClass::Transient,
        // Only a person cancels.
        (FailureClass::Cancelled, _) => FailureClass::Transient,
        (class, _) => class,
    };
    let message = message.chars().take(MESSAGE_MAX_CHARS).collect();
    Reported { class, reason: name(&reason), message }
}

/// The reason as a name: what does not fit becomes `_`.
fn name(reason: &str) -> Reason {
    let fitting = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '_',
    };
    let text: String = reason
        .chars()
        .skip_while(|c| !c.is_ascii_alphabetic())
        .map(fitting)
        .take(REASON_MAX_BYTES)
        .collect();
    text.parse().unwrap_or_else(|_| fallback())
}

#[allow(clippy::expect_used, reason = "a constant of letters is a name, which a test shows")]
fn fallback() -> Reason {
    NO_REASON.parse().expect("letters are a name")
}

#[cfg(test)]
mod tests {
    use nightshift_core::exit::Exit;
    use proptest::prelude::*;

    use super::*;

    fn failure(class: FailureClass, scope: Scope) -> Failure {
        let (reason, message) = ("no_space".to_owned(), "é".repeat(5_000));
        Failure { class, reason, message, exit: Exit::Io, scope }
    }

    #[test]
    fn one_host_never_stops_a_run_nor_gives_a_shard_up() {
        use FailureClass::{Config, Data, Lost, Transient};
        for (class, scope, wanted) in [
            (Config, Scope::Everywhere, Config),
            (Config, Scope::Host, Transient),
            (Data, Scope::Everywhere, Data),
            (Data, Scope::Host, Transient),
            (Lost, Scope::Host, Lost),
            (FailureClass::Cancelled, Scope::Everywhere, Transient),
        ] {
            assert_eq!(reported(failure(class, scope)).class, wanted, "{class:?} {scope:?}");
        }
        let message = reported(failure(Config, Scope::Host)).message;
        assert_eq!(message.chars().count(), MESSAGE_MAX_CHARS);
    }

    #[test]
    fn names_stay_and_other_text_becomes_one() {
        for (reason, wanted) in [
            ("model_unreadable", "model_unreadable"),
            ("No Space!", "no_space_"),
            ("7 days", "days"),
            ("", NO_REASON),
            ("→", NO_REASON),
        ] {
            assert_eq!(name(reason).as_str(), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_name(reason in ".{0,200}") {
            let named = name(&reason);
            prop_assert!(named.as_str().parse::<Reason>().is_ok());
        }
    }
}
