//! What keeps pods from coming or from starting: it is explained, and once it is mended the run
//! goes on by itself, with the coordinator that it has.

use nightshift_tests::binaries;
use nightshift_tests::kubernetes::faults::{Fault, Seen};
use nightshift_tests::kubernetes::node::processes::NO_ROOM;
use nightshift_tests::kubernetes::object;
use nightshift_tests::waiting::wait_for;

use crate::stage::{DATES, NAMESPACE, Setup, Stage, WORKER_IMAGE};

const FAST: u64 = 100_000;

fn quick() -> Setup {
    Setup { dates: 5, shards: 2, rows_per_second: FAST, ..Setup::default() }
}

#[test]
fn pods_that_are_refused_are_explained_and_come_once_they_are_not() {
    let mut stage = Stage::start(&quick());
    let obstacles = [
        (
            Seen::pod_security(),
            "Pod Security of the namespace refuses them",
            "violates PodSecurity \"restricted:latest\"",
        ),
        (
            Seen::exceeded_quota(),
            "the quota of the namespace is used up",
            "exceeded quota: compute",
        ),
        (
            Seen::webhook_denial("not on Sundays"),
            "an admission webhook refuses them",
            "denied the request: not on Sundays",
        ),
    ];
    let count = obstacles.len();
    for (date, (seen, words, kubernetes)) in DATES.iter().zip(obstacles) {
        stage.kubernetes.faults().add(Fault::on("create", "pods", seen));
        let run = stage.submit(&[date]).remove(0);
        stage.wait_until_why_says(&run, &["gets no pods", words, kubernetes]);
        assert_eq!(stage.pods(&run).len(), 0);
        let events = stage.events(&run, "job-controller");
        assert!(events.iter().any(|(reason, _)| reason == "FailedCreate"), "{events:?}");
        stage.kubernetes.faults().clear();
        stage.ends(date, 1, "succeeded");
    }
    stage.is_sound(u32::try_from(count).unwrap());
}

#[test]
fn a_job_that_is_refused_is_explained_and_comes_once_it_is_not() {
    let mut stage = Stage::start(&quick());
    let obstacles = [
        (Seen::exceeded_quota(), "exceeded quota: compute"),
        (Seen::webhook_denial("not on Sundays"), "denied the request: not on Sundays"),
    ];
    let count = obstacles.len();
    for (date, (seen, kubernetes)) in DATES.iter().zip(obstacles) {
        stage.kubernetes.faults().add(Fault::on("patch", "jobs", seen));
        let run = stage.submit(&[date]).remove(0);
        stage.wait_until_why_says(&run, &["does not allow to make a Job", kubernetes]);
        assert_eq!(stage.job(&run), None);
        stage.kubernetes.faults().clear();
        stage.ends(date, 1, "succeeded");
    }
    stage.is_sound(u32::try_from(count).unwrap());
}

#[test]
fn pods_that_cannot_start_are_explained_and_start_once_they_can() {
    let mut stage = Stage::start(&quick());
    stage.kubernetes.set_room(0);
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_until_why_says(&run, &["2 pods alike", "fits on no node", NO_ROOM]);
    stage.wait_for_event(&run, "Unschedulable", NO_ROOM);
    let status = stage.operator(&["status", &run]).run().expect(0);
    let said: Vec<&str> = status.stdout.split_whitespace().collect();
    assert!(said.join(" ").contains("fits on no node"), "status does not say it: {status}");
    stage.kubernetes.set_room(usize::MAX);
    stage.ends(DATES[0], 1, "succeeded");
    let spec = std::fs::read_to_string(stage.bench.spec()).unwrap();
    stage.bench.write_spec(&spec.replace("parallelism: 2", "parallelism: 2, image: \"w:new\""));
    let run = stage.submit(&DATES[1..2]).remove(0);
    let words = ["cannot pull the image w:new of worker", "ErrImagePull: w:new: not found"];
    stage.wait_until_why_says(&run, &words);
    stage.wait_for_event(&run, "ImagePull", words[0]);
    stage.kubernetes.add_image("w:new", binaries::nightshift_worker());
    stage.ends(DATES[1], 1, "succeeded");
    stage.is_sound(2);
    let status = stage.operator(&["status", &run]).run().expect(0);
    assert!(!status.stdout.contains("cannot pull"), "it is still said: {status}");
}

#[test]
fn a_job_of_kueue_waits_for_its_queue_and_runs_when_it_may() {
    let workers = ", podTemplate: { metadata: { labels: { kueue.x-k8s.io/queue-name: night } } }";
    let mut stage = Stage::start(&Setup { workers, ..quick() });
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_until_why_says(&run, &["waits in the Kueue queue night"]);
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Suspended").is_some());
    assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "night");
    assert_eq!(stage.pods(&run).len(), 0);
    // Kueue admits it, and gives it fewer pods than it asked for.
    let patch = r#"{"spec":{"suspend":false,"parallelism":1}}"#;
    let words = ["patch", "job", &run, "-n", NAMESPACE, "--type=merge", "-p", patch];
    stage.kubernetes.kubectl(&words).expect(0);
    stage.ends(DATES[0], 1, "succeeded");
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Complete").is_some());
    assert_eq!(job["spec"]["completions"], 2, "it is not rescaled: {job}");
    assert_eq!(job["spec"]["parallelism"], 1, "it is not rescaled: {job}");
    stage.is_sound(1);
}

#[test]
fn workers_that_end_well_before_their_run_are_explained_and_come_ever_more_slowly() {
    let mut stage = Stage::start(&quick());
    // A program that ends well at once, as an image with another entry point does.
    stage.add_script(WORKER_IMAGE, "exit 0");
    let run = stage.submit(&DATES[..1]).remove(0);
    let first = stage.wait_for_job(&run, |_| true);
    let words = ["end with exit code 0 although their run is not over", "check their image"];
    stage.wait_until_why_says(&run, &words);
    wait_for("another Job", || {
        let job = stage.job(&run)?;
        (object::uid(&job) != object::uid(&first)).then_some(())
    });
    stage.kubernetes.add_image(WORKER_IMAGE, binaries::nightshift_worker());
    stage.ends(DATES[0], 1, "succeeded");
    stage.is_sound(1);
}
