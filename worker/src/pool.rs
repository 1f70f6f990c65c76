//! The threads of one worker: compute threads that score, and commits that run beside them.
//!
//! A compute thread never waits for the disk: it hands a scored shard to a commit task and
//! takes the next lease. At most [`COMMITS_MAX`] commits are under way; past that the compute
//! threads wait, which bounds memory and open files. Many commits at a time also make durable
//! writes cheap, since the file system then syncs them together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nightshift_core::exit::Exit;
use nightshift_core::ids::ShardIndex;
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_core::record::{FailureClass, Record};
use nightshift_storage::error::StoreError;
use nightshift_storage::sync::SyncCounters;
use nightshift_telemetry::meter::{Ended, Meter};
use nightshift_telemetry::trace::outcome;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::commit::{commit, quarantine};
use crate::engine::TextCounts;
use crate::forced::Forced;
use crate::identity::{Identity, new_attempt};
use crate::memory::Guard;
use crate::pace::Pace;
use crate::score::{BATCH_ROWS, ScoredShard, ShardError, Watcher};
use crate::source::{Acquired, Attempt, Drain, Failure, Scope, ShardSource, Verdict};

mod account;

use account::Account;

/// Commits under way at a time. Each holds one or two open files and no rows.
pub const COMMITS_MAX: u32 = 32;

/// How long a streak of shards of one thread may take before the next one is a single shard.
const STREAK_MAX: Duration = Duration::from_millis(20);
/// Most shards in a streak; beyond it the gain is lost in the noise.
const STREAK_SHARDS_MAX: u32 = 16;

/// What a run tells about its progress; called from many threads.
pub trait Observer: Send + Sync {
    /// A run is about to begin, of whose rows `done` are in decided shards already.
    fn planned(&self, _plan: &Plan, _done: u64) {}
    /// An attempt at a shard began.
    fn started(&self, _shard: ShardIndex) {}
    /// Rows were scored.
    fn scored(&self, _rows: u64) {}
    /// A shard is decided; `won` says whether by this process.
    fn decided(&self, _record: &Record, _won: bool) {}
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

/// What the threads share.
pub struct Pool {
    /// Where shards come from, each with the run that it belongs to.
    pub source: Arc<dyn ShardSource>,
    /// This process.
    pub who: Identity,
    /// Told about progress.
    pub observer: Arc<dyn Observer>,
    /// Counts what is done.
    pub meter: Arc<Meter>,
    /// Stops the run at the next border.
    pub drain: Drain,
    /// A limit on rows a second, if there is one.
    pub pace: Option<Pace>,
    /// Keeps batches within the memory that there is.
    pub memory: Arc<Guard>,
    /// Attempts that are to fail, for a rehearsal.
    pub forced: Forced,
    /// Runs the commits.
    pub runtime: Handle,
}

/// What became of the shards that a pool worked on.
#[derive(Debug, Default)]
pub struct Worked {
    /// Why the pool stopped before the end.
    pub stopped: Option<Failure>,
    /// What was done.
    pub effort: Effort,
}

/// Work done by one process, whatever came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort {
    /// Attempts that were scored to the end.
    pub attempts_scored: u64,
    /// Commits that another attempt had won already.
    pub commits_lost: u64,
    /// Seconds that commits took, added up over commits that ran at the same time.
    pub commit_s: f64,
    /// What making data durable cost, added up likewise.
    pub sync: SyncCounters,
}

impl Pool {
    /// Works on `threads` threads until the source has no more shards.
    pub fn run(self, threads: usize) -> Worked {
        let shared = Arc::new(Shared {
            pool: self,
            commits: Arc::new(Semaphore::new(COMMITS_MAX as usize)),
            worked: Mutex::new(Worked::default()),
            account: Account::default(),
        });
        std::thread::scope(|scope| {
            for index in 1..threads.max(1) {
                let name = format!("score-{index}");
                let shared = &shared;
                let spawned =
                    std::thread::Builder::new().name(name).spawn_scoped(scope, || shared.compute());
                if let Err(error) = spawned {
                    // The remaining threads do the work; fewer is slower, not wrong.
                    tracing::warn!(%error, "a compute thread could not be started");
                }
            }
            shared.compute();
        });
        // Every commit holds a permit: when all are free, all commits have ended.
        let all = shared.pool.runtime.block_on(shared.commits.acquire_many(COMMITS_MAX));
        drop(all);
        std::mem::take(&mut *shared.lock())
    }
}

struct Shared {
    pool: Pool,
    commits: Arc<Semaphore>,
    worked: Mutex<Worked>,
    account: Account,
}

