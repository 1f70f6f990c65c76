use jiff::{Timestamp, ToSpan};
use nightshift_core::conclusion::Totals;
use nightshift_core::gates::Judgement;
use nightshift_core::ids::{Digest, ShardIndex};
use nightshift_proto::runs::status::RowCounts;
use nightshift_proto::runs::verdict::RunVerdict;

use super::*;

const AGAIN: &str = "nightshift retry RUN";

fn now() -> Timestamp {
    "2013-02-01T12:00:00Z".parse().unwrap()
}

fn found(state: RunState, shards: ShardCounts) -> FoundRun {
    let run = RunStatus {
        run: "flights-2013-01-31-g1".parse().unwrap(),
        state,
        shards,
        rows: RowCounts { planned: 2_000, out: 600, rejected: 4, ..RowCounts::default() },
        workers: shards.leased,
        epoch: 1,
        planned_at: Some(now() - 192.seconds()),
        decided_at: state.verdict().map(|_| now() - 60.seconds()),
        notice: String::new(),
    };
    FoundRun { run, verdict: None, quarantined: Vec::new(), shard: None, open_shards: Vec::new() }
}

fn counts(committed: u32, quarantined: u32, leased: u32, delayed: u32, ready: u32) -> ShardCounts {
    let total = committed + quarantined + leased + delayed + ready;
    ShardCounts { total, committed, quarantined, leased, delayed, ready }
}

#[test]
fn a_run_that_goes_well() {
    let text = describe(&found(RunState::Running, counts(6, 0, 4, 1, 9)), now(), AGAIN);
    assert_eq!(
        text,
        "flights-2013-01-31-g1 is running; it was planned 3 minutes 12 seconds ago. Of its 20 \
         shards, 6 are committed, 4 leased by 4 workers, 1 waiting out a pause after a failure, \
         9 free. 600 rows are written of 2,000, 4 rejected. Next: the workers go on with 14 \
         undecided shards, and then the run gets its verdict."
    );
}

#[test]
fn a_withheld_run_waits_for_a_person_until_one_has_decided() {
    let mut found = found(RunState::Succeeded, counts(20, 0, 0, 0, 0));
    let verdict = |judged: Option<Judgement>| RunVerdict {
        state: FinalState::Succeeded,
        fingerprint: Digest([1; 32]),
        model_digest: Digest([2; 32]),
        totals: Totals::default(),
        withheld: "the mean moved".to_owned(),
        judged: judged.map(|judgement| Judged {
            judgement,
            decided_by: "ann".to_owned(),
            decided_at: now(),
            reason: "looked\nat it".to_owned(),
        }),
    };
    for (judged, says, waits) in [
        (None, "withheld the output: the mean moved.", true),
        (
            Some(Judgement::Approved),
            "moved; it was approved at 2013-02-01T12:00:00Z by ann: ",
            false,
        ),
        (
            Some(Judgement::Rejected),
            "moved; it was rejected at 2013-02-01T12:00:00Z by ann: ",
            false,
        ),
    ] {
        let verdict = verdict(judged);
        assert_eq!(verdict.is_accepted(), judged == Some(Judgement::Approved));
        found.verdict = Some(verdict);
        let text = describe(&found, now(), AGAIN);
        assert!(text.contains(says), "{text}");
        let next = super::waits(&found, "nightshift approve RUN");
        assert_eq!(next.contains("nightshift approve RUN --reason"), waits, "{next}");
    }
}

#[test]
fn each_state_says_what_comes_next() {
    let going = counts(6, 0, 4, 0, 10);
    let broken = counts(6, 14, 0, 0, 0);
    for (state, shards, next) in [
        (RunState::Planning, ShardCounts::default(), "cut into shards"),
        (RunState::Recovering, going, "one lease time"),
        (RunState::Running, going, "the workers go on with 14"),
        (RunState::Running, counts(6, 0, 0, 0, 14), "start some with nightshift-worker"),
        (RunState::Running, counts(6, 1, 4, 0, 9), "cannot succeed any more"),
        (RunState::Paused, going, "goes on by itself"),
        (RunState::Concluding, counts(20, 0, 0, 0, 0), "the verdict is written"),
        (RunState::Succeeded, counts(20, 0, 0, 0, 0), "nothing left to do"),
        (RunState::Partial, broken, "nightshift retry RUN; it takes over what is committed"),
        (RunState::Failed, counts(0, 20, 0, 0, 0), "again with: nightshift retry RUN."),
    ] {
        let text = describe(&found(state, shards), now(), AGAIN);
        assert!(text.contains(next), "{state:?}: {text}");
        assert!(text.contains(state_name(state)), "{text}");
        assert!(!text.contains(".."), "{text}");
    }
}

#[test]
fn what_was_given_up_is_spelt_out_and_the_rest_counted() {
    let mut found = found(RunState::Partial, counts(6, 14, 0, 0, 0));
    found.quarantined = (0..14)
        .map(|shard| QuarantinedShard {
            shard: ShardIndex(shard),
            rows: 1,
            class: FailureClass::Cancelled,
            reason: "cancelled".into(),
            message: "cancelled by somebody".into(),
        })
        .collect();
    let text = describe(&found, now(), AGAIN);
    assert_eq!(text.matches("(1 row) was given up (cancelled)").count(), 3, "{text}");
    assert!(text.contains("11 more were given up."), "{text}");
    // There is no cause to mend.
    assert!(text.contains("To go on run what was given up again"), "{text}");
}

#[test]
fn a_clock_that_is_behind_does_no_harm() {
    let mut found = found(RunState::Succeeded, counts(20, 0, 0, 0, 0));
    found.run.planned_at = Some(now() + 1.hour());
    found.run.decided_at = Some(now() + 30.minutes());
    let text = describe(&found, now(), AGAIN);
    assert!(text.contains("less than a second"), "{text}");
}
