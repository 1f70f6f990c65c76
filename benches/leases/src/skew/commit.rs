//! Committing a shard: what a worker does, without a model.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context, Result};
use jiff::Timestamp;
use nightshift_core::ids::{AttemptId, ShardIndex};
use nightshift_core::layout::{Object, StagedName};
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::{Committed, Record, StoredFile, Timing, Verdict};
use nightshift_proto::wire;
use nightshift_proto::wire::report_request::Outcome;
use nightshift_storage::concluding::publications;
use nightshift_storage::documents;
use nightshift_storage::root::Probed;

use crate::scene::FORMAT;

/// Stages, records and publishes `shard`; the attempt, and what is to be reported.
pub(super) async fn commit(
    root: &Probed,
    outline: &Outline,
    shard: ShardIndex,
    worker: &str,
) -> Result<(String, Outcome)> {
    let attempt: AttemptId = ulid::Ulid::generate().to_string().parse()?;
    let rows = outline.shard_rows(shard).context("a shard that was never planned")?;
    let mut file = root.stage(&outline.run, shard, &attempt)?.create(StagedName::Data(FORMAT))?;
    writeln!(file, "n")?;
    for row in 0..rows {
        writeln!(file, "{row}")?;
    }
    let sealed = root.seal(vec![file.finish()?]).await?;
    let staged = sealed.files().first().context("a sealed attempt has a file")?;
    let record = Record {
        version: Record::VERSION,
        run: outline.run.clone(),
        shard,
        attempt: attempt.clone(),
        worker: worker.to_owned(),
        decided_at: Timestamp::now(),
        inherited_from: None,
        verdict: Verdict::Committed(Box::new(Committed {
            rows_in: rows,
            rows_out: rows,
            rows_rejected: 0,
            rejects_by_reason: BTreeMap::new(),
            rows_cut: 0,
            output: StoredFile {
                staged: staged.object.clone(),
                visible: Object::part(outline, shard),
                size_bytes: staged.size_bytes,
                sha256: staged.sha256,
            },
            rejects: None,
            model_digest: outline.model.digest,
            timing: Timing::default(),
            scores: None,
        })),
    };
    let outcome = match root.commit(&sealed, &record).await? {
        documents::Committed::Won(permit) => {
            root.publish(&permit, &publications(&record)).await?;
            Outcome::Committed(wire::Committed { rows_out: rows, rows_rejected: 0 })
        }
        documents::Committed::Lost(winner) => {
            Outcome::Lost(wire::Lost { winner: winner.attempt.to_string() })
        }
    };
    Ok((attempt.to_string(), outcome))
}
