//! Replaying: a committed shard is computed again, elsewhere, and compared with what was
//! committed.
//!
//! The shard goes through the same [`Scorer`] as the first time, with the stored plan, under the
//! run and attempt that its record names, since a Parquet footer names them too. It is staged in a
//! root of its own in a temporary folder, so the output is never written to. A row has the same
//! score alone, in any batch and on a retry, so the same bytes come out; where a build or a machine
//! makes other bytes, [`compare`] says how far they are apart.

use std::sync::Arc;

use nightshift_core::exit::Exit;
use nightshift_core::ids::{Digest, RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::model::ModelUri;
use nightshift_core::plan::{OutputFormat, Plan};
use nightshift_core::record::{Committed, Record, StoredFile, Verdict};
use nightshift_storage::error::StoreError;
use nightshift_storage::input::InputError;
use nightshift_storage::model::{Models, Resolved};
use nightshift_storage::root::{OutputRoot, Probed, Reader as RootReader};
use nightshift_storage::sync::Durability;
use serde::Serialize;
use tempfile::TempDir;
use thiserror::Error;
use tokio::runtime::Handle;

use crate::engine::Engine;
use crate::memory::Guard;
use crate::read::{ErrorClass, ReadError};
use crate::score::{ScoredShard, Scorer, ShardError, Watcher};
use crate::session::{Loaded, RunError, load_resolved};

pub mod compare;

use compare::{Difference, Files};

/// How far a number may be from the committed one, relative to it, and absolutely below 1. Scores
/// are 32-bit floats with a relative step of 6e-8; sums of some hundred products in another order
/// differ by less than a hundred steps.
pub const TOLERANCE: f64 = 1e-5;

/// A shard that was computed again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The shard.
    pub shard: ShardIndex,
    /// The run that scored it first.
    pub scored_by: RunId,
    /// Rows in the output.
    pub rows: u64,
    /// How the output compares.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a shard that was computed again compares with what was committed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The same bytes.
    Same,
    /// Other bytes, and every row within the tolerance.
    Close(Difference),
    /// Something differs that may not.
    Different {
        /// What, in words.
        what: String,
    },
}

impl Outcome {
    /// Whether it is what was committed.
    pub fn agrees(&self) -> bool {
        !matches!(self, Self::Different { .. })
    }
}

/// Why a shard cannot be computed again.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model cannot be used.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The run has no plan.
    #[error("run {run} has no plan here; check the run and the output")]
    NoPlan {
        /// The run.
        run: RunId,
    },
    /// The model at hand is another one.
    #[error(
        "run {run} was scored by the model {planned}, the one at {uri} is {found}; name the folder of that model with --model"
    )]
    OtherModel {
        /// The run.
        run: RunId,
        /// Digest in the plan.
        planned: Box<Digest>,
        /// Where a model was looked for.
        uri: String,
        /// The digest of what is there.
        found: Box<Digest>,
    },
    /// The shard has nothing to compare with.
    #[error("shard {shard} of {run} {why}, so there is nothing to compare with; choose another")]
    NotCommitted {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
        /// Why.
        why: &'static str,
    },
    /// The shard cannot be computed.
    #[error("shard {shard} cannot be computed again")]
    Shard {
        /// The shard.
        shard: ShardIndex,
        /// Why; says both versions where the input has changed.
        #[source]
        source: ShardError,
    },
    /// The two outputs cannot be compared.
    #[error("the output of shard {shard} cannot be compared with what was committed")]
    Compare {
        /// The shard.
        shard: ShardIndex,
        /// Why.
        #[source]
        source: compare::CompareError,
    },
    /// There is no place to compute in.
    #[error("no temporary folder could be made; set TMPDIR to a folder with space")]
    Scratch(#[source] std::io::Error),
}