/// Lets an attempt go on until a drain is requested or its source takes the shard away.
struct Ticker<'a> {
    pool: &'a Pool,
    attempt: &'a Attempt,
}

impl Watcher for Ticker<'_> {
    fn inferred(&self, rows: u64, text: TextCounts, time: Duration) {
        self.pool.meter.scored(rows, time);
        self.pool.meter.read_text(text.tokens, text.cut_rows);
    }

    fn scored(&self, rows: u64) -> bool {
        let Pool { observer, source, drain, pace, .. } = self.pool;
        observer.scored(rows);
        if let Some(pace) = pace {
            pace.wait(rows, || source.scored(self.attempt, 0) && !drain.is_requested());
        }
        // After the wait: the rows are not done before the next ones may begin.
        source.scored(self.attempt, rows) && !drain.is_requested()
    }

    fn goes_on(&self) -> bool {
        let Pool { source, drain, .. } = self.pool;
        source.scored(self.attempt, 0) && !drain.is_requested()
    }
}

impl Shared {
    /// What was worked is whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, Worked> {
        self.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One compute thread: until there is no more work.
    ///
    /// Short shards are taken in streaks of neighbours, so that a decoder goes on where it
    /// stands instead of two threads taking turns in one file. Long ones are taken one by one:
    /// what waits behind one in a streak could be another thread's.
    fn compute(self: &Arc<Self>) {
        let mut streak = 1;
        let acquire = |max| self.account.waiting(|| self.pool.source.acquire(max));
        while let Acquired::Leases { work, leases } = acquire(streak) {
            if let Some(time) = work.take_loading() {
                self.account.loaded(time);
                self.pool.meter.loaded(time);
            }
            let started = Instant::now();
            for lease in leases {
                if self.pool.drain.is_requested() {
                    return;
                }
                let id = match new_attempt() {
                    Ok(id) => id,
                    Err(error) => {
                        self.lock().stopped = Some(Failure::bug(&error));
                        return;
                    }
                };
                let attempt = Attempt::begin(Arc::clone(&work), lease, id);
                let _entered = attempt.span.enter();
                if let Err(failure) = self.attempt(&attempt) {
                    self.account.lost(attempt.began.elapsed());
                    self.pool.runtime.block_on(self.failed(&attempt, failure));
                }
            }
            streak = if started.elapsed() < STREAK_MAX {
                (streak * 2).min(STREAK_SHARDS_MAX)
            } else {
                1
            };
        }
    }

    /// One attempt, up to handing it over to a commit task.
    fn attempt(self: &Arc<Self>, attempt: &Attempt) -> Result<(), Failure> {
        let Pool { source, observer, runtime, .. } = &self.pool;
        let Attempt { work, lease, id, .. } = attempt;
        let (run, shard) = (work.run(), lease.shard);
        if !source.begun(attempt) {
            return Err(ShardError::GivenUp.failure());
        }
        // Another process may have decided the shard since the run was opened. Where a look is a
        // request, who granted the shard is believed: a record that exists is found by the commit.
        if !(work.root.is_bucket() && source.grants_undecided()) {
            let object = Object::Record { run: run.clone(), shard };
            let existing = runtime.block_on(work.root.read::<Record>(&object));
            if let Some(record) = existing.map_err(|error| Failure::from_store(&error))? {
                self.decided(attempt, &record, false);
                return Ok(());
            }
        }
        observer.started(shard);
        attempt.say_started();
        if let Some(failure) = self.pool.forced.next(shard) {
            return Err(failure);
        }
        let staging = work.root.stage(run, shard, id);
        let staging = staging.map_err(|error| Failure::from_store(&error))?;
        let ticker = Ticker { pool: &self.pool, attempt };
        let scored = work.scorer.score(shard, id, &staging, &self.pool.memory, &ticker);
        let scored = scored.map_err(|error| error.failure())?;
        self.lock().effort.attempts_scored += 1;
        attempt.span.record("trace.rows", scored.rows_in);
        let batch_rows = work.scorer.reader().batch_rows();
        if batch_rows < BATCH_ROWS {
            self.pool.meter.learned(batch_rows);
        }
        self.hand_over(attempt, scored)
    }

