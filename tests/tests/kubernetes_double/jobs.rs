//! The rules of the Job controller, one step at a time, without threads or a server.

use std::time::Duration;

use nightshift_tests::kubernetes::clock::Clock;
use nightshift_tests::kubernetes::faults::{Fault, Faults, Seen};
use nightshift_tests::kubernetes::jobs::Jobs;
use nightshift_tests::kubernetes::node::PodState;
use nightshift_tests::kubernetes::resource::Resource;
use nightshift_tests::kubernetes::store::{Key, Store};
use nightshift_tests::kubernetes::{defaults, object};
use serde_json::{Value, json};

const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Longer than any pause after failures.
const PAUSE: Duration = Duration::from_secs(10);

/// A Job and its controller.
struct Scene {
    store: Store,
    jobs: Jobs,
    faults: Faults,
    clock: Clock,
}

fn key(plural: &str, name: &str) -> Key {
    Store::key(Resource::named(plural), "default", name)
}

fn exited(code: i64) -> PodState {
    PodState::Exited(code, String::new())
}

impl Scene {
    /// An Indexed Job with `slots` indexes, whose spec has `more` fields.
    fn start(slots: u64, more: &Value) -> Self {
        let clock = Clock::standing();
        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": "job", "namespace": "default" },
            "spec": {
                "completionMode": "Indexed", "completions": slots, "parallelism": slots,
                "template": { "spec": {
                    "restartPolicy": "Never",
                    "initContainers": [{ "name": "sidecar", "image": "s:1", "restartPolicy": "Always" }],
                    "containers": [{ "name": "worker", "image": "w:1" }],
                } },
            },
        });
        let spec = object::map(&mut job["spec"]);
        spec.extend(more.as_object().unwrap().clone());
        defaults::fill(Resource::named("jobs"), &mut job);
        let mut store = Store::new(clock.clone());
        store.add(key("jobs", "job"), job);
        let mut new = Self { store, jobs: Jobs::default(), faults: Faults::default(), clock };
        new.step();
        new
    }

    /// Has the controllers do all that is to be done now.
    fn step(&mut self) {
        loop {
            let before = self.store.revision();
            self.jobs.step(&mut self.store, &self.faults);
            self.store.collect_garbage();
            self.store.end_unscheduled();
            if self.store.revision() == before {
                return;
            }
        }
    }

    /// As [`Self::step`], after every pause is over.
    fn step_later(&mut self) {
        self.clock.advance(PAUSE);
        self.step();
    }

    fn job(&self) -> &Value {
        self.store.get(&key("jobs", "job")).unwrap()
    }

    /// The pods that have not ended, in order of their indexes.
    fn pods(&self) -> Vec<Value> {
        let pods = self.store.list("pods", None).map(|(_, pod)| pod.clone());
        let over =
            |pod: &Value| ["Succeeded", "Failed"].map(Into::into).contains(&pod["status"]["phase"]);
        let mut pods: Vec<Value> = pods.filter(|pod| !over(pod)).collect();
        pods.sort_by_key(|pod| index_of(pod).to_owned());
        pods
    }

    fn indexes(&self) -> Vec<String> {
        self.pods().iter().map(|pod| index_of(pod).to_owned()).collect()
    }

    /// Puts the pod of an index that has not ended into a state, and goes on.
    fn put(&mut self, index: &str, state: &PodState) {
        let pods = self.pods();
        let pod = pods.iter().find(|pod| index_of(pod) == index).expect("a pod with that index");
        let now = self.clock.stamp();
        self.store.change(&key("pods", object::name(pod)), |pod| state.put(pod, &now));
        self.step();
    }

    fn change(&mut self, change: impl FnOnce(&mut Value)) {
        self.store.change(&key("jobs", "job"), change);
        self.step();
    }

    /// The reason of a condition that holds.
    fn reason(&self, condition: &str) -> Option<&str> {
        object::condition(self.job(), condition).map(|one| object::text(one, "/reason"))
    }

    fn status(&self, field: &str) -> &Value {
        &self.job()["status"][field]
    }
}

fn index_of(pod: &Value) -> &str {
    object::annotation(pod, INDEX).unwrap()
}

#[test]
fn a_pod_knows_its_index_and_its_job() {
    let scene = Scene::start(2, &json!({ "backoffLimitPerIndex": 3 }));
    let pod = &scene.pods()[1];
    assert!(object::name(pod).starts_with("job-1-"), "{pod}");
    assert_eq!(pod["spec"]["hostname"], "job-1");
    assert_eq!(object::label(pod, INDEX), Some("1"));
    assert_eq!(object::annotation(pod, "batch.kubernetes.io/job-index-failure-count"), Some("0"));
    assert!(object::has_finalizer(pod, "batch.kubernetes.io/job-tracking"));
    assert_eq!(object::controller(pod).unwrap()["uid"], scene.job()["metadata"]["uid"]);
    for list in ["initContainers", "containers"] {
        let variable = &pod["spec"][list][0]["env"][0];
        assert_eq!(variable["name"], "JOB_COMPLETION_INDEX", "{pod}");
        let path = format!("metadata.labels['{INDEX}']");
        assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], path);
    }
}

