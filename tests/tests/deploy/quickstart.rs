//! What the quickstart does by itself: its seed, then its hourly CronJob, with the arguments that
//! its manifests have, against a real coordinator.
//!
//! Only places differ: the folders below `/data` and the address of the coordinator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_tests::binaries;
use nightshift_tests::coordinator::{Coordinator, Options};
use nightshift_tests::process::Program;
use nightshift_tests::tools::{self, Audit};
use serde_json::Value;

use crate::rendering;

/// Days of the window.
const DAYS: usize = 14;
const BACKFILL: &str = "flights-backfill-coordinator";

/// The rendered quickstart, and a folder for its volume.
struct Quickstart {
    documents: Vec<Value>,
    folder: tempfile::TempDir,
}

impl Quickstart {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = rendering::overlay("quickstart").write(folder.path());
        let read = tools::script("deploy/documents.py", [file]);
        Self { documents: read["documents"].as_array().unwrap().clone(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn document(&self, kind: &str, name: &str) -> &Value {
        let found =
            self.documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("the quickstart has no {kind} {name}"))
    }

    /// A text of the manifests with the places of this machine.
    fn here(&self, text: &str) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        text.replace("/data/flights", &place("flights"))
            .replace("/data/out", &place("out"))
            .replace("/etc/nightshift/spec.yaml", &place("spec.yaml"))
    }

    /// What a container runs, and its variables.
    fn program(&self, pod: &Value) -> Program {
        let container = &pod["containers"][0];
        let image = container["image"].as_str().unwrap();
        assert!(image.contains("/nightshift:"), "{image} is not the command");
        let args = container["args"].as_array().unwrap().iter();
        let args = args.map(|arg| self.here(arg.as_str().unwrap()));
        let variables = container["env"].as_array().into_iter().flatten();
        let program = Program::nightshift().args(args);
        variables.fold(program, |program, it| {
            let (name, value) = (it["name"].as_str().unwrap(), it["value"].as_str().unwrap());
            program.env(name, value)
        })
    }

    /// The Job of the seed.
    fn seed(&self) -> Program {
        self.program(&self.document("Job", "nightshift-seed")["spec"]["template"]["spec"])
    }

    /// One Job of a CronJob.
    fn tick(&self, name: &str) -> Program {
        let job = &self.document("CronJob", name)["spec"]["jobTemplate"];
        self.program(&job["spec"]["template"]["spec"])
    }

    /// The coordinator, with workers as processes; the spec lies where the CronJob reads it.
    fn coordinator(&self) -> Coordinator {
        let spec = &self.document("ConfigMap", BACKFILL)["data"]["spec.yaml"];
        std::fs::write(self.path("spec.yaml"), self.here(spec.as_str().unwrap())).unwrap();
        let worker = binaries::nightshift_worker().display().to_string();
        let arguments = ["--launch", "local", "--worker-program", &worker].map(str::to_owned);
        let mut coordinator = Coordinator::start(Options {
            home: self.path("home"),
            redis: None,
            lease_ttl: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            environment: Vec::new(),
            arguments: arguments.to_vec(),
        });
        coordinator.wait_until_ready();
        coordinator
    }
}

fn days(folder: &Path) -> usize {
    let all = std::fs::read_dir(folder.join("data")).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("date=2013-")).count()
}

#[test]
fn the_backfill_of_the_quickstart_fills_one_missing_date_at_a_time() {
    let quickstart = Quickstart::new();
    quickstart.seed().run().expect(0);
    assert_eq!(days(&quickstart.path("flights")), DAYS);
    let mut coordinator = quickstart.coordinator();
    let tick = || quickstart.tick(BACKFILL).env("NIGHTSHIFT_COORDINATOR", coordinator.url());
    // A day may begin meanwhile, and then the window has moved: the daily seed would bring it.
    let mut done = Vec::new();
    for hour in 0..=DAYS {
        let said = tick().args(["--output-format", "json"]).run().expect(0);
        let said: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(said["decisions"].as_array().unwrap().len(), DAYS, "hour {hour}: {said}");
        let Some(dates) = said["dates"].as_array() else { break };
        assert_eq!(dates.len(), 1, "hour {hour} has done more than one date: {said}");
        assert_eq!(dates[0]["state"], "succeeded", "hour {hour}: {said}");
        done.push(dates[0]["partition"].as_str().unwrap().to_owned());
    }
    assert!((DAYS - 1..=DAYS).contains(&done.len()), "{done:?}");
    assert!(done.is_sorted(), "the oldest comes first: {done:?}");
    quickstart.tick("nightshift-seed-daily").run().expect(0);
    let idle = tick().run().expect(0);
    if done.len() == DAYS {
        assert!(idle.stdout.contains("14 of 14 dates are done"), "{idle}");
    }
    coordinator.assert_sound();
    Audit::of(&quickstart.path("out/flights")).passes();
}
