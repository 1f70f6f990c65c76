//! One attempt at one shard: read → infer → write, into staged files.
//!
//! Nothing here decides anything: an attempt that ends well leaves staged files and counts for
//! [`commit`](crate::commit); one that ends badly leaves an error with its class.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use nightshift_core::ids::{AttemptId, ShardIndex};
use nightshift_core::layout::StagedName;
use nightshift_core::plan::{Plan, Shard, TaskSettings};
use nightshift_core::record::Timing;
use nightshift_core::scores::Scores;
use nightshift_storage::staged::{StagedFile, StagedObject, Staging};
use nightshift_telemetry::phase;
use tracing::Span;

use crate::engine::{ColumnRole, Engine, TextCounts};
use crate::memory::Guard;
use crate::read::{ColumnRequest, ReadBatch, Reader};
use crate::reject::{RowReject, merge};
use crate::write::{RejectsWriter, RowWriter, without_rejected};

mod error;
mod halving;
mod statistics;

pub use error::ShardError;
pub(crate) use halving::{InferError, infer};
pub(crate) use statistics::Statistics;

/// What every attempt of a run shares.
pub struct Scorer {
    plan: Arc<Plan>,
    engine: Arc<dyn Engine>,
    reader: Reader,
    /// Columns of a read batch that are carried over: first the id, then the kept ones.
    carried: usize,
}

/// An attempt that ended well: all rows of its shard are in staged files.
#[derive(Debug)]
pub struct ScoredShard {
    /// The shard.
    pub shard: ShardIndex,
    /// The attempt.
    pub attempt: AttemptId,
    /// The scored rows.
    pub output: StagedObject,
    /// The rejected rows, where there are any.
    pub rejects: Option<StagedObject>,
    /// Rows read.
    pub rows_in: u64,
    /// Rows in `output`.
    pub rows_out: u64,
    /// Rejected rows by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Rows whose text was longer than the model takes.
    pub rows_cut: u64,
    /// Where the time went.
    pub timing: Timing,
    /// Statistics of the numeric columns of `output`.
    pub scores: Option<Scores>,
}

/// What an attempt tells while it goes on; returning `false` makes it give up.
pub trait Watcher: Sync {
    /// A batch of `rows` rows spent `time` in the model.
    fn inferred(&self, _rows: u64, _text: TextCounts, _time: Duration) {}

    /// `rows` more rows were scored.
    fn scored(&self, rows: u64) -> bool;

    /// Whether a batch that takes long goes on; asked from step to step.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Rows that are read, scored and written at a time.
pub(crate) const BATCH_ROWS: usize = nightshift_core::lease::BATCH_ROWS.get() as usize;

impl Scorer {
    /// A scorer for the shards of `plan`, with a reader of its own.
    pub fn for_plan(plan: Arc<Plan>, engine: Arc<dyn Engine>) -> Self {
        let columns = read_columns(plan.task.id.iter().chain(&plan.task.keep), &*engine);
        Self::new(plan, engine, Reader::new(columns, BATCH_ROWS))
    }

    /// A scorer for the shards of `plan`. `reader` yields the carried columns first, as
    /// [`read_columns`] orders them.
    pub fn new(plan: Arc<Plan>, engine: Arc<dyn Engine>, reader: Reader) -> Self {
        let carried = plan.task.id.len() + plan.task.keep.len();
        Self { plan, engine, reader, carried }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What reads the rows; all attempts share it, and what it has learned.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Scores `shard` into files of `staging`, in batches that `memory` admits.
    ///
    /// A panic of a library is caught here, at the border of the shard: it becomes
    /// [`ShardError::Panicked`], and the staged files of the attempt are never named anywhere.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn score(
        &self,
        shard: ShardIndex,
        attempt: &AttemptId,
        staging: &Staging,
        memory: &Guard,
        watcher: &dyn Watcher,
    ) -> Result<ScoredShard, ShardError> {
        // The closure owns nothing that outlives a panic half changed: files are abandoned.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Attempt::new(self, shard, attempt, staging)?.run(memory, watcher)
        }));
        outcome.unwrap_or_else(|panic| Err(ShardError::from_panic(&*panic)))
    }
}

/// Columns to read: those that are carried over, then what the engine needs, each once.
pub fn read_columns<'a>(
    carried: impl IntoIterator<Item = &'a String>,
    engine: &dyn Engine,
) -> Vec<ColumnRequest> {
    let mut columns: Vec<ColumnRequest> = carried.into_iter().map(ColumnRequest::plain).collect();
    for needed in engine.input_columns() {
        if !columns.iter().any(|column| *column.name == *needed.name) {
            columns.push(match needed.accepts {
                ColumnRole::Prose => ColumnRequest::typed(&*needed.name, DataType::Utf8),
                ColumnRole::Json => ColumnRequest::json(&*needed.name),
                _ => ColumnRequest::viewed(&*needed.name),
            });
        }
    }
    columns
}

