//! Thirty days of backfills, hour by hour, over the pure decisions: processes that crash between
//! any two steps, a ledger that is wiped, foreign, old or away, a store whose errors hide what
//! happened, a new model on day 12, late data on day 20. In the end every date has exactly one
//! current generation that succeeded, and no model was called for a date that was current.
//!
//! What decides is the real code of `nightshift-core`: the tick with its judgements, the window,
//! and the settle protocol. What is modelled is what surrounds it, in the order of the shell:
//! [`store`], [`ledger`], [`world`] and [`process`]; [`judge`] says what has to be true.
//! [`broken`] lists rules that can be broken, to see that a schedule notices.
//!
//! A schedule follows from its seed alone. `NIGHTSHIFT_SCHEDULES=5000` runs so many of them,
//! `NIGHTSHIFT_SEED=17` that one; `make schedules` runs many, optimised.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod broken;
mod judge;
mod ledger;
mod process;
#[expect(dead_code, unreachable_pub, reason = "the tests of programs use more of it")]
#[path = "../../../tests/src/random.rs"]
mod random;
mod store;
mod world;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use broken::Broken;
use world::World;

/// Schedules in the suite: some seconds without optimisation.
const SCHEDULES: u64 = 100;
/// Schedules in which a broken rule has to be noticed.
const SCHEDULES_BROKEN: u64 = 60;
/// The same, where what notices it is rare.
const SCHEDULES_RARE: u64 = 10_000;
/// Days that are simulated.
const DAYS: u32 = 30;
/// Ticks without faults in which everything has to come right, a date each.
const CALM_TICKS: u32 = 5 * DAYS;
/// Ticks after those, which have to do nothing.
const IDLE_TICKS: u32 = 3;
/// Day on which the model is replaced.
const MODEL_DAY: u32 = 12;
/// Day on which rows arrive for dates that are done.
const LATE_DAY: u32 = 20;
/// Steps that are taken in an hour at most; who is not done goes on in the next. In the schedules
/// with few, ticks overlap for hours.
const STEPS_MAX: [u64; 3] = [60, 150, 400];
/// Processes that live at a time.
const PROCESSES_MAX: u64 = 12;
/// One step in so many stalls its process: a disk that hangs, a machine without memory.
const STALL_ONE_IN: u64 = 80;
/// Steps of others until it goes on, at most.
const STALL_MAX: u64 = 1_000;

/// What a schedule has cost and met.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    ticks: u64,
    crashes: u64,
    calls: u64,
    joins: u64,
    retries: u64,
    /// Answers of the store that hid what had happened.
    unknown: u64,
    /// Objects that came to exist after somebody had given them up.
    late: u64,
    /// Misfortunes of the ledger.
    ledger: u64,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.crashes += other.crashes;
        self.calls += other.calls;
        self.joins += other.joins;
        self.retries += other.retries;
        self.unknown += other.unknown;
        self.late += other.late;
        self.ledger += other.ledger;
    }
}