impl ReplayError {
    /// The exit code of a process that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            Self::Run(error) => error.exit(),
            Self::NoPlan { .. } => Exit::NoInput,
            Self::OtherModel { .. } => Exit::Config,
            Self::NotCommitted { .. } | Self::Compare { .. } => Exit::Data,
            Self::Scratch(_) => Exit::CannotCreate,
            Self::Shard { source: ShardError::Read(error), .. } if is_gone(error) => Exit::NoInput,
            Self::Shard { source, .. } => source.failure().exit,
        }
    }
}

/// Whether the input of the plan is no longer there, be it another version or none.
fn is_gone(error: &ReadError) -> bool {
    let opened = matches!(error, ReadError::Open { source, .. }
        if matches!(**source, InputError::Missing { .. } | InputError::Changed { .. }));
    opened || matches!(error.class(), ErrorClass::Changed | ErrorClass::Missing)
}

/// Computes shards of one run again.
pub struct Replay<'a> {
    runtime: Handle,
    root: &'a RootReader,
    plan: Arc<Plan>,
    engine: Arc<dyn Engine>,
    memory: Guard,
    tolerance: f64,
    scratch: Probed,
    /// Removed with everything in it when the replay ends.
    folder: TempDir,
}

impl<'a> Replay<'a> {
    /// Reads the plan of `run` and loads its model, which is looked for at `model`, or where the
    /// plan has it.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn open(
        runtime: Handle,
        root: &'a RootReader,
        run: &RunId,
        model: Option<&ModelUri>,
        tolerance: f64,
    ) -> Result<Self, ReplayError> {
        let plan = read_plan(&runtime, root, run)?;
        let engine = load(&runtime, &plan, model)?.engine;
        let folder = tempfile::Builder::new().prefix("nightshift-replay-").tempdir();
        let folder = folder.map_err(ReplayError::Scratch)?;
        let uri = folder.path().display().to_string();
        let scratch = runtime
            .block_on(async { OutputRoot::open(&uri, Durability::None).await?.probe().await })?;
        let memory = Guard::of_this_process();
        Ok(Self { runtime, root, plan, engine, memory, tolerance, scratch, folder })
    }

    /// Committed shards, `count` of them or all there are, spread evenly over the run.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn sample(&self, count: u32) -> Result<Vec<ShardIndex>, ReplayError> {
        let decided = self.runtime.block_on(self.root.decided_shards(&self.plan.run))?;
        let mut committed = Vec::new();
        for shard in &decided {
            if self.record(shard)?.is_some_and(|record| record.committed().is_some()) {
                committed.push(shard);
            }
        }
        let count = (count as usize).min(committed.len());
        Ok((0..count).filter_map(|n| committed.get(n * committed.len() / count).copied()).collect())
    }

    /// Computes one shard again. Blocks.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn shard(&self, shard: ShardIndex) -> Result<Replayed, ReplayError> {
        let nothing = |why| ReplayError::NotCommitted { run: self.plan.run.clone(), shard, why };
        let record = self.record(shard)?.ok_or_else(|| nothing("has no record"))?;
        let Verdict::Committed(committed) = &record.verdict else {
            return Err(nothing("was given up"));
        };
        // The footer of an inherited part names the run that scored it, whose plan has the same
        // rows for this shard.
        let plan = match &record.inherited_from {
            Some(origin) => read_plan(&self.runtime, self.root, origin)?,
            None => Arc::clone(&self.plan),
        };
        let scored = self.score(&plan, &record)?;
        let outcome = self.judge(committed, &plan, &scored)?;
        // What was computed is compared by now; a long replay must not fill the folder.
        let staged = self.scratch.path_of(scored.output.object());
        if let Some(folder) = staged.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
        let scored_by = plan.run.clone();
        Ok(Replayed { shard, scored_by, rows: scored.rows_out, outcome })
    }

    /// The folder in which shards are computed.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn record(&self, shard: ShardIndex) -> Result<Option<Record>, ReplayError> {
        let object = Object::Record { run: self.plan.run.clone(), shard };
        Ok(self.runtime.block_on(self.root.read(&object))?)
    }

    fn score(&self, plan: &Arc<Plan>, record: &Record) -> Result<ScoredShard, ReplayError> {
        let shard = record.shard;
        let staging = self.scratch.stage(&plan.run, shard, &record.attempt)?;
        let scorer = Scorer::for_plan(Arc::clone(plan), Arc::clone(&self.engine));
        let scored = scorer.score(shard, &record.attempt, &staging, &self.memory, &Unwatched);
        scored.map_err(|source| ReplayError::Shard { shard, source })
    }

    fn judge(
        &self,
        committed: &Committed,
        plan: &Plan,
        scored: &ScoredShard,
    ) -> Result<Outcome, ReplayError> {
        let same = |stored: &StoredFile, size_bytes, sha256| {
            stored.size_bytes == size_bytes && stored.sha256 == sha256
        };
        let rejects = match (&committed.rejects, &scored.rejects) {
            (None, None) => true,
            (Some(stored), Some(again)) => same(stored, again.size_bytes(), again.sha256()),
            _ => false,
        };
        if !rejects {
            let (before, now) = (committed.rows_rejected, scored.rows_in - scored.rows_out);
            let what = format!("other rows are rejected: {before} before, {now} now");
            return Ok(Outcome::Different { what });
        }
        let output = &scored.output;
        if same(&committed.output, output.size_bytes(), output.sha256()) {
            return Ok(Outcome::Same);
        }
        self.compare(committed, plan.task.output_format, scored)
    }

    fn compare(
        &self,
        committed: &Committed,
        format: OutputFormat,
        scored: &ScoredShard,
    ) -> Result<Outcome, ReplayError> {
        let exists = |object| self.runtime.block_on(self.root.exists(object));
        let mut found = &committed.output.visible;
        if !exists(found)? {
            found = &committed.output.staged;
        }
        let before = self.root.path_of(found);
        if !exists(found)? {
            let what = "other bytes than the record names, and the committed file is gone";
            return Ok(Outcome::Different { what: what.to_owned() });
        }
        let now = self.scratch.path_of(scored.output.object());
        let files = Files { before, now, format };
        let shard = scored.shard;
        compare::compare(&files, self.tolerance)
            .map_err(|source| ReplayError::Compare { shard, source })
    }
}