/// How many of `rows` rows may be rejected before the shard as a whole counts as wrong.
pub(crate) fn rejects_allowed(task: &TaskSettings, rows: u64) -> u64 {
    let share = (rows as f64 * task.rejects_max_ratio).floor() as u64;
    task.rejects_min.max(share)
}

/// The output of a scored batch: its first `carried` columns, then the engine's `scores`.
///
/// # Errors
/// If the columns do not make a table.
pub(crate) fn output_batch(
    batch: &RecordBatch,
    carried: usize,
    engine: &dyn Engine,
    scores: Vec<ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let fields = batch.schema_ref().fields().iter().take(carried).cloned();
    let outputs = engine.output_fields().iter().cloned();
    let schema = Schema::new(fields.chain(outputs).collect::<Vec<Arc<Field>>>());
    let mut columns: Vec<ArrayRef> = batch.columns().iter().take(carried).cloned().collect();
    columns.extend(scores);
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// The state of one attempt.
struct Attempt<'a> {
    scorer: &'a Scorer,
    shard_index: ShardIndex,
    shard: &'a Shard,
    attempt: &'a AttemptId,
    staging: &'a Staging,
    output: Option<RowWriter<StagedFile>>,
    statistics: Option<Statistics>,
    rejects: Option<RejectsWriter<StagedFile>>,
    rows_in: u64,
    rejects_by_reason: BTreeMap<String, u64>,
    examples: Vec<String>,
    /// Rows whose text was cut.
    cut_rows: u64,
    clock: Clock,
    phases: Phases,
}

/// The steps of an attempt in its trace. Each is entered batch by batch.
struct Phases {
    read: Span,
    infer: Span,
    write: Span,
}

impl Phases {
    fn new() -> Self {
        let (read, infer) = (phase!("read", busy), phase!("infer", busy));
        Self { read, infer, write: phase!("write", busy) }
    }
}

/// Rejects that an error message spells out.
const EXAMPLES_MAX: usize = 3;

impl<'a> Attempt<'a> {
    fn new(
        scorer: &'a Scorer,
        shard_index: ShardIndex,
        attempt: &'a AttemptId,
        staging: &'a Staging,
    ) -> Result<Self, ShardError> {
        let shard = scorer.plan.shard(shard_index);
        let shard = shard.ok_or(ShardError::NoSuchShard { shard: shard_index })?;
        Ok(Self {
            scorer,
            shard_index,
            shard,
            attempt,
            staging,
            output: None,
            statistics: None,
            rejects: None,
            rows_in: 0,
            rejects_by_reason: BTreeMap::new(),
            examples: Vec::new(),
            cut_rows: 0,
            clock: Clock::default(),
            phases: Phases::new(),
        })
    }

    fn run(mut self, memory: &Guard, watcher: &dyn Watcher) -> Result<ScoredShard, ShardError> {
        let plan = &self.scorer.plan;
        for slice in &self.shard.slices {
            let file = plan.inputs.get(slice.input as usize);
            let file = file.ok_or(ShardError::NoSuchShard { shard: self.shard_index })?;
            let started = Instant::now();
            let reader = &self.scorer.reader;
            let most = self.scorer.engine.batch_rows();
            let opened = self
                .phases
                .read
                .in_scope(|| reader.open_within(file, slice, memory.rows().min(most)));
            let mut batches = opened?;
            self.clock.read += started.elapsed();
            loop {
                let started = Instant::now();
                let admission = memory.admit(reader.batch_rows().min(most));
                let read = self.phases.read.in_scope(|| batches.next_of(admission.rows()));
                let Some(batch) = read else { break };
                let batch = batch?;
                admission.read(&batch.batch);
                self.clock.read += started.elapsed();
                let rows = batch.batch.num_rows() as u64;
                self.batch(&file.uri, batch, watcher)?;
                // Before the watcher, which may keep the thread waiting.
                drop(admission);
                if !watcher.scored(rows) {
                    return Err(ShardError::GivenUp);
                }
            }
        }
        self.check_budget()?;
        if self.cut_rows > 0 {
            let (rows, rows_in) = (self.cut_rows, self.rows_in);
            tracing::warn!(rows, rows_in, "texts were cut to the tokens that the model takes");
        }
        self.finish()
    }

