//! `--launch local`: the workers are processes of the coordinator.

use std::time::Duration;

use nightshift_tests::bench::Bench;
use nightshift_tests::binaries;
use nightshift_tests::coordinator::Coordinator;
use nightshift_tests::store;
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

use crate::stage::{DATES, FOREVER, Setup, ends, report, script, submit, wait_until_why_says};

/// A lease that a killed coordinator leaves behind for a short time.
const LEASE: Duration = Duration::from_secs(2);

/// A coordinator that starts `program` as its workers; none is the real one, slowed down.
fn start(setup: &Setup, program: Option<&str>) -> (Coordinator, Bench) {
    let bench = setup.bench();
    let slow = format!(
        "exec {} \"$@\" --max-rows-per-second {}",
        binaries::nightshift_worker().display(),
        setup.rows_per_second
    );
    let program = script(&bench, program.unwrap_or(&slow));
    let launch = ["--launch", "local", "--worker-program", program.to_str().unwrap()];
    let launch = launch.map(str::to_owned).to_vec();
    (setup.coordinator(&bench, launch), bench)
}

/// As [`start`], with workers under way in a run of twenty shards that has some records.
fn under_way(lease_ttl: Duration) -> (Coordinator, Bench, String) {
    let setup = Setup { lease_ttl, shards: 20, ..Setup::default() };
    let (coordinator, bench) = start(&setup, None);
    let run = submit(&coordinator, &bench, &DATES[..1]).remove(0);
    wait_for("records", || (store::recorded(&bench.output(), &run).len() >= 2).then_some(()));
    (coordinator, bench, run)
}

/// The run succeeds, and nothing is wrong with it.
fn succeeds(coordinator: &mut Coordinator, bench: &Bench) {
    ends(bench, DATES[0], 1, "succeeded");
    coordinator.assert_sound();
    Audit::of(&bench.output()).runs(1).passes();
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    all.filter(|child| parent(*child) == Some(pid)).collect()
}

/// The parent of a process; none if it has ended.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    // One that has ended stays as a zombie until it is waited for.
    if rest.next()? == "Z" {
        return None;
    }
    rest.next()?.parse().ok()
}

fn wait_for_children(coordinator: &Coordinator, wanted: usize) -> Vec<u32> {
    wait_for(&format!("{wanted} workers"), || {
        let found = children(coordinator.pid());
        (found.len() == wanted).then_some(found)
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

#[test]
fn workers_come_with_a_run_and_end_with_it() {
    let setup = Setup { parallelism: 2, ..Setup::default() };
    let (mut coordinator, bench) = start(&setup, None);
    assert_eq!(children(coordinator.pid()), [0_u32; 0]);
    submit(&coordinator, &bench, &DATES[..1]);
    wait_for_children(&coordinator, cores().min(2));
    ends(&bench, DATES[0], 1, "succeeded");
    wait_for_children(&coordinator, 0);
    succeeds(&mut coordinator, &bench);
}

#[test]
fn workers_end_with_a_coordinator_that_is_killed_and_the_next_starts_others() {
    let (mut coordinator, bench, _) = under_way(LEASE);
    let workers = children(coordinator.pid());
    assert!(!workers.is_empty());
    coordinator.kill();
    wait_for("the workers have ended", || {
        workers.iter().all(|worker| parent(*worker).is_none()).then_some(())
    });
    coordinator.restart();
    succeeds(&mut coordinator, &bench);
}

#[test]
fn workers_are_drained_when_the_coordinator_is_told_to_end() {
    let (mut coordinator, bench, _) = under_way(LEASE);
    let workers = children(coordinator.pid());
    coordinator.terminate().expect(0);
    assert!(workers.iter().all(|worker| parent(*worker).is_none()), "a worker stayed behind");
    coordinator.restart();
    succeeds(&mut coordinator, &bench);
}

#[test]
fn a_worker_that_crashes_is_explained_and_its_shard_goes_to_the_next() {
    // Only the end of the process can free its shards.
    let (mut coordinator, bench, run) = under_way(FOREVER);
    let victim = children(coordinator.pid())[0];
    let pid = rustix::process::Pid::from_raw(victim.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let host = format!("local-{run}-");
    wait_until_why_says(&coordinator, &run, &[&host, "137, killed by signal 9"]);
    succeeds(&mut coordinator, &bench);
}

#[test]
fn workers_that_crash_again_and_again_are_started_ever_more_slowly() {
    let setup = Setup { parallelism: 1, ..Setup::default() };
    let (coordinator, bench) = start(&setup, Some("echo again >> \"$0.starts\"; exit 1"));
    let run = submit(&coordinator, &bench, &DATES[..1]).remove(0);
    wait_until_why_says(&coordinator, &run, &["worker local-", "has ended (1)"]);
    let starts = bench.path("script.sh.starts");
    let started = std::time::Instant::now();
    wait_for("the fourth start", || {
        let said = std::fs::read_to_string(&starts).unwrap_or_default();
        (said.lines().count() >= 4).then_some(())
    });
    // Pauses of 1, 2 and 4 s, of which the first may have begun before.
    assert!(started.elapsed() > Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_configuration_that_is_wrong_ends_the_run_at_once() {
    let words = r#"{"reason":"model_digest","message":"the model is another one"}"#;
    let text = format!("echo '{words}' > \"$NIGHTSHIFT_TERMINATION_LOG\"; exit 78");
    let (coordinator, bench) = start(&Setup::default(), Some(&text));
    let run = submit(&coordinator, &bench, &DATES[..1]).remove(0);
    let verdict = ends(&bench, DATES[0], 1, "failed");
    assert_eq!(verdict["quarantined"][0]["reason"], "model_digest", "{verdict}");
    wait_until_why_says(&coordinator, &run, &["the model is another one"]);
    let text = report(&bench, DATES[0]);
    assert!(text.stdout.contains("the model is another one"), "{text}");
}

#[test]
fn a_worker_program_that_is_missing_is_named_and_waited_for() {
    let setup = Setup { rows_per_second: 100_000, ..Setup::default() };
    let (coordinator, bench) = start(&setup, None);
    let program = bench.path("script.sh");
    let elsewhere = bench.path("moved.sh");
    std::fs::rename(&program, &elsewhere).unwrap();
    let run = submit(&coordinator, &bench, &DATES[..1]).remove(0);
    let words = ["script.sh cannot be started", "name it with --worker-program"];
    wait_until_why_says(&coordinator, &run, &words);
    std::fs::rename(&elsewhere, &program).unwrap();
    ends(&bench, DATES[0], 1, "succeeded");
}

#[test]
fn what_a_spec_says_about_pods_is_ignored_with_a_word() {
    let workers = ", image: \"w:new\", resources: { limits: { memory: 2Gi } }";
    let setup = Setup { workers, rows_per_second: 100_000, ..Setup::default() };
    let (coordinator, bench) = start(&setup, None);
    submit(&coordinator, &bench, &DATES[..1]);
    ends(&bench, DATES[0], 1, "succeeded");
    let said = coordinator.said();
    let word = "spec.workers has settings for pods, which --launch local does not use";
    assert_eq!(said.matches(word).count(), 1, "{said}");
    assert!(said.contains("\"ignored\":\"image, resources\""), "{said}");
}
