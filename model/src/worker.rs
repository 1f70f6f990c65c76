//! Workers: one attempt at a time.

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{
    Advice, Answered, Effect, Event, Holding, LeaseState, RequestId, Token, WorkerId,
};
use nightshift_core::record::FailureClass;
use nightshift_core::settle::{CommitPermit, CreateReply};

use crate::settling::{Outcome, Settling};
use crate::store::{Body, Fate, Key};
use crate::world::{COORDINATORS, World, fates};
use crate::{Mutant, Run, Step};

/// One worker slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker {
    /// Which process is in it.
    pub process: u8,
    /// Number of its next Acquire.
    request: u8,
    /// What it is at.
    pub doing: Doing,
}

/// What a worker is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Dead.
    Dead,
    /// Nothing.
    Idle,
    /// Scoring.
    Scoring(Job),
    /// Settling, its data staged.
    Settling(Job, Settling),
    /// About to make the visible file.
    Publishing(Job),
    /// About to tell how the attempt ended.
    Reporting(Job, Ended),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The shard has a record: this attempt's, or another's.
    Decided {
        /// Whether it is this attempt's.
        mine: bool,
    },
    /// It is unknown.
    Unsettled,
}

/// One attempt under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// The lease.
    pub token: Token,
    /// The shard.
    pub shard: u8,
    /// Number of the attempt.
    pub attempt: u8,
}

impl Job {
    fn holding(&self) -> Holding {
        Holding { token: self.token, shard: ShardIndex(self.shard.into()) }
    }

    fn record(&self) -> (Key, Body) {
        (Key::Record(self.shard), Body::Committed { attempt: self.attempt })
    }
}

impl Worker {
    /// Process number `process`, idle.
    pub fn new(process: u8) -> Self {
        Self { process, request: 0, doing: Doing::Idle }
    }

    /// Its name to a coordinator.
    pub fn id(&self) -> WorkerId {
        WorkerId(self.process.into())
    }

    /// The attempt it is at, up to the time that it knows the outcome.
    fn job(&self) -> Option<Job> {
        match &self.doing {
            Doing::Scoring(job) | Doing::Settling(job, _) => Some(*job),
            _ => None,
        }
    }
}

impl Run {
    pub(crate) fn worker_steps(&self, world: &World, worker: u8, steps: &mut Vec<Step>) {
        let Some(state) = world.workers.get(usize::from(worker)) else { return };
        let faulty = world.faults > 0;
        let up = (0..COORDINATORS).filter(|slot| world.coordinator(*slot).is_some());
        for coordinator in up {
            match &state.doing {
                Doing::Idle if world.attempts < self.bounds.attempts => {
                    steps.push(Step::Acquire { worker, coordinator, answer_lost: false });
                    if faulty {
                        steps.push(Step::Acquire { worker, coordinator, answer_lost: true });
                    }
                }
                Doing::Scoring(_) => {
                    steps.push(Step::Heartbeat { worker, coordinator });
                    if faulty {
                        steps.push(Step::Release { worker, coordinator });
                        steps.push(Step::Fail { worker, coordinator, bad_data: false });
                        steps.push(Step::Fail { worker, coordinator, bad_data: true });
                    }
                }
                Doing::Settling(..) => steps.push(Step::Heartbeat { worker, coordinator }),
                Doing::Reporting(..) => steps.push(Step::Report { worker, coordinator }),
                _ => {}
            }
        }
        match &state.doing {
            Doing::Dead => return steps.push(Step::Restart { worker }),
            Doing::Scoring(_) => steps.push(Step::Stage { worker }),
            Doing::Settling(_, settling) if settling.creates_next() => {
                steps.extend(fates(world).iter().map(|fate| Step::Create { worker, fate: *fate }));
            }
            Doing::Settling(..) => steps.push(Step::ReadBack { worker }),
            Doing::Publishing(_) => steps.push(Step::Publish { worker }),
            Doing::Idle | Doing::Reporting(..) => {}
        }
        if faulty && state.doing != Doing::Idle {
            steps.push(Step::CrashWorker { worker, seen: false });
            steps.push(Step::CrashWorker { worker, seen: true });
        }
    }

