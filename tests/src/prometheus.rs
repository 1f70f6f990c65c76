//! A real Prometheus server of a test's own, and its `promtool`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::http;
use crate::ports::free_port;
use crate::process::{Program, Running};
use crate::waiting::wait_for;

/// One sample of an instant query: its labels and its value.
pub type Sample = (BTreeMap<String, String>, f64);

/// A Prometheus that scrapes and evaluates its rules every second, with its data in a temporary
/// folder. When it is dropped it is killed.
#[derive(Debug)]
pub struct Prometheus {
    process: Running,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these jobs and knows these alert rules, and waits until it is
    /// ready.
    pub fn start(jobs: &[(&str, SocketAddr)], rules: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("nightshift-prometheus-").tempdir().unwrap();
        fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        let mut config = String::from(
            "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\n\
             rule_files: [rules.yaml]\nscrape_configs:\n",
        );
        for (job, address) in jobs {
            writeln!(
                config,
                "  - job_name: {job}\n    static_configs: [{{ targets: ['{address}'] }}]"
            )
            .unwrap();
        }
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut process = Program::new(installed("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .start();
        wait_for("prometheus is ready", || {
            assert!(!process.has_ended(), "prometheus ended: {}", process.stderr_so_far());
            http::get(address, "/-/ready").filter(|(status, _)| *status == 200)
        });
        Self { process, address, _folder: folder }
    }

    /// What an instant query gives now.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let query = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let data = self.data(&format!("/api/v1/query?query={query}"));
        let sample = |one: &Value| {
            let labels = serde_json::from_value(one["metric"].clone()).unwrap();
            let value = one["value"][1].as_str().unwrap().parse().unwrap();
            (labels, value)
        };
        data["result"].as_array().unwrap().iter().map(sample).collect()
    }

    /// The only value of an instant query; none if it gives nothing.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Option<f64> {
        let found = self.query(expression);
        assert!(found.len() <= 1, "{expression} gives {found:?}");
        found.first().map(|(_, value)| *value)
    }

    /// Waits until a query gives exactly `value`.
    #[track_caller]
    pub fn wait_for_value(&self, expression: &str, value: f64) {
        let mut last = None;
        let what = format!("{expression} is {value}");
        wait_for(&what, || {
            let is = self.value(expression);
            if is != last {
                eprintln!("{expression}: {is:?}, to be {value}");
                last = is;
            }
            (is == Some(value)).then_some(())
        });
    }

    /// Names of all labels that it knows.
    #[track_caller]
    pub fn labels(&self) -> Vec<String> {
        serde_json::from_value(self.data("/api/v1/labels")).unwrap()
    }

    /// The alerts that fire: their names with what they say.
    #[track_caller]
    pub fn firing(&self) -> BTreeMap<String, Value> {
        let data = self.data("/api/v1/alerts");
        let firing = data["alerts"].as_array().unwrap().iter();
        let firing = firing.filter(|alert| alert["state"] == "firing");
        let named = |alert: &Value| {
            let name = alert["labels"]["alertname"].as_str().unwrap().to_owned();
            (name, alert["annotations"].clone())
        };
        firing.map(named).collect()
    }

    /// What it complained about.
    pub fn said(&self) -> String {
        self.process.stderr_so_far()
    }

    #[track_caller]
    fn data(&self, path: &str) -> Value {
        let (_, text) = http::get(self.address, path).unwrap();
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert_eq!(answer["status"], "success", "{path}: {text}");
        answer["data"].clone()
    }
}

/// `promtool` with these arguments; `input` on its standard input.
pub fn promtool(arguments: &[&str], input: &str) -> crate::process::Finished {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, input).unwrap();
    let script = "file=$1; shift; exec \"$@\" < \"$file\"";
    let program = Program::new("/bin/sh").args(["-c", script, "sh"]).arg(&file);
    program.arg(installed("promtool")).args(arguments).run()
}

/// A program on the path.
#[track_caller]
fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder: PathBuf| folder.join(Path::new(name)));
    let Some(found) = found.into_iter().find(|program| program.is_file()) else {
        panic!("{name} is missing: run `make tools`");
    };
    found
}
