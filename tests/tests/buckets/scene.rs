//! A server of S3 with the input of a bench, and what may be said about it.

use std::path::{Path, PathBuf};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::s3::S3;
use nightshift_tests::tools::Audit;

pub(crate) const ROWS: u64 = 1_000;
/// What no output and no message may hold: the key of [`S3::environment`], and the one that the
/// proxy repeats in its errors.
const CANARIES: [&str; 2] = ["canary-secret", "canary-key"];
const OUTPUT: &str = "output:  { uri: out, ";
const BUCKET_OUTPUT: &str = "output:  { uri: \"s3://lake/out\", ";

pub(crate) type Environment = Vec<(&'static str, String)>;

/// A server whose bucket has the input of a bench, and the bench, whose spec is in the bucket.
pub(crate) struct Lake {
    pub(crate) s3: S3,
    pub(crate) bench: Bench,
}

impl Lake {
    pub(crate) fn new(spec: &SpecText, file: &str) -> Self {
        let s3 = S3::start();
        let bench = Bench::with(spec, file, ROWS);
        s3.put("lake", "in", &bench.path("in"));
        let spec = SpecText { input: "s3://lake/in/".to_owned(), ..spec.clone() };
        bench.write_spec(&in_bucket(&spec));
        Self { s3, bench }
    }

    pub(crate) fn parquet() -> Self {
        Self::new(&SpecText::default(), "flights.parquet")
    }

    pub(crate) fn command(&self, name: &str, environment: &Environment) -> Program {
        with(self.bench.command(name), environment)
    }

    pub(crate) fn direct(&self) -> Environment {
        self.s3.environment().to_vec()
    }

    /// Has the auditor judge a copy of the output; gives the folder and how many uploads nobody
    /// finished.
    #[track_caller]
    pub(crate) fn audit(&self) -> (PathBuf, u32) {
        let copy = self.bench.path("copy");
        let _ = std::fs::remove_dir_all(&copy);
        let unfinished = self.s3.fetch("lake", "out", &copy);
        Audit::of(&copy).copy("s3://lake/in", &self.bench.path("in")).passes();
        for (path, bytes) in self.bench.contents() {
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            assert_no_secret(&path.display().to_string(), &text);
        }
        (copy, unfinished)
    }
}

/// The YAML of `spec` with its output in the bucket.
pub(crate) fn in_bucket(spec: &SpecText) -> String {
    let text = spec.yaml().replace("output: {", "output:  {");
    assert!(text.contains(OUTPUT), "{text}");
    text.replace(OUTPUT, BUCKET_OUTPUT)
}

pub(crate) fn with(program: Program, environment: &Environment) -> Program {
    environment.iter().fold(program, |program, (name, value)| program.env(name, value))
}

#[track_caller]
pub(crate) fn assert_no_secret(place: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} in {place}: {text}");
    }
}

#[track_caller]
pub(crate) fn assert_said_no_secret(done: &Finished) {
    assert_no_secret("what was said", &done.stderr);
    assert_no_secret("what was printed", &done.stdout);
}

pub(crate) fn parts(folder: &Path, generation: u32) -> usize {
    let folder = folder.join(format!("all/gen={generation}"));
    std::fs::read_dir(folder).map_or(0, |entries| {
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("part-")).count()
    })
}