    pub(crate) fn worker_step(&self, world: &mut World, step: Step) {
        match step {
            Step::Acquire { worker, coordinator, answer_lost } => {
                self.acquire(world, worker, coordinator, answer_lost);
            }
            Step::Heartbeat { worker, coordinator } => self.heartbeat(world, worker, coordinator),
            Step::Release { worker, coordinator } => {
                world.spend();
                self.give_back(world, worker, coordinator, |job| Event::LeaseReleased {
                    token: job.token,
                });
            }
            Step::Fail { worker, coordinator, bad_data } => {
                world.spend();
                let class = if bad_data { FailureClass::Data } else { FailureClass::Transient };
                self.give_back(world, worker, coordinator, |job| failed(job, class));
            }
            Step::CrashWorker { worker, seen } => self.crash(world, worker, seen),
            Step::Restart { worker } => {
                let process = world.processes;
                world.processes += 1;
                if let Some(state) = world.workers.get_mut(usize::from(worker)) {
                    *state = Worker::new(process);
                }
            }
            Step::Stage { worker }
            | Step::Create { worker, .. }
            | Step::ReadBack { worker }
            | Step::Publish { worker } => {
                let Some(state) = world.workers.get_mut(usize::from(worker)) else { return };
                let doing = std::mem::replace(&mut state.doing, Doing::Idle);
                let next = self.attempt(world, doing, step);
                if let Some(state) = world.workers.get_mut(usize::from(worker)) {
                    state.doing = next;
                }
            }
            Step::Report { worker, coordinator } => self.report(world, worker, coordinator),
            _ => {}
        }
    }

    fn acquire(&self, world: &mut World, worker: u8, coordinator: u8, answer_lost: bool) {
        if answer_lost {
            world.spend();
        }
        let Some(state) = world.workers.get(usize::from(worker)) else { return };
        let request = RequestId(state.request.into());
        let wanted = Event::WorkWanted { worker: state.id(), request, max: 1 };
        for effect in self.tell(world, coordinator, wanted) {
            let Effect::Grant { lease, .. } = effect else { continue };
            let Ok(shard) = u8::try_from(lease.shard.0) else { continue };
            if self.breaks(Mutant::LedgerOnGrant) {
                world.mark_done(shard);
            }
            if answer_lost {
                continue;
            }
            let job = Job { token: lease.token, shard, attempt: world.attempts };
            world.attempts += 1;
            if let Some(state) = world.workers.get_mut(usize::from(worker)) {
                state.request += 1;
                state.doing = Doing::Scoring(job);
            }
        }
    }

    fn heartbeat(&self, world: &mut World, worker: u8, coordinator: u8) {
        let Some(state) = world.workers.get(usize::from(worker)) else { return };
        let Some(job) = state.job() else { return };
        let scoring = matches!(state.doing, Doing::Scoring(_));
        let beat = Event::HeartbeatArrived { worker: state.id(), leases: vec![job.holding()] };
        for effect in self.tell(world, coordinator, beat) {
            let Effect::AnswerHeartbeat { leases, advice, .. } = effect else { continue };
            let revoked = |one: &Answered| one.state == LeaseState::Revoked;
            let over = leases.iter().any(revoked) || advice == Advice::Drain;
            // Who is committing finishes, whatever the lease says.
            if over
                && scoring
                && let Some(state) = world.workers.get_mut(usize::from(worker))
            {
                state.doing = Doing::Idle;
            }
        }
    }

    fn give_back(
        &self,
        world: &mut World,
        worker: u8,
        coordinator: u8,
        event: impl Fn(Job) -> Event,
    ) {
        let Some(state) = world.workers.get_mut(usize::from(worker)) else { return };
        if let Doing::Scoring(job) = state.doing {
            state.doing = Doing::Idle;
            self.tell(world, coordinator, event(job));
        }
    }

    fn crash(&self, world: &mut World, worker: u8, seen: bool) {
        world.spend();
        let Some(state) = world.workers.get_mut(usize::from(worker)) else { return };
        state.doing = Doing::Dead;
        let lost = Event::WorkerLost {
            worker: state.id(),
            class: FailureClass::Preempted,
            reason: "evicted".to_owned(),
            message: String::new(),
        };
        for slot in (0..COORDINATORS).filter(|_| seen) {
            self.tell(world, slot, lost.clone());
        }
    }

