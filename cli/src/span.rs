//! Spans of time for people: read from flags, written in words and in table cells.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use thiserror::Error;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// Longest span that a flag takes: nobody waits longer for one answer.
const MAX_S: u64 = 7 * DAY_S;

/// A span of time as the user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// Text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a span of time up to 7d; write it as 30s, 10m or 2h")]
pub(crate) struct InvalidSpan {
    text: String,
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan { text: text.chars().take(40).collect() };
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        let span = match days {
            Some(days) => Duration::from_secs(u64::from(days) * DAY_S),
            None => {
                let span = text.parse::<SignedDuration>().map_err(|_| invalid())?;
                Duration::try_from(span).map_err(|_| invalid())?
            }
        };
        let bound = Duration::from_secs(MAX_S);
        Some(Self(span)).filter(|Self(span)| *span <= bound).ok_or_else(invalid)
    }
}

/// In words, with two units at most: `3 minutes 12 seconds`.
pub(crate) fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    let count = |count: u64, unit: &str| match count {
        0 => None,
        1 => Some(format!("1 {unit}")),
        _ => Some(format!("{count} {unit}s")),
    };
    let [days, hours] = [seconds / DAY_S, seconds % DAY_S / HOUR_S];
    let [minutes, rest] = [seconds % HOUR_S / MINUTE_S, seconds % MINUTE_S];
    let parts = match seconds {
        0 => return "less than a second".to_owned(),
        DAY_S.. => [count(days, "day"), count(hours, "hour")],
        HOUR_S.. => [count(hours, "hour"), count(minutes, "minute")],
        _ => [count(minutes, "minute"), count(rest, "second")],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// As one number for a table: `42s`, `3m`, `5h`, `12d`.
pub(crate) fn short(span: Duration) -> String {
    match span.as_secs() {
        seconds @ ..MINUTE_S => format!("{seconds}s"),
        seconds @ ..HOUR_S => format!("{}m", seconds / MINUTE_S),
        seconds @ ..DAY_S => format!("{}h", seconds / HOUR_S),
        seconds => format!("{}d", seconds / DAY_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("2h", 7_200), ("1h 30m", 5_400), ("1d", 86_400), ("0s", 0)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        for text in ["", "10", "-5s", "8d", "1000000h", "soon", "4294967295d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_written() {
        for (seconds, in_words, in_short) in [
            (0, "less than a second", "0s"),
            (1, "1 second", "1s"),
            (60, "1 minute", "1m"),
            (192, "3 minutes 12 seconds", "3m"),
            (3_600, "1 hour", "1h"),
            (7_299, "2 hours 1 minute", "2h"),
            (90_000, "1 day 1 hour", "1d"),
        ] {
            let span = Duration::from_secs(seconds);
            assert_eq!(words(span), in_words);
            assert_eq!(short(span), in_short);
        }
    }
}
