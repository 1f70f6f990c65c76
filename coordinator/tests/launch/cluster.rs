//! A Kubernetes, a launcher in it, and a run that wants workers.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};
use nightshift_coordinator::desk::RunFacts;
use nightshift_coordinator::launch::kube::{KubeLauncher, KubeSettings, connect};
use nightshift_coordinator::launch::{Batches, LaunchError, Launcher, Leftover, Sighting, Wanted};
use nightshift_core::ids::{Digest, RunId};
use nightshift_core::plan::{ModelIdentity, Outline, OutputFormat, Plan, TaskSettings};
use nightshift_core::spec::Workers;
use nightshift_manifests::JobTemplate;
use nightshift_tests::kubernetes::Kubernetes;
use nightshift_tests::waiting::{PATIENCE, wait_until};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const RUN: &str = "flights-2013-01-01-g1";
const TEMPLATE: &str = include_str!("../../../deploy/base/worker-job.yaml");

/// Everything that a test of the launcher needs.
pub(crate) struct Cluster {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) launcher: Arc<KubeLauncher>,
    pub(crate) seen: mpsc::Receiver<Sighting>,
    client: Client,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let kubernetes = Kubernetes::start();
        // These tests say themselves what becomes of Jobs and pods.
        kubernetes.pause_controllers(true);
        let client = client(&kubernetes).await;
        let (launcher, seen) = launcher(client.clone());
        Self { kubernetes, launcher, seen, client }
    }

    /// Another life of the launcher, which remembers nothing.
    pub(crate) fn restart(&mut self) {
        (self.launcher, self.seen) = launcher(self.client.clone());
    }

    /// Converges as often as it takes.
    pub(crate) async fn converge(&self, wanted: &Wanted) -> u32 {
        let converging = async || self.launcher.converge(wanted).await.ok();
        wait_until("the launcher converges", converging).await
    }

    /// The error that converging ends with.
    pub(crate) async fn refused(&self, wanted: &Wanted) -> LaunchError {
        let answer = tokio::time::timeout(PATIENCE, self.launcher.converge(wanted)).await;
        answer.expect("an answer comes").expect_err("nothing is launched")
    }

    /// Says that the run is over, as often as it takes until nothing is left.
    pub(crate) async fn tidy(&self) {
        wait_until("the run is tidied up", async || {
            let left = self.launcher.over(&run()).await;
            matches!(left, Ok(Leftover::None)).then_some(())
        })
        .await;
    }

    /// The next sighting that is `wanted`; others are passed over.
    pub(crate) async fn sighted<T>(&mut self, mut wanted: impl FnMut(Sighting) -> Option<T>) -> T {
        let looking = async {
            loop {
                let sighting = self.seen.recv().await.expect("the launcher lives");
                if let Some(found) = wanted(sighting) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("it is sighted")
    }

    /// The host, the reason and the message of the next worker that is gone.
    pub(crate) async fn worker_gone(&mut self) -> (String, String, String) {
        self.sighted(|sighting| match sighting {
            Sighting::WorkerGone { host, reason, message, .. } => Some((host, reason, message)),
            _ => None,
        })
        .await
    }

    /// The next notice that says something.
    pub(crate) async fn noticed(&mut self) -> String {
        self.sighted(|sighting| match sighting {
            Sighting::Noticed { text, .. } if !text.is_empty() => Some(text),
            _ => None,
        })
        .await
    }

    /// The reason for which the run cannot go on.
    pub(crate) async fn ended(&mut self) -> String {
        self.sighted(|sighting| match sighting {
            Sighting::CannotGoOn { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    /// The same, while the run is compared whenever something has changed, as a coordinator does.
    pub(crate) async fn ended_while_compared(&mut self, wanted: &Wanted) -> String {
        loop {
            let seen = self.sighted(|sighting| match sighting {
                Sighting::CannotGoOn { reason, .. } => Some(Some(reason)),
                Sighting::Changed { .. } => Some(None),
                _ => None,
            });
            if let Some(reason) = seen.await {
                return reason;
            }
            self.converge(wanted).await;
        }
    }

    pub(crate) fn job(&self) -> Option<Value> {
        self.kubernetes.get("jobs", NAMESPACE, RUN)
    }

    /// Makes a pod of the Job, as its controller does, with this status.
    pub(crate) async fn add_pod(&self, index: u32, status: Value) -> String {
        let job = self.job().expect("there is a Job");
        let name = format!("{RUN}-{index}-abcde");
        let template = &job["spec"]["template"];
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": template["metadata"].clone(), "spec": template["spec"].clone(),
        });
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "batch/v1", "kind": "Job", "name": RUN,
            "uid": job["metadata"]["uid"], "controller": true,
        }]);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        pods.create(&Default::default(), &pod).await.unwrap();
        self.set_status("pods", &name, status);
        name
    }

    /// Sets the status of an object, as a controller or a node does.
    pub(crate) fn set_status(&self, plural: &str, name: &str, status: Value) {
        let there = self.kubernetes.change(plural, NAMESPACE, name, |object| {
            object["status"] = status;
        });
        assert!(there, "there is no {name}");
    }
}

