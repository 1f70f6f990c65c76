use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn generation(n: u32) -> Generation {
    Generation::new(n).unwrap()
}

fn hour(n: i64) -> Timestamp {
    Timestamp::from_second(n * 3_600).unwrap()
}

fn keep(succeeded: u32, failed: u32) -> Retention {
    Retention { succeeded, failed, superseded: SignedDuration::from_hours(24) }
}

fn done(n: u32, state: FinalState, decided: i64) -> GenerationFacts {
    let standing = Standing::Concluded { state, decided_at: hour(decided) };
    GenerationFacts { generation: generation(n), standing, inherits: None }
}

fn open(n: u32, inherits: Option<u32>) -> GenerationFacts {
    let inherits = inherits.map(generation);
    GenerationFacts { generation: generation(n), standing: Standing::Undecided, inherits }
}

fn fate_of(n: u32, facts: &[GenerationFacts], retention: &Retention, now: Timestamp) -> Fate {
    let fates = judge(facts, retention, now);
    fates.into_iter().find(|(found, _)| *found == generation(n)).unwrap().1
}

#[test]
fn each_reason_to_stay_and_the_one_to_go() {
    use FinalState::{Failed, Partial, Succeeded};
    let kept = |because, sweep| Fate::Kept { because, sweep };
    let gone = |n| Fate::Removed { superseded_by: generation(n) };
    let two = [done(1, Succeeded, 0), done(2, Succeeded, 10)];
    let retried = [done(1, Partial, 0), done(2, Succeeded, 10)];
    let never = [done(1, Failed, 0), done(2, Failed, 1), done(3, Failed, 2)];
    let waiting = [done(1, Partial, 0), open(2, Some(1)), done(3, Succeeded, 10)];
    let forced = [done(1, Succeeded, 0), done(2, Succeeded, 10), open(3, None)];
    type Case<'a> = (&'a str, &'a [GenerationFacts], Retention, i64, u32, Fate);
    let cases: [Case<'_>; 11] = [
        ("the newest stays", &two, keep(1, 0), 100, 2, kept(Kept::Newest, true)),
        ("superseded long enough", &two, keep(1, 0), 34, 1, gone(2)),
        ("an hour too early", &two, keep(1, 0), 33, 1, kept(Kept::Grace, true)),
        ("two are to be kept", &two, keep(2, 0), 100, 1, kept(Kept::Counted, true)),
        ("a young verdict is not swept", &two, keep(1, 0), 11, 1, kept(Kept::Grace, false)),
        ("partial, and superseded", &retried, keep(3, 0), 34, 1, gone(2)),
        ("partial, but counted", &retried, keep(3, 1), 99, 1, kept(Kept::Counted, true)),
        ("nothing has succeeded", &never, keep(1, 0), 999, 1, kept(Kept::NothingBetter, true)),
        ("taken over", &waiting, keep(1, 0), 999, 1, kept(Kept::Inherited, true)),
        ("undecided", &waiting, keep(1, 0), 999, 2, Fate::Untouched),
        ("the last success, while a forced run goes on", &forced, keep(1, 0), 999, 2, {
            kept(Kept::NothingBetter, true)
        }),
    ];
    for (what, facts, retention, now, n, expected) in cases {
        assert_eq!(fate_of(n, facts, &retention, hour(now)), expected, "{what}");
    }
}

/// The grace begins when the last condition came true, not when the generation was decided.
#[test]
fn the_grace_begins_with_the_last_condition() {
    let facts = [1, 2, 3].map(|n| done(n, FinalState::Succeeded, i64::from(n) * 100));
    let retention = keep(2, 0);
    let at = |now| fate_of(1, &facts, &retention, hour(now));
    assert_eq!(at(323), Fate::Kept { because: Kept::Grace, sweep: true });
    assert_eq!(at(324), Fate::Removed { superseded_by: generation(3) });
}

