use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_core::ids::Digest;
use nightshift_core::lease::{LeaseTable, Token};
use nightshift_core::plan::{
    ModelIdentity, Outline, OutputFormat, Plan, Shard, ShardSet, Slice, TaskSettings,
};
use nightshift_proto::leases::acquire::Acquire;
use nightshift_proto::leases::heartbeat::{Heartbeat, LeaseProgress, LeaseState};
use nightshift_proto::leases::release::Release;
use nightshift_proto::leases::report::{Counts, Failure, Outcome, Report, ReportState};
use nightshift_proto::leases::{LeaseId, Phase};
use nightshift_proto::runs::status::RunState;

use super::*;
use crate::settings::LeaseTimes;

const DATA: Decided = Decided { committed: true, rows_out: 10, rows_rejected: 0 };

fn id(name: &str) -> RunId {
    format!("{name}-all-g1").parse().unwrap()
}

fn run(name: &str, shards: u32, epoch: u64) -> ActiveRun {
    let slice = |start| Slice { input: 0, start, rows: 10, seek: None };
    let shards_of =
        |n: u32| (0..n).map(|at| Shard { slices: vec![slice(u64::from(at) * 10)].into() });
    let plan = Plan {
        version: Plan::VERSION,
        run: id(name),
        planned_at: Timestamp::UNIX_EPOCH,
        fingerprint: Digest([9; 32]),
        model: ModelIdentity {
            uri: "/model".to_owned(),
            version: None,
            pinned: None,
            digest: Digest([8; 32]),
            files: Vec::new(),
        },
        task: TaskSettings {
            onnx: None,
            kind: "tabular".to_owned(),
            id: Vec::new(),
            keep: Vec::new(),
            output_format: OutputFormat::Parquet,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 1,
            text: None,
            generate: None,
        },
        inputs: Vec::new(),
        rows: u64::from(shards) * 10,
        shards: shards_of(shards).collect(),
        inherits: None,
        workers: None,
        window: None,
        gate: None,
        reporting: None,
    };
    let facts = RunFacts {
        outline: Arc::new(Outline::of(&plan)),
        output_root: "/out".to_owned(),
        plan_digest: Digest([7; 32]),
    };
    let rules = LeaseTimes::default().rules(1);
    let decided = ShardSet::default();
    let mut table = LeaseTable::new(rules, epoch, shards, &decided, std::iter::empty());
    if epoch > 1 {
        table = table.awaiting_adoption(Moment(0));
    }
    ActiveRun::new(Arc::new(facts), table, Standing::default(), Moment(0))
}

fn desk(runs: &[(&str, u32)]) -> Desk {
    let mut desk = Desk::new();
    for (name, shards) in runs {
        assert_eq!(desk.open(run(name, *shards, 1)), Ok(Vec::new()));
    }
    desk
}

fn wish(worker: &str, request: &str, max: u32) -> Acquire {
    let (worker, request) = (worker.parse().unwrap(), request.parse().unwrap());
    Acquire { worker, request, max, wait_ms: 0, run: None }
}

fn leases(answer: &AcquireAnswer) -> Vec<LeaseId> {
    let lease = |granted: &Granted| LeaseId {
        run: granted.facts.run().clone(),
        shard: granted.lease.shard,
        token: granted.lease.token,
    };
    answer.granted.iter().map(lease).collect()
}

fn report(worker: &str, lease: &LeaseId, outcome: Outcome) -> Report {
    Report {
        worker: worker.parse().unwrap(),
        lease: lease.clone(),
        attempt: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        outcome,
        batch_size: None,
    }
}

fn committed() -> Outcome {
    Outcome::Committed(Counts { rows_out: 10, rows_rejected: 0 })
}

fn failed(class: FailureClass) -> Outcome {
    let (reason, message) = ("engine".parse().unwrap(), "it broke".to_owned());
    Outcome::Failed(Failure { class, reason, message })
}

