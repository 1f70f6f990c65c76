//! Legal values of every message, for property tests.

use jiff::Timestamp;
use jiff::civil::Date;
use nightshift_core::conclusion::{FinalState, QuarantinedShard, Totals};
use nightshift_core::gates::{Judgement, REASON_MAX_CHARS};
use nightshift_core::ids::{AttemptId, Digest, Generation, Partition, RunId, ShardIndex, SpecName};
use nightshift_core::lease::Token;
use nightshift_core::plan::SHARDS_MAX;
use nightshift_core::record::FailureClass;
use nightshift_core::spec::{Order, Reprocess};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::leases::acquire::{Acquire, Acquired, Grant};
use crate::leases::create_record::{CreateRecord, RecordAnswered, RecordState};
use crate::leases::heartbeat::{
    Heartbeat, HeartbeatAnswered, LeaseAnswer, LeaseProgress, LeaseState,
};
use crate::leases::release::{Release, Released};
use crate::leases::report::{Counts, Failure, Outcome, Report, ReportState, Reported};
use crate::leases::{Directive, LeaseId, Phase};
use crate::limits::*;
use crate::names::*;
use crate::pods::{HandIn, HandedIn, PodSample};
use crate::runs::backfill::{BackfillRuns, BackfilledRuns, DateDecision};
use crate::runs::cancel::{CancelRun, CancelledRun};
use crate::runs::get::{FoundRun, GetRun, ShardLease, ShardState, ShardStatus};
use crate::runs::judge::{JudgeRun, Judged, JudgedRun};
use crate::runs::list::{ListRuns, RunPage};
use crate::runs::plan::{PlanRun, PlannedRun};
use crate::runs::retry::{RetriedRun, RetryRun};
use crate::runs::start::{StartRun, StartedRun};
use crate::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};
use crate::runs::verdict::RunVerdict;
use crate::runs::watch::{WatchRun, WatchedRun};
use crate::runs::{Decision, SpecOverrides, SpecSource};

/// A type with a strategy for all of its legal values.
pub(crate) trait Legal: Sized + std::fmt::Debug {
    fn legal() -> BoxedStrategy<Self>;
}

/// A struct whose fields are drawn one by one.
macro_rules! legal_struct {
    ($type:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        impl Legal for $type {
            fn legal() -> BoxedStrategy<Self> {
                // Nested pairs, because tuples of strategies end at twelve.
                legal_struct!(@ $type [$($field)*] $($field: $strategy),*)
            }
        }
    };
    (@ $type:ident [$($all:ident)*] $($field:ident: $strategy:expr),*) => {{
        let strategy = Just(());
        $(let strategy = (strategy, $strategy);)*
        strategy.prop_map(|drawn| {
            legal_struct!(# drawn [] $($all)*);
            $type { $($all),* }
        }).boxed()
    }};
    // Turns the field names round: the last one was paired last.
    (# $drawn:ident [$($turned:ident)*] $head:ident $($rest:ident)*) => {
        legal_struct!(# $drawn [$head $($turned)*] $($rest)*)
    };
    (# $drawn:ident [$($turned:ident)*]) => {
        $(let ($drawn, $turned) = $drawn;)*
        let () = $drawn;
    };
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> BoxedStrategy<T> {
    proptest::sample::select(values.to_vec()).boxed()
}

fn parsed<T>(pattern: &'static str) -> BoxedStrategy<T>
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug + 'static,
{
    proptest::string::string_regex(pattern).unwrap().prop_map(|text| text.parse().unwrap()).boxed()
}

fn prose() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "\\PC{0,40}", Just("ä".repeat(MESSAGE_MAX_CHARS))].boxed()
}

pub(crate) fn run_id() -> BoxedStrategy<RunId> {
    let name = "[a-z]([a-z0-9-]{0,43}[a-z0-9])?".prop_map(|text| text.parse::<SpecName>().unwrap());
    (name, partition(), 1..=u32::MAX)
        .prop_map(|(name, partition, n)| RunId {
            name,
            partition,
            generation: Generation::new(n).unwrap(),
        })
        .boxed()
}

fn partition() -> BoxedStrategy<Partition> {
    let date = (1970_i16..2100, 1_i8..=12, 1_i8..=28)
        .prop_map(|(year, month, day)| Partition::Date(Date::new(year, month, day).unwrap()));
    prop_oneof![1 => Just(Partition::All), 4 => date].boxed()
}

fn shard() -> BoxedStrategy<ShardIndex> {
    (0..SHARDS_MAX).prop_map(ShardIndex).boxed()
}

fn token() -> BoxedStrategy<Token> {
    (1_u64.., any::<u64>()).prop_map(|(epoch, sequence)| Token { epoch, sequence }).boxed()
}

fn digest() -> BoxedStrategy<Digest> {
    any::<[u8; 32]>().prop_map(Digest).boxed()
}

fn attempt() -> BoxedStrategy<AttemptId> {
    parsed("[0-7][0-9A-HJKMNP-TV-Z]{25}")
}

fn worker() -> BoxedStrategy<WorkerName> {
    parsed("[!-~]{1,128}")
}

fn moment() -> BoxedStrategy<Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|ns| Timestamp::from_nanosecond(ns).unwrap())
        .boxed()
}