    /// A step of an attempt against the store.
    fn attempt(&self, world: &mut World, doing: Doing, step: Step) -> Doing {
        match (doing, step) {
            (Doing::Scoring(job), Step::Stage { .. }) => self.stage(world, job),
            (Doing::Settling(job, settling), Step::Create { fate, .. }) => {
                if fate != Fate::Clean {
                    world.spend();
                }
                let (key, body) = job.record();
                let overwrite = self.breaks(Mutant::CreatesOverwrite);
                let mut reply = world.store.create(key, body, fate, overwrite);
                let believed = match reply {
                    CreateReply::Unknown(_) => self.breaks(Mutant::UnknownIsWon),
                    CreateReply::Refused(_) => self.breaks(Mutant::RefusedIsWon),
                    _ => false,
                };
                if believed {
                    reply = CreateReply::Created;
                }
                if self.breaks(Mutant::DeleteOnUnknown) && matches!(reply, CreateReply::Unknown(_))
                {
                    world.store.staged.remove(&(job.shard, job.attempt));
                    return Doing::Reporting(job, Ended::Unsettled);
                }
                self.settled(job, settling.answered(reply))
            }
            (Doing::Settling(job, settling), Step::ReadBack { .. }) => {
                let (key, body) = job.record();
                let found = world.store.read_back(key, body);
                self.settled(job, settling.found(found))
            }
            (Doing::Publishing(job), Step::Publish { .. }) => {
                if self.breaks(Mutant::RecordBeforeData) {
                    world.store.staged.insert((job.shard, job.attempt));
                }
                world.store.visible.insert((job.shard, job.attempt));
                Doing::Reporting(job, Ended::Decided { mine: true })
            }
            (doing, _) => doing,
        }
    }

    fn stage(&self, world: &mut World, job: Job) -> Doing {
        if !self.breaks(Mutant::RecordBeforeData) {
            world.store.staged.insert((job.shard, job.attempt));
        }
        if self.breaks(Mutant::PublishBeforeRecord) {
            world.store.visible.insert((job.shard, job.attempt));
        }
        if self.breaks(Mutant::ReportBeforeRecord) {
            return Doing::Reporting(job, Ended::Decided { mine: true });
        }
        Doing::Settling(job, Settling::begin(&self.documents, job.shard, job.attempt))
    }

    fn settled(&self, job: Job, outcome: Outcome) -> Doing {
        match outcome {
            Outcome::Goes(settling) => Doing::Settling(job, settling),
            Outcome::Won(permit) => Doing::Publishing(permitted(job, &permit)),
            Outcome::Lost if self.breaks(Mutant::LostIsWon) => Doing::Publishing(job),
            Outcome::Lost => Doing::Reporting(job, Ended::Decided { mine: false }),
            Outcome::Unsettled => Doing::Reporting(job, Ended::Unsettled),
        }
    }

    fn report(&self, world: &mut World, worker: u8, coordinator: u8) {
        let Some(state) = world.workers.get_mut(usize::from(worker)) else { return };
        let Doing::Reporting(job, ended) = state.doing else { return };
        state.doing = Doing::Idle;
        let Job { token, shard, .. } = job;
        match ended {
            Ended::Decided { mine } => {
                let by = mine.then_some(token);
                self.tell(
                    world,
                    coordinator,
                    Event::ShardDecided { shard: job.holding().shard, by },
                );
                let record = world.store.record(shard);
                world.acknowledged.entry(shard).or_insert(record);
                world.mark_done(shard);
            }
            Ended::Unsettled => {
                self.tell(world, coordinator, failed(job, FailureClass::Transient));
            }
        }
    }
}

fn failed(job: Job, class: FailureClass) -> Event {
    let (reason, message) = (class.as_str().to_owned(), String::new());
    Event::AttemptFailed { lease: job.holding(), class, reason, message }
}

/// The attempt that may publish is the one that the permit names.
fn permitted(job: Job, permit: &CommitPermit) -> Job {
    let attempt = permit.attempt().as_str().parse().unwrap_or(job.attempt);
    Job { attempt, ..job }
}
