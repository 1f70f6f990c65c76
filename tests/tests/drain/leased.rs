//! Workers of a coordinator.

use std::time::{Duration, Instant};

use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::hold::Hold;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::{log, store};
use rustix::process::Signal;

use crate::{OF_A_SHARD, Phase, RUN, SHARDS, SLOW, bench, drain, each, gone, phase};

/// What comes before the first shard.
const BEFORE: [Phase; 2] = [
    phase("opening the run", "open", "/plan.json"),
    phase("loading the model", "open", "model.safetensors"),
];

#[test]
fn a_worker_that_is_told_to_go_before_its_first_shard_goes_in_time() {
    each(&BEFORE, held);
}

#[test]
fn a_worker_that_is_told_to_go_while_it_works_on_a_shard_goes_in_time() {
    each(&OF_A_SHARD, held);
}

/// Holds a worker in a phase, tells it to go, and has another one do the rest.
fn held(phase: &Phase) {
    let mut cluster = cluster();
    cluster.submit("all");
    let hold = Hold::new(cluster.bench().path("hold"), phase.at);
    let mut process = hold.hold(cluster.worker()).start();
    hold.wait_until_reached();
    let what = format!("leases: {}", phase.name);
    let ended = if phase.hangs {
        drain(process, &what)
    } else {
        let told = Instant::now();
        process.signal(Signal::TERM);
        std::thread::sleep(SLOW);
        hold.let_go();
        let ended = gone(process, &what, told);
        let recorded = store::recorded(&cluster.output(), RUN);
        assert!(!recorded.is_empty(), "what was being committed was not committed");
        ended
    };
    cluster.keep(ended);
    goes_on(cluster);
}

#[test]
fn a_worker_that_waits_for_work_goes_in_time() {
    let cluster = cluster();
    let worker = waiting(&cluster);
    cluster_keeps(cluster, worker, "leases: waiting for work", |_| {});
}

#[test]
fn a_worker_whose_coordinator_does_not_answer_goes_in_time() {
    let cluster = cluster();
    let worker = waiting(&cluster);
    cluster_keeps(cluster, worker, "leases: waiting, the coordinator is silent", |cluster| {
        cluster.coordinator().signal(Signal::STOP);
    });
}

#[test]
fn a_worker_in_the_middle_of_a_paced_batch_goes_in_time() {
    let cluster = cluster();
    cluster.submit("all");
    // One row a second: the batch would take minutes.
    let worker = begun(cluster.worker().args(["--max-rows-per-second", "1"]));
    cluster_keeps(cluster, worker, "leases: inferring, in a paced batch", |_| {});
}

#[test]
fn a_worker_in_a_paced_batch_whose_coordinator_is_silent_goes_in_time() {
    let cluster = cluster();
    cluster.submit("all");
    let worker = begun(cluster.worker().args(["--max-rows-per-second", "1"]));
    cluster_keeps(cluster, worker, "leases: paced, the coordinator is silent", |cluster| {
        cluster.coordinator().signal(Signal::STOP);
    });
}

#[test]
fn a_worker_that_cannot_report_goes_in_time() {
    let mut cluster = cluster();
    cluster.submit("all");
    let hold = Hold::new(cluster.bench().path("hold"), phase("", "link", "/part-").at);
    let mut worker = hold.hold(cluster.worker()).start();
    hold.wait_until_reached();
    cluster.coordinator().signal(Signal::STOP);
    hold.let_go();
    worker.wait_until_said("the commit", |said| log::count(said, "shard committed") > 0);
    cluster_keeps(cluster, worker, "leases: reporting, the coordinator is silent", |_| {});
}

#[test]
fn a_slow_commit_and_a_silent_coordinator_do_not_add_up() {
    let mut cluster = cluster();
    cluster.submit("all");
    let hold = Hold::new(cluster.bench().path("hold"), phase("", "link", "/records/").at);
    let mut worker = hold.hold(cluster.worker()).start();
    hold.wait_until_reached();
    cluster.coordinator().signal(Signal::STOP);
    let told = Instant::now();
    worker.signal(Signal::TERM);
    std::thread::sleep(2 * SLOW);
    hold.let_go();
    let ended = gone(worker, "leases: a record that takes 4 s, the coordinator is silent", told);
    assert!(!store::recorded(&cluster.output(), RUN).is_empty(), "{ended}");
    cluster.coordinator().signal(Signal::CONT);
    cluster.keep(ended);
    goes_on(cluster);
}

#[test]
fn leases_that_were_taken_ahead_are_free_within_a_second() {
    // Nothing but a release frees them.
    let setting = Setting { lease_ttl: Duration::from_secs(600), ..Setting::default() };
    let mut cluster = Cluster::start(bench(), setting);
    cluster.submit("all");
    let mut worker = begun(cluster.worker().args(["--max-rows-per-second", "1"]));
    let other = cluster.add(cluster.worker());
    let told = Instant::now();
    worker.signal(Signal::TERM);
    let granted = |said: &str| log::count(said, "lease granted") >= SHARDS as usize;
    cluster.workers()[other].wait_until_said("the leases", granted);
    let free = told.elapsed();
    eprintln!("| leases: free for others | {:.1} |", free.as_secs_f64());
    // A second is promised; the machine may be busy.
    assert!(free < Duration::from_secs(5), "leased again after {free:?}");
    let ended = gone(worker, "leases: holding leases", told);
    cluster.keep(ended);
    goes_on(cluster);
}

/// A coordinator over two shards, with leases that end soon.
fn cluster() -> Cluster {
    Cluster::start(bench(), Setting::default())
}

/// Brings something about, tells the worker to go, and has another one do the rest.
fn cluster_keeps(mut cluster: Cluster, worker: Running, what: &str, first: fn(&mut Cluster)) {
    first(&mut cluster);
    let ended = drain(worker, what);
    cluster.coordinator().signal(Signal::CONT);
    cluster.keep(ended);
    cluster.submit("all");
    goes_on(cluster);
}

/// A worker that has asked for work and waits for an answer.
fn waiting(cluster: &Cluster) -> Running {
    // What HTTP/2 sends is the only trace of a request that waits: one stream for it, one for the
    // heartbeat.
    let url = cluster.url();
    let mut worker =
        Program::worker().args(["--coordinator", &url, "--log", "h2=debug,info"]).start();
    worker.wait_until_said("two requests", |said| {
        said.lines().filter(|line| line.contains("send") && line.contains("Headers")).count() >= 2
    });
    worker
}

/// A worker that has begun with a shard.
fn begun(program: Program) -> Running {
    let mut worker = program.start();
    worker.wait_until_said("a shard", |said| log::count(said, "inference started") > 0);
    worker
}

/// The run goes on to its final, and nothing is lost.
fn goes_on(mut cluster: Cluster) {
    cluster.add(cluster.worker());
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    cluster.wait_for_marker("all", 1);
    cluster.assert_sound();
    cluster.auditor().runs(1).passes();
    cluster.assert_commits_kept();
}
