//! A cluster with a coordinator in it, over the flights of some dates.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries;
use nightshift_tests::coordinator::{Coordinator, Options};
use nightshift_tests::kubernetes::{Kubernetes, object};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{log, store};
use serde_json::Value;

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const DATES: [&str; 5] =
    ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05"];
pub(crate) const WORKER_IMAGE: &str = "ghcr.io/nightshift-dev/nightshift-worker:0.1.0";
const SIDECAR_IMAGE: &str = "ghcr.io/nightshift-dev/nightshift-sidecar:0.1.0";
/// Rows of a shard.
const SHARD_ROWS: u64 = 40;
/// Half a second for each shard.
pub(crate) const SLOW: u64 = 80;
/// A lease that outlives every test: nothing but the watch of pods can free it.
pub(crate) const FOREVER: Duration = Duration::from_secs(600);

/// The first run of a date.
pub(crate) fn run_of(date: &str) -> String {
    format!("flights-{date}-g1")
}

/// How a stage is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// How many of [`DATES`] have input.
    pub(crate) dates: usize,
    /// Shards of each date.
    pub(crate) shards: u64,
    /// `spec.workers.parallelism`.
    pub(crate) parallelism: u32,
    /// `spec.retries.crashes`, where it is not the default.
    pub(crate) crashes: Option<u32>,
    /// What else stands in `spec.workers`, as YAML in one line.
    pub(crate) workers: &'static str,
    /// `--max-rows-per-second` of the workers.
    pub(crate) rows_per_second: u64,
    /// `--lease-ttl`.
    pub(crate) lease_ttl: Duration,
    /// Arguments of the coordinator beside those of every stage.
    pub(crate) arguments: &'static [&'static str],
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            dates: 1,
            shards: 8,
            parallelism: 2,
            crashes: None,
            workers: "",
            rows_per_second: SLOW,
            lease_ttl: Duration::from_secs(2),
            arguments: &[],
        }
    }
}

impl Setup {
    /// The folder with spec and input.
    pub(crate) fn bench(&self) -> Bench {
        let spec = SpecText {
            sharding: format!("count: {}", self.shards),
            crashes: self.crashes,
            ..SpecText::default()
        };
        let bench = Bench::dated(&spec, &DATES[..self.dates], self.shards * SHARD_ROWS);
        let mut text = std::fs::read_to_string(bench.spec()).unwrap();
        let Self { parallelism, workers, .. } = self;
        writeln!(text, "  workers: {{ parallelism: {parallelism}{workers} }}").unwrap();
        bench.write_spec(&text);
        bench
    }

    /// A coordinator that starts workers as `launch` says.
    pub(crate) fn coordinator(&self, bench: &Bench, launch: Vec<String>) -> Coordinator {
        let more = self.arguments.iter().map(|word| (*word).to_owned());
        let mut coordinator = Coordinator::start(Options {
            home: bench.path("home"),
            redis: None,
            lease_ttl: self.lease_ttl,
            heartbeat: (self.lease_ttl / 3).min(Duration::from_secs(1)),
            environment: Vec::new(),
            arguments: launch.into_iter().chain(more).collect(),
        });
        coordinator.wait_until_ready();
        coordinator
    }

    /// The job template of the base: with slow workers that say what they do, and sidecars that
    /// can live side by side, since all pods share a network here.
    fn template(&self) -> String {
        let base = binaries::repository().join("deploy/base/worker-job.yaml");
        let base = std::fs::read_to_string(base).unwrap();
        let rows = self.rows_per_second;
        let worker = "          image: ghcr.io/nightshift-dev/nightshift-worker:0.1.0\n";
        let arguments = format!(
            "{worker}          args: [--workers, \"1\", --max-rows-per-second, \"{rows}\"]\n"
        );
        let free = |name: &str| {
            format!("            - {{ name: NIGHTSHIFT_SIDECAR_{name}, value: \"127.0.0.1:0\" }}\n")
        };
        let sidecar = format!(
            "          restartPolicy: Always\n          env:\n{}{}",
            free("OTLP"),
            free("LISTEN")
        );
        let changes = [
            (worker, arguments.as_str()),
            ("          restartPolicy: Always\n          env:\n", sidecar.as_str()),
        ];
        changes.iter().fold(base, |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "the base has changed: {from}");
            text.replace(from, to)
        })
    }
}

