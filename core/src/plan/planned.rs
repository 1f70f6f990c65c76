//! What is known of a run before its first record: the common side of a plan and its outline.

use std::sync::Arc;

use jiff::Timestamp;

use super::{ModelIdentity, Plan, Reporting, Shard, TaskSettings};
use crate::gates::GatePlan;
use crate::ids::{Digest, RunId, ShardIndex};
use crate::report::InputSummary;

/// What leasing, judging and concluding need of a plan, whether or not every slice of every
/// shard is in memory.
pub trait Planned {
    /// The run.
    fn run(&self) -> &RunId;

    /// When the plan was made.
    fn planned_at(&self) -> Timestamp;

    /// Digest of inputs with versions, model and task settings.
    fn fingerprint(&self) -> Digest;

    /// The model.
    fn model(&self) -> &ModelIdentity;

    /// Task, columns and output format.
    fn task(&self) -> &TaskSettings;

    /// The inputs, summed up.
    fn input(&self) -> InputSummary;

    /// Rows over all inputs.
    fn rows(&self) -> u64;

    /// Number of shards.
    fn shard_count(&self) -> u32;

    /// Rows of one shard, if the plan has it.
    fn shard_rows(&self, shard: ShardIndex) -> Option<u64>;

    /// What the run must be like before readers see its output, if anything.
    fn gate(&self) -> Option<&GatePlan>;

    /// Who is told of the run, where anybody is.
    fn reporting(&self) -> Option<&Reporting>;
}

impl Planned for Plan {
    fn run(&self) -> &RunId {
        &self.run
    }

    fn planned_at(&self) -> Timestamp {
        self.planned_at
    }

    fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn task(&self) -> &TaskSettings {
        &self.task
    }

    fn input(&self) -> InputSummary {
        InputSummary::new(self.rows, &self.inputs)
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn shard_count(&self) -> u32 {
        Plan::shard_count(self)
    }

    fn shard_rows(&self, shard: ShardIndex) -> Option<u64> {
        self.shard(shard).map(Shard::rows)
    }

    fn gate(&self) -> Option<&GatePlan> {
        self.gate.as_ref()
    }

    fn reporting(&self) -> Option<&Reporting> {
        self.reporting.as_ref()
    }
}

impl<P: Planned + ?Sized> Planned for Arc<P> {
    fn run(&self) -> &RunId {
        (**self).run()
    }

    fn planned_at(&self) -> Timestamp {
        (**self).planned_at()
    }

    fn fingerprint(&self) -> Digest {
        (**self).fingerprint()
    }

    fn model(&self) -> &ModelIdentity {
        (**self).model()
    }

    fn task(&self) -> &TaskSettings {
        (**self).task()
    }

    fn input(&self) -> InputSummary {
        (**self).input()
    }

    fn rows(&self) -> u64 {
        (**self).rows()
    }

    fn shard_count(&self) -> u32 {
        (**self).shard_count()
    }

    fn shard_rows(&self, shard: ShardIndex) -> Option<u64> {
        (**self).shard_rows(shard)
    }

    fn gate(&self) -> Option<&GatePlan> {
        (**self).gate()
    }

    fn reporting(&self) -> Option<&Reporting> {
        (**self).reporting()
    }
}
