//! Verifying a concluded run: hash and count everything again, and compare with what was decided.

use futures::TryStreamExt;
use nightshift_core::conclusion::{Final, FinalState, NotConcluded, Tally};
use nightshift_core::ids::RunId;
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Compression, InputFormat, Outline, Plan, Planned, ShardSet};
use nightshift_core::record::{Record, StoredFile, Verdict};
use serde::Serialize;

use crate::error::StoreError;
use crate::input::{Found, Inputs, inspect_with};
use crate::root::{Reader, blocking};

/// Faults that are spelled out; the rest are counted.
pub const FAULTS_SHOWN_MAX: usize = 100;

/// What verifying one run found.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// The run.
    pub run: RunId,
    /// Whether the collector has removed its data, so that there are no files to verify.
    pub removed: bool,
    /// Input files that were compared with their pins, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<u64>,
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
    fn of(run: &RunId) -> Self {
        Self {
            run: run.clone(),
            removed: false,
            inputs: None,
            shards: 0,
            files: 0,
            bytes: 0,
            rows_out: 0,
            rows_rejected: 0,
            faults: Vec::new(),
            fault_count: 0,
        }
    }

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

/// Verifies `run`: every visible file (or the staged one, if a gate keeps it from readers) has the
/// bytes and the rows that its record names, every record fits the plan, the final follows from
/// them, and nothing else is visible. Of a run whose data the collector has removed, records and
/// final are verified. Memory is a few bytes a shard.
///
/// # Errors
/// If the store does not answer. What is wrong with the run is no error but a fault.
pub async fn verify_run(root: &Reader, run: &RunId) -> Result<Verification, StoreError> {
    let RunId { partition, generation, .. } = *run;
    let mut found = Verification::of(run);
    let Some((plan, _)) = root.read_hashed::<Outline>(&Object::Plan { run: run.clone() }).await?
    else {
        found.fault("there is no plan".to_owned());
        return Ok(found);
    };
    found.removed = root.exists(&Object::Removal { partition, generation }).await?;
    let decided = root.decided_shards(run).await?;
    let mut tally = Tally::new(&plan);
    let mut contradicted = false;
    let stored = root.read::<Final>(&Object::Final { partition, generation }).await?;
    let published = root.is_published(&plan, stored.as_ref()).await?;
    let mut expected = Expected {
        inputs: Inputs::default(),
        published,
        outputs: ShardSet::default(),
        rejects: ShardSet::default(),
    };
    let mut records = std::pin::pin!(root.records_in_order(run, decided.iter()));
    while let Some((shard, record)) = records.try_next().await? {
        let Some(record) = record else { continue };
        found.shards += 1;
        if let Err(error) = tally.add(shard, &record) {
            contradicted = true;
            found.fault(crate::error::chain(&error));
        }
        if !found.removed {
            check_shard(root, &record, &plan, &mut found, &mut expected).await?;
        }
    }
    let concluded = if contradicted { None } else { Some(tally.finish()) };
    let succeeded = check_verdict(stored.as_ref(), concluded, &mut found);
    let marked = succeeded && expected.published && !found.removed;
    check_visible(root, &plan, &expected, marked, &mut found).await?;
    Ok(found)
}

/// The visible files that the records of a run name.
#[derive(Debug)]
struct Expected {
    inputs: Inputs,
    /// Whether readers may see them; they stay where they were staged otherwise.
    published: bool,
    outputs: ShardSet,
    rejects: ShardSet,
}

async fn check_shard(
    root: &Reader,
    record: &Record,
    plan: &Outline,
    found: &mut Verification,
    expected: &mut Expected,
) -> Result<(), StoreError> {
    let Verdict::Committed(committed) = &record.verdict else { return Ok(()) };
    let shard = record.shard;
    let format = plan.task.output_format.into();
    let wanted = Object::part(plan, shard);
    if expected.published {
        expected.outputs.insert(shard);
    }
    let rows = check_file(root, &committed.output, &wanted, format, found, expected).await?;
    if rows.is_some_and(|rows| rows != committed.rows_out) {
        let rows = rows.unwrap_or_default();
        found.fault(format!(
            "shard {shard}: the output has {rows} rows, the record says {}",
            committed.rows_out
        ));
    }
    found.rows_out += rows.unwrap_or_default();
    if let Some(rejects) = &committed.rejects {
        let wanted = Object::rejects(plan, shard);
        if expected.published {
            expected.rejects.insert(shard);
        }
        let rows = check_file(root, rejects, &wanted, InputFormat::Jsonl, found, expected).await?;
        if rows.is_some_and(|rows| rows != committed.rows_rejected) {
            found.fault(format!("shard {shard}: the rejects file has another number of rows"));
        }
        found.rows_rejected += rows.unwrap_or_default();
    } else if committed.rows_rejected > 0 {
        found.fault(format!("shard {shard}: rows were rejected, but there is no rejects file"));
    }
    Ok(())
}