/// Everything that runs.
pub(crate) struct Stage {
    /// The first one is there from the start.
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) bench: Bench,
}

impl Stage {
    /// A coordinator that is ready, in a cluster with one node. Nothing is submitted yet.
    pub(crate) fn start(setup: &Setup) -> Self {
        let bench = setup.bench();
        let kubernetes = Kubernetes::with_processes(BTreeMap::from([
            (WORKER_IMAGE.to_owned(), binaries::nightshift_worker()),
            (SIDECAR_IMAGE.to_owned(), binaries::nightshift_sidecar()),
        ]));
        let template = bench.path("worker-job.yaml");
        std::fs::write(&template, setup.template()).unwrap();
        let mut launch = vec!["--launch".to_owned(), "kube".to_owned()];
        for (flag, file) in
            [("--job-template", template), ("--kubeconfig", kubernetes.kubeconfig())]
        {
            launch.extend([flag.to_owned(), file.display().to_string()]);
        }
        let coordinators = vec![setup.coordinator(&bench, launch)];
        Self { coordinators, kubernetes, bench }
    }

    /// The first coordinator.
    pub(crate) fn coordinator(&mut self) -> &mut Coordinator {
        &mut self.coordinators[0]
    }

    /// An image that is a script.
    pub(crate) fn add_script(&self, image: &str, text: &str) {
        self.kubernetes.add_image(image, script(&self.bench, text));
    }

    // === operators ===

    /// `nightshift COMMAND … --coordinator URL`.
    pub(crate) fn operator(&self, words: &[&str]) -> Program {
        operator(&self.coordinators[0], words)
    }

    /// Submits dates; gives their runs.
    pub(crate) fn submit(&self, dates: &[&str]) -> Vec<String> {
        submit(&self.coordinators[0], &self.bench, dates)
    }

    /// What `nightshift why` says, on one line.
    pub(crate) fn why(&self, words: &[&str]) -> String {
        why(&self.coordinators[0], words)
    }

    /// Waits until `nightshift why` of a run says all of `texts`.
    pub(crate) fn wait_until_why_says(&self, run: &str, texts: &[&str]) {
        wait_until_why_says(&self.coordinators[0], run, texts);
    }

    // === the cluster ===

    /// The Job of a run.
    pub(crate) fn job(&self, run: &str) -> Option<Value> {
        self.kubernetes.get("jobs", NAMESPACE, run)
    }

    /// Waits until the Job of a run is as `wanted`.
    pub(crate) fn wait_for_job(&self, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.kubernetes.wait_for("jobs", NAMESPACE, run, wanted)
    }

    /// The pods of a run that are there.
    pub(crate) fn pods(&self, run: &str) -> Vec<Value> {
        let mut pods = self.kubernetes.list("pods", NAMESPACE);
        pods.retain(|pod| object::annotation(pod, "nightshift.dev/run") == Some(run));
        pods
    }

    /// Waits for a pod of a run that scores a shard; its name, and the shard.
    pub(crate) fn scoring_pod(&self, run: &str) -> (String, u32) {
        wait_for("a pod that scores", || {
            let logs = self.kubernetes.logs("worker").into_iter();
            let running: Vec<String> = self
                .pods(run)
                .iter()
                .filter(|pod| object::text(pod, "/status/phase") == "Running")
                .map(|pod| object::name(pod).to_owned())
                .collect();
            let mut scoring = logs.filter(|(pod, _)| running.contains(pod));
            scoring.find_map(|(pod, said)| {
                let begun = log::events(&said, "inference started").pop()?;
                let done = log::committed(&said);
                (!done.contains_key(&begun.shard)).then_some((pod, begun.shard))
            })
        })
    }

    /// Waits until the coordinator has written an Event on the Job of a run.
    pub(crate) fn wait_for_event(&self, run: &str, reason: &str, text: &str) {
        wait_for(&format!("an Event {reason}"), || {
            let mut events = self.events(run, "nightshift-coordinator").into_iter();
            events.find(|(is, says)| is == reason && says.contains(text)).map(|_| ())
        });
    }

