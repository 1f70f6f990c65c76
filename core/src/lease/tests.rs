use proptest::prelude::*;

use super::*;

const SETTINGS: LeaseSettings = LeaseSettings {
    ttl_ms: 30_000,
    retry: RetryRules {
        crash_budget: 4,
        transient_budget: 8,
        pause_ms: 1_000,
        pause_max_ms: 60_000,
    },
};

fn table(shards: u32) -> LeaseTable {
    LeaseTable::new(SETTINGS, 1, shards, &BTreeSet::new(), (0..shards).map(ShardIndex))
}

fn want(table: &mut LeaseTable, at: u64, worker: u64) -> Effect {
    let effects = table.apply(Moment(at), Event::WorkWanted { worker: WorkerId(worker) });
    assert_eq!(effects.len(), 1, "a question has one answer: {effects:?}");
    effects.into_iter().next().unwrap()
}

fn granted(effect: Effect) -> Lease {
    match effect {
        Effect::Grant { lease, .. } => lease,
        other => panic!("no lease but {other:?}"),
    }
}

fn fail(token: Token, class: FailureClass) -> Event {
    Event::AttemptFailed { token, class, reason: "r".into(), message: "m".into() }
}

#[test]
fn shards_go_out_once_each_and_the_run_ends() {
    let mut table = table(3);
    let leases: Vec<Lease> = (0..3).map(|w| granted(want(&mut table, 0, w))).collect();
    assert_eq!(leases.iter().map(|l| l.shard.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(want(&mut table, 0, 9), Effect::Wait { until: Some(Moment(30_000)), .. }));
    for lease in &leases[..2] {
        assert_eq!(table.apply(Moment(1), Event::ShardDecided { shard: lease.shard }), []);
    }
    let last = Event::ShardDecided { shard: leases[2].shard };
    assert_eq!(table.apply(Moment(1), last.clone()), [Effect::AllDecided]);
    assert_eq!(table.apply(Moment(2), last), [], "a record is seen twice, the run ends once");
    assert!(matches!(want(&mut table, 2, 0), Effect::Retire { .. }));
}

#[test]
fn a_silent_worker_loses_its_lease_and_a_heartbeat_keeps_it() {
    let mut table = table(1);
    let first = granted(want(&mut table, 0, 1));
    table.apply(Moment(20_000), Event::HeartbeatArrived { worker: WorkerId(1) });
    assert_eq!(table.apply(Moment(40_000), Event::TimePassed), []);
    assert!(matches!(want(&mut table, 40_000, 2), Effect::Wait { .. }));
    table.apply(Moment(50_000), Event::TimePassed);
    let second = granted(want(&mut table, 50_000, 2));
    assert_eq!((second.shard, second.earlier_attempts), (first.shard, 1));
    assert!(second.token > first.token);
}

#[test]
fn the_crash_budget_ends_in_quarantine_and_preemption_is_free() {
    let mut table = table(1);
    for _ in 0..50 {
        let lease = granted(want(&mut table, 0, 1));
        assert_eq!(table.apply(Moment(0), fail(lease.token, FailureClass::Preempted)), []);
    }
    for _ in 0..4 {
        let lease = granted(want(&mut table, 0, 1));
        assert_eq!(table.apply(Moment(0), fail(lease.token, FailureClass::Lost)), []);
    }
    let lease = granted(want(&mut table, 0, 1));
    let effects = table.apply(Moment(0), fail(lease.token, FailureClass::Lost));
    assert!(matches!(effects[..], [Effect::WriteQuarantine { attempts: 55, .. }]), "{effects:?}");
    assert!(matches!(want(&mut table, 0, 1), Effect::Wait { .. }), "not granted while giving up");
    let decided = Event::ShardDecided { shard: ShardIndex(0) };
    assert_eq!(table.apply(Moment(0), decided), [Effect::AllDecided]);
}

#[test]
fn a_transient_failure_waits_longer_each_time_up_to_a_minute() {
    let mut table = table(1);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let lease = granted(want(&mut table, now, 1));
        table.apply(Moment(now), fail(lease.token, FailureClass::Transient));
        let Effect::Wait { until: Some(until), .. } = want(&mut table, now, 1) else {
            panic!("the shard was granted without a pause");
        };
        pauses.push(until.0 - now);
        now = until.0;
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    let lease = granted(want(&mut table, now, 1));
    let effects = table.apply(Moment(now), fail(lease.token, FailureClass::Transient));
    assert!(matches!(effects[..], [Effect::WriteQuarantine { .. }]));
}

#[test]
fn a_configuration_failure_stops_the_run_once_and_burns_no_shard() {
    let mut table = table(3);
    let a = granted(want(&mut table, 0, 1));
    let b = granted(want(&mut table, 0, 2));
    let effects = table.apply(Moment(0), fail(a.token, FailureClass::Config));
    assert!(matches!(effects[..], [Effect::StopRun { .. }]));
    assert_eq!(table.apply(Moment(0), fail(b.token, FailureClass::Config)), []);
    assert!(matches!(want(&mut table, 0, 1), Effect::Retire { .. }));
    assert_eq!(table.undecided(), 3);
}

#[test]
fn draining_grants_nothing_more_and_lets_commits_finish() {
    let mut table = table(2);
    let lease = granted(want(&mut table, 0, 1));
    table.apply(Moment(0), Event::DrainRequested);
    assert!(matches!(want(&mut table, 0, 2), Effect::Retire { .. }));
    table.apply(Moment(1), Event::ShardDecided { shard: lease.shard });
    assert_eq!(table.undecided(), 1);
}

#[test]
fn shards_with_records_are_never_granted() {
    let decided = BTreeSet::from([ShardIndex(0), ShardIndex(2)]);
    let order = (0..4).rev().map(ShardIndex);
    let mut table = LeaseTable::new(SETTINGS, 7, 4, &decided, order);
    assert_eq!(granted(want(&mut table, 0, 1)).shard, ShardIndex(3));
    assert_eq!(granted(want(&mut table, 0, 1)).shard, ShardIndex(1));
    assert!(matches!(want(&mut table, 0, 1), Effect::Wait { .. }));
}

/// One step of a random history; shards and leases are picked by position.
#[derive(Debug, Clone)]
enum Step {
    Want(u64),
    Commit(usize),
    Fail(usize, u8),
    LoseWorker(u64),
    Pass(u64),
    SeenElsewhere(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..4).prop_map(Step::Want),
        3 => any::<usize>().prop_map(Step::Commit),
        3 => (any::<usize>(), 0_u8..4).prop_map(|(at, class)| Step::Fail(at, class)),
        1 => (0_u64..4).prop_map(Step::LoseWorker),
        2 => (0_u64..70_000).prop_map(Step::Pass),
        1 => (0_u32..12).prop_map(Step::SeenElsewhere),
    ]
}

