//! `Plan`: what would `Start` do?

use nightshift_core::ids::{Digest, InvalidId, Partition, RunId};
use nightshift_core::plan::SHARDS_MAX;

use super::{Decision, InvalidSpecSource, SpecSource};
use crate::field::{self, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message};
use crate::wire;

/// A question what `Start` would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRun {
    /// The spec.
    pub spec: SpecSource,
    /// The date, or `all`.
    pub partition: Partition,
    /// Whether to plan as though the run was forced.
    pub force: bool,
}

/// What `Start` would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRun {
    /// What is to be done.
    pub decision: Decision,
    /// The run that is done, joined or to be started.
    pub run: RunId,
    /// The run whose committed shards a new one takes over.
    pub inherits: Option<RunId>,
    /// Shards of the run.
    pub shards: u32,
    /// Rows over all inputs.
    pub rows: u64,
    /// Input files.
    pub input_files: u64,
    /// Bytes of the input files.
    pub input_bytes: u64,
    /// Digest of inputs, model and task settings.
    pub fingerprint: Digest,
    /// Digest of the model.
    pub model_digest: Digest,
    /// For people: why this is the decision.
    pub explanation: String,
}

invalid_message!(InvalidPlanRun of "the plan request" {
    Spec: InvalidPart<InvalidSpecSource> = "spec",
    Partition: InvalidId = "partition",
});

invalid_message!(InvalidPlannedRun of "the plan response" {
    Decision: UnknownValue = "decision",
    Run: InvalidId = "run",
    Inherits: InvalidId = "inherits",
    Shards: OutOfRange = "shards",
    Fingerprint: InvalidId = "fingerprint",
    ModelSha256: InvalidId = "model_sha256",
    Explanation: InvalidText = "explanation",
});

// === impl PlanRun ===

impl From<PlanRun> for wire::PlanRequest {
    fn from(plan: PlanRun) -> Self {
        Self {
            spec: Some(plan.spec.into()),
            partition: plan.partition.to_string(),
            force: plan.force,
        }
    }
}

impl TryFrom<wire::PlanRequest> for PlanRun {
    type Error = InvalidPlanRun;

    fn try_from(wire: wire::PlanRequest) -> Result<Self, InvalidPlanRun> {
        use InvalidPlanRun as Invalid;
        Ok(Self {
            spec: field::part(wire.spec).map_err(|source| Invalid::Spec { source })?,
            partition: wire.partition.parse().map_err(|source| Invalid::Partition { source })?,
            force: wire.force,
        })
    }
}

// === impl PlannedRun ===

impl From<PlannedRun> for wire::PlanResponse {
    fn from(planned: PlannedRun) -> Self {
        Self {
            decision: wire::Decision::from(planned.decision).into(),
            run: planned.run.to_string(),
            inherits: field::text_of(planned.inherits),
            shards: planned.shards,
            rows: planned.rows,
            input_files: planned.input_files,
            input_bytes: planned.input_bytes,
            fingerprint: planned.fingerprint.to_string(),
            model_sha256: planned.model_digest.to_string(),
            explanation: planned.explanation,
        }
    }
}

impl TryFrom<wire::PlanResponse> for PlannedRun {
    type Error = InvalidPlannedRun;

    fn try_from(wire: wire::PlanResponse) -> Result<Self, InvalidPlannedRun> {
        use InvalidPlannedRun as Invalid;
        Ok(Self {
            decision: field::choice::<wire::Decision, _>(wire.decision)
                .map_err(|source| Invalid::Decision { source })?,
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            inherits: field::optional(&wire.inherits)
                .map_err(|source| Invalid::Inherits { source })?,
            shards: field::within(wire.shards, 0, SHARDS_MAX)
                .map_err(|source| Invalid::Shards { source })?,
            rows: wire.rows,
            input_files: wire.input_files,
            input_bytes: wire.input_bytes,
            fingerprint: wire
                .fingerprint
                .parse()
                .map_err(|source| Invalid::Fingerprint { source })?,
            model_digest: wire
                .model_sha256
                .parse()
                .map_err(|source| Invalid::ModelSha256 { source })?,
            explanation: field::prose(wire.explanation)
                .map_err(|source| Invalid::Explanation { source })?,
        })
    }
}
