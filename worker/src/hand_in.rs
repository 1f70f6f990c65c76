//! Committing files that a program in another language has written for a shard.
//!
//! The program gets its lease from the coordinator and its rows from the plan; what it hands in
//! here is checked against the plan, staged, sealed, recorded and published as though this worker
//! had scored it. So the write-once record has one author, whatever the model is written in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use nightshift_core::exit::Exit;
use nightshift_core::ids::{AttemptId, InvalidId, RunId, ShardIndex};
use nightshift_core::layout::{Object, StagedName};
use nightshift_core::plan::{OutputFormat, Plan};
use nightshift_core::record::{Record, Timing};
use nightshift_core::settle::CommitPermit;
use nightshift_storage::concluding::publish_won;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::{OutputRoot, Reader as RootReader};
use nightshift_storage::staged::{StagedObject, Staging};
use nightshift_storage::sync::Durability;
use parquet::file::reader::{FileReader, SerializedFileReader};
use thiserror::Error;

use crate::commit::{Outcome, commit};
use crate::identity::{Identity, new_attempt};
use crate::score::{ScoredShard, rejects_allowed};

mod statistics;

use statistics::statistics;

/// Bytes copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// What is handed in.
#[derive(Debug, Clone)]
pub struct HandIn {
    /// The output root, as the grant names it.
    pub output_root: String,
    /// The run.
    pub run: RunId,
    /// The shard.
    pub shard: ShardIndex,
    /// The attempt; a new one if absent. One that has committed may be handed in again.
    pub attempt: Option<AttemptId>,
    /// The scored rows, in the format that the plan names.
    pub data: PathBuf,
    /// The rejected rows, one JSON object a line.
    pub rejects: Option<PathBuf>,
    /// Rows that were read.
    pub rows_in: u64,
    /// Rows in `data`.
    pub rows_out: u64,
    /// Rows in `rejects` by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Where the time went.
    pub timing: Timing,
}

/// What came of it. Either way the shard is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedIn {
    /// The attempt under which it was handed in.
    pub attempt: AttemptId,
    /// The attempt that the shard's record names.
    pub winner: AttemptId,
}

/// Why nothing was committed.
#[derive(Debug, Error)]
pub enum HandInError {
    /// There is no such run.
    #[error("{root} has no run {run}; name the output root and the run as the grant does")]
    NoSuchRun {
        /// The output root.
        root: String,
        /// The run.
        run: RunId,
    },
    /// The run has no such shard.
    #[error("run {run} has {shards} shards, from 0, and so no shard {shard}")]
    NoSuchShard {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
        /// Shards in the plan.
        shards: u32,
    },
    /// The counts do not add up.
    #[error(
        "shard {shard} has {planned} rows, but {rows_in} were read, {rows_out} scored and {rejected} rejected; every row is either scored or rejected"
    )]
    Counts {
        /// The shard.
        shard: ShardIndex,
        /// Rows in the plan.
        planned: u64,
        /// Rows read.
        rows_in: u64,
        /// Rows scored.
        rows_out: u64,
        /// Rows rejected.
        rejected: u64,
    },
    /// A file does not have the rows that it should.
    #[error("{path} has {found} rows, not {told}")]
    Rows {
        /// The file.
        path: String,
        /// Rows in it.
        found: u64,
        /// Rows that were told.
        told: u64,
    },
    /// Rejects were counted and not handed in, or the other way round.
    #[error(
        "{rejected} rejected rows were counted, {told}; give both --rejects and --rejects-by-reason, or none"
    )]
    Rejects {
        /// Rows counted.
        rejected: u64,
        /// What is there instead.
        told: &'static str,
    },
    /// More rows were rejected than the budget allows.
    #[error(
        "{rejected} of {rows} rows were rejected, {allowed} are allowed; report the shard as failed with class data"
    )]
    OverBudget {
        /// Rows rejected.
        rejected: u64,
        /// Rows of the shard.
        rows: u64,
        /// Rows that may be rejected.
        allowed: u64,
    },
    /// A file is not there.
    #[error("there is no file {path}")]
    Missing {
        /// The file.
        path: String,
    },
    /// A file is not in the format that the plan names.
    #[error("{path} is not a {format} file")]
    Format {
        /// The file.
        path: String,
        /// The format.
        format: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The output root failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An identifier could not be made.
    #[error("an identifier could not be made")]
    Id(#[from] InvalidId),
}

impl HandInError {
    /// The exit code of a process that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchRun { .. } | Self::Missing { .. } => Exit::NoInput,
            Self::NoSuchShard { .. } | Self::Rejects { .. } => Exit::Usage,
            Self::Counts { .. }
            | Self::Rows { .. }
            | Self::OverBudget { .. }
            | Self::Format { .. } => Exit::Data,
            Self::Read { .. } => Exit::Io,
            Self::Store(error) => error.exit(),
            Self::Id(_) => Exit::Software,
        }
    }
}

