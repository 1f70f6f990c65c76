//! A folder with a spec, its input and its output.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::place::{BUCKET, Lake};
use crate::process::Program;
use crate::tools::Audit;

/// Processes that may give up one after the other, as pods may that are started again, where
/// a store spoils requests.
const TRIES: usize = 6;

/// A temporary folder that holds everything of one test; gone when the test passes or fails. Its
/// input and its output may lie in a bucket instead; then the folder has copies of both.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
    lake: Option<Lake>,
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
        Self { folder, lake: None }
    }

    /// An empty folder, with input and output in a bucket.
    pub(crate) fn in_lake(lake: Lake) -> Self {
        Self { lake: Some(lake), ..Self::new() }
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
        bench.write_dated(spec, dates, rows);
        bench
    }

    pub(crate) fn write_dated(&self, spec: &SpecText, dates: &[&str], rows: u64) {
        let input = "in/date={date}/*.parquet".to_owned();
        self.write_spec(&SpecText { input, ..spec.clone() }.yaml());
        for date in dates {
            let file = format!("in/date={date}/flights.parquet");
            crate::flights::write(&self.path(&file), rows);
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the spec.
    pub fn write_spec(&self, text: &str) {
        match &self.lake {
            Some(_) => fs::write(self.spec(), Lake::rewrite(text)).unwrap(),
            None => fs::write(self.spec(), text).unwrap(),
        }
    }

    /// The spec file.
    pub fn spec(&self) -> PathBuf {
        self.path("spec.yaml")
    }

    /// The output root; of a bucket a copy as it is now.
    pub fn output(&self) -> PathBuf {
        let folder = self.path("out");
        if let Some(lake) = &self.lake {
            lake.take_output(&folder);
        }
        folder
    }

    /// Where the output root is, as `--output` names it.
    pub fn output_place(&self) -> String {
        match &self.lake {
            Some(_) => format!("s3://{BUCKET}/out"),
            None => self.path("out").display().to_string(),
        }
    }

    /// Makes the output what the test has made of [`Bench::output`].
    pub fn change_output(&self, change: impl FnOnce(&Path)) {
        let folder = self.output();
        change(&folder);
        if let Some(lake) = &self.lake {
            lake.put_output(&folder);
        }
    }

    /// Whether there is a file or an object of this name in the output root.
    pub fn has(&self, name: &str) -> bool {
        match &self.lake {
            Some(lake) => lake.s3().has(BUCKET, &format!("out/{name}")),
            None => self.path("out").join(name).is_file(),
        }
    }

    /// What is in a file or an object of this name in the output root.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        match &self.lake {
            Some(lake) => lake.s3().object(BUCKET, &format!("out/{name}")),
            None => fs::read(self.path("out").join(name)).ok(),
        }
    }

    /// How many records `run` has, without a copy of them.
    pub fn records(&self, run: &str) -> usize {
        match &self.lake {
            Some(lake) => {
                let prefix = format!("out/_nightshift/v1/runs/{run}/records/");
                lake.s3().list(BUCKET, &prefix).len()
            }
            None => crate::store::recorded(&self.path("out"), run).len(),
        }
    }

    /// The bucket, if input and output lie in one.
    pub fn lake(&self) -> Option<&Lake> {
        self.lake.as_ref()
    }

    /// Puts what has changed of the input where programs read it. Whoever starts a program by
    /// [`Bench::command`] need not.
    pub fn put_input(&self) {
        if let Some(lake) = &self.lake {
            lake.put_input(&self.path("in"));
        }
    }

    /// What programs of this bench find in their environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.lake.as_ref().map(Lake::environment).unwrap_or_default()
    }

    /// The program with what it needs to reach input and output, and the patience of a pod that is
    /// started again where requests are spoiled.
    pub fn equipped(&self, program: Program) -> Program {
        self.put_input();
        let environment = self.environment().into_iter();
        let program = environment.fold(program, |program, (name, value)| program.env(name, value));
        match self.lake.as_ref().and_then(Lake::faults) {
            Some(_) => program.with_tries(TRIES),
            None => program,
        }
    }

    /// `nightshift COMMAND SPEC` on this bench.
    pub fn command(&self, command: &str) -> Program {
        self.equipped(Program::nightshift().arg(command).arg(self.spec()))
    }

    /// `nightshift run` on this bench, with a log of every shard on standard error.
    pub fn run(&self) -> Program {
        self.command("run").args(["--workers", "2"]).logged()
    }

    /// A question to the auditor about the output.
    pub fn auditor(&self) -> Audit {
        let audit = Audit::of(&self.output());
        match &self.lake {
            Some(_) => audit.copy(&format!("s3://{BUCKET}/in"), &self.path("in")),
            None => audit,
        }
    }

    /// Has the auditor judge the output; fails unless it finds nothing, and `runs` runs. Gives its
    /// counts.
    #[track_caller]
    pub fn audit(&self, runs: u32) -> serde_json::Value {
        self.auditor().runs(runs).passes()
    }

    /// Everything in the folder: each path with its bytes, a folder without any.
    pub fn contents(&self) -> Contents {
        self.output();
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