/// Hashes and counts one file, which readers are to see as `wanted`; where they see it, or where it
/// was staged if a gate keeps it. Its rows, if it can be read.
async fn check_file(
    root: &Reader,
    file: &StoredFile,
    wanted: &Object,
    format: InputFormat,
    found: &mut Verification,
    expected: &Expected,
) -> Result<Option<u64>, StoreError> {
    if file.visible != *wanted {
        found.fault(format!("a record names {} instead of {wanted}", file.visible));
    }
    let object = if expected.published { &file.visible } else { &file.staged };
    let visible = object.path();
    match root.digest(object).await? {
        None => {
            found.fault(format!("{visible} does not exist"));
            return Ok(None);
        }
        Some((size_bytes, sha256)) => {
            found.files += 1;
            found.bytes += size_bytes;
            if size_bytes != file.size_bytes || sha256 != file.sha256 {
                found.fault(format!("{visible} is not what was committed"));
                return Ok(None);
            }
        }
    }
    let source = Found {
        uri: root.uri_of(object),
        format,
        compression: Compression::None,
        partition_columns: Vec::new(),
    };
    let inputs = expected.inputs.clone();
    match blocking(move || Ok(inspect_with(&inputs, &source, &[]))).await? {
        Ok(inspected) => Ok(Some(inspected.file.rows)),
        Err(error) => {
            found.fault(format!("{visible}: {error}"));
            Ok(None)
        }
    }
}

/// Compares the stored final with what follows from the records, where all of them could be
/// counted; whether the run succeeded.
fn check_verdict(
    stored: Option<&Final>,
    concluded: Option<Result<Final, NotConcluded>>,
    found: &mut Verification,
) -> bool {
    let succeeded = stored.is_some_and(|one| one.state == FinalState::Succeeded);
    match (concluded, stored) {
        (None, Some(_)) => {}
        (Some(Ok(computed)), Some(stored)) if computed == *stored => {}
        (Some(Ok(_)), Some(_)) => {
            found.fault("the final does not follow from the records".to_owned());
        }
        (Some(Err(error)), _) => found.fault(crate::error::chain(&error)),
        (_, None) => found.fault("there is no final".to_owned()),
    }
    succeeded
}

/// Looks for files that no record names, and for the marker.
async fn check_visible(
    root: &Reader,
    plan: &Outline,
    expected: &Expected,
    success: bool,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let RunId { partition, generation, .. } = *plan.run();
    let mut objects = root.list(&Prefix::Visible(partition, generation));
    let mut marked = false;
    while let Some(listed) = objects.try_next().await? {
        let is_expected = match &listed.object {
            Some(Object::Success { .. }) => {
                marked = true;
                success
            }
            Some(object @ Object::Part { shard, .. }) => {
                expected.outputs.contains(*shard) && *object == Object::part(plan, *shard)
            }
            Some(object @ Object::Rejects { shard, .. }) => {
                expected.rejects.contains(*shard) && *object == Object::rejects(plan, *shard)
            }
            _ => false,
        };
        if !is_expected {
            found.fault(match found.removed {
                true => format!("{} is still visible; run `nightshift gc` again", listed.path),
                false => format!("{} is visible, but no record names it", listed.path),
            });
        }
    }
    // Parts that are missing were named already.
    if success && !marked {
        found.fault(format!("{} is missing", Object::Success { partition, generation }));
    }
    Ok(())
}

/// Whether the inputs that `run` was planned with are still what they were: a fault for each
/// that is not. The whole plan is in memory meanwhile.
///
/// # Errors
/// If the plan cannot be read.
pub async fn verify_inputs(root: &Reader, found: &mut Verification) -> Result<(), StoreError> {
    let object = Object::Plan { run: found.run.clone() };
    let Some(plan) = root.read::<Plan>(&object).await? else { return Ok(()) };
    let files = plan.inputs;
    let inputs = Inputs::default();
    let faults = blocking(move || {
        let changed = files.iter().filter_map(|file| inputs.verify_pin(file).err());
        Ok((files.len() as u64, changed.map(|error| crate::error::chain(&error)).collect()))
    });
    let (inputs, faults): (u64, Vec<String>) = faults.await?;
    found.inputs = Some(inputs);
    faults.into_iter().for_each(|fault| found.fault(fault));
    Ok(())
}

#[cfg(test)]
mod tests;