#[test]
fn an_index_that_fails_too_often_is_given_up_and_the_others_go_on() {
    let mut scene = Scene::start(2, &json!({ "backoffLimitPerIndex": 1 }));
    scene.put("1", &exited(1));
    assert_eq!(scene.indexes(), ["0"], "there is a pause after a failure");
    scene.step_later();
    let again = &scene.pods()[1];
    assert_eq!(object::annotation(again, "batch.kubernetes.io/job-index-failure-count"), Some("1"));
    scene.put("1", &exited(1));
    scene.step_later();
    assert_eq!(scene.indexes(), ["0"]);
    assert_eq!((scene.status("failedIndexes"), scene.status("failed")), (&json!("1"), &json!(2)));
    assert_eq!(scene.reason("Failed"), None);
    scene.put("0", &exited(0));
    assert_eq!(scene.reason("Failed"), Some("FailedIndexes"));
    assert_eq!(scene.status("completedIndexes"), "0");
}

#[test]
fn too_many_failed_indexes_end_the_job() {
    let mut scene = Scene::start(3, &json!({ "backoffLimitPerIndex": 0, "maxFailedIndexes": 1 }));
    scene.put("0", &exited(1));
    assert_eq!(scene.indexes(), ["1", "2"]);
    scene.put("1", &exited(1));
    assert_eq!(scene.reason("Failed"), Some("MaxFailedIndexesExceeded"));
    assert_eq!(scene.indexes(), [""; 0]);
}

#[test]
fn without_limits_for_indexes_failures_count_for_the_whole_job() {
    let mut scene = Scene::start(2, &json!({ "backoffLimit": 1 }));
    scene.put("0", &exited(1));
    scene.step_later();
    assert_eq!(scene.indexes(), ["0", "1"]);
    scene.put("1", &exited(1));
    assert_eq!(scene.reason("Failed"), Some("BackoffLimitExceeded"));
}

#[test]
fn the_failure_policy_says_what_counts() {
    let on_codes = |action: &str, codes: &[i64]| {
        json!({ "action": action, "onExitCodes":
            { "containerName": "worker", "operator": "In", "values": codes } })
    };
    let rules = json!([
        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
        on_codes("Ignore", &[75]),
        on_codes("FailJob", &[78]),
        on_codes("FailIndex", &[42]),
        on_codes("Count", &[1]),
    ]);
    let start = || {
        Scene::start(
            2,
            &json!({ "backoffLimitPerIndex": 5, "podFailurePolicy": { "rules": rules } }),
        )
    };
    for ignored in [exited(75), PodState::Evicted("low on memory".to_owned())] {
        let mut scene = start();
        scene.put("0", &ignored);
        scene.step_later();
        assert_eq!(scene.indexes(), ["0", "1"], "{ignored:?}");
        assert_eq!(scene.status("failed").as_i64().unwrap_or(0), 0, "{ignored:?}");
    }
    // No rule fits the last one, so it counts.
    for counted in [exited(1), exited(137)] {
        let mut scene = start();
        scene.put("0", &counted);
        scene.step_later();
        assert_eq!(scene.indexes(), ["0", "1"], "{counted:?}");
        assert_eq!(scene.status("failed"), 1, "{counted:?}");
    }
    let mut scene = start();
    scene.put("0", &exited(42));
    scene.step_later();
    assert_eq!(
        (scene.indexes(), scene.status("failedIndexes")),
        (vec!["1".to_owned()], &json!("0"))
    );
    let mut scene = start();
    scene.put("0", &exited(78));
    assert_eq!(scene.reason("Failed"), Some("PodFailurePolicy"));
    let words = object::text(object::condition(scene.job(), "Failed").unwrap(), "/message");
    assert!(
        words.ends_with("failed with exit code 78 matching FailJob rule at index 2"),
        "{words}"
    );
}

#[test]
fn a_pod_is_replaced_when_it_has_ended_or_when_it_is_told_to_end() {
    for (policy, awaited) in [("Failed", true), ("TerminatingOrFailed", false)] {
        let mut scene = Scene::start(1, &json!({ "podReplacementPolicy": policy }));
        scene.put("0", &PodState::Running);
        let pod = key("pods", object::name(&scene.pods()[0]));
        scene.store.discard(&pod);
        scene.step();
        scene.step_later();
        assert_eq!(scene.pods().len(), if awaited { 1 } else { 2 }, "{policy}");
        assert_eq!(scene.status("terminating"), 1, "{policy}");
        scene.store.discard_now(&pod);
        let now = scene.clock.stamp();
        scene.store.change(&pod, |pod| exited(143).put(pod, &now));
        scene.step();
        scene.step_later();
        assert_eq!(scene.indexes(), ["0"], "{policy}");
        assert_ne!(object::name(&scene.pods()[0]), pod.2, "{policy}");
    }
}

