//! Without a coordinator: `nightshift run`, and a worker with a fixed index.

use std::time::Instant;

use nightshift_tests::bench::Bench;
use nightshift_tests::hold::Hold;
use nightshift_tests::process::Program;
use nightshift_tests::{store, tools};
use rustix::process::Signal;

use crate::{OF_A_SHARD, Phase, RUN, SHARDS, SLOW, bench, drain, each, gone, phase};

/// What comes before the first shard.
const BEFORE: [Phase; 3] = [
    phase("loading the model", "open", "model.safetensors"),
    phase("planning", "open", "flights.parquet"),
    phase("opening the run", "link", "/claims/"),
];

#[test]
fn a_run_that_is_told_to_go_before_its_first_shard_goes_in_time() {
    each(&BEFORE, |phase| told_to_go(&bench(), phase, "run", run, run_rest));
}

#[test]
fn a_run_that_is_told_to_go_while_it_works_on_a_shard_goes_in_time() {
    each(&OF_A_SHARD, |phase| told_to_go(&planned(), phase, "run", run, run_rest));
}

#[test]
fn a_run_that_is_told_to_go_before_its_final_goes_in_time() {
    let phase = phase("concluding", "link", "/finals/");
    told_to_go(&bench(), &phase, "run", run, run_rest);
}

#[test]
fn a_worker_with_an_index_goes_in_time_whatever_it_is_doing() {
    each(&BEFORE, |phase| told_to_go(&bench(), phase, "static index", indexed, indexed_rest));
    each(&OF_A_SHARD, |phase| told_to_go(&planned(), phase, "static index", indexed, indexed_rest));
}

/// Holds a process in a phase, tells it to go, and has others do the rest.
fn told_to_go(
    bench: &Bench,
    phase: &Phase,
    source: &str,
    program: fn(&Bench) -> Program,
    rest: fn(&Bench),
) {
    let hold = Hold::new(bench.path("hold"), phase.at);
    let mut process = hold.hold(program(bench)).start();
    hold.wait_until_reached();
    let what = format!("{source}: {}", phase.name);
    if phase.hangs {
        drain(process, &what);
    } else {
        let told = Instant::now();
        process.signal(Signal::TERM);
        std::thread::sleep(SLOW);
        hold.let_go();
        gone(process, &what, told);
        let recorded = store::recorded(&bench.output(), RUN);
        assert!(!recorded.is_empty(), "what was being committed was not committed");
    }
    tools::Audit::of(&bench.output()).open().passes();
    rest(bench);
    assert_eq!(store::verdict(&bench.output(), "all", 1).unwrap()["state"], "succeeded");
    tools::audit(&bench.output(), 1);
}

/// A bench whose run has a plan already, so that the input is opened by what reads rows.
fn planned() -> Bench {
    let bench = bench();
    let at = phase("", "link", "/epoch/").at;
    let hold = Hold::new(bench.path("planned"), at);
    let process = hold.hold(run(&bench)).start();
    hold.wait_until_reached();
    process.kill();
    bench
}

fn run(bench: &Bench) -> Program {
    bench.command("run").args(["--workers", "1"]).logged()
}

fn run_rest(bench: &Bench) {
    run(bench).run().expect(0);
}

fn worker(bench: &Bench, index: u32) -> Program {
    Program::worker()
        .arg("--spec")
        .arg(bench.spec())
        .args(["--shard-index", &index.to_string(), "--num-shards", &SHARDS.to_string()])
        .logged()
}

fn indexed(bench: &Bench) -> Program {
    worker(bench, 0)
}

fn indexed_rest(bench: &Bench) {
    for index in 0..SHARDS {
        worker(bench, index).run().expect(0);
    }
}
