//! What `why` knows, as scripts read it.

use std::collections::BTreeMap;

use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::AttemptId;
use nightshift_proto::leases::Phase;
use nightshift_proto::runs::get::{FoundRun, ShardState, ShardStatus};
use nightshift_proto::runs::verdict::RunVerdict;
use serde::Serialize;

use crate::prose;
use crate::view::RunView;

/// A run in detail, with the paragraph that people get.
#[derive(Debug, Serialize)]
pub(super) struct WhyView {
    text: String,
    #[serde(flatten)]
    run: RunView,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    given_up: Vec<GivenUpView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardView>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    state: &'static str,
    fingerprint: String,
    model_sha256: String,
    inherited: u64,
    rejects_by_reason: BTreeMap<String, u64>,
    output_bytes: u64,
    read_s: f64,
    infer_s: f64,
    write_s: f64,
}

#[derive(Debug, Serialize)]
struct GivenUpView {
    shard: u32,
    rows: u64,
    class: &'static str,
    reason: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct ShardView {
    shard: u32,
    state: &'static str,
    rows: u64,
    failed_attempts: u32,
    preempted_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptId>,
    leases: Vec<LeaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureView>,
}

#[derive(Debug, Serialize)]
struct LeaseView {
    epoch: u64,
    sequence: u64,
    worker: String,
    phase: &'static str,
    rows_done: u64,
    age_ms: u64,
    heard_ms: u64,
}

#[derive(Debug, Serialize)]
struct FailureView {
    class: &'static str,
    reason: String,
    message: String,
}

impl WhyView {
    pub(super) fn new(found: &FoundRun, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            run: RunView::from(&found.run),
            verdict: found.verdict.as_ref().map(verdict),
            given_up: found.quarantined.iter().map(given_up).collect(),
            shard: found.shard.as_ref().map(shard),
        }
    }
}

fn verdict(verdict: &RunVerdict) -> VerdictView {
    let totals = &verdict.totals;
    let reasons = totals.rejects_by_reason.iter();
    VerdictView {
        state: verdict.state.as_str(),
        fingerprint: verdict.fingerprint.to_string(),
        model_sha256: verdict.model_digest.to_string(),
        inherited: totals.inherited,
        rejects_by_reason: reasons.map(|(name, n)| (prose::harmless(name), *n)).collect(),
        output_bytes: totals.output_bytes,
        read_s: totals.read_s,
        infer_s: totals.infer_s,
        write_s: totals.write_s,
    }
}

fn given_up(shard: &QuarantinedShard) -> GivenUpView {
    GivenUpView {
        shard: shard.shard.0,
        rows: shard.rows,
        class: shard.class.as_str(),
        reason: prose::harmless(&shard.reason),
        message: prose::harmless(&shard.message),
    }
}

fn shard(status: &ShardStatus) -> ShardView {
    let lease = |lease: &nightshift_proto::runs::get::ShardLease| LeaseView {
        epoch: lease.token.epoch,
        sequence: lease.token.sequence,
        worker: lease.worker.to_string(),
        phase: match lease.phase {
            Phase::Waiting => "waiting",
            Phase::Scoring => "scoring",
            Phase::Committing => "committing",
        },
        rows_done: lease.rows_done,
        age_ms: lease.age_ms,
        heard_ms: lease.heard_ms,
    };
    ShardView {
        shard: status.shard.0,
        state: match status.state {
            ShardState::Ready => "ready",
            ShardState::Delayed => "delayed",
            ShardState::Leased => "leased",
            ShardState::Committed => "committed",
            ShardState::Quarantined => "quarantined",
        },
        rows: status.rows,
        failed_attempts: status.failed_attempts,
        preempted_attempts: status.preempted_attempts,
        attempt: status.attempt.clone(),
        leases: status.leases.iter().map(lease).collect(),
        last_failure: status.last_failure.as_ref().map(|failure| FailureView {
            class: failure.class.as_str(),
            reason: failure.reason.to_string(),
            message: prose::harmless(&failure.message),
        }),
    }
}
