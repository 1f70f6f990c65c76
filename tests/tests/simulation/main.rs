//! Thirty days of backfills, hour by hour, over the pure decisions: processes that crash between
//! any two steps, a ledger that is wiped, foreign, old or away, a store that fails, a new model on
//! day 12, late data on day 20. In the end every date has exactly one current generation that
//! succeeded, and no model was called for a date that was current.
//!
//! A schedule follows from its seed alone. `NIGHTSHIFT_SCHEDULES=100000` runs more of them,
//! `NIGHTSHIFT_SEED=17` that one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod process;
mod world;

use nightshift_core::spec::Reprocess;
use nightshift_tests::random::Random;
use process::Process;
use world::{Faults, World};

/// Schedules in the suite: half a minute without optimisation.
const SCHEDULES: u64 = 40;
/// Days that are simulated.
const DAYS: u32 = 30;
/// Hours without faults in which everything has to come right, a date an hour.
const CALM_HOURS: u32 = 5 * DAYS;
/// Day on which the model is replaced.
const MODEL_DAY: u32 = 12;
/// Day on which rows arrive for dates that are done.
const LATE_DAY: u32 = 20;

/// What a schedule has cost and met.
#[derive(Debug, Default)]
struct Sum {
    ticks: u64,
    crashes: u64,
    calls: u64,
    joins: u64,
    retries: u64,
}

fn simulate(seed: u64, sum: &mut Sum) {
    let mut chance = Random::new(seed);
    let reprocess = match chance.below(3) {
        0 => Reprocess::Never,
        1 => Reprocess::OnModelChange,
        _ => Reprocess::OnAnyChange,
    };
    let mut world = World::new(reprocess, Faults::some(&mut chance));
    let mut processes: Vec<Process> = Vec::new();
    for hour in 0..DAYS * 24 {
        world.hour(hour, &mut chance);
        let started = 1 + chance.below(3) as usize;
        for _ in 0..started {
            processes.push(Process::start(world.next_process()));
            sum.ticks += 1;
        }
        run(&mut world, &mut processes, &mut chance, sum, false);
    }
    // Whatever still runs comes to its end, and the faults stop.
    world.calm();
    for hour in 0..CALM_HOURS {
        world.hour(DAYS * 24 + hour, &mut chance);
        processes.push(Process::start(world.next_process()));
        run(&mut world, &mut processes, &mut chance, sum, true);
    }
    world.judge();
    sum.calls += world.calls;
    sum.joins += world.joins;
    sum.retries += world.retries;
}

/// Lets processes take steps in any order; to their ends, or until the hour is over.
fn run(
    world: &mut World,
    processes: &mut Vec<Process>,
    chance: &mut Random,
    sum: &mut Sum,
    to_the_end: bool,
) {
    let mut steps = if to_the_end { u64::MAX } else { chance.below(60) };
    while !processes.is_empty() && steps > 0 {
        steps -= 1;
        let at = chance.below(processes.len() as u64) as usize;
        let crashes = chance.one_in(world.faults.crash_one_in);
        if crashes || processes[at].step(world, chance) {
            sum.crashes += u64::from(crashes);
            world.gone(processes[at].number);
            processes.swap_remove(at);
        }
        world.check_ledger();
    }
}

#[test]
fn every_date_ends_with_one_current_generation_and_nothing_is_computed_twice() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let mut sum = Sum::default();
    if let Some(seed) = number("NIGHTSHIFT_SEED") {
        return simulate(seed, &mut sum);
    }
    let schedules = number("NIGHTSHIFT_SCHEDULES").unwrap_or(SCHEDULES);
    for seed in 0..schedules {
        let simulated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            simulate(seed, &mut sum);
        }));
        assert!(
            simulated.is_ok(),
            "schedule {seed} failed; again with: NIGHTSHIFT_SEED={seed} cargo nextest run -p nightshift-tests every_date_ends"
        );
    }
    eprintln!("{schedules} schedules of {DAYS} days: {sum:?}");
    // A simulation in which nothing happens shows nothing.
    assert!(sum.crashes > schedules && sum.joins > 0 && sum.retries > 0 && sum.calls > 0);
}
