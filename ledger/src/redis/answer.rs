//! Answers of the server, checked: whatever is in a key, it becomes a value or an error.

use redis::Value;
use serde::de::DeserializeOwned;

use crate::LedgerError;

/// Characters of a strange value that an error repeats.
const SHOWN_MAX: usize = 60;

/// The text of an answer; none for a missing value and for bytes that are no text.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The answer parsed; none when it is missing or no such thing.
pub(super) fn parsed<T: std::str::FromStr>(value: Option<&Value>) -> Option<T> {
    value.and_then(text).and_then(|text| text.parse().ok())
}

/// The answer as JSON; none when it is missing or no such thing.
pub(super) fn json<T: DeserializeOwned>(value: &Value) -> Option<T> {
    text(value).and_then(|text| serde_json::from_str(text).ok())
}

/// The elements of an answer; none at all for anything that is no list.
pub(super) fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items) | Value::Set(items)) => items,
        _ => &[],
    }
}

/// The error that `key` holds `value`.
pub(super) fn damaged(key: &str, value: &Value) -> LedgerError {
    let found = match value {
        Value::BulkString(bytes) => {
            String::from_utf8_lossy(bytes).chars().take(SHOWN_MAX).collect::<String>()
        }
        _ => "another type".to_owned(),
    };
    LedgerError::Damaged { key: key.to_owned(), found: found.escape_debug().to_string() }
}
