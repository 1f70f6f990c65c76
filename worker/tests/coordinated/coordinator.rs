//! A small coordinator of one run: a real lease table behind a real server, and levers to pull.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use nightshift_core::ids::{Digest, RunId};
use nightshift_core::lease::{
    Effect, Event, Holding, LeaseSettings, LeaseState as Held, LeaseTable, Moment,
    RequestId as Number, RetryRules, Token, WorkerId,
};
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::acquire::{Acquire, Acquired, Grant};
use nightshift_proto::leases::heartbeat::{Heartbeat, HeartbeatAnswered, LeaseAnswer, LeaseState};
use nightshift_proto::leases::release::{Release, Released};
use nightshift_proto::leases::report::{Outcome, Report, ReportState, Reported};
use nightshift_proto::leases::{Directive, LeaseId};
use nightshift_proto::names::BatchSize;
use nightshift_storage::root::Probed;
use tokio::sync::Notify;
use tonic::Status;

use crate::calls::{Call, Calls, Method};
use crate::prepared::{PATIENCE, Prepared};

/// What a test can make a coordinator do.
#[derive(Debug, Default)]
pub(crate) struct Levers {
    /// Replies that get lost after the coordinator has acted.
    pub(crate) lose: VecDeque<Method>,
    /// Calls that are refused, until the lever is taken back.
    pub(crate) refuse: Option<Status>,
    /// Calls that are refused with the status, of one kind only.
    pub(crate) refuse_only: Option<(Method, Status)>,
    /// Shards whose leases a heartbeat takes away.
    pub(crate) revoke: BTreeSet<u32>,
    /// What a heartbeat tells the worker.
    pub(crate) directive: Option<Directive>,
    /// Shards for which the record is not seen, once.
    pub(crate) blind: BTreeSet<u32>,
    /// Says that nothing is under way.
    pub(crate) idle: bool,
    /// The batch size that grants name.
    pub(crate) batch_size: Option<BatchSize>,
    /// The plan that grants name, if not the right one.
    pub(crate) plan_sha256: Option<Digest>,
    /// Leases that one Acquire gets at most.
    pub(crate) grants_max: Option<u32>,
}

/// How long leases last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) ttl_ms: u32,
    pub(crate) interval_ms: u32,
}

/// Leases that outlast any test, with many heartbeats.
pub(crate) const STEADY: Times = Times { ttl_ms: 600_000, interval_ms: 20 };

/// One coordinator.
pub(crate) struct Coordinator {
    run: RunId,
    output_root: String,
    plan_sha256: Digest,
    root: Probed,
    times: Times,
    started: Instant,
    state: Mutex<State>,
    called: Condvar,
    pub(crate) changed: Notify,
}

struct State {
    table: LeaseTable,
    workers: Vec<String>,
    requests: Vec<String>,
    calls: Calls,
    levers: Levers,
    quarantined: BTreeMap<u32, (FailureClass, String)>,
    stopped: Option<String>,
}