pub(crate) async fn client(kubernetes: &Kubernetes) -> Client {
    connect(Some(&kubernetes.kubeconfig())).await.unwrap().0
}

fn launcher(client: Client) -> (Arc<KubeLauncher>, mpsc::Receiver<Sighting>) {
    KubeLauncher::start(
        client,
        KubeSettings {
            namespace: NAMESPACE.to_owned(),
            template: JobTemplate::parse("worker-job.yaml", TEMPLATE).unwrap(),
            image: None,
            advertise: "http://coordinator:7070".to_owned(),
            grace: Duration::from_millis(50),
            batches: Batches::default(),
        },
    )
}

pub(crate) fn run() -> RunId {
    RUN.parse().unwrap()
}

/// A run that wants up to four workers for `undecided` shards, of which `busy` hold leases.
pub(crate) fn wanted(undecided: u64, busy: &[&str]) -> Wanted {
    wanted_with(undecided, busy, Workers { parallelism: 4, ..Workers::default() })
}

pub(crate) fn wanted_with(undecided: u64, busy: &[&str], workers: Workers) -> Wanted {
    let parallelism = workers.parallelism;
    let plan = Plan {
        version: Plan::VERSION,
        run: run(),
        planned_at: "2013-01-02T00:00:00Z".parse().unwrap(),
        fingerprint: Digest([9; 32]),
        model: ModelIdentity {
            uri: "/model".to_owned(),
            version: None,
            pinned: None,
            digest: Digest([8; 32]),
            files: Vec::new(),
        },
        task: TaskSettings {
            onnx: None,
            kind: "tabular".to_owned(),
            id: Vec::new(),
            keep: Vec::new(),
            output_format: OutputFormat::Parquet,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 1,
            text: None,
            generate: None,
        },
        inputs: Vec::new(),
        rows: 0,
        shards: Vec::new(),
        inherits: None,
        workers: Some(workers),
        window: None,
        gate: None,
        reporting: None,
    };
    let facts = RunFacts {
        outline: Arc::new(Outline::of(&plan)),
        output_root: "/data/out".to_owned(),
        plan_digest: Digest([7; 32]),
    };
    let busy = busy.iter().map(|host| (*host).to_owned()).collect();
    Wanted { facts: Arc::new(facts), parallelism, undecided, closed: false, busy }
}

/// A container `worker` that has ended.
pub(crate) fn exited(code: i32, reason: &str) -> Value {
    json!({ "phase": "Failed", "containerStatuses": [{
        "name": "worker", "image": "w", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": code, "reason": reason } },
    }] })
}

/// A condition of a Job or a pod that holds.
pub(crate) fn condition(kind: &str, reason: &str, message: &str) -> Value {
    let now = Timestamp::now().to_string();
    json!({ "conditions": [{
        "type": kind, "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": now,
    }] })
}
