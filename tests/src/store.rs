//! An output root as it lies on disk, read without the program that wrote it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Shards of `run` that have a record.
pub fn recorded(output: &Path, run: &str) -> BTreeSet<u32> {
    let folder = output.join("_nightshift/v1/runs").join(run).join("records");
    let records = names(&folder, "json");
    records
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect()
}

/// The identity of the root.
pub fn root_id(output: &Path) -> String {
    let text = fs::read(output.join("_nightshift/v1/root.json")).unwrap();
    let root: Value = serde_json::from_slice(&text).unwrap();
    root["root_id"].as_str().unwrap().to_owned()
}

/// The record of a shard.
pub fn record(output: &Path, run: &str, shard: u32) -> Option<Value> {
    let path = format!("_nightshift/v1/runs/{run}/records/{shard:07}.json");
    let text = fs::read(output.join(path)).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// The final of generation `generation` of `partition`.
pub fn verdict(output: &Path, partition: &str, generation: u32) -> Option<Value> {
    let path = format!("_nightshift/v1/finals/{partition}/g{generation}.json");
    let text = fs::read(output.join(path)).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// Finals of `partition`, of all generations.
pub fn finals(output: &Path, partition: &str) -> usize {
    names(&output.join("_nightshift/v1/finals").join(partition), "json").len()
}

/// Runs that have a plan.
pub fn runs(output: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(output.join("_nightshift/v1/runs")) else {
        return BTreeSet::new();
    };
    let named = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    named.collect()
}

/// The highest epoch of `run`; 0 where there is none.
pub fn epoch(output: &Path, run: &str) -> u64 {
    let epochs = names(&output.join("_nightshift/v1/runs").join(run).join("epoch"), "json");
    let number = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    epochs.iter().map(number).max().unwrap_or(0)
}

/// Paths in `folder` with this extension, sorted; none where there is no such folder. The store
/// writes a document under a name of its own before the create, which has no such extension.
pub fn names(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect();
    found.sort();
    found
}