    /// Starts a commit task, waiting while too many are under way.
    fn hand_over(self: &Arc<Self>, attempt: &Attempt, scored: ScoredShard) -> Result<(), Failure> {
        let commits = Arc::clone(&self.commits);
        // The semaphore is never closed, so a permit always comes.
        let Ok(permit) = self.pool.runtime.block_on(commits.acquire_owned()) else {
            return Ok(());
        };
        // After the wait, so that what is told to stop meanwhile has not begun to commit.
        if !self.pool.source.may_commit(attempt) {
            return Err(ShardError::GivenUp.failure());
        }
        let (shared, attempt) = (Arc::clone(self), attempt.clone());
        let task = async move {
            let started = Instant::now();
            let work = &attempt.work;
            let mut scored = scored;
            scored.timing.overhead = Some(shared.account.take());
            let timing = scored.timing;
            let committed = commit(&work.root, work.plan(), &shared.pool.who, scored).await;
            shared.spent(started.elapsed());
            if !matches!(&committed, Ok(outcome) if outcome.won) {
                shared.account.give_back(&timing);
            }
            match committed {
                Ok(outcome) => {
                    outcome.say_committed();
                    shared.decided(&attempt, &outcome.record, outcome.won);
                }
                Err(error) => shared.failed(&attempt, Failure::from_store(&error)).await,
            }
            drop(permit);
        };
        let _entered = self.pool.runtime.enter();
        nightshift_telemetry::spawn("commit", task);
        Ok(())
    }

    fn spent(&self, time: Duration) {
        self.lock().effort.commit_s += time.as_secs_f64();
    }

    fn decided(&self, attempt: &Attempt, record: &Record, won: bool) {
        self.pool.observer.decided(record, won);
        self.lock().effort.commits_lost += u64::from(!won);
        let committed = record.committed().filter(|_| won);
        if let Some(committed) = committed {
            self.pool.meter.rejected(&committed.rejects_by_reason);
        }
        // A shard that was given up by this attempt has failed, which is counted already.
        if committed.is_some() || !won {
            self.ended(attempt, if won { Ended::Committed } else { Ended::Lost }, None);
        }
        // Last: the source may end the run at once.
        self.pool.source.decided(attempt, record, won);
    }

    /// Notes how an attempt ended: in the numbers, and in its trace.
    fn ended(&self, attempt: &Attempt, ended: Ended, failed: Option<&str>) {
        self.pool.meter.ended(ended, attempt.began.elapsed());
        outcome(&attempt.span, ended.as_str(), failed);
    }

    async fn failed(&self, attempt: &Attempt, failure: Failure) {
        let Failure { class, reason, message, .. } = &failure;
        if *class == FailureClass::Preempted {
            self.ended(attempt, Ended::GivenUp, None);
            tracing::info!("attempt given up");
        } else {
            self.ended(attempt, Ended::Failed, Some(&format!("{reason}: {message}")));
            tracing::warn!(class = class.as_str(), reason, error = message, "attempt failed");
        }
        match self.pool.source.failed(attempt, failure) {
            Verdict::Handled => {}
            Verdict::StopRun(failure) => self.lock().stopped = Some(failure),
            Verdict::Quarantine { failure, attempts } => {
                if let Err(failure) = self.give_up(attempt, failure, attempts).await {
                    // Without a record the shard stays undecided: stop, so that a person looks.
                    self.pool.drain.request();
                    self.lock().stopped.get_or_insert(failure);
                }
            }
        }
    }

    async fn give_up(
        &self,
        attempt: &Attempt,
        failure: Failure,
        attempts: u32,
    ) -> Result<(), Failure> {
        let (work, shard) = (&attempt.work, attempt.lease.shard);
        let id = new_attempt().map_err(|error| Failure::bug(&error))?;
        let record =
            quarantine(&work.root, work.plan(), &self.pool.who, shard, id, failure, attempts);
        let record = record.await.map_err(|error| Failure::from_store(&error))?;
        self.decided(attempt, &record, true);
        Ok(())
    }
}

impl Failure {
    /// A failure of the store. What waiting cannot mend stops the run, and burns no shard.
    pub fn from_store(error: &StoreError) -> Self {
        use nightshift_storage::error::Class;
        let lasting = matches!(error, StoreError::NoSpace { .. } | StoreError::ReadOnly { .. })
            || matches!(error.class(), Class::Permission | Class::Invalid);
        let class = if lasting { FailureClass::Config } else { FailureClass::Transient };
        // What is stored is the same for everybody; rights, space and mounts are not.
        let stored = error.class() == Class::Invalid;
        let scope = if stored { Scope::Everywhere } else { Scope::Host };
        Self {
            class,
            reason: "store".to_owned(),
            message: crate::describe(error),
            exit: error.exit(),
            scope,
        }
    }

    /// Something that cannot happen, happened.
    fn bug(error: &dyn std::error::Error) -> Self {
        Self {
            class: FailureClass::Config,
            reason: "bug".to_owned(),
            message: crate::describe(error),
            exit: Exit::Software,
            scope: Scope::Everywhere,
        }
    }
}