    fn batch(
        &mut self,
        uri: &str,
        read: ReadBatch,
        watcher: &dyn Watcher,
    ) -> Result<(), ShardError> {
        let ReadBatch { first_row, batch, rejects: unreadable } = read;
        self.rows_in += batch.num_rows() as u64;
        let started = Instant::now();
        let Scorer { engine, reader, .. } = self.scorer;
        let scored = self
            .phases
            .infer
            .in_scope(|| infer(&**engine, reader, &batch, &|| watcher.goes_on()))?;
        let time = started.elapsed();
        self.clock.infer += time;
        watcher.inferred(batch.num_rows() as u64, scored.text, time);
        self.cut_rows += scored.text.cut_rows;

        let started = Instant::now();
        let writing = self.phases.write.clone();
        let _writing = writing.enter();
        let rejects = merge(unreadable, scored.rejects);
        let Scorer { engine, carried, .. } = self.scorer;
        let out = output_batch(&batch, *carried, &**engine, scored.columns)?;
        if !rejects.is_empty() {
            self.reject(uri, first_row, &batch, &rejects)?;
        }
        let out = without_rejected(&out, &rejects)?;
        self.writer(out.schema())?.write(&out)?;
        let fresh = || Statistics::of(out.schema_ref(), |at, _| at < *carried);
        self.statistics.get_or_insert_with(fresh).add(&out)?;
        self.clock.write += started.elapsed();
        Ok(())
    }

    fn writer(&mut self, schema: SchemaRef) -> Result<&mut RowWriter<StagedFile>, ShardError> {
        let writer = match self.output.take() {
            Some(writer) => writer,
            None => {
                let format = self.scorer.plan.task.output_format;
                let file = self.staging.create(StagedName::Data(format))?;
                RowWriter::create(format, schema, &self.metadata(), file)?
            }
        };
        Ok(self.output.insert(writer))
    }

    /// What the footer of a Parquet output names, so that a file found alone tells its story.
    fn metadata(&self) -> [(String, String); 5] {
        let plan = &self.scorer.plan;
        [
            ("nightshift.run".to_owned(), plan.run.to_string()),
            ("nightshift.shard".to_owned(), self.shard_index.to_string()),
            ("nightshift.attempt".to_owned(), self.attempt.to_string()),
            ("nightshift.model".to_owned(), plan.model.uri.clone()),
            ("nightshift.model_digest".to_owned(), plan.model.digest.to_string()),
        ]
    }

    fn reject(
        &mut self,
        uri: &str,
        first_row: u64,
        batch: &RecordBatch,
        rejects: &[RowReject],
    ) -> Result<(), ShardError> {
        let mut writer = match self.rejects.take() {
            Some(writer) => writer,
            None => RejectsWriter::create(self.staging.create(StagedName::Rejects)?),
        };
        let id: Vec<usize> = (0..self.scorer.plan.task.id.len()).collect();
        writer.write(uri, first_row, batch, &id, rejects)?;
        for reject in rejects {
            *self.rejects_by_reason.entry(reject.reason.as_str().to_owned()).or_default() += 1;
            if self.examples.len() < EXAMPLES_MAX {
                let row = first_row + reject.row as u64;
                let column = reject.column.as_deref().unwrap_or("row");
                // Not what the row holds: this text goes to logs, records and reports. Where the
                // row is says enough to find it.
                self.examples.push(format!("{uri} row {row}: {} in {column}", reject.reason));
            }
        }
        self.rejects = Some(writer);
        Ok(())
    }

    /// More rejects than the budget allows mean that the shard as a whole is wrong.
    fn check_budget(&self) -> Result<(), ShardError> {
        let rejected: u64 = self.rejects_by_reason.values().sum();
        let allowed = rejects_allowed(&self.scorer.plan.task, self.rows_in);
        if rejected <= allowed {
            return Ok(());
        }
        let rows = self.rows_in;
        Err(ShardError::OverBudget { rejected, rows, allowed, examples: self.examples.join("; ") })
    }

    fn finish(mut self) -> Result<ScoredShard, ShardError> {
        let started = Instant::now();
        let writing = self.phases.write.clone();
        let _writing = writing.enter();
        let Some(output) = self.output.take() else {
            return Err(ShardError::NoSuchShard { shard: self.shard_index });
        };
        let (file, rows_out) = output.finish()?;
        let output = file.finish()?;
        let rejects = match self.rejects.take() {
            Some(writer) => Some(writer.finish()?.0.finish()?),
            None => None,
        };
        self.clock.write += started.elapsed();
        Ok(ScoredShard {
            shard: self.shard_index,
            attempt: self.attempt.clone(),
            output,
            rejects,
            rows_in: self.rows_in,
            rows_out,
            rejects_by_reason: self.rejects_by_reason,
            rows_cut: self.cut_rows,
            timing: self.clock.timing(),
            scores: self.statistics.and_then(Statistics::finish),
        })
    }
}

/// Time spent by stage.
#[derive(Debug, Default)]
struct Clock {
    read: Duration,
    infer: Duration,
    write: Duration,
}

impl Clock {
    fn timing(&self) -> Timing {
        Timing {
            read_s: self.read.as_secs_f64(),
            infer_s: self.infer.as_secs_f64(),
            write_s: self.write.as_secs_f64(),
            overhead: None,
        }
    }
}
