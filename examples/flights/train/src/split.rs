//! Which days teach the model and which only examine it.

use anyhow::Result;
use arrow::array::RecordBatch;
use jiff::civil::Date;

use crate::flights::{Day, landed};

/// What the flights of a date are for.
///
/// Validation takes whole months. Single days between training days would reward a model that
/// remembers the weather of a week, and the days that matter lie in another season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The weights and all statistics come from these days: February to November, less May and
    /// September.
    Training,
    /// The features, the shape of the network and the loss were chosen on these days: May, September
    /// and December.
    Validation,
    /// January: it decides nothing.
    Test,
}

/// The purpose of a date of 2013.
pub fn purpose(date: Date) -> Purpose {
    match date.month() {
        1 => Purpose::Test,
        5 | 9 | 12 => Purpose::Validation,
        _ => Purpose::Training,
    }
}

/// Days that took no part in training, measured together.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// How the results name them.
    pub name: &'static str,
    /// Their flights that landed.
    pub flights: RecordBatch,
}

/// The name of the held-out days whose flights are committed.
pub const JANUARY: &str = "1 to 14 January";

/// The held-out days: `january`, then what `others` holds of the rest.
///
/// # Errors
/// When the columns of the days differ.
pub fn held_out(january: &[Day], others: &[Day]) -> Result<Vec<HeldOut>> {
    let mut sets = vec![HeldOut { name: JANUARY, flights: landed(january)? }];
    let rest =
        [("15 to 31 January", Purpose::Test), ("May, September, December", Purpose::Validation)];
    for (name, wanted) in rest {
        let days = others.iter().filter(|day| purpose(day.date) == wanted);
        let unseen = |day: &&Day| january.iter().all(|seen| seen.date != day.date);
        let days: Vec<&Day> = days.filter(unseen).collect();
        if !days.is_empty() {
            sets.push(HeldOut { name, flights: landed(days)? });
        }
    }
    Ok(sets)
}
