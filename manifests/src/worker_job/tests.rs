use nightshift_core::spec::Workers;
use serde_json::json;

use super::*;

const TEMPLATE: &str = include_str!("../../../deploy/base/worker-job.yaml");

fn job(workers: &Workers) -> Result<Value, InvalidOrder> {
    let template = JobTemplate::parse("worker-job.yaml", TEMPLATE).unwrap();
    let order = JobOrder {
        run: "flights-2013-01-31-g1".parse().unwrap(),
        slots: 4,
        workers,
        coordinator_url: "http://nightshift-coordinator:7070".to_owned(),
        owner: None,
        image: None,
    };
    worker_job(&template, &order)
}

fn with_overlay(overlay: Value) -> Workers {
    Workers { pod_template: serde_json::from_value(overlay).unwrap(), ..Workers::default() }
}

#[test]
fn a_job_has_slots_and_says_its_run() {
    let job = job(&Workers::default()).unwrap();
    assert_eq!(job["metadata"]["name"], "flights-2013-01-31-g1");
    assert_eq!(job["spec"]["completions"], 4);
    assert_eq!(job["spec"]["parallelism"], 4);
    let worker = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(worker["args"][5], "flights-2013-01-31-g1");
}

#[test]
fn what_a_run_needs_cannot_be_overlaid() {
    let overlay = json!({ "spec": { "restartPolicy": "OnFailure" } });
    let error = job(&with_overlay(overlay)).unwrap_err();
    insta::assert_snapshot!(error, @"spec.workers.podTemplate.spec.restartPolicy can only be `Never`; remove it: a worker that ends is replaced by its Job");
}