#[test]
fn one_success_may_be_enough_and_the_job_waits_for_the_pods_that_end() {
    let rules = json!({ "rules": [{ "succeededCount": 1 }] });
    let mut scene = Scene::start(3, &json!({ "successPolicy": rules }));
    scene.put("2", &PodState::Running);
    scene.put("1", &exited(0));
    assert_eq!(scene.reason("SuccessCriteriaMet"), Some("SuccessPolicy"));
    assert_eq!(scene.reason("Complete"), None, "a pod is still ending");
    assert_eq!(scene.indexes(), ["2"], "no node had the other one");
    scene.put("2", &exited(143));
    assert_eq!(scene.reason("Complete"), Some("SuccessPolicy"));
    assert_eq!(scene.status("completedIndexes"), "1");
}

#[test]
fn indexes_are_taken_from_the_top_and_come_back() {
    let mut scene = Scene::start(4, &json!({ "backoffLimitPerIndex": 3 }));
    let set = |slots: u64| {
        move |job: &mut Value| {
            job["spec"]["completions"] = json!(slots);
            job["spec"]["parallelism"] = json!(slots);
        }
    };
    scene.put("3", &exited(0));
    assert_eq!(scene.status("succeeded"), 1);
    scene.change(set(2));
    assert_eq!(scene.indexes(), ["0", "1"]);
    assert_eq!(scene.status("succeeded"), 0, "its index is none any more");
    assert_eq!(scene.status("failed").as_i64().unwrap_or(0), 0, "it took them away itself");
    scene.change(set(3));
    assert_eq!(scene.indexes(), ["0", "1", "2"]);
    for index in ["0", "1", "2"] {
        scene.put(index, &exited(0));
    }
    assert_eq!(scene.reason("Complete"), Some("CompletionsReached"));
}

#[test]
fn a_suspended_job_has_no_pods_and_no_deadline() {
    let mut scene = Scene::start(2, &json!({ "suspend": true, "activeDeadlineSeconds": 60 }));
    let hour = Duration::from_secs(3_600);
    assert_eq!((scene.indexes().len(), scene.reason("Suspended")), (0, Some("JobSuspended")));
    scene.clock.advance(hour);
    scene.step();
    assert_eq!(scene.reason("Failed"), None);
    scene.change(|job| job["spec"]["suspend"] = json!(false));
    assert_eq!((scene.indexes().len(), scene.reason("Suspended")), (2, None));
    scene.change(|job| job["spec"]["suspend"] = json!(true));
    scene.clock.advance(hour);
    scene.change(|job| job["spec"]["suspend"] = json!(false));
    scene.step_later();
    assert_eq!((scene.indexes().len(), scene.reason("Failed")), (2, None));
    scene.clock.advance(hour);
    scene.step();
    assert_eq!(scene.reason("Failed"), Some("DeadlineExceeded"));
    assert_eq!(scene.indexes().len(), 0);
}

#[test]
fn a_job_goes_some_time_after_its_end_and_with_its_owner() {
    let mut scene = Scene::start(1, &json!({ "ttlSecondsAfterFinished": 60 }));
    scene.put("0", &exited(0));
    scene.clock.advance(Duration::from_secs(59));
    scene.step();
    assert_eq!(scene.store.list("pods", None).count(), 1);
    scene.clock.advance(Duration::from_secs(2));
    scene.step();
    for plural in ["jobs", "pods"] {
        assert_eq!(scene.store.list(plural, None).count(), 0, "{plural}");
    }
    let mut scene = Scene::start(1, &json!({}));
    scene.change(|job| {
        job["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "gone" }]);
    });
    for plural in ["jobs", "pods"] {
        assert_eq!(scene.store.list(plural, None).count(), 0, "{plural}");
    }
}

#[test]
fn pods_that_are_refused_are_tried_again() {
    let mut scene = Scene::start(1, &json!({ "suspend": true }));
    scene.faults.add(Fault::on("create", "pods", Seen::exceeded_quota()).times(1));
    scene.change(|job| job["spec"]["suspend"] = json!(false));
    assert_eq!(scene.indexes().len(), 0);
    let refused = scene.store.list("events", None).map(|(_, event)| event);
    let mut refused = refused.filter(|event| event["reason"] == "FailedCreate");
    let words = object::text(refused.next().unwrap(), "/message").to_owned();
    drop(refused);
    assert!(words.starts_with("Error creating: pods \"job-0-"), "{words}");
    assert!(words.contains("is forbidden: exceeded quota"), "{words}");
    scene.step_later();
    assert_eq!(scene.indexes(), ["0"]);
}
