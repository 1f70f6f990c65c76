//! A whole run in one process: spec → plan → shards → records → final → report.
//!
//! Nothing is written before everything that can be known to be wrong has been checked: the
//! spec, the model, the input and its columns. Then the run is opened, its shards are scored
//! by a [`Pool`], and when all are decided the verdict is made. Any number of processes may do
//! this for the same date at the same time; they share the work's outcome, not its state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nightshift_core::decide::{Decision, run_id};
use nightshift_core::gates::Canary;
use nightshift_core::ids::{Partition, RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Plan, Shard, Sharding};
use nightshift_core::record::{Record, Verdict};
use nightshift_core::report::Report;
use nightshift_core::spec::{Bound, Spec};
use nightshift_notify::{Teller, Urgency};
use nightshift_storage::concluding::{ConcludeError, conclude};
use nightshift_storage::deciding::Deciding;
use nightshift_storage::error::StoreError;
use nightshift_storage::model::Models;
use nightshift_storage::opening::{OpenRun, Opener, decision_for, open_epoch, open_run};
use nightshift_storage::planning::{Survey, make_plan, survey};
use nightshift_storage::root::{OutputRoot, Probed, Reader as RootReader};
use nightshift_storage::sync::Durability;
use nightshift_telemetry::meter::Meter;
use nightshift_telemetry::story;
use nightshift_telemetry::trace::{self, RunTrace};
use tokio::runtime::Handle;

use crate::forced::Forced;
use crate::identity::Identity;
use crate::memory::Guard;
use crate::pool::{Effort, NoObserver, Observer, Pool};
use crate::score::Scorer;
use crate::source::{Drain, InProcess, RunWork, ShardSource, StaticIndex};

mod alone;
mod canary;
mod check;
mod collected;
mod error;
mod hours;
mod model;
mod over;
mod telling;

use collected::Collected;

pub use alone::Alone;
pub use error::RunError;
pub(crate) use error::engine_exit;
use model::Kept;
pub use model::Loaded;
pub(crate) use model::load_resolved;

/// What the runs of one process share.
pub struct Session {
    /// Runs everything asynchronous.
    pub runtime: Handle,
    /// This process.
    pub who: Identity,
    /// Compute threads.
    pub threads: usize,
    /// Stops at the next border.
    pub drain: Drain,
    /// Told about progress.
    pub observer: Arc<dyn Observer>,
    /// Counts what is done.
    pub meter: Arc<Meter>,
    /// Scores nothing: where there is no GPU for a model, a processor shows what it is like.
    pub only_looks: bool,
    /// Work outside of the spec's window too.
    pub ignore_window: bool,
    /// Whether data is made durable; anything but full is for benchmarks.
    pub durability: Durability,
    /// Who creates what is created once.
    pub deciding: Deciding,
    /// Attempts that are to fail, for a rehearsal.
    pub forced: Forced,
    /// Keeps batches within the memory that there is.
    pub memory: Arc<Guard>,
    models: Models,
    loaded: Mutex<Option<Kept>>,
    /// How long the model took to load, until a run is charged for it.
    loading: Mutex<Option<Duration>>,
    teller: Arc<Teller>,
}

/// One partition to run.
#[derive(Debug, Clone)]
pub struct Task {
    /// The spec.
    pub spec: Arc<Spec>,
    /// Its places for this partition.
    pub bound: Bound,
    /// The date, or `all`.
    pub partition: Partition,
    /// Run it again although it is done, and why.
    pub force: Option<String>,
    /// Cut into this many shards, instead of as the spec says.
    pub shards: Option<u32>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// It had succeeded before; nothing was done.
    AlreadyDone(Box<Report>),
    /// It had succeeded before, and a gate withheld it; nothing was done. It waits for a person,
    /// or was rejected by one.
    Held(Box<Report>, Decision),
    /// It is concluded now.
    Concluded(Box<Report>, Effort),
    /// It was drained, or other processes still work on it.
    Open {
        /// The run.
        run: RunId,
        /// Shards without a record.
        undecided: u64,
    },
    /// It is outside of its window; the same task goes on when that opens.
    Paused {
        /// Shards without a record; 0 if nothing was begun.
        undecided: u64,
        /// For people: which window, and when it opens.
        why: String,
    },
}

/// A task whose spec, model and input were checked, and its plan if it were run now.
pub struct Prepared {
    /// The plan, as generation 1.
    pub plan: Plan,
    /// The model.
    pub loaded: Loaded,
}