/// A process between two of its steps. Dropped, it has crashed.
struct Running {
    number: u64,
    /// The step from which it goes on.
    stalled_until: u64,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// One schedule, and what it has cost; or what was found.
fn simulate(seed: u64, broken: Option<Broken>) -> Result<Sum, String> {
    let world = Rc::new(RefCell::new(World::new(seed, broken)));
    let mut running: Vec<Running> = Vec::new();
    for hour in 0..DAYS * 24 {
        let started = {
            let mut world = world.borrow_mut();
            world.hour(hour);
            let room = PROCESSES_MAX - running.len() as u64;
            (1 + world.chance.below(3)).min(room)
        };
        running.extend((0..started).map(|_| start(&world)));
        run(&world, &mut running, false)?;
    }
    world.borrow_mut().calm();
    // Whatever still runs comes to its end.
    run(&world, &mut running, true)?;
    for tick in 0..CALM_TICKS + IDLE_TICKS {
        let before = world.borrow().sum.calls;
        running.push(start(&world));
        run(&world, &mut running, true)?;
        if tick >= CALM_TICKS && world.borrow().sum.calls != before {
            return Err("a tick after everything was done calls a model".to_owned());
        }
    }
    let world = world.borrow();
    judge::at_the_end(&world)?;
    Ok(world.sum)
}

fn start(world: &Rc<RefCell<World>>) -> Running {
    let number = world.borrow_mut().next_process();
    Running {
        number,
        stalled_until: 0,
        future: Box::pin(process::backfill(Rc::clone(world), number)),
    }
}

/// Lets processes take steps in any order; to their ends, or until the hour is over.
fn run(
    world: &Rc<RefCell<World>>,
    running: &mut Vec<Running>,
    to_the_end: bool,
) -> Result<(), String> {
    let mut nobody = Context::from_waker(Waker::noop());
    let mut left = match to_the_end {
        true => u64::MAX,
        false => world.borrow_mut().steps_of_hour(),
    };
    while !running.is_empty() && left > 0 {
        left -= 1;
        let (at, crashes) = {
            let mut world = world.borrow_mut();
            world.pass();
            let at = world.chance.below(running.len() as u64) as usize;
            if !to_the_end && world.chance.one_in(STALL_ONE_IN) {
                running[at].stalled_until = world.step + world.chance.below(STALL_MAX);
            }
            if !to_the_end && running[at].stalled_until > world.step {
                continue;
            }
            let one_in = world.faults.crash_one_in;
            (at, world.chance.one_in(one_in))
        };
        if crashes || running[at].future.as_mut().poll(&mut nobody).is_ready() {
            let Running { number, future, .. } = running.swap_remove(at);
            drop(future);
            world.borrow_mut().gone(number, crashes);
        }
        if let Some(found) = world.borrow_mut().found.take() {
            return Err(found);
        }
    }
    Ok(())
}

/// Simulates schedules on all cores, and returns the first that failed, by its seed.
fn simulate_all(seeds: u64) -> (Sum, Option<(u64, String)>) {
    let next = AtomicU64::new(0);
    let work = || {
        let mut sum = Sum::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (sum, None);
            }
            match simulate(seed, None) {
                Ok(cost) => sum.add(&cost),
                Err(found) => {
                    // The others finish theirs, and begin no more.
                    next.store(seeds, Ordering::Relaxed);
                    return (sum, Some((seed, found)));
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no schedule panics")).collect()
    });
    let mut sum = Sum::default();
    ended.iter().for_each(|(cost, _)| sum.add(cost));
    (sum, ended.into_iter().filter_map(|(_, failed)| failed).min())
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text}")))
}

fn again(seed: u64) -> String {
    format!(
        "again with: NIGHTSHIFT_SEED={seed} cargo nextest run --workspace -E 'binary(schedules)'"
    )
}

#[test]
fn every_date_ends_with_one_current_generation_and_nothing_is_computed_twice() {
    if let Some(seed) = number("NIGHTSHIFT_SEED") {
        let ended = simulate(seed, None);
        eprintln!("schedule {seed}: {ended:?}");
        return ended.map(|_| ()).unwrap_or_else(|found| panic!("{found}"));
    }
    let schedules = number("NIGHTSHIFT_SCHEDULES").unwrap_or(SCHEDULES);
    let began = std::time::Instant::now();
    let (sum, failed) = simulate_all(schedules);
    if let Some((seed, found)) = failed {
        panic!("schedule {seed}: {found}; {}", again(seed));
    }
    eprintln!("{schedules} schedules of {DAYS} days in {:?}: {sum:?}", began.elapsed());
    // A simulation in which nothing happens shows nothing.
    let Sum { crashes, joins, retries, calls, unknown, late, ledger, ticks } = sum;
    for met in [ticks, crashes, joins, retries, calls, unknown, late, ledger] {
        assert!(met > schedules / 8, "too little happened in {schedules} schedules: {sum:?}");
    }
}

/// The first schedule that notices a broken rule, and what it says.
fn notice(broken: Broken, schedules: u64) -> Option<(u64, String)> {
    let tried = (0..schedules).map(|seed| (seed, simulate(seed, Some(broken))));
    tried.filter_map(|(seed, ended)| Some((seed, ended.err()?))).next()
}

/// Fails unless each of these rules is noticed in so many schedules.
fn all_are_noticed(rules: &[Broken], schedules: u64) {
    let mut missed = Vec::new();
    for broken in rules {
        match notice(*broken, schedules) {
            Some((seed, found)) => eprintln!("{broken:?}: schedule {seed}: {found}"),
            None => missed.push(broken),
        }
    }
    assert!(missed.is_empty(), "not noticed in {schedules} schedules: {missed:?}");
}

#[test]
fn every_broken_rule_is_noticed() {
    all_are_noticed(&broken::OFTEN, SCHEDULES_BROKEN);
}

#[test]
#[ignore = "takes thousands of schedules: make schedules"]
fn rules_whose_breach_is_rare_are_noticed_too() {
    all_are_noticed(&broken::RARELY, SCHEDULES_RARE);
}
