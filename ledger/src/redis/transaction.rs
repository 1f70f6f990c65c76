//! The two halves of a write: what is looked at, and the commands that follow from it.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::ids::{Partition, RunId, ShardIndex};
use redis::{Pipeline, Value, pipe};

use crate::redis::answer::{items, json, parsed, text};
use crate::redis::keys::Keys;
use crate::redis::link::Lease;
use crate::{Changes, DateEntry, Gap, LedgerError, Look, Progress, Stamp};

/// Writers that are remembered for a name; the oldest are forgotten, which costs one that is
/// still alive a rebuild. There is one, or two while one takes over from another.
const WRITERS_MAX: usize = 8;
/// Fields of `meta`, in the order in which [`look_of`] takes them.
pub(super) const META_FIELDS: [&str; 3] = ["root_id", "version", "rebuilding"];
/// Fields of `progress` that are numbers, in the order of [`Progress`]; `at` follows.
pub(super) const PROGRESS_FIELDS: [&str; 4] = ["shards", "decided", "rows", "rows_done"];

/// What one look before a write has found.
pub(super) struct Seen {
    pub(super) look: Look,
    /// Every writer that is remembered.
    writers: BTreeSet<String>,
    /// Entries of the dates that the write touches.
    pub(super) dates: BTreeMap<Partition, DateEntry>,
    /// Gaps of the dates whose input was missed.
    pub(super) gaps: BTreeMap<Partition, Gap>,
    /// Runs that have a set of shards, where the write may close some.
    pub(super) runs: BTreeSet<RunId>,
}

/// Watches what a write depends on, and reads it.
pub(super) async fn watch(
    lease: &mut Lease<'_>,
    keys: &Keys<'_>,
    stamp: &Stamp,
    changes: Option<&Changes>,
) -> Result<Seen, LedgerError> {
    let partitions: Vec<Partition> =
        changes.map(|changes| changes.partitions().into_iter().collect()).unwrap_or_default();
    let closes = changes.is_some_and(|changes| !changes.dates.is_empty());
    let missed = changes.into_iter().flat_map(|changes| changes.gaps.keys().copied());
    let missed: Vec<Partition> = missed.collect();
    let mut ask = pipe();
    ask.cmd("WATCH").arg(keys.meta()).arg(keys.dates());
    if !missed.is_empty() {
        ask.arg(keys.gaps());
    }
    ask.ignore();
    ask.cmd("HMGET").arg(keys.meta()).arg(&META_FIELDS);
    ask.cmd("HGETALL").arg(keys.writers());
    if !partitions.is_empty() {
        let fields: Vec<String> = partitions.iter().map(Partition::to_string).collect();
        ask.cmd("HMGET").arg(keys.dates()).arg(fields);
    }
    if closes {
        ask.cmd("SMEMBERS").arg(keys.runs());
    }
    if !missed.is_empty() {
        let fields: Vec<String> = missed.iter().map(Partition::to_string).collect();
        ask.cmd("HMGET").arg(keys.gaps()).arg(fields);
    }
    let answers: Vec<Value> = lease.query(&ask).await?;
    let mut answers = answers.iter();
    let meta = answers.next();
    let writers = items(answers.next()).chunks_exact(2);
    let writers: BTreeMap<&str, &Value> =
        writers.filter_map(|pair| Some((text(pair.first()?)?, pair.get(1)?))).collect();
    let sequence = parsed(writers.get(stamp.writer.as_str()).copied());
    let entries = if partitions.is_empty() { &[] } else { items(answers.next()) };
    let dates = partitions.iter().zip(entries);
    let runs = if closes { items(answers.next()) } else { &[] };
    let gaps = missed.iter().zip(items(answers.next()));
    Ok(Seen {
        look: look_of(meta, sequence),
        writers: writers.keys().map(|&writer| writer.to_owned()).collect(),
        // What cannot be read is as good as absent: the write puts right what it knows.
        dates: dates.filter_map(|(&date, value)| Some((date, json(value)?))).collect(),
        gaps: gaps.filter_map(|(&date, value)| Some((date, json(value)?))).collect(),
        runs: runs.iter().filter_map(|value| parsed(Some(value))).collect(),
    })
}

pub(super) fn look_of(meta: Option<&Value>, sequence: Option<u64>) -> Look {
    let meta = items(meta);
    Look {
        root: parsed(meta.first()),
        version: parsed(meta.get(1)),
        rebuilding: parsed(meta.get(2)),
        sequence,
    }
}

/// Writes the stamp's sequence, and forgets writers of long ago.
pub(super) fn remember(keys: &Keys<'_>, seen: &Seen, stamp: &Stamp, transaction: &mut Pipeline) {
    let writer = stamp.writer.as_str();
    transaction.cmd("HSET").arg(keys.writers()).arg(writer).arg(stamp.sequence).ignore();
    let others: Vec<&String> = seen.writers.iter().filter(|other| *other != writer).collect();
    if others.len() >= WRITERS_MAX {
        let oldest = &others[..=others.len() - WRITERS_MAX];
        transaction.cmd("HDEL").arg(keys.writers()).arg(oldest).ignore();
    }
}

/// Puts the commands for changes into a transaction.
pub(super) fn write_changes(keys: &Keys<'_>, changes: &Changes, transaction: &mut Pipeline) {
    for partition in changes.false_dates.keys() {
        transaction.cmd("HDEL").arg(keys.dates()).arg(partition.to_string()).ignore();
    }
    for (partition, entry) in &changes.dates {
        // Identifiers, numbers and times: nothing in an entry can fail to be written.
        let Ok(json) = serde_json::to_string(entry) else { continue };
        transaction.cmd("HSET").arg(keys.dates()).arg(partition.to_string()).arg(json).ignore();
    }
    if !changes.dates.is_empty() {
        let fields: Vec<String> = changes.dates.keys().map(Partition::to_string).collect();
        transaction.cmd("HDEL").arg(keys.gaps()).arg(fields).ignore();
    }
    for (partition, gap) in &changes.gaps {
        let Ok(json) = serde_json::to_string(gap) else { continue };
        transaction.cmd("HSET").arg(keys.gaps()).arg(partition.to_string()).arg(json).ignore();
    }
    for (run, shards) in &changes.false_done {
        transaction.cmd("SREM").arg(keys.done(run)).arg(numbers(shards)).ignore();
    }
    for run in &changes.closed {
        transaction.cmd("SREM").arg(keys.runs()).arg(run.to_string()).ignore();
        transaction.cmd("UNLINK").arg(keys.done(run)).arg(keys.progress(run)).ignore();
    }
    for (run, shards) in &changes.done {
        transaction.cmd("SADD").arg(keys.runs()).arg(run.to_string()).ignore();
        transaction.cmd("SADD").arg(keys.done(run)).arg(numbers(shards)).ignore();
    }
    for (run, progress) in &changes.progress {
        let Progress { shards, decided, rows, rows_done, at } = progress;
        transaction.cmd("SADD").arg(keys.runs()).arg(run.to_string()).ignore();
        transaction.cmd("HSET").arg(keys.progress(run));
        for (field, value) in PROGRESS_FIELDS.iter().zip([shards, decided, rows, rows_done]) {
            transaction.arg(field).arg(*value);
        }
        transaction.arg("at").arg(at.to_string()).ignore();
    }
}

fn numbers(shards: &[ShardIndex]) -> Vec<u32> {
    shards.iter().map(|shard| shard.0).collect()
}