fn batch_size() -> BoxedStrategy<Option<BatchSize>> {
    option::of((1..=BATCH_SIZE_MAX).prop_map(|size| BatchSize::new(size).unwrap())).boxed()
}

fn trace() -> BoxedStrategy<Option<TraceParent>> {
    option::of(parsed("00-[1-9a-f][0-9a-f]{31}-[0-9a-f]{15}[1-9a-f]-[0-9a-f]{2}")).boxed()
}

fn class() -> BoxedStrategy<FailureClass> {
    use FailureClass::*;
    one_of(&[Preempted, Lost, Transient, Data, Config])
}

fn directive() -> BoxedStrategy<Directive> {
    one_of(&[Directive::Continue, Directive::Drain, Directive::Retire])
}

fn phase() -> BoxedStrategy<Phase> {
    one_of(&[Phase::Waiting, Phase::Scoring, Phase::Committing])
}

fn decision() -> BoxedStrategy<Decision> {
    one_of(&[Decision::Done, Decision::Join, Decision::Start])
}

fn final_state() -> BoxedStrategy<FinalState> {
    one_of(&[FinalState::Succeeded, FinalState::Partial, FinalState::Failed])
}

// === leases ===

legal_struct!(LeaseId { run: run_id(), shard: shard(), token: token() });

legal_struct!(Acquire {
    worker: worker(),
    request: parsed("[!-~]{1,128}"),
    max: 1..=ACQUIRE_MAX,
    wait_ms: 0..=ACQUIRE_WAIT_MAX_MS,
    run: option::of(run_id()),
});

impl Legal for Grant {
    fn legal() -> BoxedStrategy<Self> {
        let times = (2..=TTL_MAX_MS).prop_flat_map(|ttl_ms| (Just(ttl_ms), 1..ttl_ms));
        let plan = ("\\PC{1,40}", digest(), trace(), batch_size(), any::<bool>(), any::<bool>());
        (LeaseId::legal(), any::<u32>(), times, plan)
            .prop_map(|(lease, earlier_attempts, times, plan)| Self {
                lease,
                earlier_attempts,
                ttl_ms: times.0,
                heartbeat_interval_ms: times.1,
                output_root: plan.0,
                plan_sha256: plan.1,
                trace: plan.2,
                batch_size: plan.3,
                backup: plan.4,
                coordinator_creates_records: plan.5,
            })
            .boxed()
    }
}

legal_struct!(Acquired {
    grants: vec(Grant::legal(), 0..4),
    directive: directive(),
    retry_after_ms: 0..=RETRY_AFTER_MAX_MS,
    notice: prose(),
});

legal_struct!(LeaseProgress { lease: LeaseId::legal(), phase: phase(), rows_done: any::<u64>() });

legal_struct!(Heartbeat { worker: worker(), leases: vec(LeaseProgress::legal(), 0..8) });

legal_struct!(LeaseAnswer {
    lease: LeaseId::legal(),
    state: one_of(&[LeaseState::Ok, LeaseState::Revoked, LeaseState::Unknown]),
});

legal_struct!(HeartbeatAnswered {
    answers: vec(LeaseAnswer::legal(), 0..8),
    directive: directive(),
});

legal_struct!(Release {
    worker: worker(),
    leases: vec(LeaseId::legal(), 0..8),
    leaving: any::<bool>(),
});

legal_struct!(Released { released: 0..=LEASES_MAX as u32 });

legal_struct!(PodSample {
    metric: parsed("[a-zA-Z0-9_:]{1,128}"),
    label: proptest::string::string_regex("\\PC{0,30}").unwrap(),
    value: 0.0..1e300,
});

legal_struct!(HandIn {
    snapshot: parsed("[!-~]{1,128}"),
    run: LeaseId::legal().prop_map(|lease| lease.run),
    pod: parsed("[!-~]{1,128}"),
    samples: vec(PodSample::legal(), 0..8),
});

