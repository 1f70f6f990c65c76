//! Real records, written before they are needed: what a report claims is in the store.
//!
//! The coordinator believes a report when it has read the record. Writing one takes a worker
//! tens of microseconds, which a thousand simulated workers on one core do not have, so the
//! records lie ready beside the store and get their names just before they are reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nightshift_core::ids::{AttemptId, Digest, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix, StagedName};
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::{Committed, Record, StoredFile, Timing, Verdict};
use nightshift_storage::root::Reader;

use crate::scene::FORMAT;

/// The records of the first shards of one run.
#[derive(Debug)]
pub(crate) struct Records {
    spare: PathBuf,
    root: PathBuf,
    run: RunId,
}

impl Records {
    /// Writes the records of the first `count` shards of `run`, whose output root is `output`,
    /// into the folder `spare` of the same file system.
    pub(crate) async fn prepare(
        output: &Path,
        spare: PathBuf,
        run: RunId,
        count: u32,
    ) -> Result<Self> {
        let root = Reader::open(&output.display().to_string()).await?;
        let object = Object::Plan { run: run.clone() };
        let outline: Outline = root.read(&object).await?.context("the run has no plan")?;
        std::fs::create_dir_all(&spare)?;
        std::fs::create_dir_all(root.path_of_prefix(&Prefix::Records(run.clone())))?;
        let records = Self { spare, root: output.to_owned(), run };
        for shard in (0..count).map(ShardIndex) {
            let bytes = serde_json::to_vec(&record(&outline, shard)?)?;
            std::fs::write(records.spare(shard), bytes)?;
        }
        Ok(records)
    }

    /// Makes the record of `shard` what the store says.
    pub(crate) fn reveal(&self, shard: ShardIndex) -> Result<()> {
        let object = Object::Record { run: self.run.clone(), shard };
        let (spare, path) = (self.spare(shard), self.root.join(object.path()));
        std::fs::rename(&spare, &path)
            .with_context(|| format!("no record was prepared for shard {shard}"))
    }

    fn spare(&self, shard: ShardIndex) -> PathBuf {
        self.spare.join(shard.to_string())
    }
}

/// The attempt that the record of a shard names: digits are a ULID.
pub(crate) fn attempt_of(shard: ShardIndex) -> String {
    format!("{:026}", shard.0)
}

/// A record as a worker writes it, with files that do not exist.
fn record(outline: &Outline, shard: ShardIndex) -> Result<Record> {
    let attempt: AttemptId = attempt_of(shard).parse()?;
    let rows = outline.shard_rows(shard).context("the plan has fewer shards")?;
    let staged = Object::Staged {
        run: outline.run.clone(),
        shard,
        attempt: attempt.clone(),
        file: StagedName::Data(FORMAT),
    };
    Ok(Record {
        version: Record::VERSION,
        run: outline.run.clone(),
        shard,
        attempt,
        worker: "bench".to_owned(),
        decided_at: outline.planned_at,
        inherited_from: None,
        verdict: Verdict::Committed(Box::new(Committed {
            rows_in: rows,
            rows_out: rows,
            rows_rejected: 0,
            rejects_by_reason: BTreeMap::new(),
            rows_cut: 0,
            output: StoredFile {
                staged,
                visible: Object::part(outline, shard),
                size_bytes: 100,
                sha256: Digest([7; 32]),
            },
            rejects: None,
            model_digest: outline.model.digest,
            timing: Timing { read_s: 0.001, infer_s: 0.002, write_s: 0.001, overhead: None },
            scores: None,
        })),
    })
}
