use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::Token;
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};

use super::*;

fn found(state: RunState) -> FoundRun {
    let run = RunStatus {
        run: "flights-2013-01-31-g1".parse().unwrap(),
        state,
        shards: ShardCounts { total: 1, ready: 1, ..ShardCounts::default() },
        rows: RowCounts::default(),
        workers: 0,
        epoch: 1,
        planned_at: None,
        decided_at: None,
        notice: String::new(),
    };
    FoundRun { run, verdict: None, quarantined: Vec::new(), shard: None, open_shards: Vec::new() }
}

fn shard(state: ShardState) -> ShardStatus {
    ShardStatus {
        shard: ShardIndex(0),
        state,
        rows: 1,
        failed_attempts: 0,
        preempted_attempts: 0,
        attempt: None,
        leases: Vec::new(),
        last_failure: None,
    }
}

fn lease(worker: &str, phase: Phase) -> ShardLease {
    let token = Token { epoch: 1, sequence: 2 };
    ShardLease {
        token,
        worker: worker.parse().unwrap(),
        phase,
        rows_done: 0,
        age_ms: 999,
        heard_ms: 9,
    }
}

fn describe(state: RunState, shard: &ShardStatus) -> String {
    super::describe(&found(state), shard, "nightshift retry RUN")
}

#[test]
fn each_state_says_what_comes_next() {
    for (run, state, said) in [
        (RunState::Running, ShardState::Ready, "the first worker that asks"),
        (RunState::Running, ShardState::Delayed, "after the pause"),
        (RunState::Running, ShardState::Committed, "nothing left to do"),
        (RunState::Running, ShardState::Quarantined, "once the run has ended"),
        (RunState::Partial, ShardState::Quarantined, "Mend the cause"),
    ] {
        let text = describe(run, &shard(state));
        assert!(text.starts_with("Shard 0 of flights-2013-01-31-g1 (1 row) "), "{text}");
        assert!(text.contains(said), "{state:?}: {text}");
        assert!(text.ends_with('.'), "{text}");
    }
}

#[test]
fn two_leases_are_a_race() {
    let leases = vec![lease("a:1", Phase::Committing), lease("b:2", Phase::Waiting)];
    let text = describe(RunState::Running, &ShardStatus { leases, ..shard(ShardState::Leased) });
    assert!(text.contains("under 2 leases"), "{text}");
    assert!(
        text.contains(
            "Worker a:1 has held it for less than a second (lease 1.2) and is committing it."
        ),
        "{text}"
    );
    assert!(text.contains("Worker b:2 has held it for less than a second (lease 1.2) and has it ready but has not begun."), "{text}");
    assert!(text.contains("whoever commits first decides it"), "{text}");
}

#[test]
fn the_attempt_that_decided_and_the_reason_are_named() {
    let attempt = Some("01M84J0KZKQN12H8PEC28EKC0E".parse().unwrap());
    let shard = ShardStatus { attempt, ..shard(ShardState::Quarantined) };
    let mut found = found(RunState::Partial);
    found.quarantined.push(QuarantinedShard {
        shard: ShardIndex(0),
        rows: 1,
        class: FailureClass::Data,
        reason: "rejects_over_budget".into(),
        message: "mend the rows.".into(),
    });
    let text = super::describe(&found, &shard, "nightshift retry RUN");
    assert_eq!(
        text,
        "Shard 0 of flights-2013-01-31-g1 (1 row) is given up, decided by attempt \
         01M84J0KZKQN12H8PEC28EKC0E. The reason (data): rejects_over_budget: mend the rows. \
         Mend the cause, and then run it again with: nightshift retry RUN."
    );
}

#[test]
fn a_lease_that_was_given_back_is_no_failure() {
    let message = "the pod was evicted";
    let last_failure = Some(Failure {
        class: FailureClass::Preempted,
        reason: "evicted".parse().unwrap(),
        message: message.into(),
    });
    let given_back =
        ShardStatus { failed_attempts: 1, preempted_attempts: 1, ..shard(ShardState::Ready) };
    let text = describe(RunState::Running, &given_back);
    assert!(
        text.contains(
            "1 attempt has ended because its worker was told to go, which is no failure."
        ),
        "{text}"
    );
    assert!(!text.contains("failed"), "{text}");
    let told =
        ShardStatus { failed_attempts: 4, preempted_attempts: 3, last_failure, ..given_back };
    let text = describe(RunState::Running, &told);
    for part in [
        "3 attempts have ended because their workers were told to go",
        "1 attempt has failed.",
        "Why its worker was told to go: evicted: the pod was evicted.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
