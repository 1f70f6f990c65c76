use proptest::prelude::*;

use super::*;

const QUICK: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(8),
    creates_max: 4,
    unreadable_max: 3,
};

type Step = Decision<CommitPermit, &'static str>;

fn record() -> AwaitReply<CommitPermit> {
    settle_record(
        "flights-2013-01-31-g1".parse().unwrap(),
        ShardIndex(17),
        "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        QUICK,
    )
}

fn read_back(reply: CreateReply) -> AwaitReadBack<CommitPermit> {
    let step: Step = record().answered(reply);
    match step {
        Decision::ReadBack { after, then } => {
            assert_eq!(after, Duration::ZERO);
            then
        }
        other => panic!("{reply:?} led to {other:?}"),
    }
}

#[test]
fn a_clean_ok_wins_the_permit_of_that_attempt() {
    let step: Step = record().answered(CreateReply::Created);
    let Decision::Won(permit) = step else { panic!("{step:?}") };
    assert_eq!(permit.run().to_string(), "flights-2013-01-31-g1");
    assert_eq!(permit.shard(), ShardIndex(17));
    assert_eq!(permit.attempt().as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

#[test]
fn every_answer_that_is_not_clean_is_read_back() {
    for reply in [
        CreateReply::Refused(Refusal::AlreadyExists),
        CreateReply::Refused(Refusal::Precondition),
        CreateReply::Refused(Refusal::NotModified),
        CreateReply::Unknown(Unclear::Timeout),
        CreateReply::Unknown(Unclear::Failed),
    ] {
        let step: Step = read_back(reply).found(ReadBack::Mine, 0.5);
        assert!(matches!(step, Decision::Won(_)), "{reply:?}: {step:?}");
        let step: Step = read_back(reply).found(ReadBack::Another("theirs"), 0.5);
        assert_eq!(step, Decision::Lost("theirs"), "{reply:?}");
        let step: Step = read_back(reply).found(ReadBack::Absent, 0.5);
        assert!(matches!(step, Decision::RetrySameBytes { .. }), "{reply:?}: {step:?}");
        let step: Step = read_back(reply).found(ReadBack::Unreadable, 0.5);
        assert!(matches!(step, Decision::ReadBack { .. }), "{reply:?}: {step:?}");
    }
}

#[test]
fn a_denial_ends_at_once() {
    for denial in [
        Denial::Unauthenticated,
        Denial::Forbidden,
        Denial::ReadOnly,
        Denial::NoSpace,
        Denial::Unsupported,
    ] {
        let step: Step = record().answered(CreateReply::Denied(denial));
        assert_eq!(step, Decision::Denied(denial));
    }
}

#[test]
fn a_store_that_swallows_creates_ends_unsettled() {
    let mut next = record();
    for sent in 1..=QUICK.creates_max {
        let Decision::ReadBack { then, .. } =
            next.answered::<&str>(CreateReply::Unknown(Unclear::Timeout))
        else {
            panic!("no read back after create {sent}")
        };
        match then.found(ReadBack::Absent, 1.0) {
            Decision::RetrySameBytes { after, then } if sent < QUICK.creates_max => {
                assert_eq!(after, QUICK.wait(sent, 1.0));
                next = then;
            }
            Decision::Unsettled { creates } => {
                assert_eq!((creates, sent), (QUICK.creates_max, QUICK.creates_max));
                return;
            }
            Decision::<_, &str>::Lost(_) | Decision::Won(_) => panic!("decided without a verdict"),
            other => panic!("{other:?}"),
        }
    }
    panic!("never ended");
}

#[test]
fn the_default_bounds_ride_out_about_fifteen_seconds() {
    let total: Duration =
        (1..Backoff::DEFAULT.creates_max).map(|n| Backoff::DEFAULT.wait(n, 1.0)).sum();
    assert!((12..=20).contains(&total.as_secs()), "{total:?}");
}

fn reply() -> impl Strategy<Value = CreateReply> {
    prop_oneof![
        Just(CreateReply::Created),
        Just(CreateReply::Refused(Refusal::AlreadyExists)),
        Just(CreateReply::Unknown(Unclear::Timeout)),
        Just(CreateReply::Denied(Denial::Forbidden)),
    ]
}

fn found() -> impl Strategy<Value = ReadBack<&'static str>> {
    prop_oneof![
        Just(ReadBack::Mine),
        Just(ReadBack::Another("theirs")),
        Just(ReadBack::Absent),
        Just(ReadBack::Unreadable),
    ]
}

proptest! {
    /// Whatever the store says, a settlement ends within its bounds, and it says "won" only
    /// after a clean Ok or after its own bytes were read back.
    #[test]
    fn settling_ends_and_never_lies(
        replies in prop::collection::vec(reply(), 1..20),
        reads in prop::collection::vec(found(), 1..20),
        jitter in 0.0..1.0_f64,
    ) {
        let (mut replies, mut reads) = (replies.iter().cycle(), reads.iter().cycle());
        let (mut last_reply, mut last_read) = (None, None);
        let mut step: Step = Decision::RetrySameBytes { after: Duration::ZERO, then: record() };
        let steps_max = 2 * QUICK.creates_max + QUICK.unreadable_max + 1;
        for _ in 0..=steps_max {
            step = match step {
                Decision::RetrySameBytes { then, after } => {
                    prop_assert!(after <= QUICK.longest);
                    last_read = None;
                    last_reply = replies.next().copied();
                    then.answered(last_reply.unwrap())
                }
                Decision::ReadBack { then, after } => {
                    prop_assert!(after <= QUICK.longest);
                    last_read = reads.next().copied();
                    then.found(last_read.unwrap(), jitter)
                }
                Decision::Won(_) => {
                    let clean = last_reply == Some(CreateReply::Created) && last_read.is_none();
                    prop_assert!(clean || last_read == Some(ReadBack::Mine));
                    return Ok(());
                }
                Decision::Lost(_) => {
                    prop_assert_eq!(last_read, Some(ReadBack::Another("theirs")));
                    return Ok(());
                }
                Decision::Unsettled { .. } | Decision::Denied(_) => return Ok(()),
            };
        }
        prop_assert!(false, "still going after {} steps", steps_max);
    }

    #[test]
    fn waits_grow_within_their_bounds(n: u32, jitter: f64) {
        let wait = QUICK.wait(n, jitter);
        prop_assert!(wait >= QUICK.first / 2 && wait <= QUICK.longest);
        prop_assert!(QUICK.wait(n.saturating_add(1), jitter) >= wait);
    }
}
