//! An API server that is away, slow or silent: workers go on, and what was missed is found out.

use std::time::Duration;

use nightshift_tests::kubernetes::faults::{Fault, Seen};
use nightshift_tests::kubernetes::object;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;

use crate::stage::{DATES, FOREVER, NAMESPACE, SLOW, Setup, Stage, run_of};

#[test]
fn work_goes_on_while_the_api_server_is_away() {
    let setup = Setup { dates: 2, lease_ttl: FOREVER, shards: 20, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    let run = stage.submit(&DATES[..1]).remove(0);
    let (pod, _) = stage.scoring_pod(&run);
    stage.kubernetes.go_away();
    // Submitted meanwhile: it is planned, and its Job comes when it can.
    let later = stage.submit(&DATES[1..2]).remove(0);
    stage.wait_until_why_says(&later, &["Kubernetes cannot be asked to read a Job"]);
    let before = store::recorded(&stage.output(), &run).len();
    stage.wait_for_records(&run, before + 2);
    // What nobody can see now must be seen later: no lease is freed by its time.
    stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
    wait_for("the pod is dead", || {
        let pod = stage.kubernetes.get("pods", NAMESPACE, &pod);
        pod.is_none_or(|pod| pod["status"]["phase"] == "Failed").then_some(())
    });
    stage.kubernetes.compact();
    stage.kubernetes.come_back();
    for (date, run) in DATES.iter().zip([&run, &later]) {
        stage.ends(date, 1, "succeeded");
        stage.wait_for_job(run, |job| object::condition(job, "Complete").is_some());
    }
    assert_eq!(stage.kubernetes.list("jobs", NAMESPACE).len(), 2);
    stage.is_sound(2);
}

#[test]
fn watches_that_end_expire_or_forget_begin_again() {
    let mut stage = Stage::start(&Setup { lease_ttl: FOREVER, shards: 20, ..Setup::default() });
    let run = stage.submit(&DATES[..1]).remove(0);
    let faults = stage.kubernetes.faults();
    for kill in 0..3 {
        let (pod, _) = stage.scoring_pod(&run);
        match kill {
            0 => stage.kubernetes.drop_watches(),
            1 => {
                faults.add(Fault::on("watch", "*", Seen::WatchExpired).times(3));
                stage.kubernetes.drop_watches();
            }
            _ => {
                stage.kubernetes.drop_watches();
                stage.kubernetes.compact();
            }
        }
        stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
        stage.wait_until_why_says(&run, &[&pod, "its limit of 1Gi"]);
    }
    stage.ends(DATES[0], 1, "succeeded");
    stage.is_sound(1);
}

#[test]
fn a_watch_that_is_never_answered_is_given_up_and_begun_again() {
    // Ten seconds for each shard, so that the run outlives the silence.
    let rows_per_second = SLOW / 20;
    let setup = Setup { lease_ttl: FOREVER, shards: 20, rows_per_second, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    let run = stage.submit(&DATES[..1]).remove(0);
    let (pod, _) = stage.scoring_pod(&run);
    stage.kubernetes.faults().add(Fault::on("watch", "*", Seen::Silence));
    stage.kubernetes.drop_watches();
    wait_for("four watches that wait", || (stage.kubernetes.faults().hits() >= 4).then_some(()));
    stage.kubernetes.faults().clear();
    stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
    stage.wait_for_event(&run, "OomKilled", &pod);
    stage.operator(&["cancel", &run, "--yes"]).run().expect(0);
    wait_for("the verdict", || store::verdict(&stage.output(), DATES[0], 1));
    stage.is_sound(1);
}

#[test]
fn conflicts_and_slow_answers_only_cost_time() {
    let mut stage = Stage::start(&Setup { shards: 4, ..Setup::default() });
    let faults = stage.kubernetes.faults();
    faults.add(Fault::on("patch", "jobs", Seen::conflict()).times(2));
    faults.add(Fault::on("patch", "configmaps", Seen::timeout()).happens().times(1));
    // The Job is made, but nobody says so.
    faults.add(Fault::on("patch", "jobs", Seen::Reset).happens().times(1));
    faults.add(Fault::on("*", "jobs", Seen::Late(Duration::from_millis(300))));
    stage.submit(&DATES[..1]);
    stage.ends(DATES[0], 1, "succeeded");
    let jobs = stage.kubernetes.list("jobs", NAMESPACE);
    assert_eq!(jobs.len(), 1);
    assert_eq!(object::name(&jobs[0]), run_of(DATES[0]));
    stage.is_sound(1);
}