legal_struct!(HandedIn { counted: any::<bool>(), left_out: 0..=POD_SAMPLES_MAX as u32 });

legal_struct!(Counts { rows_out: any::<u64>(), rows_rejected: any::<u64>() });

legal_struct!(Failure { class: class(), reason: parsed("[a-z][a-z0-9_]{0,63}"), message: prose() });

impl Legal for Outcome {
    fn legal() -> BoxedStrategy<Self> {
        prop_oneof![
            Counts::legal().prop_map(Self::Committed),
            attempt().prop_map(|winner| Self::Lost { winner }),
            Failure::legal().prop_map(Self::Failed),
        ]
        .boxed()
    }
}

legal_struct!(Report {
    worker: worker(),
    lease: LeaseId::legal(),
    attempt: attempt(),
    outcome: Outcome::legal(),
    batch_size: batch_size(),
});

legal_struct!(Reported {
    state: one_of(&[ReportState::Accepted, ReportState::Stale, ReportState::NoRecord]),
    directive: directive(),
});

legal_struct!(CreateRecord {
    worker: worker(),
    run: run_id(),
    shard: shard(),
    record: vec(any::<u8>(), 1..200),
});

legal_struct!(RecordAnswered { state: one_of(&[RecordState::Created, RecordState::Exists]) });

// === runs ===

legal_struct!(SpecSource {
    yaml: "\\PC{1,80}",
    base: "\\PC{1,40}",
    file_name: "\\PC{0,40}",
    overrides: SpecOverrides::legal(),
});

fn place() -> BoxedStrategy<Option<String>> {
    option::of(prop_oneof!["/\\PC{0,40}", "[a-z0-9]{1,5}://\\PC{0,40}"]).boxed()
}

legal_struct!(SpecOverrides {
    input: place(),
    model: place(),
    output: place(),
    model_version: option::of("\\PC{1,30}"),
});

legal_struct!(PlanRun { spec: SpecSource::legal(), partition: partition(), force: any::<bool>() });

legal_struct!(PlannedRun {
    decision: decision(),
    run: run_id(),
    inherits: option::of(run_id()),
    shards: 0..=SHARDS_MAX,
    rows: any::<u64>(),
    input_files: any::<u64>(),
    input_bytes: any::<u64>(),
    fingerprint: digest(),
    model_digest: digest(),
    explanation: prose(),
});

legal_struct!(StartRun {
    request: parsed("[!-~]{1,128}"),
    spec: SpecSource::legal(),
    partition: partition(),
    forced: option::of("\\PC{1,40}"),
    requested_by: parsed("[!-~]{1,128}"),
});

legal_struct!(StartedRun { decision: decision(), run: RunStatus::legal() });

legal_struct!(BackfillRuns {
    request: parsed("[!-~]{1,128}"),
    spec: SpecSource::legal(),
    partitions: vec(partition(), 1..5),
    dates_max: 1..=BACKFILL_DATES_MAX,
    order: one_of(&[Order::Oldest, Order::Newest]),
    reprocess: one_of(&[Reprocess::Never, Reprocess::OnModelChange, Reprocess::OnAnyChange]),
    forced: option::of("\\PC{1,40}"),
    dry_run: any::<bool>(),
    requested_by: parsed("[!-~]{1,128}"),
});

legal_struct!(DateDecision {
    partition: partition(),
    state: "\\PC{1,16}",
    action: "\\PC{1,16}",
    generation: option::of((1..u32::MAX).prop_map(|n| Generation::new(n).unwrap())),
    reason: "\\PC{0,100}",
    run: option::of(RunStatus::legal()),
});

legal_struct!(BackfilledRuns { dates: vec(DateDecision::legal(), 0..5) });

impl Legal for ShardCounts {
    fn legal() -> BoxedStrategy<Self> {
        (vec(0..=SHARDS_MAX / 5, 5))
            .prop_map(|parts| Self {
                total: parts.iter().sum(),
                committed: parts[0],
                quarantined: parts[1],
                leased: parts[2],
                delayed: parts[3],
                ready: parts[4],
            })
            .boxed()
    }
}

legal_struct!(RowCounts {
    planned: any::<u64>(),
    out: any::<u64>(),
    rejected: any::<u64>(),
    quarantined: any::<u64>(),
    under_way: any::<u64>(),
});

fn run_state() -> BoxedStrategy<RunState> {
    use RunState::*;
    one_of(&[Planning, Recovering, Running, Paused, Concluding, Succeeded, Partial, Failed])
}

