//! The outline: a plan without its slices, small enough to be held for every open run.
//!
//! A plan of a million shards takes 50 MB in memory, most of it to say which rows of which file
//! each shard has. Only the worker that scores a shard has to know that. Who leases and
//! concludes needs the number of rows, 4 bytes a shard. An outline is read from the bytes of the
//! stored plan in one pass, which never holds more than one input file and one slice.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{
    Inheritance, InputFile, ModelIdentity, Plan, Planned, Reporting, SHARDS_MAX, Shard,
    TaskSettings,
};
use crate::gates::GatePlan;
use crate::ids::{Digest, RunId, ShardIndex};
use crate::report::InputSummary;
use crate::spec::Workers;
use crate::window::Window;

/// A shard with more rows than this many medians is long: as much as an attempt may take before
/// it counts as slow.
pub const LONG_MEDIANS: u64 = 2;

/// What a [`Plan`] says, except for where the rows of each shard are.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Layout version of the plan.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// When the plan was made.
    pub planned_at: Timestamp,
    /// Digest of inputs with versions, model and task settings.
    pub fingerprint: Digest,
    /// The model.
    pub model: ModelIdentity,
    /// Task, columns, output format.
    pub task: TaskSettings,
    /// The inputs with their rows, summed up.
    pub input: InputSummary,
    /// Shards that this run takes over from an earlier one.
    pub inherits: Option<Inheritance>,
    /// How many workers, and what their pods look like.
    pub workers: Option<Workers>,
    /// In which hours shards may be begun.
    pub window: Option<Window>,
    /// What the run must be like before readers see its output.
    pub gate: Option<GatePlan>,
    /// Who is told of the run.
    pub reporting: Option<Reporting>,
    shard_rows: ShardRows,
}

impl Outline {
    /// Version of the plans that this build reads.
    pub const VERSION: u32 = Plan::VERSION;

    /// The outline of a plan in memory.
    pub fn of(plan: &Plan) -> Self {
        let mut shard_rows = ShardRows::default();
        plan.shards.iter().for_each(|shard| shard_rows.push(shard.rows()));
        Self {
            version: plan.version,
            run: plan.run.clone(),
            planned_at: plan.planned_at,
            fingerprint: plan.fingerprint,
            model: plan.model.clone(),
            task: plan.task.clone(),
            input: plan.input(),
            inherits: plan.inherits.clone(),
            workers: plan.workers.clone(),
            window: plan.window.clone(),
            gate: plan.gate.clone(),
            reporting: plan.reporting.clone(),
            shard_rows: shard_rows.fitted(),
        }
    }

    /// Whether the shards of both runs are the same rows, to be scored the same way.
    ///
    /// The fingerprint stands for the rows and what is done to them. A cut gives the rows out
    /// in their order and leaves none out ([`cut`](super::cut)), so numbers of rows say which.
    pub fn is_same_work(&self, other: &Outline) -> bool {
        self.fingerprint == other.fingerprint && self.shard_rows == other.shard_rows
    }

    /// The shards with more than [`LONG_MEDIANS`] times the median of rows, longest first.
    ///
    /// A long shard that is begun last is waited for alone, so they are to be handed out before
    /// the others: longest first ends within 4/3 of the best that any order can do (Graham, 1969,
    /// *Bounds on multiprocessing timing anomalies*). The others may stay in the order of their
    /// rows, since neighbours are read well one after the other.
    pub fn long_shards(&self) -> Vec<ShardIndex> {
        let rows = |shard: &ShardIndex| self.shard_rows(*shard).unwrap_or_default();
        let (least, most) = self.indexes().fold((u64::MAX, 0), |(least, most), shard| {
            let rows = rows(&shard);
            (least.min(rows), most.max(rows))
        });
        // The usual case, without a copy of anything.
        if most <= least.saturating_mul(LONG_MEDIANS) {
            return Vec::new();
        }
        let mut all: Vec<u64> = self.indexes().map(|shard| rows(&shard)).collect();
        let middle = all.len() / 2;
        let median = *all.select_nth_unstable(middle).1;
        let is_long = |shard: &ShardIndex| rows(shard) > median.saturating_mul(LONG_MEDIANS);
        let mut long: Vec<ShardIndex> = self.indexes().filter(is_long).collect();
        long.sort_by_key(|shard| std::cmp::Reverse(rows(shard)));
        long
    }

    /// Shard indexes, in order.
    pub fn indexes(&self) -> impl DoubleEndedIterator<Item = ShardIndex> + use<> {
        (0..self.shard_count()).map(ShardIndex)
    }
}

impl Planned for Outline {
    fn run(&self) -> &RunId {
        &self.run
    }

    fn planned_at(&self) -> Timestamp {
        self.planned_at
    }

    fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn task(&self) -> &TaskSettings {
        &self.task
    }

    fn input(&self) -> InputSummary {
        self.input.clone()
    }

