//! The ledger in Redis: plain commands and transactions that every ACL can allow.
//!
//! Keys of a spec name, all in one hash slot:
//!
//! ```text
//! nightshift:{<name>}:meta               hash: root_id and version, or rebuilding
//! nightshift:{<name>}:writers            hash: writer -> sequence of its last write
//! nightshift:{<name>}:dates              hash: date -> JSON of a DateEntry
//! nightshift:{<name>}:no-input           hash: date -> JSON of a Gap, a hint
//! nightshift:{<name>}:runs               set: runs that have a set of shards
//! nightshift:{<name>}:run:<id>:done      set: indexes of the shards that have a record
//! nightshift:{<name>}:run:<id>:progress  hash: how far the run is, a hint
//! ```
//!
//! A write is two round trips: `WATCH` with a look at `meta` and at the dates concerned, then
//! `MULTI … EXEC` with what the look leaves to do. When the server is wiped or taken over in
//! between, or a date is concluded, it refuses the `EXEC`, and the write starts over with
//! another look. The outcome of a write without an answer is unknown: its connection is given
//! up, and the next look tells from the writer's sequence what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::{Pipeline, Value, pipe};
use async_trait::async_trait;
use nightshift_core::ids::{Partition, RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;

use crate::{
    Changes, DateEntry, Gap, Held, Ledger, LedgerError, Look, Progress, Reason, Stamp, VERSION,
    Writer,
};

mod answer;
mod keys;
mod link;
mod refusal;
mod transaction;
pub mod url;

pub use link::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, RedisSettings, SettingsError};
pub use url::{InvalidRedisUrl, RedisUrl};

use answer::{damaged, items, json, parsed, text};
use keys::Keys;
use link::Link;
use transaction::{META_FIELDS, PROGRESS_FIELDS, Seen, look_of, remember, watch, write_changes};

/// Looks that one write may take: each more means that another writer was faster.
const LOOKS_MAX: u32 = 20;
/// Members that a scan asks for at once: some 40 kB of shards.
const SCAN_COUNT: usize = 4096;
/// Members that are read of one key. A run has at most a million shards, so more cannot be
/// Nightshift's, and are not worth the memory.
const MEMBERS_MAX: usize = 1_100_000;

/// A ledger in a Redis server. All operations share one connection, one after the other.
#[derive(Debug)]
pub struct RedisLedger {
    link: Link,
}

impl RedisLedger {
    /// A ledger that connects when it is first used, and again after every failure.
    ///
    /// # Errors
    /// A CA file that cannot be read or has no certificates.
    pub fn new(settings: RedisSettings) -> Result<Self, SettingsError> {
        Link::new(settings).map(|link| Self { link })
    }

    /// Looks, and writes what `write` makes of it; again if somebody was faster.
    async fn write(
        &self,
        name: &SpecName,
        stamp: &Stamp,
        changes: Option<&Changes>,
        write: impl Fn(&Keys<'_>, &Seen, &mut Pipeline) -> Result<(), LedgerError> + Send + Sync,
    ) -> Result<Look, LedgerError> {
        let keys = Keys::new(name);
        let mut lease = self.link.lease().await?;
        for _ in 0..LOOKS_MAX {
            let seen = watch(&mut lease, &keys, stamp, changes).await?;
            let mut transaction = pipe();
            transaction.atomic();
            write(&keys, &seen, &mut transaction)?;
            remember(&keys, &seen, stamp, &mut transaction);
            // A transaction that was not carried out has no answers.
            let done: Option<Vec<Value>> = lease.query(&transaction).await?;
            if done.is_some() {
                lease.keep();
                return Ok(seen.look);
            }
        }
        Err(LedgerError::Unavailable {
            reason: Reason::Contended,
            why: format!("other writers of `{name}` were faster {LOOKS_MAX} times in a row"),
        })
    }

    /// The fields of a hash of dates, if the ledger is that of `root`.
    async fn believed(
        &self,
        name: &SpecName,
        root: &RootId,
        key: &str,
        partitions: &[Partition],
    ) -> Result<Vec<Value>, LedgerError> {
        let mut lease = self.link.lease().await?;
        let mut ask = pipe();
        ask.atomic();
        ask.cmd("HMGET").arg(Keys::new(name).meta()).arg(&META_FIELDS);
        if !partitions.is_empty() {
            let fields: Vec<String> = partitions.iter().map(Partition::to_string).collect();
            ask.cmd("HMGET").arg(key).arg(fields);
        }
        let answers: Vec<Value> = lease.query(&ask).await?;
        lease.keep();
        look_of(answers.first(), None).believe(root)?;
        Ok(items(answers.get(1)).to_vec())
    }

    /// Reads a set or a hash to its end.
    async fn scan(&self, command: &str, key: &str) -> Result<Vec<Value>, LedgerError> {
        let mut lease = self.link.lease().await?;
        let mut found = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut ask = pipe();
            ask.cmd(command).arg(key).arg(&cursor).arg("COUNT").arg(SCAN_COUNT);
            let (answer,): (Value,) = lease.query(&ask).await?;
            let [next, members] = items(Some(&answer)) else { return Err(damaged(key, &answer)) };
            found.extend_from_slice(items(Some(members)));
            if found.len() > MEMBERS_MAX {
                return Err(damaged(key, &Value::BulkString(b"too many members".to_vec())));
            }
            cursor = text(next).unwrap_or("0").to_owned();
            if cursor == "0" {
                lease.keep();
                return Ok(found);
            }
        }
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    fn kind(&self) -> &'static str {
        "redis"
    }

