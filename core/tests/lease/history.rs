//! Random histories of a lease table, judged against a book that is kept from the effects alone.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{
    Effect, Event, Holding, Lease, LeaseState, LeaseTable, Moment, RequestId, Token, WorkerId,
};
use nightshift_core::record::FailureClass;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::dialogue::{Log, play};
use crate::language::table;

/// Worker, shard and deadline of a lease that is out.
type Out = (WorkerId, ShardIndex, Moment);

const TTL_MS: u64 = 30_000;
const WORKERS: u64 = 4;
/// Losses and transient failures that no shard may exceed: the budgets, and the attempt that is
/// over, for each of two attempts under way.
const COUNTED_MAX: u32 = 2 + 1 + 8 + 1 + 1;

/// One step of a history; leases are picked by position.
#[derive(Debug, Clone)]
enum Step {
    Want { worker: u64, max: u32 },
    Repeat { worker: u64 },
    Beat { worker: u64 },
    BeatOld { worker: u64, shard: u32 },
    Commit { at: usize },
    SeenElsewhere { shard: u32 },
    Fail { at: usize, class: FailureClass },
    Release { at: usize },
    Lose { worker: u64 },
    Pass { ms: u64 },
    Retire { worker: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    use FailureClass::{Data, Lost, Preempted, Transient};
    let worker = 0..WORKERS;
    let class = prop::sample::select(vec![Data, Lost, Preempted, Transient, Transient]);
    prop_oneof![
        8 => (worker.clone(), 0_u32..4).prop_map(|(worker, max)| Step::Want { worker, max }),
        1 => worker.clone().prop_map(|worker| Step::Repeat { worker }),
        4 => worker.clone().prop_map(|worker| Step::Beat { worker }),
        2 => (worker.clone(), 0_u32..14).prop_map(|(worker, shard)| Step::BeatOld { worker, shard }),
        5 => any::<usize>().prop_map(|at| Step::Commit { at }),
        1 => (0_u32..12).prop_map(|shard| Step::SeenElsewhere { shard }),
        4 => (any::<usize>(), class).prop_map(|(at, class)| Step::Fail { at, class }),
        2 => any::<usize>().prop_map(|at| Step::Release { at }),
        1 => worker.clone().prop_map(|worker| Step::Lose { worker }),
        4 => (0_u64..20_000).prop_map(|ms| Step::Pass { ms }),
        1 => (1..WORKERS).prop_map(|worker| Step::Retire { worker }),
    ]
}

/// What must be so, by what the effects said.
struct Book {
    table: LeaseTable,
    log: Log,
    now: Moment,
    shards: u32,
    out: BTreeMap<Token, Out>,
    decided: BTreeSet<ShardIndex>,
    giving_up: BTreeSet<ShardIndex>,
    /// Failures of each shard that count against a budget.
    counted: BTreeMap<ShardIndex, u32>,
    last_token: Option<Token>,
    requests: u64,
    last_want: BTreeMap<u64, (u64, u32, Vec<Lease>)>,
    stopped_until: Option<Moment>,
    /// Workers that were told to retire, and when each was last heard of.
    retired: BTreeMap<WorkerId, Moment>,
    ended: bool,
}

type Checked = Result<(), String>;

fn ensure(holds: bool, rule: &str) -> Checked {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

impl Book {
    fn new(shards: u32) -> Self {
        let settings = format!("shards={shards} epoch=5 crashes=2 backup breaker adopting");
        let words: Vec<&str> = settings.split(' ').collect();
        Self {
            table: table(&words).unwrap(),
            log: Log::new(&settings),
            now: Moment(0),
            shards,
            out: BTreeMap::new(),
            decided: BTreeSet::new(),
            giving_up: BTreeSet::new(),
            counted: BTreeMap::new(),
            last_token: None,
            requests: 0,
            last_want: BTreeMap::new(),
            stopped_until: Some(Moment(TTL_MS)),
            retired: BTreeMap::new(),
            ended: false,
        }
    }

    fn apply(&mut self, event: Event) -> Result<Vec<Effect>, String> {
        let effects = self.table.apply(self.now, event.clone());
        self.log.note(self.now, &event, &effects);
        for effect in &effects {
            match effect {
                Effect::WriteQuarantine { shard, .. } => {
                    ensure(!self.decided.contains(shard), "a decided shard is given up")?;
                    ensure(self.giving_up.insert(*shard), "a shard is given up twice")?;
                    self.out.retain(|_, (_, of, _)| of != shard);
                }
                Effect::ReportGrantsStopped { until, .. } => self.stopped_until = Some(*until),
                Effect::ReportGrantsResumed => self.stopped_until = None,
                Effect::AllDecided => {
                    ensure(!std::mem::replace(&mut self.ended, true), "the run ends twice")?;
                    ensure(self.decided.len() == self.shards as usize, "it ends too early")?;
                }
                Effect::StopRun { .. } => return Err("nothing was misconfigured".to_owned()),
                _ => {}
            }
        }
        Ok(effects)
    }

    /// One step, after which table and book must agree.
    fn step(&mut self, step: Step) -> Checked {
        self.take(step)?;
        ensure(self.table.leased() == self.out.len(), "the table counts other leases")?;
        let left = self.shards as usize - self.decided.len();
        ensure(self.table.undecided() as usize == left, "the table counts other shards")
    }

    fn pick(&self, at: usize) -> Option<(Token, Out)> {
        let at = at.checked_rem(self.out.len())?;
        self.out.iter().nth(at).map(|(token, out)| (*token, *out))
    }

    /// A worker that is told to retire is remembered for 20 TTLs after its last word.
    fn heard(&mut self, worker: WorkerId) {
        let since = Moment(self.now.0.saturating_sub(20 * TTL_MS));
        self.retired.retain(|_, seen| *seen >= since);
        self.retired.entry(worker).and_modify(|seen| *seen = self.now);
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Want { worker, max } => {
                self.requests += 1;
                self.want(worker, self.requests, max)
            }
            Step::Repeat { worker } => self.repeat(worker),
            Step::Beat { worker } => self.beat(worker),
            Step::BeatOld { worker, shard } => self.beat_old(worker, shard),
            Step::Commit { at } => match self.pick(at) {
                Some((token, (_, shard, _))) => self.decide(shard, Some(token)),
                None => Ok(()),
            },
            Step::SeenElsewhere { shard } => self.decide(ShardIndex(shard % self.shards), None),
            Step::Fail { at, class } => match self.pick(at) {
                Some((token, (_, shard, _))) => {
                    self.end(token, shard, class)?;
                    let lease = Holding { token, shard };
                    let (reason, message) = ("r".to_owned(), String::new());
                    self.apply(Event::AttemptFailed { lease, class, reason, message }).map(drop)
                }
                None => Ok(()),
            },
            Step::Release { at } => match self.pick(at) {
                Some((token, (_, shard, _))) => {
                    self.end(token, shard, FailureClass::Preempted)?;
                    self.apply(Event::LeaseReleased { token }).map(drop)
                }
                None => Ok(()),
            },
            Step::Lose { worker } => {
                let worker = WorkerId(worker);
                self.end_where(|(of, _, _)| *of == worker)?;
                self.retired.remove(&worker);
                self.last_want.remove(&worker.0);
                let (class, reason) = (FailureClass::Lost, "gone".to_owned());
                let lost = Event::WorkerLost { worker, class, reason, message: String::new() };
                self.apply(lost).map(drop)
            }
            Step::Pass { ms } => {
                self.now = self.now.after_ms(ms);
                let now = self.now;
                self.end_where(|(_, _, deadline)| *deadline <= now)?;
                self.apply(Event::TimePassed).map(drop)
            }
            Step::Retire { worker } => {
                self.retired.insert(WorkerId(worker), self.now);
                self.apply(Event::WorkerRetireRequested { worker: WorkerId(worker) }).map(drop)
            }
        }
    }

    fn want(&mut self, worker: u64, request: u64, max: u32) -> Checked {
        let (id, ready) = (WorkerId(worker), self.table.ready());
        self.heard(id);
        let wanted = Event::WorkWanted { worker: id, request: RequestId(request), max };
        let mut granted = Vec::new();
        for effect in self.apply(wanted)? {
            match effect {
                Effect::Grant { worker: to, lease, backup, .. } => {
                    ensure(to == id, "the lease goes to another worker")?;
                    self.granted(id, lease, backup, ready)?;
                    granted.push(lease);
                }
                Effect::Wait { until: None, .. } => {
                    let pending = !self.giving_up.is_empty() || max == 0;
                    ensure(pending, "a wait for nothing")?;
                }
                Effect::Retire { .. } => {
                    let over = self.table.undecided() == 0 || self.retired.contains_key(&id);
                    ensure(over, "a worker retires while there is work")?;
                }
                _ => {}
            }
        }
        ensure(granted.len() <= max as usize, "more leases than wanted")?;
        if !granted.is_empty() {
            self.last_want.insert(worker, (request, max, granted));
        }
        Ok(())
    }

    fn granted(&mut self, worker: WorkerId, lease: Lease, backup: bool, ready: u64) -> Checked {
        let Lease { token, shard, .. } = lease;
        ensure(!self.decided.contains(&shard), "a decided shard is granted")?;
        ensure(!self.giving_up.contains(&shard), "a shard that is given up is granted")?;
        ensure(self.last_token < Some(token), "a token does not grow")?;
        ensure(self.stopped_until.is_none_or(|until| until <= self.now), "grants are stopped")?;
        ensure(!self.retired.contains_key(&worker), "a retired worker is granted work")?;
        let mut others = self.out.values().filter(|(_, of, _)| *of == shard);
        match (others.next(), others.next()) {
            (None, _) => ensure(!backup, "a backup of nothing")?,
            (Some((holder, _, _)), None) => {
                ensure(backup, "a second lease that is no backup")?;
                ensure(*holder != worker, "a backup for the holder itself")?;
                ensure(ready == 0, "a backup while shards wait")?;
            }
            _ => return Err("a third lease on one shard".to_owned()),
        }
        self.last_token = Some(token);
        self.out.insert(token, (worker, shard, self.now.after_ms(TTL_MS)));
        Ok(())
    }

    fn repeat(&mut self, worker: u64) -> Checked {
        let Some((request, max, first)) = self.last_want.get(&worker).cloned() else {
            return Ok(());
        };
        let left = first.iter().filter(|lease| self.out.contains_key(&lease.token));
        let left: Vec<Token> = left.map(|lease| lease.token).collect();
        if left.is_empty() {
            return Ok(());
        }
        let request = RequestId(request);
        let again = self.apply(Event::WorkWanted { worker: WorkerId(worker), request, max })?;
        let tokens = again.iter().map(|effect| match effect {
            Effect::Grant { lease, .. } => Some(lease.token),
            _ => None,
        });
        ensure(tokens.eq(left.into_iter().map(Some)), "a repeated call gets other leases")
    }

    fn beat(&mut self, worker: u64) -> Checked {
        let worker = WorkerId(worker);
        self.heard(worker);
        let until = self.now.after_ms(TTL_MS);
        let mut leases = Vec::new();
        for (token, (of, shard, deadline)) in &mut self.out {
            if *of == worker {
                leases.push(Holding { token: *token, shard: *shard });
                *deadline = until;
            }
        }
        let effects = self.apply(Event::HeartbeatArrived { worker, leases })?;
        let [Effect::AnswerHeartbeat { leases, .. }] = &effects[..] else {
            return Err("a heartbeat has one answer".to_owned());
        };
        ensure(leases.iter().all(|one| one.state == LeaseState::Ok), "a lease is not renewed")
    }

    /// A lease of the epoch before, named for the first time or again.
    fn beat_old(&mut self, worker: u64, shard: u32) -> Checked {
        let token = Token { epoch: 4, sequence: u64::from(shard) };
        let (worker, shard) = (WorkerId(worker), ShardIndex(shard));
        let free = self.out.values().all(|(_, of, _)| *of != shard)
            && !self.decided.contains(&shard)
            && !self.giving_up.contains(&shard);
        let mine = self.out.get(&token).is_some_and(|(of, _, _)| *of == worker);
        let expected = match shard.0 < self.shards {
            false => LeaseState::Unknown,
            true if free || mine => LeaseState::Ok,
            true => LeaseState::Revoked,
        };
        if expected == LeaseState::Ok {
            self.out.insert(token, (worker, shard, self.now.after_ms(TTL_MS)));
        }
        let leases = vec![Holding { token, shard }];
        let effects = self.apply(Event::HeartbeatArrived { worker, leases })?;
        let [Effect::AnswerHeartbeat { leases, .. }] = &effects[..] else {
            return Err("a heartbeat has one answer".to_owned());
        };
        ensure(leases.len() == 1 && leases[0].state == expected, "a wrong answer to an old lease")
    }

    fn decide(&mut self, shard: ShardIndex, by: Option<Token>) -> Checked {
        self.decided.insert(shard);
        self.giving_up.remove(&shard);
        self.out.retain(|_, (_, of, _)| *of != shard);
        self.apply(Event::ShardDecided { shard, by }).map(drop)
    }

    fn end_where(&mut self, over: impl Fn(&Out) -> bool) -> Checked {
        let gone: Vec<_> = self.out.iter().filter(|(_, out)| over(out)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(token, out)| (*token, out.1)).collect();
        gone.into_iter().try_for_each(|(token, of)| self.end(token, of, FailureClass::Lost))
    }

    /// Notes the end of a lease; the bound on attempts is I9.
    fn end(&mut self, token: Token, shard: ShardIndex, class: FailureClass) -> Checked {
        self.out.remove(&token);
        if class != FailureClass::Preempted {
            *self.counted.entry(shard).or_default() += 1;
        }
        ensure(self.counted.get(&shard) <= Some(&COUNTED_MAX), "attempts without bound")
    }

    /// An honest worker takes over: the run ends (I8).
    fn finish(&mut self) -> Checked {
        for _ in 0..400 {
            for shard in self.giving_up.clone() {
                self.decide(shard, None)?;
            }
            if self.ended {
                return Ok(());
            }
            self.step(Step::Want { worker: 0, max: 3 })?;
            let mine = self.out.iter().find(|(_, (worker, _, _))| worker.0 == 0);
            match mine.map(|(token, (_, shard, _))| (*token, *shard)) {
                Some((token, shard)) => self.decide(shard, Some(token))?,
                None => self.step(Step::Pass { ms: 20_000 })?,
            }
        }
        Err("an honest worker does not bring the run to its end".to_owned())
    }
}

fn judge(shards: u32, steps: Vec<Step>) -> Checked {
    let mut book = Book::new(shards);
    let mut judged = steps.into_iter().try_for_each(|step| book.step(step));
    judged = judged.and_then(|()| book.finish());
    // The log must itself be a dialogue, or a failure could not be replayed.
    judged =
        judged.and_then(|()| ensure(play(&book.log.text)? == book.log.text, "the log differs"));
    judged.map_err(|rule| format!("{rule}, in this dialogue:\n\n{}", book.log.text))
}

#[test]
fn every_history_keeps_the_rules_and_ends() {
    let mut config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        config.rng_seed = RngSeed::Fixed(now.as_secs() ^ u64::from(now.subsec_nanos()));
    }
    let RngSeed::Fixed(seed) = config.rng_seed else { unreachable!() };
    let histories = (1_u32..12, prop::collection::vec(step(), 0..150));
    let result = TestRunner::new(config)
        .run(&histories, |(shards, steps)| judge(shards, steps).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("PROPTEST_RNG_SEED={seed}: {why}"),
        Err(TestError::Abort(why)) => panic!("PROPTEST_RNG_SEED={seed}: gave up: {why}"),
    }
}
