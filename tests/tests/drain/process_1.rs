//! Every program as process 1 of its container: a signal without a handler would do nothing there.

use std::time::{Duration, Instant};

use nightshift_tests::bench::Bench;
use nightshift_tests::hold::Hold;
use nightshift_tests::ports::free_port;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::waiting::wait_for;
use rustix::process::{Pid, Signal, kill_process};

use crate::{PROMISED, bench, phase};

/// When a program that is told to go once ends whatever it waits for.
const END_WITHIN: Duration = Duration::from_secs(9);

/// The program as process 1 of a PID namespace of its own.
fn alone(program: Program) -> Running {
    program.wrapped(["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]).start()
}

/// The process that `unshare` has started.
fn process_1(unshare: &mut Running) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
    let child = wait_for("process 1", || {
        assert!(
            !unshare.has_ended(),
            "no PID namespace: this test needs /usr/bin/unshare and the right to make one (root): {}",
            unshare.stderr_so_far()
        );
        std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
    });
    Pid::from_raw(child).unwrap()
}

/// Sends `signal` to a program that is process 1; it ends with `code`, in time.
fn ends(name: &str, mut unshare: Running, signal: Signal, code: i32) {
    let child = process_1(&mut unshare);
    let told = Instant::now();
    kill_process(child, signal).unwrap();
    unshare.finish().expect(code);
    let elapsed = told.elapsed();
    eprintln!("| process 1: {name} | {:.1} |", elapsed.as_secs_f64());
    assert!(elapsed < PROMISED, "{name} has ended only after {elapsed:?}");
}

#[test]
fn a_worker_as_process_1_drains() {
    // Nobody is at the address.
    let url = format!("http://127.0.0.1:{}", free_port());
    let mut worker = alone(Program::worker().args(["--coordinator", &url]).logged());
    worker.wait_until_said("its start", |said| said.contains("worker started"));
    ends("nightshift-worker", worker, Signal::TERM, 75);
}

#[test]
fn a_run_as_process_1_drains() {
    let bench = bench();
    let hold = Hold::new(bench.path("hold"), phase("", "write", "/attempts/").at);
    let run = alone(hold.hold(bench.run()));
    hold.wait_until_reached();
    ends("nightshift run", run, Signal::TERM, 75);
}

#[test]
fn a_command_that_only_looks_ends_at_once_as_process_1() {
    let bench = bench();
    bench.run().run().expect(0);
    let hold = Hold::new(bench.path("hold"), phase("", "open", "/part-").at);
    let verify = alone(hold.hold(bench.command("verify")));
    hold.wait_until_reached();
    ends("nightshift verify", verify, Signal::INT, 75);
}

#[test]
fn a_coordinator_as_process_1_ends() {
    let bench = Bench::new();
    let address = || format!("127.0.0.1:{}", free_port());
    let program = Program::coordinator()
        .args(["--listen", &address(), "--http", &address(), "--home"])
        .arg(bench.path("home"));
    let mut coordinator = alone(program.logged());
    coordinator.wait_until_said("its address", |said| said.contains("serving gRPC"));
    ends("nightshift-coordinator", coordinator, Signal::TERM, 0);
}

#[test]
fn a_sidecar_as_process_1_ends() {
    let program = Program::sidecar().args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let mut sidecar = alone(program);
    sidecar.wait_until_said("its address", |said| said.contains("serving HTTP"));
    ends("nightshift-sidecar", sidecar, Signal::TERM, 0);
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let bench = bench();
    let hold = Hold::new(bench.path("hold"), phase("", "sync", "/attempts/").at);
    let mut run = alone(hold.hold(bench.run()));
    hold.wait_until_reached();
    let child = process_1(&mut run);
    let told = Instant::now();
    wait_for("the end after a second signal", || {
        // It is gone if that fails.
        let _ = kill_process(child, Signal::TERM);
        run.has_ended().then_some(())
    });
    run.finish().expect(75);
    assert!(told.elapsed() < END_WITHIN, "it took {:?}", told.elapsed());
}