    /// How many pods were made for a run.
    pub(crate) fn pods_made(&self, run: &str) -> usize {
        let events = self.events(run, "job-controller").into_iter();
        events.filter(|(reason, _)| reason == "SuccessfulCreate").count()
    }

    /// Reasons and messages of the Events about the Job of a run that a component has written.
    pub(crate) fn events(&self, run: &str, component: &str) -> Vec<(String, String)> {
        let events = self.kubernetes.list("events", NAMESPACE).into_iter();
        let about = events.filter(|event| {
            event["involvedObject"]["name"] == run && event["reportingComponent"] == component
        });
        let text = |event: &Value, field| object::text(event, field).to_owned();
        about.map(|event| (text(&event, "/reason"), text(&event, "/message"))).collect()
    }

    // === the store ===

    /// The output root.
    pub(crate) fn output(&self) -> PathBuf {
        self.bench.output()
    }

    /// Waits until `run` has at least so many records.
    pub(crate) fn wait_for_records(&self, run: &str, records: usize) {
        let output = self.output();
        wait_for(&format!("{records} records of {run}"), || {
            (store::recorded(&output, run).len() >= records).then_some(())
        });
    }

    /// Waits for the final of a generation, and that it says `state`.
    pub(crate) fn ends(&self, date: &str, generation: u32, state: &str) -> Value {
        ends(&self.bench, date, generation, state)
    }

    /// Fails if a coordinator ended by itself, or if the auditor finds fault with the output, in
    /// which there must be `runs` runs.
    pub(crate) fn is_sound(&mut self, runs: u32) {
        self.coordinators.iter_mut().for_each(Coordinator::assert_sound);
        for (pod, said) in self.kubernetes.logs("worker") {
            assert!(!said.contains("panicked"), "{pod} panicked:\n{said}");
        }
        Audit::of(&self.output()).runs(runs).passes();
    }
}

/// `nightshift COMMAND … --coordinator URL`.
pub(crate) fn operator(coordinator: &Coordinator, words: &[&str]) -> Program {
    Program::nightshift().args(words).args(["--coordinator", &coordinator.url()])
}

/// Submits dates; gives their runs.
pub(crate) fn submit(coordinator: &Coordinator, bench: &Bench, dates: &[&str]) -> Vec<String> {
    let spec = bench.spec();
    for date in dates {
        let words = ["submit", spec.to_str().unwrap(), "--date", date];
        operator(coordinator, &words).run().expect(0);
    }
    dates.iter().map(|date| run_of(date)).collect()
}

/// What `nightshift why` says, on one line.
pub(crate) fn why(coordinator: &Coordinator, words: &[&str]) -> String {
    let done = operator(coordinator, &[&["why"], words].concat()).run().expect(0);
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    words.join(" ")
}

/// Waits until `nightshift why` of a run says all of `texts`.
pub(crate) fn wait_until_why_says(coordinator: &Coordinator, run: &str, texts: &[&str]) {
    wait_for(&format!("why says {texts:?}"), || {
        let said = why(coordinator, &[run]);
        texts.iter().all(|text| said.contains(text)).then_some(())
    });
}

/// Waits for the final of a generation, and that it says `state`.
pub(crate) fn ends(bench: &Bench, date: &str, generation: u32, state: &str) -> Value {
    let verdict = wait_for(&format!("the final of {date}"), || {
        store::verdict(&bench.output(), date, generation)
    });
    assert_eq!(verdict["state"], state, "{verdict}");
    if state == "succeeded" {
        // The marker comes after the final.
        let marker = bench.output().join(format!("date={date}/gen={generation}/_SUCCESS"));
        wait_for("the marker", || marker.is_file().then_some(()));
    }
    verdict
}

/// `nightshift report` of a date.
pub(crate) fn report(bench: &Bench, date: &str) -> Finished {
    bench.command("report").args(["--date", date]).run().expect(0)
}

/// A program that is a shell script.
pub(crate) fn script(bench: &Bench, text: &str) -> PathBuf {
    let path = bench.path("script.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
