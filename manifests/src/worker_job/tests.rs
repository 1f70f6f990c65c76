use nightshift_core::spec::Workers;
use serde_json::json;

use super::*;
use crate::yaml;

const TEMPLATE: &str = include_str!("../../../deploy/base/worker-job.yaml");

fn order<'a>(run: &str, workers: &'a Workers) -> JobOrder<'a> {
    JobOrder {
        run: run.parse().unwrap(),
        slots: 4,
        workers,
        coordinator_url: "http://nightshift-coordinator:7070".to_owned(),
        owner: None,
        needs_gpu: false,
        image: None,
    }
}

fn template(old: &str, new: &str) -> JobTemplate {
    assert!(TEMPLATE.contains(old), "{old}");
    JobTemplate::parse("worker-job.yaml", &TEMPLATE.replacen(old, new, 1)).unwrap()
}

fn job_of(order: &JobOrder<'_>) -> Result<Value, InvalidOrder> {
    worker_job(&JobTemplate::parse("worker-job.yaml", TEMPLATE).unwrap(), order)
}

fn job(workers: &Workers) -> Result<Value, InvalidOrder> {
    job_of(&order("flights-2013-01-31-g1", workers))
}

fn with_overlay(overlay: Value) -> Workers {
    Workers { pod_template: serde_json::from_value(overlay).unwrap(), ..Workers::default() }
}

fn worker_of(job: &Value) -> &Value {
    let containers = job["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().find(|container| container["name"] == "worker").unwrap()
}

#[test]
fn plain() {
    insta::assert_snapshot!(yaml::text(&job(&Workers::default()).unwrap()));
}

#[test]
fn with_an_overlay() {
    let mut workers = with_overlay(json!({
        "metadata": { "annotations": { "team": "pricing" } },
        "spec": {
            "nodeSelector": { "pool": "batch" },
            "containers": [{ "name": "worker", "env": [{ "name": "AWS_REGION", "value": "eu-west-1" }] }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "big" } }],
        },
    }));
    workers.image = Some("registry.example/worker:7".to_owned());
    workers.resources =
        Some(serde_json::from_value(json!({ "limits": { "memory": "4Gi" } })).unwrap());
    let mut order = order("flights-2013-01-31-g1", &workers);
    order.image = Some("registry.example/ignored:1".to_owned());
    order.owner = Some(Owner {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "flights-2013-01-31-g1".to_owned(),
        uid: "6f3c1f0a-0000-4000-8000-000000000000".to_owned(),
    });
    insta::assert_snapshot!(yaml::text(&job_of(&order).unwrap()));
}

#[test]
fn with_kueue() {
    let labels = json!({
        "kueue.x-k8s.io/queue-name": "nightly", "kueue.x-k8s.io/priority-class": "low", "team": "a",
    });
    let workers = with_overlay(json!({ "metadata": { "labels": labels } }));
    insta::assert_snapshot!(yaml::text(&job(&workers).unwrap()));
}

#[test]
fn with_a_long_name() {
    let run = format!("{}-2013-01-31-g4294967295", "a".repeat(45));
    let job = job_of(&order(&run, &Workers::default())).unwrap();
    insta::assert_snapshot!(yaml::text(&job["metadata"]));
    assert_eq!(worker_of(&job)["args"][3], run);
}

#[test]
fn a_queue_in_the_template_suspends_too() {
    let template = template("  labels:", "  labels:\n    kueue.x-k8s.io/queue-name: nightly");
    let job = worker_job(&template, &order("f-all-g1", &Workers::default())).unwrap();
    assert_eq!(job["spec"]["suspend"], true);
}

#[test]
fn labels_of_kueue_without_a_queue_suspend_nothing() {
    let labels = json!({ "kueue.x-k8s.io/priority-class": "low" });
    let job = job(&with_overlay(json!({ "metadata": { "labels": labels } }))).unwrap();
    assert_eq!(job["spec"]["suspend"], Value::Null);
    assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"], "low");
}

#[test]
fn the_image_of_the_spec_comes_before_the_coordinators() {
    let mut workers = Workers::default();
    let mut order = order("f-all-g1", &workers);
    order.image = Some("mirror/worker:1".to_owned());
    assert_eq!(worker_of(&job_of(&order).unwrap())["image"], "mirror/worker:1");
    workers.image = Some("mine:2".to_owned());
    let mut order = super::tests::order("f-all-g1", &workers);
    order.image = Some("mirror/worker:1".to_owned());
    assert_eq!(worker_of(&job_of(&order).unwrap())["image"], "mine:2");
}