/// Commits what is handed in, or finds out what the shard's verdict is.
///
/// # Errors
/// See [`HandInError`]; without a record nothing is visible.
pub async fn hand_in(hand_in: &HandIn, who: &Identity) -> Result<HandedIn, HandInError> {
    let HandIn { run, shard, .. } = hand_in;
    let plan = plan(hand_in).await?;
    check_counts(hand_in, &plan)?;
    check_rows(hand_in, &plan)?;
    let root = OutputRoot::open(&hand_in.output_root, Durability::Full).await?.probe().await?;
    let attempt = hand_in.attempt.clone().map_or_else(new_attempt, Ok)?;
    let object = Object::Record { run: run.clone(), shard: *shard };
    if let Some(record) = root.read::<Record>(&object).await? {
        if record.attempt == attempt {
            // An earlier call may have died before the files became visible.
            let permit = CommitPermit::from_stored_record(run.clone(), *shard, attempt.clone());
            publish_won(&root, &plan, &permit, &record).await?;
        }
        return Ok(HandedIn { attempt, winner: record.attempt });
    }
    let staging = root.stage(run, *shard, &attempt)?;
    let output = stage(&staging, StagedName::Data(plan.task.output_format), &hand_in.data)?;
    let rejects = match &hand_in.rejects {
        Some(path) => Some(stage(&staging, StagedName::Rejects, path)?),
        None => None,
    };
    let scored = ScoredShard {
        shard: *shard,
        attempt: attempt.clone(),
        output,
        rejects,
        rows_in: hand_in.rows_in,
        rows_out: hand_in.rows_out,
        rejects_by_reason: hand_in.rejects_by_reason.clone(),
        // Other programs do not say.
        rows_cut: 0,
        timing: hand_in.timing,
        scores: statistics(&plan, &hand_in.data, hand_in.rows_out),
    };
    let Outcome { record, .. } = commit(&root, &plan, who, scored).await?;
    Ok(HandedIn { attempt, winner: record.attempt })
}

/// The stored plan of the run. Nothing is made on the way: a wrong root must not become a folder.
async fn plan(hand_in: &HandIn) -> Result<Plan, HandInError> {
    let no_such_run =
        || HandInError::NoSuchRun { root: hand_in.output_root.clone(), run: hand_in.run.clone() };
    let root = match RootReader::open(&hand_in.output_root).await {
        Err(StoreError::Missing { .. }) => return Err(no_such_run()),
        root => root?,
    };
    let plan = root.read::<Plan>(&Object::Plan { run: hand_in.run.clone() }).await?;
    plan.ok_or_else(no_such_run)
}

fn check_counts(hand_in: &HandIn, plan: &Plan) -> Result<(), HandInError> {
    let &HandIn { shard, rows_in, rows_out, .. } = hand_in;
    let planned = plan.shard(shard).map(|shard| shard.rows()).ok_or_else(|| {
        HandInError::NoSuchShard { run: plan.run.clone(), shard, shards: plan.shard_count() }
    })?;
    let reasons = hand_in.rejects_by_reason.values();
    let rejected = reasons.fold(0_u64, |sum, rows| sum.saturating_add(*rows));
    if rows_in != planned || rows_out.checked_add(rejected) != Some(planned) {
        return Err(HandInError::Counts { shard, planned, rows_in, rows_out, rejected });
    }
    match (&hand_in.rejects, rejected) {
        (None, 0) | (Some(_), 1..) => {}
        (None, _) => return Err(HandInError::Rejects { rejected, told: "but no file given" }),
        (Some(_), 0) => return Err(HandInError::Rejects { rejected, told: "but a file given" }),
    }
    let allowed = rejects_allowed(&plan.task, rows_in);
    if rejected > allowed {
        return Err(HandInError::OverBudget { rejected, rows: rows_in, allowed });
    }
    Ok(())
}