    async fn look(&self, name: &SpecName, writer: &Writer) -> Result<Look, LedgerError> {
        let keys = Keys::new(name);
        let mut lease = self.link.lease().await?;
        let mut ask = pipe();
        ask.cmd("HMGET").arg(keys.meta()).arg(&META_FIELDS);
        ask.cmd("HGET").arg(keys.writers()).arg(writer.as_str());
        let answers: Vec<Value> = lease.query(&ask).await?;
        lease.keep();
        Ok(look_of(answers.first(), parsed(answers.get(1))))
    }

    async fn begin(&self, name: &SpecName, stamp: &Stamp) -> Result<Look, LedgerError> {
        self.write(name, stamp, None, |keys, seen, transaction| {
            if !seen.look.is_of(&stamp.root) {
                transaction.cmd("HDEL").arg(keys.meta()).arg("root_id").arg("version").ignore();
                let field = ("rebuilding", stamp.root.to_string());
                transaction.cmd("HSET").arg(keys.meta()).arg(field.0).arg(field.1).ignore();
                // The store does not know them, so that nobody could put them right.
                transaction.cmd("UNLINK").arg(keys.gaps()).ignore();
            }
            Ok(())
        })
        .await
    }

    async fn apply(
        &self,
        name: &SpecName,
        stamp: &Stamp,
        changes: &Changes,
    ) -> Result<(), LedgerError> {
        self.write(name, stamp, Some(changes), |keys, seen, transaction| {
            seen.look.admit(stamp)?;
            let held = Held { dates: &seen.dates, gaps: &seen.gaps, runs: &seen.runs };
            let changes = changes.clone().effective(&stamp.root, held);
            write_changes(keys, &changes, transaction);
            Ok(())
        })
        .await
        .map(drop)
    }

