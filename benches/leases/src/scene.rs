//! What a run needs before it can be started: input, model, spec, and a folder for all of it.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nightshift_core::plan::OutputFormat;
use nightshift_proto::wire;
use tempfile::TempDir;

/// Format of output files in the runs here; the cheapest to make by hand.
pub(crate) const FORMAT: OutputFormat = OutputFormat::Csv;

/// A temporary folder; gone when the benchmark ends.
#[derive(Debug)]
pub(crate) struct Scene {
    folder: TempDir,
}

impl Scene {
    /// An empty scene below `parent`, with a model that nobody loads.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("nightshift-bench-")
            .tempdir_in(parent)
            .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
        let scene = Self { folder };
        let model = scene.path("model");
        std::fs::create_dir(&model)?;
        std::fs::write(model.join("config.json"), r#"{"features":[{"name":"n"}]}"#)?;
        Ok(scene)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The home of coordinators.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The output root of the run with this name.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.path(&format!("out-{name}"))
    }

    /// The wish for a run of `shards` shards of one row each.
    pub(crate) fn wish(&self, name: &str, shards: u32) -> Result<wire::StartRequest> {
        let input = self.path(&format!("numbers-{shards}.csv"));
        if !input.exists() {
            write_numbers(&input, shards)?;
        }
        self.wish_for(name, &input, "rows: 1")
    }

    /// The wish for a run with one shard for each of `rows`, which has as many rows.
    pub(crate) fn wish_of_files(&self, name: &str, rows: &[u32]) -> Result<wire::StartRequest> {
        let folder = self.path(&format!("in-{name}"));
        std::fs::create_dir(&folder)?;
        for (file, rows) in rows.iter().enumerate() {
            // Files are read in the order of their names.
            write_numbers(&folder.join(format!("{file:07}.csv")), *rows)?;
        }
        self.wish_for(name, &folder.join("*.csv"), "by: file")
    }

    fn wish_for(&self, name: &str, input: &Path, sharding: &str) -> Result<wire::StartRequest> {
        let mut yaml = String::new();
        write!(
            yaml,
            "apiVersion: nightshift.dev/v1\n\
             kind: BatchInference\n\
             metadata: {{ name: {name} }}\n\
             spec:\n  \
               input: {{ uri: {input:?}, id: [n] }}\n  \
               model: {{ uri: {model:?} }}\n  \
               task: {{ kind: tabular }}\n  \
               output: {{ uri: {output:?}, format: {format} }}\n  \
               sharding: {{ {sharding} }}\n",
            model = self.path("model"),
            output = self.output(name),
            format = FORMAT.extension(),
        )?;
        Ok(wire::StartRequest {
            request_id: ulid::Ulid::generate().to_string(),
            spec: Some(wire::SpecSource {
                yaml,
                base: self.folder.path().display().to_string(),
                file_name: "bench.yaml".to_owned(),
                ..Default::default()
            }),
            partition: "all".to_owned(),
            force_reason: String::new(),
            requested_by: "bench".to_owned(),
        })
    }
}

/// A CSV of one column with the numbers below `rows`.
fn write_numbers(path: &Path, rows: u32) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "n")?;
    for n in 0..rows {
        writeln!(file, "{n}")?;
    }
    Ok(file.flush()?)
}
