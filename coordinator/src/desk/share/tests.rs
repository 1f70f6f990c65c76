use proptest::prelude::*;

use super::*;

fn run(n: u32) -> RunId {
    format!("r{n}-all-g1").parse().unwrap()
}

fn candidate(n: u32, ready: u64, leased: u64) -> Candidate {
    Candidate { run: run(n), ready, leased }
}

#[test]
fn a_worker_stays_with_its_run_within_an_even_share() {
    let last = run(0);
    let one = |a: (u64, u64), b: (u64, u64)| {
        let both = vec![candidate(0, a.0, a.1), candidate(1, b.0, b.1)];
        split(both, 1, Some(&last))
    };
    // Two of four: even, so it stays.
    assert_eq!(one((5, 1), (5, 2)), vec![(run(0), 1)]);
    // More than even: it helps the other run, though its model has to be loaded.
    assert_eq!(one((5, 3), (5, 1)), vec![(run(1), 1)]);
    // Nothing else has work.
    assert_eq!(one((5, 9), (0, 1)), vec![(run(0), 1)]);
    assert_eq!(one((0, 0), (0, 0)), vec![]);
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec((0_u64..20, 0_u64..20), 0..8).prop_map(|runs| {
        let numbered = (0_u32..).zip(runs);
        numbered.map(|(n, (ready, leased))| candidate(n, ready, leased)).collect()
    })
}

proptest! {
    #[test]
    fn nothing_is_promised_that_is_not_there_and_nothing_is_left_lying(
        runs in candidates(),
        max in 0_u32..70,
        last in prop::option::of(0_u32..8),
    ) {
        let last = last.map(run);
        let shares = split(runs.clone(), max, last.as_ref());
        let ready: u64 = runs.iter().map(|candidate| candidate.ready).sum();
        let shared: u64 = shares.iter().map(|(_, share)| u64::from(*share)).sum();
        prop_assert_eq!(shared, ready.min(max.into()));
        for (id, share) in &shares {
            let candidate = runs.iter().find(|candidate| candidate.run == *id).unwrap();
            prop_assert!(u64::from(*share) <= candidate.ready);
            prop_assert!(*share > 0);
        }
    }

    /// Many workers that ask one after the other end up evenly spread over the runs that have
    /// enough work, whatever runs they stayed with.
    #[test]
    fn runs_with_work_end_up_even(
        runs in 2_usize..6,
        asks in prop::collection::vec(0_usize..6, 30..120),
    ) {
        let mut all: Vec<Candidate> =
            (0..runs as u32).map(|n| candidate(n, 1_000, 0)).collect();
        for last in asks {
            let last = run((last % runs) as u32);
            for (id, share) in split(all.clone(), 1, Some(&last)) {
                let one = all.iter_mut().find(|candidate| candidate.run == id).unwrap();
                one.leased += u64::from(share);
                one.ready -= u64::from(share);
            }
        }
        let most = all.iter().map(|candidate| candidate.leased).max().unwrap();
        let least = all.iter().map(|candidate| candidate.leased).min().unwrap();
        prop_assert!(most - least <= 2, "{:?}", all);
    }
}
