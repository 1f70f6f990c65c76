use proptest::prelude::*;

use super::*;

const HORIZON: Duration = Duration::from_millis(100);

fn outlook(threads: usize) -> Outlook {
    Outlook {
        threads,
        rate: Some(1_000.0),
        typical_rows: Some(1_000),
        horizon: HORIZON,
        ..Outlook::default()
    }
}

fn under_way(rows: u64, rows_done: u64, elapsed_ms: u64) -> UnderWay {
    let elapsed = Duration::from_millis(elapsed_ms);
    UnderWay { rows, rows_done, progress_after: elapsed, elapsed }
}

#[test]
fn a_thread_without_work_wants_some_and_only_one_where_nothing_is_known() {
    let unknown = Outlook { threads: 3, horizon: HORIZON, ..Outlook::default() };
    assert_eq!(unknown.wish().leases, 3);
    let served = Outlook { waiting: vec![None; 3], ..unknown };
    assert_eq!(served.wish().leases, 0);
}

#[test]
fn the_next_shard_is_wanted_when_little_is_left_of_this_one() {
    let with = |under_way| Outlook { under_way: vec![under_way], ..outlook(1) }.wish();
    assert_eq!(with(under_way(1_000, 800, 800)).leases, 0, "200 ms are left");
    assert_eq!(with(under_way(1_000, 950, 950)).leases, 1, "50 ms are left");
    assert_eq!(with(under_way(1_000, 800, 800)).look_again, Duration::from_millis(100));
}

#[test]
fn an_attempt_that_goes_its_own_pace_is_judged_by_it() {
    // Ten times slower than the shards before: 500 of 1,000 rows took 5 s, so 5 s are left.
    let slow = Outlook { under_way: vec![under_way(1_000, 500, 5_000)], ..outlook(1) };
    assert_eq!(slow.wish().leases, 0);
    // No batch of it is through although it is far beyond the usual time: nobody knows.
    let stuck = Outlook { under_way: vec![under_way(1_000, 0, 60_000)], ..outlook(1) };
    assert_eq!(stuck.wish(), Wish { leases: 0, look_again: LOOK_MAX });
}

#[test]
fn short_shards_are_leased_until_the_horizon_is_covered() {
    let short = Outlook { typical_rows: Some(10), ..outlook(1) };
    assert_eq!(short.wish().leases, 10, "10 ms each");
    let tiny = Outlook { typical_rows: Some(1), rate: Some(1e6), ..outlook(2) };
    assert_eq!(tiny.wish().leases, 2 * WAITING_PER_THREAD_MAX);
    let long = Outlook { under_way: vec![under_way(100_000, 1_000, 1_000)], ..short };
    assert_eq!(long.wish().leases, 0, "not behind a shard that takes another 99 s");
}

#[test]
fn the_horizon_follows_the_network_within_bounds() {
    assert_eq!(horizon(Duration::ZERO), HORIZON_MIN);
    assert_eq!(horizon(Duration::from_millis(50)), Duration::from_millis(200));
    assert_eq!(horizon(Duration::MAX), HORIZON_MAX);
}

#[test]
fn speed_follows_the_latest_attempts() {
    let mut speed = Speed::default();
    assert_eq!((speed.rate(), speed.typical_rows()), (None, None));
    speed.add(100, Duration::from_secs(1));
    assert_eq!((speed.rate(), speed.typical_rows()), (Some(100.0), Some(100)));
    for _ in 0..20 {
        speed.add(1_000, Duration::from_secs(1));
    }
    assert!(speed.rate().unwrap() > 950.0, "{speed:?}");
    assert!((950..=1_000).contains(&speed.typical_rows().unwrap()), "{speed:?}");
}

prop_compose! {
    fn attempts()(
        rows in 1_u64..1_000_000,
        share in 0.0..=1.0_f64,
        elapsed_ms in 0_u64..100_000,
        age_ms in 0_u64..1_000,
    ) -> UnderWay {
        let progress_after = Duration::from_millis(elapsed_ms.saturating_sub(age_ms));
        let rows_done = (rows as f64 * share) as u64;
        UnderWay { rows, rows_done, progress_after, elapsed: Duration::from_millis(elapsed_ms) }
    }
}

prop_compose! {
    fn outlooks()(
        threads in 1_usize..64,
        under_way in prop::collection::vec(attempts(), 0..64),
        waiting in prop::collection::vec(prop::option::of(0_u64..1_000_000), 0..100),
        rate in prop::option::of(0.0..1e9_f64),
        typical_rows in prop::option::of(0_u64..1_000_000),
        trip_ms in 0_u64..10_000,
    ) -> Outlook {
        let mut under_way = under_way;
        under_way.truncate(threads);
        let horizon = horizon(Duration::from_millis(trip_ms));
        Outlook { threads, under_way, waiting, rate, typical_rows, horizon }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn never_more_wait_than_a_thread_may_have(outlook in outlooks()) {
        let wish = outlook.wish();
        let room = outlook.threads * WAITING_PER_THREAD_MAX;
        prop_assert!(wish.leases <= room.saturating_sub(outlook.waiting.len()));
        prop_assert!((LOOK_MIN..=LOOK_MAX).contains(&wish.look_again));
    }

    /// No thread runs dry within the horizon once the wish is granted, and without its last
    /// lease one would.
    #[test]
    fn enough_and_not_one_more(outlook in outlooks()) {
        let wish = outlook.wish();
        let granted = |leases: usize| {
            let mut waiting = outlook.waiting.clone();
            waiting.extend(std::iter::repeat_n(outlook.typical_rows, leases));
            Outlook { waiting, ..outlook.clone() }
        };
        prop_assert_eq!(granted(wish.leases).wish().leases, 0);
        if wish.leases > 0 {
            prop_assert_eq!(granted(wish.leases - 1).wish().leases, 1);
        }
    }

    /// Whoever plans further ahead, or has less in hand, asks for at least as much.
    #[test]
    fn more_need_asks_for_more(outlook in outlooks(), further_ms in 0_u64..1_000) {
        let wish = outlook.wish().leases;
        let horizon = outlook.horizon + Duration::from_millis(further_ms);
        let further = Outlook { horizon, ..outlook.clone() };
        prop_assert!(further.wish().leases >= wish);
        let mut waiting = outlook.waiting.clone();
        waiting.pop();
        let less = Outlook { waiting, ..outlook };
        prop_assert!(less.wish().leases >= wish);
    }
}
