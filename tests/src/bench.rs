//! A folder with a spec, its input and its output.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::Program;

/// A temporary folder that holds everything of one test; gone when the test passes or fails.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
}

/// Paths with the bytes of files.
pub type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A spec over the model of the example; what is not said is the example's.
#[derive(Debug, Clone)]
pub struct SpecText {
    /// `spec.input.uri`.
    pub input: String,
    /// `spec.input.keep`.
    pub keep: Vec<&'static str>,
    /// `spec.output.format`.
    pub format: &'static str,
    /// The one entry of `spec.sharding`, such as `rows: 200`.
    pub sharding: String,
    /// `spec.retries.rejects`, such as `{ min: 10 }`, where it is not the default.
    pub rejects: Option<&'static str>,
    /// `spec.retries.crashes`, where it is not the default.
    pub crashes: Option<u32>,
}

impl Default for SpecText {
    fn default() -> Self {
        Self {
            input: "in".to_owned(),
            keep: Vec::new(),
            format: "parquet",
            sharding: "rows: 200".to_owned(),
            rejects: None,
            crashes: None,
        }
    }
}

impl SpecText {
    /// The YAML.
    pub fn yaml(&self) -> String {
        let mut text = String::from(
            "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: { name: flights }\nspec:\n",
        );
        let Self { input, keep, format, sharding, rejects, crashes } = self;
        let keep = keep.join(", ");
        let model = crate::binaries::example_model();
        let model = model.display();
        write!(
            text,
            "  input: {{ uri: \"{input}\", id: [flight_id], keep: [{keep}] }}\n  \
               model: {{ uri: \"{model}\" }}\n  \
               task: {{ kind: tabular }}\n  \
               output: {{ uri: out, format: {format} }}\n  \
               sharding: {{ {sharding} }}\n"
        )
        .unwrap();
        let rejects = rejects.map(|rejects| format!("rejects: {rejects}"));
        let crashes = crashes.map(|crashes| format!("crashes: {crashes}"));
        let retries: Vec<String> = [crashes, rejects].into_iter().flatten().collect();
        if !retries.is_empty() {
            writeln!(text, "  retries: {{ {} }}", retries.join(", ")).unwrap();
        }
        text
    }
}

impl Bench {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("nightshift-test-").tempdir().unwrap();
        Self { folder }
    }

    /// A folder with `spec` as its spec, and `rows` flights in `file` below the folder `in`.
    pub fn with(spec: &SpecText, file: &str, rows: u64) -> Self {
        let bench = Self::new();
        bench.write_spec(&spec.yaml());
        crate::flights::write(&bench.path("in").join(file), rows);
        bench
    }

    /// A folder with `spec`, whose input has a `{date}`, and `rows` flights for each date.
    pub fn dated(spec: &SpecText, dates: &[&str], rows: u64) -> Self {
        let bench = Self::new();
        let input = "in/date={date}/*.parquet".to_owned();
        bench.write_spec(&SpecText { input, ..spec.clone() }.yaml());
        for date in dates {
            let file = format!("in/date={date}/flights.parquet");
            crate::flights::write(&bench.path(&file), rows);
        }
        bench
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the spec.
    pub fn write_spec(&self, text: &str) {
        fs::write(self.spec(), text).unwrap();
    }

    /// The spec file.
    pub fn spec(&self) -> PathBuf {
        self.path("spec.yaml")
    }

    /// The output root.
    pub fn output(&self) -> PathBuf {
        self.path("out")
    }

    /// `nightshift COMMAND SPEC` on this bench.
    pub fn command(&self, command: &str) -> Program {
        Program::nightshift().arg(command).arg(self.spec())
    }

    /// `nightshift run` on this bench, with a log of every shard on standard error.
    pub fn run(&self) -> Program {
        self.command("run").args(["--workers", "2"]).logged()
    }

    /// Everything in the folder: each path with its bytes, a folder without any.
    pub fn contents(&self) -> Contents {
        let mut found = Contents::new();
        gather(self.folder.path(), &mut found);
        found
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

fn gather(folder: &Path, found: &mut Contents) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_dir() { None } else { Some(fs::read(&path).unwrap()) };
        if bytes.is_none() {
            gather(&path, found);
        }
        found.insert(path, bytes);
    }
}
