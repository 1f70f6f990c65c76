//! What the next ticks would do, and how long that takes by what past runs took.

use std::collections::BTreeMap;

use crate::backfill::instruction::Instruction;
use crate::backfill::tick::Decided;
use crate::conclusion::{Final, FinalState};
use crate::ids::{Digest, Partition};
use crate::spec::Order;

/// Past runs that a pace is made of. The middle one of five is not moved by one that was killed
/// and gone on with in the morning, nor by one that had the machine for itself.
pub const RUNS_MAX: usize = 5;

/// How fast past runs were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Rows a second from the plan to the last record: the median.
    pub rows_per_s: f64,
    /// Of so many runs.
    pub runs: usize,
}

/// Work on one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Rows that a run would read now.
    pub rows: u64,
    /// What its fingerprint would be.
    pub fingerprint: Digest,
}

impl Pace {
    /// The pace of the newest of these runs that say one: those that succeeded, took over nothing
    /// from an earlier run, and had rows.
    pub fn of<'a>(past: impl IntoIterator<Item = &'a Final>) -> Option<Self> {
        let mut telling: Vec<_> =
            past.into_iter().filter_map(|it| Some((it, pace_of(it)?))).collect();
        telling.sort_by_key(|(verdict, _)| std::cmp::Reverse(verdict.decided_at));
        let mut paces: Vec<f64> =
            telling.into_iter().take(RUNS_MAX).map(|(_, pace)| pace).collect();
        paces.sort_by(f64::total_cmp);
        let runs = paces.len();
        let (upper, lower) = (paces.get(runs / 2)?, paces.get(runs.saturating_sub(1) / 2)?);
        Some(Self { rows_per_s: f64::midpoint(*upper, *lower), runs })
    }

    /// Minutes that so many rows take.
    pub fn minutes(&self, rows: u64) -> f64 {
        rows as f64 / self.rows_per_s / 60.0
    }
}

/// Whether a run says anything about how long others take.
pub fn is_telling(verdict: &Final) -> bool {
    pace_of(verdict).is_some()
}

fn pace_of(verdict: &Final) -> Option<f64> {
    let totals = &verdict.totals;
    let seconds = verdict.decided_at.duration_since(verdict.planned_at).as_secs_f64();
    let tells = verdict.state == FinalState::Succeeded && totals.inherited == 0;
    (tells && totals.rows_in > 0 && seconds > 0.0).then(|| totals.rows_in as f64 / seconds)
}

/// Rows that have to be scored before the date is current; none where nobody can tell.
///
/// `input` is what a run would read now, `newest` the verdict of the newest concluded generation,
/// and `undecided` the rows without a record of a run that is under way.
pub fn rows_to_do(
    instruction: &Instruction,
    input: Option<Input>,
    newest: Option<&Final>,
    undecided: Option<u64>,
) -> Option<u64> {
    match instruction {
        Instruction::Start { inherit: Some(from), .. } => {
            let input = input?;
            // What is committed is taken over if it would come out the same.
            let taken_over = newest
                .filter(|it| it.run.generation == *from && it.fingerprint == input.fingerprint);
            Some(taken_over.map_or(input.rows, |it| it.totals.rows_quarantined))
        }
        Instruction::Start { .. } => input.map(|input| input.rows),
        Instruction::Join { .. } | Instruction::Leave { .. } => {
            undecided.or(input.map(|input| input.rows))
        }
        Instruction::Unreadable(_) | Instruction::Unavailable(_) => None,
        Instruction::Skip { .. }
        | Instruction::Keep { .. }
        | Instruction::NoInput
        | Instruction::GiveUp { .. }
        | Instruction::Held { .. } => Some(0),
    }
}

/// The number of the tick, from 1, that does something about each date, if every tick does
/// `dates_max` in this order, and each date that was decided about stays as it is until then.
///
/// `decided` are decisions of a tick that had a place for every date.
pub fn ticks(decided: &[Decided], order: Order, dates_max: usize) -> BTreeMap<Partition, u32> {
    let mut work: Vec<Partition> =
        decided.iter().filter(|one| one.instruction.is_work()).map(|one| one.partition).collect();
    work.sort();
    if order == Order::Newest {
        work.reverse();
    }
    let number = |place: usize| u32::try_from(place / dates_max.max(1) + 1).unwrap_or(u32::MAX);
    work.into_iter().enumerate().map(|(place, date)| (date, number(place))).collect()
}

#[cfg(test)]
mod tests;
