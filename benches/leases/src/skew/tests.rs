use std::collections::BTreeSet;

use clap::Parser as _;
use proptest::prelude::*;

use super::*;
use crate::args::{Arguments, Command};
use crate::stub::{RUN, Stub};

fn args(words: &[&str]) -> SkewArgs {
    let words = ["bench", "skew"].iter().chain(words);
    match Arguments::try_parse_from(words).unwrap().command {
        Command::Skew(args) => args,
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// A fixed assignment gives every shard to one worker, and none beats the ideal.
    #[test]
    fn every_shard_has_one_worker(
        shards in 1_u32..300,
        long in 0_u32..20,
        workers in 2_usize..12,
        seed in any::<u64>(),
    ) {
        let args = SkewArgs { shards, long: long.min(shards), workers, seed, ..args(&[]) };
        let lengths = Lengths::skewed(&args);
        let all: Vec<Duration> = (0..shards).map(|shard| lengths.of(shard)).collect();
        let longer = all.iter().filter(|length| **length > lengths.unit()).count();
        prop_assert_eq!(longer, args.long as usize);
        let (in_turn, ideal) = (lengths.in_turn(workers), lengths.ideal(workers));
        // Graham's bound for any order.
        prop_assert!(ideal <= in_turn + Duration::from_micros(1) && in_turn <= ideal * 2);
        for assignment in [Assignment::Modulo, Assignment::Blocks] {
            let shares = (0..workers).map(|worker| {
                lengths.of_worker(assignment, worker, workers).collect::<Vec<_>>()
            });
            let shares: Vec<_> = shares.collect();
            prop_assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), all.len());
            let slowest = shares.iter().map(|share| share.iter().sum::<Duration>()).max();
            let rounding = Duration::from_micros(1);
            prop_assert!(slowest.unwrap() + rounding >= lengths.ideal(workers));
            let mut given = shares.concat();
            let mut all = all.clone();
            given.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(given, all);
        }
    }
}

#[test]
fn the_ideal_is_what_was_asked_for() {
    let args = args(&["--ideal", "12"]);
    let ideal = Lengths::skewed(&args).ideal(8).as_secs_f64();
    assert!((ideal - 12.0).abs() < 1e-6, "{ideal}");
    let ideal = Lengths::even(&args).ideal(8).as_secs_f64();
    assert!((ideal - 12.0).abs() < 1e-6, "{ideal}");
}

#[tokio::test]
async fn sleepers_bring_a_run_to_its_final() {
    for horizon in [0, 1, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let (address, stub) = Stub::serve(&output, 20, None).await;
        let lengths = Arc::new(Lengths::even(&SkewArgs { shards: 20, ideal: 0.02, ..args(&[]) }));
        let crew = Arc::new(Crew::new(&output, RUN, lengths).await.unwrap());
        let sleepers = (0..3).map(|n| {
            let name = format!("s{n}");
            Sleeper::new(address, Arc::clone(&crew), name, 1, Duration::from_millis(horizon))
        });
        let sleepers = try_join_all(sleepers).await.unwrap();
        let before = Instant::now();
        try_join_all(sleepers.into_iter().map(Sleeper::work)).await.unwrap();
        assert!(crew.last_decided().await >= before);
        crew.wait_for_final().await.unwrap();
        let told = stub.told.lock().unwrap();
        assert_eq!(told.reported, (0..20).collect());
        assert_eq!(told.workers, BTreeSet::from(["s0", "s1", "s2"].map(str::to_owned)));
    }
}

#[test]
fn the_table_fits_a_terminal() {
    let slow = Slow { slower: 10, with_it_s: 14.0, without_it_s: 13.7, none_slow_s: 12.1 };
    let skew = Skew {
        workers: 8,
        shards: 200,
        long: 10,
        times: 20,
        horizon_ms: 100,
        short_s: 0.246,
        ideal_s: 12.0,
        dynamic_s: 12.6,
        dynamic_unknown_s: 13.6,
        in_turn_s: 13.5,
        static_modulo_s: 24.0,
        static_blocks_s: 30.0,
        slow,
    };
    let text = render(&skew);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("12.60 s     1.05x"), "{text}");
}