    fn rows(&self) -> u64 {
        self.input.rows
    }

    fn shard_count(&self) -> u32 {
        self.shard_rows.len()
    }

    fn shard_rows(&self, shard: ShardIndex) -> Option<u64> {
        self.shard_rows.get(shard)
    }

    fn gate(&self) -> Option<&GatePlan> {
        self.gate.as_ref()
    }

    fn reporting(&self) -> Option<&Reporting> {
        self.reporting.as_ref()
    }
}

/// Rows of every shard: 4 bytes each, or 8 as soon as one shard has more than 4 billion.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ShardRows {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl ShardRows {
    fn push(&mut self, rows: u64) {
        match (&mut *self, u32::try_from(rows)) {
            (Self::Narrow(shards), Ok(rows)) => shards.push(rows),
            (Self::Narrow(shards), Err(_)) => {
                let mut wide: Vec<u64> = shards.iter().copied().map(u64::from).collect();
                wide.push(rows);
                *self = Self::Wide(wide);
            }
            (Self::Wide(shards), _) => shards.push(rows),
        }
    }

    fn get(&self, shard: ShardIndex) -> Option<u64> {
        match self {
            Self::Narrow(shards) => shards.get(shard.as_usize()).copied().map(u64::from),
            Self::Wide(shards) => shards.get(shard.as_usize()).copied(),
        }
    }

    fn len(&self) -> u32 {
        match self {
            Self::Narrow(shards) => shards.len() as u32,
            Self::Wide(shards) => shards.len() as u32,
        }
    }

    /// Without room for more.
    fn fitted(mut self) -> Self {
        match &mut self {
            Self::Narrow(shards) => shards.shrink_to_fit(),
            Self::Wide(shards) => shards.shrink_to_fit(),
        }
        self
    }
}

impl Default for ShardRows {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

// === reading ===

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(from)?;
        Ok(Self {
            version: stored.version,
            run: stored.run,
            planned_at: stored.planned_at,
            fingerprint: stored.fingerprint,
            model: stored.model,
            task: stored.task,
            input: InputSummary { rows: stored.rows, ..stored.inputs },
            inherits: stored.inherits,
            workers: stored.workers,
            window: stored.window,
            gate: stored.gate,
            reporting: stored.reporting,
            shard_rows: stored.shards.fitted(),
        })
    }
}

/// A plan as it is stored, read without keeping its lists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    run: RunId,
    planned_at: Timestamp,
    fingerprint: Digest,
    model: ModelIdentity,
    task: TaskSettings,
    #[serde(deserialize_with = "summed_inputs")]
    inputs: InputSummary,
    rows: u64,
    #[serde(deserialize_with = "counted_shards")]
    shards: ShardRows,
    #[serde(default)]
    inherits: Option<Inheritance>,
    #[serde(default)]
    workers: Option<Workers>,
    #[serde(default)]
    window: Option<Window>,
    #[serde(default)]
    gate: Option<GatePlan>,
    #[serde(default)]
    reporting: Option<Reporting>,
}

fn summed_inputs<'de, D: Deserializer<'de>>(from: D) -> Result<InputSummary, D::Error> {
    let mut summary = InputSummary::new(0, &[]);
    each(from, |file: InputFile| {
        summary.add(&file);
        Ok(())
    })?;
    Ok(summary)
}

fn counted_shards<'de, D: Deserializer<'de>>(from: D) -> Result<ShardRows, D::Error> {
    let mut rows = ShardRows::default();
    each(from, |shard: Shard| {
        within_limit(rows.len())?;
        rows.push(shard.rows());
        Ok(())
    })?;
    Ok(rows)
}

/// Reads the shards of a whole plan, as many as a run may have.
pub(super) fn bounded_shards<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Shard>, D::Error> {
    let mut shards = Vec::new();
    each(from, |shard| {
        within_limit(shards.len() as u32)?;
        shards.push(shard);
        Ok(())
    })?;
    Ok(shards)
}

/// Whether there is room for one more shard beside `shards` others.
fn within_limit<E: Error>(shards: u32) -> Result<(), E> {
    if shards < SHARDS_MAX {
        return Ok(());
    }
    Err(E::custom(format_args!("a run has at most {SHARDS_MAX} shards")))
}

/// Hands every element of a list to `take`, one at a time.
fn each<'de, D, T, F>(from: D, take: F) -> Result<(), D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<(), D::Error>,
{
    struct List<T, F>(F, std::marker::PhantomData<T>);
    impl<'de, T, F, E> Visitor<'de> for List<T, F>
    where
        T: Deserialize<'de>,
        F: FnMut(T) -> Result<(), E>,
        E: Error,
    {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element()? {
                (self.0)(element).map_err(A::Error::custom)?;
            }
            Ok(())
        }
    }
    from.deserialize_seq(List(take, std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