    async fn finish(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError> {
        self.write(name, stamp, None, |keys, seen, transaction| {
            seen.look.admit(stamp)?;
            let root = stamp.root.to_string();
            transaction.cmd("HSET").arg(keys.meta()).arg("root_id").arg(root);
            transaction.arg("version").arg(VERSION).ignore();
            transaction.cmd("HDEL").arg(keys.meta()).arg("rebuilding").ignore();
            Ok(())
        })
        .await
        .map(drop)
    }

    async fn clear(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError> {
        let keys = Keys::new(name);
        let runs = match self.scan("SSCAN", &keys.runs()).await {
            Ok(runs) => runs,
            Err(LedgerError::Damaged { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let runs = runs.iter().filter_map(|value| parsed(Some(value)));
        let mut transaction = pipe();
        transaction.atomic().cmd("UNLINK");
        for key in [keys.meta(), keys.writers(), keys.dates(), keys.gaps(), keys.runs()] {
            transaction.arg(key);
        }
        runs.for_each(|run: RunId| {
            transaction.arg(keys.done(&run)).arg(keys.progress(&run));
        });
        transaction.ignore();
        // Unconditional: what is removed cannot be ahead of any truth, and another root's
        // rebuild finds that the ledger is no longer its own.
        let root = stamp.root.to_string();
        transaction.cmd("HSET").arg(keys.meta()).arg("rebuilding").arg(root).ignore();
        let writer = stamp.writer.as_str();
        transaction.cmd("HSET").arg(keys.writers()).arg(writer).arg(stamp.sequence).ignore();
        let mut lease = self.link.lease().await?;
        let () = lease.query(&transaction).await?;
        lease.keep();
        Ok(())
    }

    async fn entries(
        &self,
        name: &SpecName,
    ) -> Result<BTreeMap<Partition, DateEntry>, LedgerError> {
        let key = Keys::new(name).dates();
        let found = self.scan("HSCAN", &key).await?;
        found
            .chunks(2)
            .map(|pair| match pair {
                [date, value] => entry_of(name, &key, parsed(Some(date)), value),
                _ => Err(damaged(&key, &Value::Nil)),
            })
            .collect()
    }

    async fn runs(&self, name: &SpecName) -> Result<BTreeSet<RunId>, LedgerError> {
        let key = Keys::new(name).runs();
        let found = self.scan("SSCAN", &key).await?;
        let of_name = |run: &RunId| run.name == *name;
        let run = |value| parsed(Some(value)).filter(of_name).ok_or_else(|| damaged(&key, value));
        found.iter().map(run).collect()
    }

    async fn done(&self, run: &RunId) -> Result<BTreeSet<ShardIndex>, LedgerError> {
        let key = Keys::new(&run.name).done(run);
        let found = self.scan("SSCAN", &key).await?;
        found
            .iter()
            .map(|value| {
                let shard: Option<u32> = parsed(Some(value));
                // Another spelling of a number is another member.
                let shard = shard.filter(|shard| text(value) == Some(shard.to_string().as_str()));
                shard.map(ShardIndex).ok_or_else(|| damaged(&key, value))
            })
            .collect()
    }

    async fn progress(&self, run: &RunId) -> Result<Option<Progress>, LedgerError> {
        let keys = Keys::new(&run.name);
        let mut lease = self.link.lease().await?;
        let mut ask = pipe();
        ask.cmd("HMGET").arg(keys.progress(run)).arg(&PROGRESS_FIELDS).arg("at");
        let (answer,): (Value,) = lease.query(&ask).await?;
        lease.keep();
        let [shards, decided, rows, rows_done, at] = items(Some(&answer)) else { return Ok(None) };
        let number = |value| parsed(Some(value));
        // A hint that cannot be read is none.
        let numbers = number(shards).zip(number(decided)).zip(number(rows).zip(number(rows_done)));
        Ok(numbers.zip(parsed(Some(at))).map(|(((shards, decided), (rows, rows_done)), at)| {
            Progress { shards, decided, rows, rows_done, at }
        }))
    }

    async fn dates(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, DateEntry>, LedgerError> {
        let key = Keys::new(name).dates();
        let values = self.believed(name, root, &key, partitions).await?;
        let read = |(date, value): (&Partition, &Value)| {
            // What cannot be read is as good as absent.
            entry_of(name, &key, Some(*date), value).ok()
        };
        let found = partitions.iter().zip(&values).filter_map(read);
        Ok(found.filter(|(_, entry)| entry.root == *root).collect())
    }

    async fn gaps(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, Gap>, LedgerError> {
        let key = Keys::new(name).gaps();
        let values = self.believed(name, root, &key, partitions).await?;
        let found = partitions.iter().zip(&values);
        let read = found.filter_map(|(date, value)| Some((*date, json::<Gap>(value)?)));
        Ok(read.filter(|(_, gap)| gap.root == *root).collect())
    }
}

/// The entry that the hash of dates has for a date.
fn entry_of(
    name: &SpecName,
    key: &str,
    partition: Option<Partition>,
    value: &Value,
) -> Result<(Partition, DateEntry), LedgerError> {
    let entry: Option<DateEntry> = json(value);
    partition
        .zip(entry)
        .filter(|(partition, entry)| entry.is_about(name, *partition))
        .ok_or_else(|| damaged(key, value))
}