fn standing() -> impl Strategy<Value = Standing> {
    let state = prop_oneof![
        Just(FinalState::Succeeded),
        Just(FinalState::Partial),
        Just(FinalState::Failed)
    ];
    prop_oneof![
        1 => Just(Standing::Undecided),
        4 => (state, 0_i64..200)
            .prop_map(|(state, at)| Standing::Concluded { state, decided_at: hour(at) }),
    ]
}

fn date() -> impl Strategy<Value = Vec<GenerationFacts>> {
    proptest::collection::vec((standing(), 0_u32..8), 1..12).prop_map(|generations| {
        let numbered = generations.into_iter().zip(1_u32..);
        numbered
            .map(|((standing, inherits), n)| GenerationFacts {
                generation: generation(n),
                standing,
                inherits: Generation::new(inherits).filter(|from| from.get() < n),
            })
            .collect()
    })
}

fn retention() -> impl Strategy<Value = Retention> {
    (1_u32..4, 0_u32..3, 0_i64..100).prop_map(|(succeeded, failed, hours)| Retention {
        succeeded,
        failed,
        superseded: SignedDuration::from_hours(hours),
    })
}

fn removed(facts: &[GenerationFacts], retention: &Retention, now: i64) -> Vec<Generation> {
    let fates = judge(facts, retention, hour(now)).into_iter();
    fates.filter(|(_, fate)| matches!(fate, Fate::Removed { .. })).map(|(n, _)| n).collect()
}

fn succeeded(one: &GenerationFacts) -> bool {
    matches!(one.standing, Standing::Concluded { state: FinalState::Succeeded, .. })
}

proptest! {
    #[test]
    fn what_must_stay_stays(facts in date(), retention in retention(), now in 0_i64..400) {
        let gone = removed(&facts, &retention, now);
        let newest = facts.iter().map(|one| one.generation).max();
        let best = facts.iter().filter(|one| succeeded(one)).map(|one| one.generation).max();
        for one in &facts {
            if !gone.contains(&one.generation) {
                continue;
            }
            prop_assert!(one.standing != Standing::Undecided, "undecided: {one:?}");
            prop_assert!(Some(one.generation) != newest, "the newest: {one:?}");
            prop_assert!(best.is_some_and(|best| best > one.generation), "nothing better: {one:?}");
            let taken = facts.iter().any(|other| {
                other.standing == Standing::Undecided && other.inherits == Some(one.generation)
            });
            prop_assert!(!taken, "taken over: {one:?}");
        }
        let left = |wanted: fn(&GenerationFacts) -> bool| {
            let all = facts.iter().filter(|one| wanted(one));
            (all.clone().count(), all.filter(|one| !gone.contains(&one.generation)).count())
        };
        let (all, kept) = left(succeeded);
        prop_assert!(kept >= all.min(retention.succeeded as usize));
        let (all, kept) = left(|one| one.standing != Standing::Undecided && !succeeded(one));
        prop_assert!(kept >= all.min(retention.failed as usize));
    }

    /// A collector that was killed finds the same work again, whatever has happened since.
    #[test]
    fn what_was_removed_stays_removable(
        facts in date(),
        retention in retention(),
        now in 0_i64..400,
        later in 0_i64..100,
        more in standing(),
    ) {
        let before = removed(&facts, &retention, now);
        let newest = facts.iter().map(|one| one.generation).max();
        let next = newest.map_or(Generation::FIRST, Generation::next);
        let mut facts = facts;
        // A new generation takes over from the newest one, if from any.
        facts.push(GenerationFacts { generation: next, standing: more, inherits: newest });
        let after = removed(&facts, &retention, now + later);
        prop_assert!(before.iter().all(|n| after.contains(n)), "{before:?} then {after:?}");
    }

    #[test]
    fn keeping_more_never_removes_more(facts in date(), retention in retention(), now in 0_i64..400) {
        let more = Retention {
            succeeded: retention.succeeded + 1,
            failed: retention.failed + 1,
            superseded: retention.superseded + SignedDuration::from_hours(1),
        };
        let gone = removed(&facts, &retention, now);
        prop_assert!(removed(&facts, &more, now).iter().all(|n| gone.contains(n)));
    }
}