#[test]
fn a_repeated_request_gets_the_same_leases_of_the_same_runs() {
    let mut desk = desk(&[("a", 3), ("b", 3)]);
    let first = desk.acquire(Moment(1), &wish("w", "r1", 4));
    let again = desk.acquire(Moment(2), &wish("w", "r1", 4));
    assert_eq!(leases(&first).len(), 4);
    let set = |answer| leases(answer).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(&first), set(&again));
    let other = desk.acquire(Moment(3), &wish("w", "r2", 4));
    assert_eq!(leases(&other).len(), 2, "two of six shards were left");
    assert!(set(&first).is_disjoint(&set(&other)));
}

#[test]
fn runs_share_the_workers() {
    let mut desk = desk(&[("a", 100), ("b", 100)]);
    for worker in 0..10 {
        let name = format!("w{worker}");
        assert_eq!(desk.acquire(Moment(1), &wish(&name, "r", 1)).granted.len(), 1);
    }
    let leased: Vec<usize> = desk.runs().map(ActiveRun::leases).collect();
    assert_eq!(leased, [5, 5]);
}

#[test]
fn a_run_goes_from_leases_to_its_conclusion() {
    let mut desk = desk(&[("a", 2)]);
    let granted = leases(&desk.acquire(Moment(1), &wish("w", "r", 2)));
    let status = desk.status(Moment(1), &id("a")).unwrap();
    assert_eq!((status.state, status.shards.leased, status.workers), (RunState::Running, 2, 1));

    // A record that the store does not have decides nothing.
    let answer = desk.report(Moment(2), &report("w", &granted[0], committed()), None);
    assert_eq!(answer.state, ReportState::NoRecord);
    let answer = desk.report(Moment(2), &report("w", &granted[0], committed()), Some(DATA));
    assert!(answer.newly_decided && answer.tasks.is_empty());
    let again = desk.report(Moment(2), &report("w", &granted[0], committed()), Some(DATA));
    assert_eq!((again.state, again.newly_decided), (ReportState::Accepted, false));
    let last = desk.report(Moment(3), &report("w", &granted[1], committed()), Some(DATA));
    assert_eq!(last.tasks, [Task::Conclude { run: id("a") }]);
    let status = desk.status(Moment(3), &id("a")).unwrap();
    assert_eq!((status.state, status.rows.out), (RunState::Concluding, 20));

    // A worker of this run alone is told to retire when the final is there, not before.
    let mut only = wish("w", "r2", 1);
    only.run = Some(id("a"));
    assert!(!desk.acquire(Moment(4), &only).retire);
    desk.concluded(&id("a"));
    let answer = desk.acquire(Moment(5), &only);
    assert!(answer.retire && !answer.unknown_run);
    only.run = Some(id("other"));
    assert!(desk.acquire(Moment(5), &only).unknown_run);
}

#[test]
fn only_the_holder_ends_a_lease() {
    let mut desk = desk(&[("a", 1)]);
    let lease = leases(&desk.acquire(Moment(1), &wish("w", "r", 1))).remove(0);
    desk.acquire(Moment(1), &wish("thief", "r", 1));
    let theft =
        Release { worker: "thief".parse().unwrap(), leases: vec![lease.clone()], leaving: false };
    assert_eq!(desk.release(Moment(2), &theft).0, 0);
    let lie = report("thief", &lease, failed(FailureClass::Data));
    assert_eq!(desk.report(Moment(2), &lie, None).state, ReportState::Stale);
    let own = Release { worker: "w".parse().unwrap(), ..theft };
    assert_eq!(desk.release(Moment(2), &own).0, 1);
    assert_eq!(desk.acquire(Moment(2), &wish("thief", "r2", 1)).granted.len(), 1);
}