#[test]
fn a_task_for_a_gpu_gets_one_unless_the_spec_names_its_own() {
    let resources = |limits: Option<Value>| {
        let resources =
            limits.map(|limits| serde_json::from_value(json!({ "limits": limits })).unwrap());
        let workers = Workers { resources, ..Workers::default() };
        let order = JobOrder { needs_gpu: true, ..order("f-all-g1", &workers) };
        worker_of(&job_of(&order).unwrap())["resources"].to_string()
    };
    insta::assert_snapshot!(resources(None), @r#"{"limits":{"memory":"1Gi","nvidia.com/gpu":1},"requests":{"cpu":"1","memory":"512Mi"}}"#);
    insta::assert_snapshot!(resources(Some(json!({ "memory": "8Gi" }))), @r#"{"limits":{"memory":"8Gi","nvidia.com/gpu":1},"requests":{"cpu":"1","memory":"8Gi"}}"#);
    insta::assert_snapshot!(resources(Some(json!({ "nvidia.com/mig-1g.10gb": 1 }))), @r#"{"limits":{"memory":"1Gi","nvidia.com/mig-1g.10gb":1},"requests":{"cpu":"1","memory":"512Mi"}}"#);
}

#[test]
fn what_a_run_needs_is_set_last() {
    let template = template("completions: 1", "completions: 77");
    let workers = with_overlay(json!({
        "metadata": { "labels": { "nightshift.dev/run": "another" } },
        "spec": { "containers": [{
            "name": "worker", "args": ["--workers", "2"],
            "env": [{ "name": "POD_NAME", "value": "mine", "valueFrom": null }],
        }] },
    }));
    let job = worker_job(&template, &order("f-all-g1", &workers)).unwrap();
    assert_eq!(job["spec"]["completions"], 4);
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["nightshift.dev/run"], "f-all-g1");
    let worker = worker_of(&job);
    let url = "http://nightshift-coordinator:7070";
    assert_eq!(
        worker["args"],
        json!(["--workers", "2", "--coordinator", url, "--run", "f-all-g1"])
    );
    let name = json!({
        "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } },
    });
    assert!(worker["env"].as_array().unwrap().contains(&name), "{worker}");
}

#[test]
fn the_sidecar_learns_who_gets_its_last_numbers() {
    let workers = with_overlay(json!({ "spec": { "initContainers": [{
        "name": "sidecar", "env": [{ "name": "NIGHTSHIFT_RUN", "value": "another" }],
    }] } }));
    let told = job(&workers).unwrap();
    let env = told["spec"]["template"]["spec"]["initContainers"][0]["env"].clone();
    let named = |name: &str| -> Vec<Value> {
        let all = env.as_array().unwrap().iter();
        all.filter(|variable| variable["name"] == name).cloned().collect()
    };
    let url =
        json!({ "name": "NIGHTSHIFT_COORDINATOR", "value": "http://nightshift-coordinator:7070" });
    assert_eq!(named("NIGHTSHIFT_COORDINATOR"), [url]);
    let [run] = &named("NIGHTSHIFT_RUN")[..] else { panic!("{env}") };
    assert_ne!(run["value"], "another");
    assert_eq!(named("POD_NAME").len(), 1);
    // A pod without it is no less a pod.
    let without = with_overlay(json!({ "spec": { "initContainers": [
        { "name": "sidecar", "$patch": "delete" },
    ] } }));
    assert!(!job(&without).unwrap().to_string().contains("NIGHTSHIFT_RUN"));
    let wrong = with_overlay(json!({ "spec": { "initContainers": [
        { "name": "sidecar", "env": { "A": "b" } },
    ] } }));
    insta::assert_snapshot!(job(&wrong).unwrap_err().to_string(), @"spec.template.spec.initContainers[sidecar].env of the worker Job is not a list; correct the job template or spec.workers.podTemplate");
}

#[test]
fn what_contradicts_a_run_is_refused() {
    let refused = |overlay| job(&with_overlay(overlay)).unwrap_err().to_string();
    let worker = |fields: Value| {
        let mut worker = json!({ "name": "worker" });
        worker.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "spec": { "containers": [worker] } })
    };
    insta::assert_snapshot!(refused(json!({ "spec": { "restartPolicy": "OnFailure" } })), @"spec.workers.podTemplate.spec.restartPolicy can only be `Never`; remove it: a worker that ends is replaced by its Job");
    insta::assert_snapshot!(refused(json!({ "nodeSelector": { "a": "b" } })), @"spec.workers.podTemplate.nodeSelector is no field of a pod template; put it below `spec` or `metadata`");
    insta::assert_snapshot!(refused(json!({ "spec": { "containers": null } })), @"spec.template.spec.containers of the worker Job is not a list; correct the job template or spec.workers.podTemplate");
    insta::assert_snapshot!(refused(worker(json!({ "$patch": "delete" }))), @"no container of the worker Job is named `worker`; leave it in spec.workers.podTemplate");
    insta::assert_snapshot!(refused(worker(json!({ "args": ["--run=another"] }))), @"the worker's args have `--run`, which the coordinator adds; remove it from the job template or spec.workers.podTemplate");
    insta::assert_snapshot!(refused(worker(json!({ "args": "--run" }))), @"spec.template.spec.containers[worker].args of the worker Job is not a list; correct the job template or spec.workers.podTemplate");
    insta::assert_snapshot!(refused(worker(json!({ "env": { "A": "b" } }))), @"spec.template.spec.containers[worker].env of the worker Job is not a list; correct the job template or spec.workers.podTemplate");
    insta::assert_snapshot!(refused(json!({ "metadata": { "labels": ["a"] } })), @"metadata.labels of the worker Job is not a map; correct the job template or spec.workers.podTemplate");
    insta::assert_snapshot!(refused(json!({ "spec": "small" })), @"spec.template.spec of the worker Job is not a map; correct the job template or spec.workers.podTemplate");
    let workers = Workers::default();
    for slots in [0, 10_001] {
        let order = JobOrder { slots, ..order("f-all-g1", &workers) };
        assert_eq!(job_of(&order), Err(InvalidOrder::Slots { slots }));
    }
}

#[test]
fn scaling_touches_the_two_numbers_alone() {
    insta::assert_snapshot!(yaml::text(&scale_patch(3, false)));
    assert_eq!(scale_patch(3, true)["spec"]["suspend"], true);
}

#[test]
fn the_config_map_tells_of_the_run() {
    let facts = RunFacts {
        run: "flights-2013-01-31-g1".parse().unwrap(),
        output: "/data/out".to_owned(),
        shards: 200,
        rows: 1_000_000,
        model_version: Some("v3".to_owned()),
        model_digest: Some(nightshift_core::ids::Digest([7; 32])),
    };
    insta::assert_snapshot!(yaml::text(&run_config_map(&facts)));
}