legal_struct!(RunStatus {
    run: run_id(),
    state: run_state(),
    shards: ShardCounts::legal(),
    rows: RowCounts::legal(),
    workers: any::<u32>(),
    epoch: any::<u64>(),
    planned_at: option::of(moment()),
    decided_at: option::of(moment()),
    notice: prose(),
});

fn seconds() -> BoxedStrategy<f64> {
    prop_oneof![Just(0.0), 0.0..1e9].boxed()
}

legal_struct!(Totals {
    shards: any::<u64>(),
    committed: any::<u64>(),
    quarantined: any::<u64>(),
    inherited: any::<u64>(),
    rows_in: any::<u64>(),
    rows_out: any::<u64>(),
    rows_rejected: any::<u64>(),
    rows_quarantined: any::<u64>(),
    rejects_by_reason: btree_map("\\PC{1,30}", any::<u64>(), 0..4),
    output_bytes: any::<u64>(),
    read_s: seconds(),
    infer_s: seconds(),
    write_s: seconds(),
});

legal_struct!(RunVerdict {
    state: final_state(),
    fingerprint: digest(),
    model_digest: digest(),
    totals: Totals::legal(),
    withheld: prose(),
    judged: option::of(Judged::legal()),
});

legal_struct!(QuarantinedShard {
    shard: shard(),
    rows: any::<u64>(),
    class: prop_oneof![class(), Just(FailureClass::Cancelled)],
    reason: "\\PC{1,30}",
    message: prose(),
});

legal_struct!(GetRun {
    run: run_id(),
    shard: option::of(shard()),
    open_shards_max: 0..=OPEN_SHARDS_MAX,
});

legal_struct!(ShardLease {
    token: token(),
    worker: worker(),
    phase: phase(),
    rows_done: any::<u64>(),
    age_ms: any::<u64>(),
    heard_ms: any::<u64>(),
});

fn shard_state() -> BoxedStrategy<ShardState> {
    use ShardState::*;
    one_of(&[Ready, Delayed, Leased, Committed, Quarantined])
}

legal_struct!(ShardStatus {
    shard: shard(),
    state: shard_state(),
    rows: any::<u64>(),
    failed_attempts: any::<u32>(),
    preempted_attempts: any::<u32>(),
    attempt: option::of(attempt()),
    leases: vec(ShardLease::legal(), 0..3),
    last_failure: option::of(Failure::legal()),
});

legal_struct!(FoundRun {
    run: RunStatus::legal(),
    verdict: option::of(RunVerdict::legal()),
    quarantined: vec(QuarantinedShard::legal(), 0..3),
    shard: option::of(ShardStatus::legal()),
    open_shards: vec(ShardStatus::legal(), 0..3),
});

legal_struct!(ListRuns {
    name: option::of(run_id().prop_map(|run| run.name)),
    partition: option::of(partition()),
    unfinished: any::<bool>(),
    page_size: 1..=PAGE_MAX,
    page: option::of(parsed("[!-~]{1,128}")),
});

legal_struct!(RunPage {
    runs: vec(RunStatus::legal(), 0..4),
    next: option::of(parsed("[!-~]{1,128}")),
});

legal_struct!(WatchRun {
    run: run_id(),
    interval_ms: WATCH_INTERVAL_MIN_MS..=WATCH_INTERVAL_MAX_MS,
});

legal_struct!(WatchedRun { run: RunStatus::legal(), verdict: option::of(RunVerdict::legal()) });

legal_struct!(CancelRun { run: run_id(), reason: prose(), requested_by: parsed("[!-~]{1,128}") });

legal_struct!(CancelledRun { run: RunStatus::legal() });

legal_struct!(RetryRun {
    request: parsed("[!-~]{1,128}"),
    run: run_id(),
    requested_by: parsed("[!-~]{1,128}"),
});

legal_struct!(RetriedRun { run: RunStatus::legal() });

fn judgement() -> BoxedStrategy<Judgement> {
    one_of(&Judgement::ALL)
}

legal_struct!(JudgeRun {
    run: run_id(),
    judgement: judgement(),
    reason: prop_oneof!["[a-z]\\PC{0,40}", Just("ä".repeat(REASON_MAX_CHARS))],
    requested_by: parsed("[!-~]{1,128}"),
});

legal_struct!(Judged {
    judgement: judgement(),
    decided_by: prose(),
    decided_at: moment(),
    reason: prose(),
});

legal_struct!(JudgedRun {
    run: run_id(),
    judged: Judged::legal(),
    first: any::<bool>(),
    output: option::of("\\PC{1,40}"),
});
