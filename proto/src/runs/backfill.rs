//! `Backfill`: the next missing things of many partitions.

use nightshift_core::ids::{Generation, InvalidId, Partition};
use nightshift_core::spec::{Order, Reprocess};

use super::status::{InvalidRunStatus, RunStatus};
use super::{InvalidSpecSource, SpecSource};
use crate::field::{
    self, InvalidList, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message,
    same_enum,
};
use crate::limits::{BACKFILL_DATES_MAX, BACKFILL_REASON_MAX_BYTES, REASON_MAX_BYTES};
use crate::names::{RequestId, Requester};
use crate::wire;

/// A wish for the next missing things of many partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRuns {
    /// Id of the request.
    pub request: RequestId,
    /// The spec.
    pub spec: SpecSource,
    /// The dates, or `all`; 1 to [`BACKFILL_DATES_MAX`].
    pub partitions: Vec<Partition>,
    /// How many of them to work on.
    pub dates_max: u32,
    /// Which comes first.
    pub order: Order,
    /// Whether a date that is done is done again.
    pub reprocess: Reprocess,
    /// Why all of them are run again.
    pub forced: Option<String>,
    /// Whether to change nothing.
    pub dry_run: bool,
    /// Who asks.
    pub requested_by: Requester,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfilledRuns {
    /// One for each partition, in their order.
    pub dates: Vec<DateDecision>,
}

/// What was decided about a partition, in the words of [`nightshift_core::backfill`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateDecision {
    /// The date, or `all`.
    pub partition: Partition,
    /// How it stands.
    pub state: String,
    /// What is done about it.
    pub action: String,
    /// The generation that it is about.
    pub generation: Option<Generation>,
    /// Why.
    pub reason: String,
    /// The run that was started or joined, or that is under way.
    pub run: Option<RunStatus>,
}

same_enum!(Order = Order { Oldest, Newest });
same_enum!(Reprocess = Reprocess { Never, OnModelChange, OnAnyChange });

invalid_message!(InvalidBackfillRuns of "the backfill request" {
    RequestId: InvalidText = "request_id",
    Spec: InvalidPart<InvalidSpecSource> = "spec",
    Partitions: InvalidList<InvalidId> = "partitions",
    PartitionCount: OutOfRange = "partitions",
    DatesMax: OutOfRange = "dates_max",
    Order: UnknownValue = "order",
    Reprocess: UnknownValue = "reprocess",
    ForceReason: InvalidText = "force_reason",
    RequestedBy: InvalidText = "requested_by",
});

invalid_message!(InvalidBackfilledRuns of "the backfill response" {
    Dates: InvalidList<InvalidDateDecision> = "dates",
});

invalid_message!(InvalidDateDecision of "a decision" {
    Partition: InvalidId = "partition",
    State: InvalidText = "state",
    Action: InvalidText = "action",
    Reason: InvalidText = "reason",
    Run: InvalidRunStatus = "run",
});

// === impl BackfillRuns ===

impl From<BackfillRuns> for wire::BackfillRequest {
    fn from(wish: BackfillRuns) -> Self {
        Self {
            request_id: wish.request.to_string(),
            spec: Some(wish.spec.into()),
            partitions: wish.partitions.iter().map(Partition::to_string).collect(),
            dates_max: wish.dates_max,
            order: wire::Order::from(wish.order).into(),
            reprocess: wire::Reprocess::from(wish.reprocess).into(),
            force_reason: wish.forced.unwrap_or_default(),
            dry_run: wish.dry_run,
            requested_by: wish.requested_by.to_string(),
        }
    }
}

impl TryFrom<wire::BackfillRequest> for BackfillRuns {
    type Error = InvalidBackfillRuns;

    fn try_from(wire: wire::BackfillRequest) -> Result<Self, InvalidBackfillRuns> {
        use InvalidBackfillRuns as Invalid;
        let forced =
            field::prose(wire.force_reason).map_err(|source| Invalid::ForceReason { source })?;
        Ok(Self {
            request: wire.request_id.parse().map_err(|source| Invalid::RequestId { source })?,
            spec: field::part(wire.spec).map_err(|source| Invalid::Spec { source })?,
            partitions: partitions(&wire.partitions)?,
            dates_max: field::within(wire.dates_max, 1, BACKFILL_DATES_MAX)
                .map_err(|source| Invalid::DatesMax { source })?,
            order: field::choice::<wire::Order, _>(wire.order)
                .map_err(|source| Invalid::Order { source })?,
            reprocess: field::choice::<wire::Reprocess, _>(wire.reprocess)
                .map_err(|source| Invalid::Reprocess { source })?,
            forced: Some(forced).filter(|reason| !reason.is_empty()),
            dry_run: wire.dry_run,
            requested_by: wire
                .requested_by
                .parse()
                .map_err(|source| Invalid::RequestedBy { source })?,
        })
    }
}

/// The partitions, each read; their number is checked before any is.
fn partitions(texts: &[String]) -> Result<Vec<Partition>, InvalidBackfillRuns> {
    use InvalidBackfillRuns as Invalid;
    let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    field::within(count, 1, BACKFILL_DATES_MAX)
        .map_err(|source| Invalid::PartitionCount { source })?;
    let read = |(position, text): (usize, &String)| {
        text.parse().map_err(|source| Invalid::Partitions {
            source: InvalidList::Element { position, source },
        })
    };
    texts.iter().enumerate().map(read).collect()
}

// === impl BackfilledRuns ===

impl From<BackfilledRuns> for wire::BackfillResponse {
    fn from(done: BackfilledRuns) -> Self {
        Self { dates: field::out(done.dates) }
    }
}

impl TryFrom<wire::BackfillResponse> for BackfilledRuns {
    type Error = InvalidBackfilledRuns;

    fn try_from(wire: wire::BackfillResponse) -> Result<Self, InvalidBackfilledRuns> {
        let dates = field::list(wire.dates, BACKFILL_DATES_MAX as usize)
            .map_err(|source| InvalidBackfilledRuns::Dates { source })?;
        Ok(Self { dates })
    }
}

// === impl DateDecision ===

impl From<DateDecision> for wire::DateDecision {
    fn from(decision: DateDecision) -> Self {
        Self {
            partition: decision.partition.to_string(),
            state: decision.state,
            action: decision.action,
            generation: decision.generation.map_or(0, Generation::get),
            reason: decision.reason,
            run: decision.run.map(Into::into),
        }
    }
}

impl TryFrom<wire::DateDecision> for DateDecision {
    type Error = InvalidDateDecision;

    fn try_from(wire: wire::DateDecision) -> Result<Self, InvalidDateDecision> {
        use InvalidDateDecision as Invalid;
        Ok(Self {
            partition: wire.partition.parse().map_err(|source| Invalid::Partition { source })?,
            state: field::set(wire.state, REASON_MAX_BYTES)
                .map_err(|source| Invalid::State { source })?,
            action: field::set(wire.action, REASON_MAX_BYTES)
                .map_err(|source| Invalid::Action { source })?,
            generation: Generation::new(wire.generation),
            reason: field::at_most(wire.reason, BACKFILL_REASON_MAX_BYTES)
                .map_err(|source| Invalid::Reason { source })?,
            run: wire
                .run
                .map(RunStatus::try_from)
                .transpose()
                .map_err(|source| Invalid::Run { source })?,
        })
    }
}
