use std::collections::BTreeSet;

use super::*;
use crate::plan::ShardSet;

const SETTINGS: LeaseSettings = LeaseSettings {
    ttl_ms: 30_000,
    retry: RetryRules {
        crash_budget: 4,
        transient_budget: 8,
        pause_ms: 1_000,
        pause_max_ms: 60_000,
    },
    backup: None,
    breaker: None,
};

fn table(shards: u32) -> LeaseTable {
    LeaseTable::new(SETTINGS, 1, shards, ShardSet::default().iter(), (0..shards).map(ShardIndex))
}

/// A request for one lease, each with a number of its own.
fn wanted(table: &LeaseTable, worker: u64) -> Event {
    let request = RequestId(table.next_sequence);
    Event::WorkWanted { worker: WorkerId(worker), request, max: 1 }
}

fn want(table: &mut LeaseTable, at: u64, worker: u64) -> Effect {
    let effects = table.apply(Moment(at), wanted(table, worker));
    assert_eq!(effects.len(), 1, "a question has one answer: {effects:?}");
    effects.into_iter().next().unwrap()
}

fn granted(effect: Effect) -> Lease {
    match effect {
        Effect::Grant { lease, .. } => lease,
        other => panic!("no lease but {other:?}"),
    }
}

fn beat(worker: u64, lease: Lease) -> Event {
    Event::HeartbeatArrived { worker: WorkerId(worker), leases: vec![lease.into()] }
}

fn fail(lease: Lease, class: FailureClass) -> Event {
    Event::AttemptFailed { lease: lease.into(), class, reason: "r".into(), message: "m".into() }
}

#[test]
fn shards_go_out_once_each_and_the_run_ends() {
    let mut table = table(3);
    let leases: Vec<Lease> = (0..3).map(|w| granted(want(&mut table, 0, w))).collect();
    assert_eq!(leases.iter().map(|l| l.shard.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(want(&mut table, 0, 9), Effect::Wait { until: Some(Moment(30_000)), .. }));
    for lease in &leases[..2] {
        assert_eq!(
            table.apply(Moment(1), Event::ShardDecided { shard: lease.shard, by: None }),
            []
        );
    }
    let last = Event::ShardDecided { shard: leases[2].shard, by: None };
    assert_eq!(table.apply(Moment(1), last.clone()), [Effect::AllDecided]);
    assert_eq!(table.apply(Moment(2), last), [], "a record is seen twice, the run ends once");
    assert!(matches!(want(&mut table, 2, 0), Effect::Retire { .. }));
}

#[test]
fn a_silent_worker_loses_its_lease_and_a_heartbeat_keeps_it() {
    let mut table = table(1);
    let first = granted(want(&mut table, 0, 1));
    table.apply(Moment(20_000), beat(1, first));
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
        assert_eq!(table.apply(Moment(0), fail(lease, FailureClass::Preempted)), []);
    }
    for _ in 0..4 {
        let lease = granted(want(&mut table, 0, 1));
        assert_eq!(table.apply(Moment(0), fail(lease, FailureClass::Lost)), []);
    }
    assert_eq!((table.attempts(ShardIndex(0)), table.preempted(ShardIndex(0))), (54, 50));
    let lease = granted(want(&mut table, 0, 1));
    let effects = table.apply(Moment(0), fail(lease, FailureClass::Lost));
    assert!(matches!(effects[..], [Effect::WriteQuarantine { attempts: 55, .. }]), "{effects:?}");
    assert!(matches!(want(&mut table, 0, 1), Effect::Wait { .. }), "not granted while giving up");
    let decided = Event::ShardDecided { shard: ShardIndex(0), by: None };
    assert_eq!(table.apply(Moment(0), decided), [Effect::AllDecided]);
}

#[test]
fn a_transient_failure_waits_longer_each_time_up_to_a_minute() {
    let mut table = table(1);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let lease = granted(want(&mut table, now, 1));
        table.apply(Moment(now), fail(lease, FailureClass::Transient));
        let Effect::Wait { until: Some(until), .. } = want(&mut table, now, 1) else {
            panic!("the shard was granted without a pause");
        };
        pauses.push(until.0 - now);
        now = until.0;
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    let lease = granted(want(&mut table, now, 1));
    let effects = table.apply(Moment(now), fail(lease, FailureClass::Transient));
    assert!(matches!(effects[..], [Effect::WriteQuarantine { .. }]));
}

#[test]
fn a_configuration_failure_stops_the_run_once_and_burns_no_shard() {
    let mut table = table(3);
    let a = granted(want(&mut table, 0, 1));
    let b = granted(want(&mut table, 0, 2));
    let effects = table.apply(Moment(0), fail(a, FailureClass::Config));
    assert!(matches!(effects[..], [Effect::StopRun { .. }]));
    assert_eq!(table.apply(Moment(0), fail(b, FailureClass::Config)), []);
    assert!(matches!(want(&mut table, 0, 1), Effect::Retire { .. }));
    assert_eq!(table.undecided(), 3);
}

#[test]
fn draining_grants_nothing_more_and_lets_commits_finish() {
    let mut table = table(2);
    let lease = granted(want(&mut table, 0, 1));
    table.apply(Moment(0), Event::DrainRequested);
    assert!(matches!(want(&mut table, 0, 2), Effect::Drain { .. }));
    table.apply(Moment(1), Event::ShardDecided { shard: lease.shard, by: None });
    assert_eq!(table.undecided(), 1);
}

/// The memory rule of the module's description, over a whole run of the largest size.
#[test]
fn a_million_shards_cost_a_dozen_bytes_each() {
    const SHARDS: u32 = crate::plan::SHARDS_MAX;
    let mut table = table(SHARDS);
    assert!(table.shards.bytes() <= 12 * SHARDS as usize, "{}", table.shards.bytes());
    // Each worker holds one lease; all but the last ones are decided at once.
    const WORKERS: u64 = 1_000;
    for at in 0..u64::from(SHARDS) {
        let lease = granted(want(&mut table, at, at % WORKERS));
        if at + WORKERS < u64::from(SHARDS) {
            let by = Some(lease.token);
            table.apply(Moment(at), Event::ShardDecided { shard: lease.shard, by });
        }
    }
    assert_eq!((table.leased(), table.undecided()), (WORKERS as usize, WORKERS));
    assert!(table.shards.bytes() <= 12 * SHARDS as usize, "{}", table.shards.bytes());
    assert_eq!(table.durations.len(), DURATIONS_KEPT);
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

#[test]
fn an_owner_that_begins_elsewhere_grants_while_it_awaits_leases() {
    let none = BTreeSet::new();
    let backwards = (0..8).rev().map(ShardIndex);
    let table = LeaseTable::new(LeaseSettings::with_crash_budget(1), 2, 8, &none, backwards);
    let mut table = table.awaiting_adoption(Moment(0)).keeping_back(4);
    let mut wanted = |now, request, worker| {
        let event =
            Event::WorkWanted { worker: WorkerId(worker), request: RequestId(request), max: 8 };
        let effects = table.apply(Moment(now), event);
        let shards: Vec<u32> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Grant { lease, .. } => Some(lease.shard.0),
                _ => None,
            })
            .collect();
        shards
    };
    assert_eq!(wanted(1, 0, 1), [7, 6, 5, 4], "the half that was furthest from its turn");
    assert_eq!(wanted(2, 1, 1), [0; 0], "the rest may still be leased");
    assert_eq!(wanted(30_000, 2, 2), [3, 2, 1, 0], "and is free when nobody has named it");
}