/// Nobody watches, nobody stops it.
struct Unwatched;

impl Watcher for Unwatched {
    fn scored(&self, _rows: u64) -> bool {
        true
    }
}

fn read_plan(runtime: &Handle, root: &RootReader, run: &RunId) -> Result<Arc<Plan>, ReplayError> {
    let plan = runtime.block_on(root.read::<Plan>(&Object::Plan { run: run.clone() }))?;
    plan.map(Arc::new).ok_or_else(|| ReplayError::NoPlan { run: run.clone() })
}

impl From<RunError> for ReplayError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

/// The plan's model: from where the plan pinned it, or from where `model` says that it is now.
fn load(runtime: &Handle, plan: &Plan, model: Option<&ModelUri>) -> Result<Loaded, ReplayError> {
    let models = Models::from_env();
    let Some(uri) = model else {
        let folder = runtime.block_on(models.fetch(&plan.model)).map_err(RunError::from)?;
        let resolved = Resolved { identity: plan.model.clone(), folder };
        return Ok(load_resolved(resolved, &plan.task.task())?);
    };
    let resolved = runtime.block_on(models.resolve(uri, plan.model.version.as_deref()));
    let resolved = resolved.map_err(RunError::from)?;
    if resolved.identity.digest != plan.model.digest {
        return Err(ReplayError::OtherModel {
            run: plan.run.clone(),
            planned: Box::new(plan.model.digest),
            uri: uri.to_string(),
            found: Box::new(resolved.identity.digest),
        });
    }
    Ok(load_resolved(resolved, &plan.task.task())?)
}