#[test]
fn a_new_incarnation_adopts_what_workers_still_hold() {
    let mut desk = Desk::new();
    desk.open(run("a", 2, 5)).unwrap();
    assert!(desk.acquire(Moment(1), &wish("other", "r", 1)).granted.is_empty());
    let lease =
        LeaseId { run: id("a"), shard: ShardIndex(1), token: Token { epoch: 4, sequence: 9 } };
    let unknown = LeaseId { run: id("gone"), ..lease.clone() };
    let progress = |lease: &LeaseId| LeaseProgress {
        lease: lease.clone(),
        phase: Phase::Scoring,
        rows_done: 3,
    };
    let worker = "w".parse().unwrap();
    let heartbeat = Heartbeat { worker, leases: vec![progress(&unknown), progress(&lease)] };
    let states: Vec<LeaseState> =
        desk.heartbeat(Moment(2), heartbeat).answers.iter().map(|one| one.state).collect();
    assert_eq!(states, [LeaseState::Unknown, LeaseState::Ok]);
    assert_eq!(desk.counters().adopted, 1);
    let look = desk.shard(Moment(2), &id("a"), ShardIndex(1)).unwrap();
    assert_eq!(look.leases[0].rows_done, 3);
    // One TTL later the shard that nobody named is granted.
    let later = Moment(LeaseTimes::default().ttl_ms().into());
    let granted = leases(&desk.acquire(later, &wish("other", "r2", 2)));
    assert_eq!(granted.iter().map(|lease| lease.shard.0).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_process_without_memory_leaves_smaller_batches_to_the_next() {
    let rows = NonZeroU32::new;
    let mut desk = desk(&[("a", 9)]);
    let of = |desk: &Desk, host: &str| desk.batch_of(&id("a"), host);
    let vanishes = |desk: &mut Desk, host: &str, reason: &str| {
        desk.worker_vanished(Moment(2), host, FailureClass::Lost, reason, "why").0
    };
    let granted = |desk: &mut Desk, worker: &str| {
        desk.acquire(Moment(1), &wish(worker, "r", 1)).granted[0].batch
    };
    for host in ["one", "two", "crashes"] {
        assert_eq!(granted(&mut desk, &format!("{host}:1")), None);
    }
    assert_eq!(of(&desk, "one"), None, "nothing was learned");
    assert_eq!(vanishes(&mut desk, "crashes", "exit_139"), 1);
    assert_eq!(granted(&mut desk, "three:1"), None, "it did not die of its memory");
    // Two that died of the same size teach the same, not a quarter.
    assert_eq!(vanishes(&mut desk, "one", "oom_killed"), 1);
    assert_eq!(granted(&mut desk, "four:1"), rows(4_096));
    assert_eq!(vanishes(&mut desk, "two", "oom_killed"), 1);
    assert_eq!(granted(&mut desk, "five:1"), rows(4_096));
    assert_eq!((of(&desk, "three"), of(&desk, "four")), (None, rows(4_096)));
    // A heartbeat does not make it forgotten.
    let lease = leases(&desk.acquire(Moment(1), &wish("six:1", "r", 1))).remove(0);
    let progress = LeaseProgress { lease, phase: Phase::Scoring, rows_done: 3 };
    let beat = Heartbeat { worker: "six:1".parse().unwrap(), leases: vec![progress] };
    desk.heartbeat(Moment(2), beat);
    assert_eq!(of(&desk, "six"), rows(4_096));
    assert_eq!(vanishes(&mut desk, "six", "oom_killed"), 1);
    assert_eq!(of(&desk, "six"), rows(2_048), "what the run has learned");
    assert_eq!(of(&desk, "four"), rows(4_096), "what it was granted");
}

#[test]
fn a_closed_run_grants_nothing_and_its_leases_go_on() {
    let mut desk = desk(&[("a", 3), ("b", 1)]);
    let held = leases(&desk.acquire(Moment(1), &wish("w", "r1", 2)));
    desk.run_mut(&id("a")).unwrap().set_closed(Some("outside its window".to_owned()));
    desk.run_mut(&id("b")).unwrap().set_closed(Some("outside its window".to_owned()));
    let nothing = desk.acquire(Moment(2), &wish("v", "r1", 5));
    assert!(nothing.granted.is_empty() && nothing.notice.contains("outside its window"));
    assert_eq!(desk.ready(Moment(2)), 0);
    let status = desk.status(Moment(2), &id("a")).unwrap();
    assert_eq!((status.state, status.notice.as_str()), (RunState::Paused, "outside its window"));
    for lease in &held {
        assert_eq!(
            desk.report(Moment(3), &report("w", lease, committed()), Some(DATA)).state,
            ReportState::Accepted
        );
    }
    desk.run_mut(&id("a")).unwrap().set_closed(None);
    desk.run_mut(&id("b")).unwrap().set_closed(None);
    assert_eq!(desk.acquire(Moment(4), &wish("v", "r2", 5)).granted.len(), 2);
}

#[test]
fn a_worker_that_falls_silent_loses_its_lease() {
    let mut desk = desk(&[("a", 1)]);
    assert_eq!(desk.acquire(Moment(0), &wish("w", "r", 1)).granted.len(), 1);
    desk.time_passed(Moment(29_999));
    assert!(desk.acquire(Moment(29_999), &wish("v", "r", 1)).granted.is_empty());
    desk.time_passed(Moment(30_000));
    assert_eq!(desk.acquire(Moment(30_000), &wish("v", "r2", 1)).granted.len(), 1);
    assert_eq!(desk.counters().expired, 1);
    // The second crash is one more than the budget of one.
    let tasks = desk.time_passed(Moment(60_000));
    assert!(
        matches!(&tasks[..], [Task::Quarantine { class: FailureClass::Lost, attempts: 2, .. }]),
        "{tasks:?}"
    );
}

#[test]
fn a_wrong_spec_stops_its_run_and_no_other() {
    let mut desk = desk(&[("a", 5), ("b", 5)]);
    let all = leases(&desk.acquire(Moment(1), &wish("w", "r", 4)));
    let of_a = all.iter().find(|lease| lease.run == id("a")).unwrap();
    let answer = desk.report(Moment(2), &report("w", of_a, failed(FailureClass::Config)), None);
    assert!(
        matches!(&answer.tasks[..], [Task::GiveUpAll { class: FailureClass::Config, run, .. }] if *run == id("a")),
        "{:?}",
        answer.tasks
    );
    // Once is enough, whoever else reports the same.
    let other = all.iter().rfind(|lease| lease.run == id("a")).unwrap();
    assert!(
        desk.report(Moment(2), &report("w", other, failed(FailureClass::Config)), None)
            .tasks
            .is_empty()
    );
    let more = leases(&desk.acquire(Moment(3), &wish("v", "r", 10)));
    assert!(!more.is_empty() && more.iter().all(|lease| lease.run == id("b")));
}

#[test]
fn a_cancelled_run_grants_nothing_more() {
    let mut desk = desk(&[("a", 5)]);
    let tasks = desk.cancel(Moment(1), &id("a"), "wrong date", "ana@host");
    assert!(
        matches!(&tasks[..], [Task::GiveUpAll { class: FailureClass::Cancelled, message, .. }] if message == "cancelled by ana@host: wrong date"),
        "{tasks:?}"
    );
    assert!(desk.cancel(Moment(1), &id("a"), "", "ana@host").is_empty(), "once is enough");
    let answer = desk.acquire(Moment(2), &wish("w", "r", 1));
    assert!(answer.granted.is_empty() && answer.notice.contains("wrong date"));
    // Shards that a worker committed all the same count.
    let given_up = Decided { committed: false, rows_out: 0, rows_rejected: 0 };
    let all = (0..5).map(|n| (ShardIndex(n), if n == 0 { DATA } else { given_up }));
    let tasks = desk.found_decided(Moment(3), &id("a"), all);
    assert_eq!(tasks, [Task::Conclude { run: id("a") }]);
    let status = desk.status(Moment(3), &id("a")).unwrap();
    assert_eq!((status.shards.committed, status.shards.quarantined), (1, 4));
    assert_eq!((status.rows.out, status.rows.quarantined), (10, 40));
}

#[test]
fn a_full_desk_says_so() {
    let mut desk = Desk::new();
    for n in 0..RUNS_MAX {
        desk.open(run(&format!("r{n}"), 1, 1)).unwrap();
    }
    assert_eq!(desk.open(run("r0", 1, 1)), Ok(Vec::new()), "one that lies there is no news");
    assert_eq!(desk.open(run("more", 1, 1)), Err(Refused::Full));
}
