//! Verifying a concluded run: hash and count everything again, and compare with what was decided.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Compression, InputFormat, Plan};
use nightshift_core::record::{Record, StoredFile, Verdict};
use serde::Serialize;

use crate::error::StoreError;
use crate::input::{Found, inspect};
use crate::root::{Reader, blocking};

/// Faults that are spelled out; the rest are counted.
pub const FAULTS_SHOWN_MAX: usize = 100;

/// What verifying one run found.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// The run.
    pub run: RunId,
    /// Shards with a record.
    pub shards: u64,
    /// Files that were hashed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows counted in output files.
    pub rows_out: u64,
    /// Rows counted in rejects files.
    pub rows_rejected: u64,
    /// Everything that is not as it was decided, the first [`FAULTS_SHOWN_MAX`].
    pub faults: Vec<String>,
    /// How many faults there are.
    pub fault_count: u64,
}

impl Verification {
    /// Whether everything is as it was decided.
    pub fn passed(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, text: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_SHOWN_MAX {
            self.faults.push(text);
        }
    }
}

/// Verifies `run`: every visible file has the bytes and the rows that its record names, every
/// record fits the plan, the final follows from them, and nothing else is visible.
///
/// # Errors
/// If the store does not answer. What is wrong with the run is no error but a fault.
pub async fn verify_run(root: &Reader, run: &RunId) -> Result<Verification, StoreError> {
    let mut found = Verification {
        run: run.clone(),
        shards: 0,
        files: 0,
        bytes: 0,
        rows_out: 0,
        rows_rejected: 0,
        faults: Vec::new(),
        fault_count: 0,
    };
    let Some(plan) = root.read::<Plan>(&Object::Plan { run: run.clone() }).await? else {
        found.fault("there is no plan".to_owned());
        return Ok(found);
    };
    let decided = root.decided_shards(run).await?;
    let records = root.records(run, &decided).await?;
    found.shards = records.len() as u64;
    let mut expected = BTreeSet::new();
    for (&shard, record) in &records {
        if let Err(error) = record.check(&plan, shard) {
            found.fault(format!("the record of shard {shard}: {error}"));
        }
        check_shard(root, record, &plan, &mut found, &mut expected).await?;
    }
    check_verdict(root, &plan, &records, &mut found, &mut expected).await?;
    check_visible(root, run, &expected, &mut found).await?;
    Ok(found)
}

async fn check_shard(
    root: &Reader,
    record: &Record,
    plan: &Plan,
    found: &mut Verification,
    expected: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let Verdict::Committed(committed) = &record.verdict else { return Ok(()) };
    let shard = record.shard;
    let format = plan.task.output_format.into();
    let rows = check_file(root, &committed.output, shard, format, found, expected).await?;
    if rows.is_some_and(|rows| rows != committed.rows_out) {
        let rows = rows.unwrap_or_default();
        found.fault(format!(
            "shard {shard}: the output has {rows} rows, the record says {}",
            committed.rows_out
        ));
    }
    found.rows_out += rows.unwrap_or_default();
    if let Some(rejects) = &committed.rejects {
        let rows = check_file(root, rejects, shard, InputFormat::Jsonl, found, expected).await?;
        if rows.is_some_and(|rows| rows != committed.rows_rejected) {
            found.fault(format!("shard {shard}: the rejects file has another number of rows"));
        }
        found.rows_rejected += rows.unwrap_or_default();
    } else if committed.rows_rejected > 0 {
        found.fault(format!("shard {shard}: rows were rejected, but there is no rejects file"));
    }
    Ok(())
}

/// Hashes and counts one visible file; its rows, if it can be read.
async fn check_file(
    root: &Reader,
    file: &StoredFile,
    shard: ShardIndex,
    format: InputFormat,
    found: &mut Verification,
    expected: &mut BTreeSet<String>,
) -> Result<Option<u64>, StoreError> {
    let visible = file.visible.path();
    expected.insert(visible.clone());
    match root.digest(&file.visible).await? {
        None => {
            found.fault(format!("shard {shard}: {visible} does not exist"));
            return Ok(None);
        }
        Some((size_bytes, sha256)) => {
            found.files += 1;
            found.bytes += size_bytes;
            if size_bytes != file.size_bytes || sha256 != file.sha256 {
                found.fault(format!("shard {shard}: {visible} is not what was committed"));
                return Ok(None);
            }
        }
    }
    let source = Found {
        uri: root.path_of(&file.visible).display().to_string(),
        format,
        compression: Compression::None,
        partition_columns: Vec::new(),
    };
    let inspected = blocking(move || Ok(inspect(&source, &[]))).await?;
    match inspected {
        Ok(inspected) => Ok(Some(inspected.file.rows)),
        Err(error) => {
            found.fault(format!("shard {shard}: {error}"));
            Ok(None)
        }
    }
}

async fn check_verdict(
    root: &Reader,
    plan: &Plan,
    records: &BTreeMap<ShardIndex, Record>,
    found: &mut Verification,
    expected: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let (partition, generation) = (plan.partition(), plan.generation());
    let stored = root.read::<Final>(&Object::Final { partition, generation }).await?;
    match (Final::conclude(plan, records), stored) {
        (Ok(computed), Some(stored)) if computed == stored => {
            if stored.state == FinalState::Succeeded {
                expected.insert(Object::Success { partition, generation }.path());
            }
        }
        (Ok(_), Some(_)) => found.fault("the final does not follow from the records".to_owned()),
        (Ok(_), None) => found.fault("there is no final".to_owned()),
        (Err(error), _) => found.fault(crate::error::chain(&error)),
    }
    Ok(())
}

async fn check_visible(
    root: &Reader,
    run: &RunId,
    expected: &BTreeSet<String>,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let mut objects = root.list(&Prefix::Visible(run.partition, run.generation));
    let mut seen = BTreeSet::new();
    while let Some(listed) = objects.try_next().await? {
        if !expected.contains(&listed.path) {
            found.fault(format!("{} is visible, but no record names it", listed.path));
        }
        seen.insert(listed.path);
    }
    // Parts that are missing were named with their shard already; the marker belongs to none.
    let success = Object::Success { partition: run.partition, generation: run.generation }.path();
    if expected.contains(&success) && !seen.contains(&success) {
        found.fault(format!("{success} is missing"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