/// Counts what is really in the files.
fn check_rows(hand_in: &HandIn, plan: &Plan) -> Result<(), HandInError> {
    let told = |path: &Path, found, told| {
        if found == told {
            return Ok(());
        }
        Err(HandInError::Rows { path: path.display().to_string(), found, told })
    };
    let found = count(&hand_in.data, plan.task.output_format)?;
    told(&hand_in.data, found, hand_in.rows_out)?;
    if let Some(path) = &hand_in.rejects {
        let found = count(path, OutputFormat::Jsonl)?;
        told(path, found, hand_in.rows_in - hand_in.rows_out)?;
    }
    Ok(())
}

/// Rows of a file of the given format.
fn count(path: &Path, format: OutputFormat) -> Result<u64, HandInError> {
    let shown = || path.display().to_string();
    let damaged = |source: Box<dyn std::error::Error + Send + Sync>| HandInError::Format {
        path: shown(),
        format: format.extension(),
        source,
    };
    let file = open(path)?;
    match format {
        OutputFormat::Parquet => {
            let reader = SerializedFileReader::new(file).map_err(|e| damaged(e.into()))?;
            let rows = reader.metadata().file_metadata().num_rows();
            u64::try_from(rows).map_err(|error| damaged(error.into()))
        }
        OutputFormat::Csv => {
            let mut reader = csv::Reader::from_reader(file);
            let mut record = csv::ByteRecord::new();
            let mut rows = 0;
            while reader.read_byte_record(&mut record).map_err(|e| damaged(e.into()))? {
                rows += 1;
            }
            Ok(rows)
        }
        OutputFormat::Jsonl => lines(BufReader::new(file))
            .map_err(|source| HandInError::Read { path: shown(), source }),
    }
}

/// Lines that are not empty, the last one with or without a line break; with bounded memory.
fn lines(mut from: impl BufRead) -> io::Result<u64> {
    let (mut rows, mut in_line) = (0, false);
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(rows + u64::from(in_line));
        }
        for byte in bytes {
            if *byte == b'\n' {
                rows += u64::from(in_line);
                in_line = false;
            } else if !byte.is_ascii_whitespace() {
                in_line = true;
            }
        }
        let read = bytes.len();
        from.consume(read);
    }
}

/// Copies a file to where an attempt stages it.
fn stage(staging: &Staging, name: StagedName, path: &Path) -> Result<StagedObject, HandInError> {
    let mut from = BufReader::with_capacity(COPY_BYTES, open(path)?);
    let mut to = staging.create(name)?;
    loop {
        let read = |source| HandInError::Read { path: path.display().to_string(), source };
        let bytes = from.fill_buf().map_err(read)?;
        if bytes.is_empty() {
            return Ok(to.finish()?);
        }
        let copied = bytes.len();
        if to.write_all(bytes).is_err() {
            // The staged file remembers why, and says it with its place.
            return Ok(to.finish()?);
        }
        from.consume(copied);
    }
}

fn open(path: &Path) -> Result<File, HandInError> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => HandInError::Missing { path: shown.clone() },
        _ => HandInError::Read { path: shown.clone(), source },
    })?;
    match file.metadata() {
        Ok(found) if found.is_file() => Ok(file),
        Ok(_) => {
            let source = io::Error::from(io::ErrorKind::InvalidInput);
            Err(HandInError::Read { path: shown, source })
        }
        Err(source) => Err(HandInError::Read { path: shown, source }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_counted_as_people_do(
            lines in prop::collection::vec("[ a-z]{0,4}", 0..20),
            ended in any::<bool>(),
            buffer in 1_usize..8,
        ) {
            let mut text = lines.join("\n");
            if ended && !lines.is_empty() {
                text.push('\n');
            }
            let wanted = lines.iter().filter(|line| !line.trim().is_empty()).count() as u64;
            let from = BufReader::with_capacity(buffer, text.as_bytes());
            prop_assert_eq!(super::lines(from).unwrap(), wanted);
        }
    }
}