impl Coordinator {
    /// Incarnation `epoch` of the coordinator of `prepared`; every one after the first adopts.
    pub(crate) fn new(prepared: &Prepared, epoch: u64, times: Times) -> Arc<Self> {
        let settings = LeaseSettings {
            ttl_ms: times.ttl_ms.into(),
            retry: RetryRules { pause_ms: 1, ..RetryRules::with_crash_budget(4) },
            backup: None,
            breaker: None,
        };
        let (shards, decided) = (prepared.plan.shard_count(), prepared.decided());
        let table = LeaseTable::new(settings, epoch, shards, &decided, prepared.plan.indexes());
        let table = if epoch > 1 { table.awaiting_adoption(Moment(0)) } else { table };
        Arc::new(Self {
            run: prepared.run().clone(),
            output_root: prepared.root.place().to_owned(),
            plan_sha256: prepared.plan_sha256,
            root: prepared.root.clone(),
            times,
            started: Instant::now(),
            state: Mutex::new(State {
                table,
                workers: Vec::new(),
                requests: Vec::new(),
                calls: Calls::default(),
                levers: Levers::default(),
                quarantined: BTreeMap::new(),
                stopped: None,
            }),
            called: Condvar::new(),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> Moment {
        Moment(self.started.elapsed().as_millis().try_into().unwrap())
    }

    /// Pulls levers.
    pub(crate) fn pull(&self, pull: impl FnOnce(&mut Levers)) {
        pull(&mut self.lock().levers);
        self.changed.notify_waiters();
    }

    /// Waits until the calls so far satisfy `seen`.
    pub(crate) fn wait<T>(&self, what: &str, mut seen: impl FnMut(&Calls) -> Option<T>) -> T {
        let started = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(found) = seen(&state.calls) {
                return found;
            }
            let left = PATIENCE.checked_sub(started.elapsed());
            let left =
                left.unwrap_or_else(|| panic!("waited in vain for {what}: {:#?}", state.calls));
            state = self.called.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Looks at the calls so far.
    pub(crate) fn calls<T>(&self, look: impl FnOnce(&Calls) -> T) -> T {
        look(&self.lock().calls)
    }

    /// Leases that are out.
    pub(crate) fn leased(&self) -> usize {
        self.lock().table.leased()
    }

    /// Shards that were given up, with class and reason.
    pub(crate) fn quarantined(&self) -> BTreeMap<u32, (FailureClass, String)> {
        self.lock().quarantined.clone()
    }

    /// Why the run was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.lock().stopped.clone()
    }

    pub(crate) fn is_unfinished(&self) -> bool {
        let state = self.lock();
        !state.levers.idle && state.table.undecided() > 0
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    /// Notes a call that was acted on; whether its reply gets lost.
    fn acted(
        &self,
        mut state: MutexGuard<'_, State>,
        method: Method,
        call: Call,
    ) -> Result<(), Status> {
        state.calls.0.push(call);
        let lost = state.levers.lose.front() == Some(&method);
        if lost {
            state.levers.lose.pop_front();
        }
        drop(state);
        self.called.notify_all();
        self.changed.notify_waiters();
        if lost { Err(Status::unavailable("the reply was lost")) } else { Ok(()) }
    }

    pub(crate) fn admit(&self, method: Method) -> Result<(), Status> {
        let state = self.lock();
        if let Some(status) = &state.levers.refuse {
            return Err(status.clone());
        }
        match &state.levers.refuse_only {
            Some((only, status)) if *only == method => Err(status.clone()),
            _ => Ok(()),
        }
    }

    /// Grants what is free now; nothing means to wait.
    pub(crate) fn try_acquire(
        &self,
        acquire: &Acquire,
        over: bool,
    ) -> Result<Option<Acquired>, Status> {
        let now = self.now();
        let mut state = self.lock();
        let worker = state.worker(acquire.worker.as_str());
        let request = state.request(acquire.request.as_str());
        let max = acquire.max.min(state.levers.grants_max.unwrap_or(u32::MAX));
        let effects = state.table.apply(now, Event::WorkWanted { worker, request, max });
        let mut answer = Acquired {
            grants: Vec::new(),
            directive: Directive::Continue,
            retry_after_ms: 10,
            notice: String::new(),
        };
        let mut granted = Vec::new();
        for effect in effects {
            match effect {
                Effect::Grant { lease, backup, .. } => {
                    granted.push((lease.token, lease.shard));
                    answer.grants.push(Grant {
                        lease: LeaseId {
                            run: self.run.clone(),
                            shard: lease.shard,
                            token: lease.token,
                        },
                        earlier_attempts: lease.earlier_attempts,
                        ttl_ms: self.times.ttl_ms,
                        heartbeat_interval_ms: self.times.interval_ms,
                        output_root: self.output_root.clone(),
                        plan_sha256: state.levers.plan_sha256.unwrap_or(self.plan_sha256),
                        trace: None,
                        batch_size: state.levers.batch_size,
                        backup,
                        coordinator_creates_records: false,
                    });
                }
                Effect::Retire { .. } => answer.directive = Directive::Retire,
                _ => {}
            }
        }
        if granted.is_empty() && answer.directive == Directive::Continue && !over {
            return Ok(None);
        }
        let request = acquire.request.to_string();
        self.acted(state, Method::Acquire, Call::Acquire { request, granted })?;
        Ok(Some(answer))
    }

    pub(crate) fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswered, Status> {
        let now = self.now();
        let mut state = self.lock();
        let worker = state.worker(heartbeat.worker.as_str());
        let holding = |token: Token, shard| Holding { token, shard };
        let named = heartbeat.leases.iter().map(|one| holding(one.lease.token, one.lease.shard));
        let leases: Vec<Holding> = named.collect();
        let mut answers = Vec::new();
        for effect in state.table.apply(now, Event::HeartbeatArrived { worker, leases }) {
            let Effect::AnswerHeartbeat { leases, .. } = effect else { continue };
            for (progress, answered) in heartbeat.leases.iter().zip(leases) {
                let revoked = state.levers.revoke.contains(&progress.lease.shard.0);
                let state = match answered.state {
                    _ if revoked => LeaseState::Revoked,
                    Held::Ok => LeaseState::Ok,
                    Held::Revoked => LeaseState::Revoked,
                    Held::Unknown => LeaseState::Unknown,
                };
                answers.push(LeaseAnswer { lease: progress.lease.clone(), state });
            }
        }
        let directive = state.levers.directive.unwrap_or(Directive::Continue);
        self.acted(state, Method::Heartbeat, Call::Heartbeat(heartbeat))?;
        Ok(HeartbeatAnswered { answers, directive })
    }

    pub(crate) fn release(&self, release: Release) -> Result<Released, Status> {
        let now = self.now();
        let mut state = self.lock();
        let before = state.table.leased();
        for lease in &release.leases {
            state.table.apply(now, Event::LeaseReleased { token: lease.token });
        }
        let released = u32::try_from(before - state.table.leased()).unwrap();
        self.acted(state, Method::Release, Call::Release(release))?;
        Ok(Released { released })
    }

    pub(crate) async fn report(&self, report: Report) -> Result<Reported, Status> {
        let shard = report.lease.shard;
        let object = nightshift_core::layout::Object::Record { run: self.run.clone(), shard };
        let exists = self.root.exists(&object).await.unwrap();
        let now = self.now();
        let mut state = self.lock();
        let seen = exists && !state.levers.blind.remove(&shard.0);
        let lease = Holding { token: report.lease.token, shard };
        let (answer, effects) = match report.outcome.clone() {
            Outcome::Committed(_) | Outcome::Lost { .. } if !seen => {
                (ReportState::NoRecord, Vec::new())
            }
            Outcome::Committed(_) => {
                let decided = Event::ShardDecided { shard, by: Some(lease.token) };
                (ReportState::Accepted, state.table.apply(now, decided))
            }
            Outcome::Lost { .. } => {
                let decided = Event::ShardDecided { shard, by: None };
                (ReportState::Accepted, state.table.apply(now, decided))
            }
            Outcome::Failed(failure) => {
                let (class, reason) = (failure.class, failure.reason.to_string());
                let message = failure.message;
                let failed = Event::AttemptFailed { lease, class, reason, message };
                (ReportState::Accepted, state.table.apply(now, failed))
            }
        };
        for effect in effects {
            match effect {
                Effect::WriteQuarantine { shard, class, reason, .. } => {
                    state.quarantined.insert(shard.0, (class, reason));
                    // The record would be written here; the table is told that it was.
                    state.table.apply(now, Event::ShardDecided { shard, by: None });
                }
                Effect::StopRun { reason, .. } => state.stopped = Some(reason),
                _ => {}
            }
        }
        self.acted(state, Method::Report, Call::Report(report))?;
        Ok(Reported { state: answer, directive: Directive::Continue })
    }
}

impl State {
    fn worker(&mut self, name: &str) -> WorkerId {
        WorkerId(number(&mut self.workers, name))
    }

    fn request(&mut self, id: &str) -> Number {
        Number(number(&mut self.requests, id))
    }
}

/// The position of `name`, which is added if it is new.
fn number(names: &mut Vec<String>, name: &str) -> u64 {
    let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    at as u64
}
