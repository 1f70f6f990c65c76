//! The records that a run sees on its way, for its verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::Plan;
use nightshift_core::record::Record;

use crate::pool::Observer;

/// Keeps every record and passes on what it is told.
pub(super) struct Collected {
    observer: Arc<dyn Observer>,
    records: Mutex<BTreeMap<ShardIndex, Record>>,
}

impl Collected {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, records: Mutex::default() }
    }

    /// The records so far.
    pub(super) fn take(&self) -> BTreeMap<ShardIndex, Record> {
        // Whole between calls, so a panic elsewhere cannot break it.
        std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Collected {
    fn planned(&self, plan: &Plan, done: u64) {
        self.observer.planned(plan, done);
    }

    fn started(&self, shard: ShardIndex) {
        self.observer.started(shard);
    }

    fn scored(&self, rows: u64) {
        self.observer.scored(rows);
    }

    fn decided(&self, record: &Record, won: bool) {
        self.observer.decided(record, won);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.insert(record.shard, record.clone());
    }
}