impl Session {
    /// A session of `threads` compute threads with full durability.
    pub fn new(runtime: Handle, threads: usize, drain: Drain, observer: Arc<dyn Observer>) -> Self {
        let who = Identity::of_this_process();
        Self {
            runtime,
            teller: Teller::new(who.to_string()),
            who,
            threads,
            drain,
            observer,
            meter: Arc::default(),
            only_looks: false,
            ignore_window: false,
            durability: Durability::Full,
            deciding: Deciding::by_store(),
            forced: Forced::default(),
            memory: Arc::new(Guard::of_this_process()),
            models: Models::from_env(),
            loaded: Mutex::default(),
            loading: Mutex::default(),
        }
    }

    /// A session that only looks and plans.
    pub fn looking(runtime: Handle) -> Self {
        let session = Self::new(runtime, 1, Drain::default(), Arc::new(NoObserver));
        Self { only_looks: true, ..session }
    }

    /// What is to be done about the partition of `task`; looks at the output, changes nothing.
    ///
    /// # Errors
    /// If the output cannot be looked at.
    pub fn decide(&self, task: &Task) -> Result<Decision, RunError> {
        let facts = async {
            match RootReader::open(&task.bound.output).await {
                Ok(root) => decision_for(&root, task.partition, task.force.is_some()).await,
                // No output yet: the first generation starts.
                Err(StoreError::Missing { .. }) => {
                    Ok(nightshift_core::decide::decide(Default::default(), task.force.is_some()))
                }
                Err(error) => Err(error),
            }
        };
        Ok(self.runtime.block_on(facts)?)
    }