proptest! {
    /// In every history: no shard has two leases, a decided shard none; tokens only grow;
    /// attempts are bounded; and a worker that then does its work brings the run to its end (I8, I9).
    #[test]
    fn every_history_ends(shards in 1_u32..12, steps in prop::collection::vec(step(), 0..120)) {
        let mut table = table(shards);
        let mut now = 0;
        let mut out: Vec<Lease> = Vec::new();
        let mut decided = BTreeSet::new();
        let mut last_token = None;
        let mut attempts = vec![0_u32; shards as usize];
        let classes = [FailureClass::Lost, FailureClass::Transient, FailureClass::Data, FailureClass::Preempted];
        let mut history = steps.into_iter();
        for turn in 0_u32.. {
            prop_assert!(turn < 10_000, "the run does not end");
            // After the random part an honest worker takes over.
            let (step, honest) = match history.next() {
                Some(step) => (step, false),
                None if turn % 2 == 0 => (Step::Want(0), true),
                None if out.is_empty() => (Step::Pass(60_000), true),
                None => (Step::Commit(0), true),
            };
            if decided.len() == shards as usize { break; }
            let pick = |at: usize| (!out.is_empty()).then(|| out[at % out.len()]);
            let event = match step {
                Step::Want(worker) => Event::WorkWanted { worker: WorkerId(worker) },
                Step::Commit(at) => match pick(at) {
                    Some(lease) => Event::ShardDecided { shard: lease.shard },
                    None => continue,
                },
                Step::Fail(at, class) => match pick(at) {
                    Some(lease) => fail(lease.token, classes[class as usize]),
                    None => continue,
                },
                Step::LoseWorker(worker) => Event::WorkerLost { worker: WorkerId(worker) },
                Step::Pass(ms) => { now += ms; Event::TimePassed }
                Step::SeenElsewhere(shard) => Event::ShardDecided { shard: ShardIndex(shard % shards) },
            };
            if let Event::ShardDecided { shard } = event { decided.insert(shard); }
            let effects = table.apply(Moment(now), event);
            for effect in effects {
                match effect {
                    Effect::Grant { lease, .. } => {
                        prop_assert!(!decided.contains(&lease.shard), "a decided shard was granted");
                        prop_assert!(last_token < Some(lease.token));
                        last_token = Some(lease.token);
                        attempts[lease.shard.as_usize()] += 1;
                        out.push(lease);
                    }
                    Effect::WriteQuarantine { shard, .. } => {
                        prop_assert!(decided.insert(shard));
                        table.apply(Moment(now), Event::ShardDecided { shard });
                    }
                    Effect::Retire { .. } => prop_assert!(table.undecided() == 0),
                    Effect::Wait { until, .. } => prop_assert!(until.is_some() || honest || table.leased() > 0),
                    Effect::StopRun { .. } => prop_assert!(false, "nothing failed by configuration"),
                    Effect::AllDecided => prop_assert_eq!(decided.len(), shards as usize),
                }
            }
            out.retain(|lease| table.leases.contains_key(&lease.token));
            let mut shards_out: Vec<_> = table.leases.values().map(|held| held.shard).collect();
            shards_out.sort_unstable();
            shards_out.dedup();
            prop_assert_eq!(shards_out.len(), table.leased(), "one shard has two leases");
            prop_assert_eq!(table.undecided() as usize, shards as usize - decided.len());
        }
        // 4 crashes + 8 transient + 1 that ends it, and each preemption is one random step.
        prop_assert!(attempts.iter().all(|&n| n <= 13 + 121), "{attempts:?}");
    }
}
