//! Rows that cannot be scored: why, in words that a report can count.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest detail kept with a reject, in characters; a row of 10 MB must not become a message of 10 MB.
pub const DETAIL_MAX_CHARS: usize = 200;

/// Why one row was rejected; the name under which reports and metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The line is not a row at all: broken JSON, a CSV record with another number of fields.
    MalformedRow,
    /// A value cannot be read as the type that its column has.
    BadValue,
    /// A value is missing and the model declares nothing to put in its place.
    MissingValue,
    /// A number is NaN or infinite and the model declares nothing to put in its place.
    NotFinite,
    /// A category that the model does not know, where it declares no place for unknown ones.
    UnknownCategory,
    /// The model's own result for the row is NaN or infinite.
    ResultNotFinite,
}

impl RejectReason {
    /// The reason as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRow => "malformed_row",
            Self::BadValue => "bad_value",
            Self::MissingValue => "missing_value",
            Self::NotFinite => "not_finite",
            Self::UnknownCategory => "unknown_category",
            Self::ResultNotFinite => "result_not_finite",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of a batch that cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// Position of the row in its batch, from 0.
    pub row: usize,
    /// Why.
    pub reason: RejectReason,
    /// The column at fault, where there is one.
    pub column: Option<Arc<str>>,
    /// The offending value or parser message, at most [`DETAIL_MAX_CHARS`] characters.
    pub detail: String,
}

impl RowReject {
    /// A reject of `row`, its detail cut to [`DETAIL_MAX_CHARS`].
    pub fn new(row: usize, reason: RejectReason, column: Option<Arc<str>>, detail: &str) -> Self {
        let detail = detail.chars().take(DETAIL_MAX_CHARS).collect();
        Self { row, reason, column, detail }
    }
}

/// Rejects of one batch from reading and from scoring as one list: one a row, in row order.
/// What the reader found wrong comes before what the engine did.
pub fn merge(read: Vec<RowReject>, scored: Vec<RowReject>) -> Vec<RowReject> {
    if read.is_empty() {
        return scored;
    }
    let mut all = read;
    all.extend(scored);
    // A stable sort keeps the reader's reject of a row in front of the engine's.
    all.sort_by_key(|reject| reject.row);
    all.dedup_by_key(|reject| reject.row);
    all
}

#[cfg(test)]
mod tests {
    use super::RejectReason::{
        BadValue, MalformedRow, MissingValue, NotFinite, ResultNotFinite, UnknownCategory,
    };
    use nightshift_core::accounts::REJECT_REASONS;

    #[test]
    fn every_reason_has_a_series_of_its_own() {
        let all =
            [BadValue, MalformedRow, MissingValue, NotFinite, ResultNotFinite, UnknownCategory];
        assert_eq!(all.map(super::RejectReason::as_str), REJECT_REASONS);
    }
}