    /// Checks spec, model and input of `task` and plans it; changes nothing.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn prepare(&self, task: &Task) -> Result<Prepared, RunError> {
        // The moment of the plan is when it was begun: the run begins with it.
        let planned_at = self.who.now();
        let loaded = self.load(task)?;
        self.unless_drained()?;
        let needed = check::needed_columns(&task.spec, &*loaded.engine);
        let survey: Survey = survey(&task.bound.input, task.spec.input.format, &needed)?;
        check::columns(&task.spec, &*loaded.engine, &survey)?;
        let sharding = task.shards.map_or(task.spec.sharding, Sharding::Count);
        let identity = loaded.identity.clone();
        let reporting = task.bound.reporting.clone().map(|reporting| survey.completed(reporting));
        let plan = make_plan(survey, &task.spec, sharding, task.partition, identity, planned_at)?;
        Ok(Prepared { plan: Plan { reporting, ..plan }, loaded })
    }

    /// Runs `task` to its verdict with the leases of this process.
    ///
    /// # Errors
    /// See [`RunError`]. What was committed before stays committed.
    pub fn run(&self, task: &Task) -> Result<Outcome, RunError> {
        let opener = self.opener(task)?;
        let (root, open, loaded) = match self.open(task, &opener)? {
            Opened::Over(outcome) => return Ok(outcome),
            Opened::Work { root, open, loaded } => (root, open, *loaded),
        };
        let epoch = self.runtime.block_on(open_epoch(&root, &opener, &open.plan.run))?;
        self.lease(task, root, open, loaded, epoch)
    }

    /// Scores what is undecided in an open run with the leases of this process.
    fn lease(
        &self,
        task: &Task,
        root: Probed,
        open: OpenRun,
        loaded: Loaded,
        epoch: u64,
    ) -> Result<Outcome, RunError> {
        let plan = Arc::clone(&open.plan);
        let decided: BTreeSet<ShardIndex> = open.records.keys().copied().collect();
        // Who joins another process's run starts at the other end, so that they meet once.
        let forward = plan.indexes();
        let order: Vec<ShardIndex> =
            if open.claimed { forward.collect() } else { forward.rev().collect() };
        let (drain, hours) = (self.drain.clone(), self.hours(task)?);
        let outcome = self.work(root, open, loaded, |work| {
            Arc::new(InProcess::new(work, epoch, &decided, order, drain, hours))
        })?;
        match (outcome, self.why_closed(task)?) {
            (Outcome::Open { undecided, .. }, Some(why)) if !self.drain.is_requested() => {
                Ok(Outcome::Paused { undecided, why })
            }
            (outcome, _) => Ok(outcome),
        }
    }

    /// Scores one shard of `task`, which is cut into as many shards as there are processes;
    /// whoever sees the last record makes the verdict.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_shard(&self, task: &Task, shard: ShardIndex) -> Result<Outcome, RunError> {
        if task.spec.gates.as_ref().is_some_and(|gates| gates.canary.is_some()) {
            return Err(RunError::CanaryWithoutOrder);
        }
        let (root, open, loaded) = match self.open(task, &self.opener(task)?)? {
            Opened::Over(outcome) => return Ok(outcome),
            Opened::Work { root, open, loaded } => (root, open, *loaded),
        };
        let shards = open.plan.shard_count();
        if shards == 0 {
            // Input without rows: there is nothing to score, and every process may say so.
            return self.finish(&root, &open.plan, open.records, Effort::default());
        }
        if let Some(asked) = task.shards.filter(|asked| *asked != shards) {
            let run = open.plan.run.clone();
            return Err(RunError::OtherShardCount { run, planned: shards, asked });
        }
        if open.plan.shard(shard).is_none() {
            return Err(RunError::NoSuchShard { run: open.plan.run.clone(), shard, shards });
        }
        if open.records.contains_key(&shard) {
            return self.finish(&root, &open.plan, open.records, Effort::default());
        }
        let drain = self.drain.clone();
        self.work(root, open, loaded, |work| Arc::new(StaticIndex::new(work, shard, drain)))
    }

    fn work(
        &self,
        root: Probed,
        open: OpenRun,
        loaded: Loaded,
        source: impl FnOnce(Arc<RunWork>) -> Arc<dyn ShardSource>,
    ) -> Result<Outcome, RunError> {
        let OpenRun { plan, mut records, .. } = open;
        let done = records.keys().filter_map(|shard| plan.shard(*shard)).map(Shard::rows).sum();
        self.observer.planned(&plan, done);
        if let Canary::Failed { message } = canary::standing(&plan, &records) {
            self.give_up_rest(&root, &plan, &mut records, message)?;
            return self.finish(&root, &plan, records, Effort::default());
        }
        let scorer = Scorer::for_plan(Arc::clone(&plan), loaded.engine);
        let collected = Arc::new(Collected::new(Arc::clone(&self.observer)));
        let work = RunWork::new(root.clone(), scorer, self.take_loading());
        let work = work.traced(RunTrace::of(&*plan).traceparent());
        let pool = Pool {
            source: source(Arc::new(work)),
            who: self.who.clone(),
            observer: Arc::clone(&collected) as Arc<dyn Observer>,
            meter: Arc::clone(&self.meter),
            drain: self.drain.clone(),
            pace: None,
            forced: self.forced.clone(),
            memory: Arc::clone(&self.memory),
            runtime: self.runtime.clone(),
        };
        let worked = pool.run(self.threads);
        records.append(&mut collected.take());
        if let Canary::Failed { message } = canary::standing(&plan, &records) {
            self.give_up_rest(&root, &plan, &mut records, message)?;
        }
        let finished = self.finish(&root, &plan, records, worked.effort)?;
        match (finished, worked.stopped) {
            (Outcome::Open { run, .. }, Some(failure)) => Err(RunError::Stopped { run, failure }),
            (outcome, _) => Ok(outcome),
        }
    }

    /// Makes the verdict if every shard is decided.
    fn finish(
        &self,
        root: &Probed,
        plan: &Arc<Plan>,
        mut records: BTreeMap<ShardIndex, Record>,
        effort: Effort,
    ) -> Result<Outcome, RunError> {
        let started = Instant::now();
        let concluded = self.runtime.block_on(async {
            if records.len() < plan.shards.len() {
                // Other processes may have decided the rest in the meantime.
                let decided = root.decided_shards(&plan.run).await?;
                let missing = decided.iter().filter(|shard| !records.contains_key(shard));
                let missing: Vec<ShardIndex> = missing.collect();
                records.append(&mut root.records(&plan.run, missing).await?);
            }
            conclude(root, &**plan, &records).await
        });
        tracing::debug!(run = %plan.run, seconds = started.elapsed().as_secs_f64(), "concluded");
        match concluded {
            Ok(report) => {
                story::run_concluded(&report, root.reader().place());
                let _entered = self.runtime.enter();
                self.teller.concluded(root, plan, report.clone());
                let effort = Effort { sync: root.sync_counters(), ..effort };
                Ok(Outcome::Concluded(Box::new(report), effort))
            }
            Err(ConcludeError::NotConcluded(
                nightshift_core::conclusion::NotConcluded::Undecided { undecided, .. },
            )) => Ok(Outcome::Open { run: plan.run.clone(), undecided }),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything up to the first shard.
    fn open(&self, task: &Task, opener: &Opener) -> Result<Opened, RunError> {
        let decision = self.decide(task)?;
        if let Some(outcome) = self.over(task, decision)? {
            return Ok(Opened::Over(outcome));
        }
        if let Some(why) = self.why_closed(task)? {
            return Ok(Opened::Over(Outcome::Paused { undecided: 0, why }));
        }
        if let Decision::Start { inherit: Some(generation), .. } = decision {
            let run = run_id(&task.spec.name, task.partition, generation);
            if let Some((plan, report)) = self.stored(task, &run)? {
                self.catch_up(task, &plan, &report, Urgency::Passing)?;
            }
        }
        let (plan, loaded) = match self.planned(task, decision)? {
            // The stored plan says what there is to do; the input need not be surveyed again.
            Some(plan) => {
                let loaded = self.load_planned(&plan)?;
                (plan, loaded)
            }
            None => {
                let Prepared { plan, loaded } = self.prepare(task)?;
                (plan, loaded)
            }
        };
        self.unless_drained()?;
        let opened = self.runtime.block_on(async {
            let root = self.output(task).await?;
            let open = open_run(&root, opener, task.partition, decision, plan).await?;
            Ok::<_, RunError>((root, open))
        });
        let (root, open) = opened?;
        let loaded = self.loaded_for(&open.plan, loaded)?;
        self.opened(task, &root, &open);
        Ok(Opened::Work { root, open, loaded: Box::new(loaded) })
    }

    /// Says that a run is open for work, in the log and to whom its plan names.
    fn opened(&self, task: &Task, root: &Probed, open: &OpenRun) {
        story::run_opened(&*open.plan, &task.bound.output);
        if open.claimed {
            trace::planned(&*open.plan);
            let _entered = self.runtime.enter();
            self.teller.begun(root, &open.plan);
        }
    }

    /// The output root, proven and known to be that of the spec.
    async fn output(&self, task: &Task) -> Result<Probed, StoreError> {
        let root = OutputRoot::open(&task.bound.output, self.durability).await?;
        let root = root.probe_for(&self.deciding).await?;
        root.identify(&task.spec.name).await?;
        Ok(root)
    }

    /// Ends what leads up to the first shard when somebody wants the process to end: nothing is
    /// lost with it.
    fn unless_drained(&self) -> Result<(), RunError> {
        if self.drain.is_requested() { Err(RunError::Drained) } else { Ok(()) }
    }

    fn opener(&self, task: &Task) -> Result<Opener, RunError> {
        Ok(Opener {
            name: task.spec.name.clone(),
            who: self.who.to_string(),
            request: crate::identity::new_attempt()?.to_string(),
            now: self.who.now(),
            force: task.force.clone(),
            retry: 0,
        })
    }

    /// The stored plan of the run that is to be joined, if it has one.
    fn planned(&self, task: &Task, decision: Decision) -> Result<Option<Plan>, RunError> {
        let Decision::Join(generation) = decision else { return Ok(None) };
        let run = run_id(&task.spec.name, task.partition, generation);
        let stored = async {
            let root = RootReader::open(&task.bound.output).await?;
            root.read::<Plan>(&Object::Plan { run }).await
        };
        Ok(self.runtime.block_on(stored)?)
    }

    /// Why `shard` of `run` was given up, if it was.
    ///
    /// # Errors
    /// If its record cannot be read.
    pub fn quarantined(
        &self,
        task: &Task,
        run: &RunId,
        shard: ShardIndex,
    ) -> Result<Option<String>, RunError> {
        let record = self.runtime.block_on(async {
            let root = RootReader::open(&task.bound.output).await?;
            root.read::<Record>(&Object::Record { run: run.clone(), shard }).await
        })?;
        Ok(match record.map(|record| record.verdict) {
            Some(Verdict::Quarantined(given_up)) => {
                Some(format!("shard {shard} of {run}: {}: {}", given_up.reason, given_up.message))
            }
            _ => None,
        })
    }
}

enum Opened {
    Over(Outcome),
    Work { root: Probed, open: OpenRun, loaded: Box<Loaded> },
}
