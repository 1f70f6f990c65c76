//! The ConfigMap of a run: what it is about, and what its Job is deleted with.

use nightshift_core::ids::{Digest, RunId};
use serde_json::{Value, json};

use super::{RUN_ANNOTATION, run_labels};
use crate::names;

/// What `run.json` tells about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The run.
    pub run: RunId,
    /// The output root.
    pub output: String,
    /// Shards in the plan.
    pub shards: u32,
    /// Rows in the plan.
    pub rows: u64,
    /// What people call the model's version.
    pub model_version: Option<String>,
    /// Digest of the model.
    pub model_digest: Option<Digest>,
}

/// The ConfigMap of a run, named like its Job. It is made first and owns the Job, so that one
/// `kubectl delete` takes both and a Job never stays without the facts about its run.
pub fn run_config_map(facts: &RunFacts) -> Value {
    let run = &facts.run;
    let about = json!({
        "run": run,
        "name": run.name,
        "date": run.partition,
        "generation": run.generation,
        "output": facts.output,
        "shards": facts.shards,
        "rows": facts.rows,
        "model": { "version": facts.model_version, "digest": facts.model_digest },
    });
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names::job_name(run),
            "labels": run_labels(run, "run"),
            "annotations": { RUN_ANNOTATION: run.to_string() },
        },
        // A hundred bytes in a pretty form: people read this with `kubectl get -o yaml`.
        "data": { "run.json": format!("{about:#}\n") },
    })
}
