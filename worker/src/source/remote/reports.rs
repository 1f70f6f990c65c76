//! Telling how attempts ended, each until it is heard.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use nightshift_core::exit::Exit;
use nightshift_core::layout::Object;
use nightshift_core::record::Record;
use nightshift_core::settle::CommitPermit;
use nightshift_proto::leases::LeaseId;
use nightshift_proto::leases::report::{
    Counts, Outcome as ReportedOutcome, Report, ReportState, Reported,
};
use nightshift_storage::concluding::publish_won;
use nightshift_storage::documents::Settled;
use nightshift_storage::error::StoreError;
use nightshift_telemetry::phase;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::Instrument;

use super::calls::{CallError, Calls};
use super::contact::{Pauses, random};
use super::holdings::{Ended, Outcome};
use super::shared::{Ending, Shared};
use crate::source::RunWork;

/// Reports under way at a time: enough to hide the round trip behind shards of a millisecond.
const REPORTS_MAX: usize = 16;
/// Longest pause before a report is repeated: a coordinator that is back is told soon.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Tells the end of attempts, for ever.
pub(super) async fn tell(shared: &Shared, calls: &Calls, runtime: &Handle) {
    let mut telling = FuturesUnordered::new();
    loop {
        while telling.len() < REPORTS_MAX
            && let Some((lease, ended)) = next(shared)
        {
            telling.push(tell_one(shared, calls, runtime, lease, ended));
        }
        tokio::select! {
            Some(lease) = telling.next() => {
                shared.lock().holdings.told(&lease);
                shared.for_watch.notify_one();
            }
            () = shared.for_reports.notified() => {}
        }
    }
}

fn next(shared: &Shared) -> Option<(LeaseId, Ended)> {
    shared.lock().holdings.next_to_tell()
}

/// Tells one until it is heard.
async fn tell_one(
    shared: &Shared,
    calls: &Calls,
    runtime: &Handle,
    lease: LeaseId,
    mut ended: Ended,
) -> LeaseId {
    let mut pauses = Pauses::up_to(PAUSE_MAX);
    // Lines are within the attempt, which no filter takes away as it does the step of the trace.
    let attempt = ended.span.clone();
    let step = phase!("report", within & attempt);
    loop {
        let report = report(shared, &lease, &ended);
        let called = calls.report(shared, report).instrument(step.clone());
        match called.instrument(attempt.clone()).await {
            Ok(Reported { state, directive }) => {
                shared.directed(directive);
                if state != ReportState::NoRecord {
                    return lease;
                }
                if let Outcome::Decided { work, record, .. } = &ended.outcome {
                    attempt.in_scope(|| {
                        tracing::warn!("the coordinator sees no record; settling again");
                    });
                    let settled = settle_again(runtime, Arc::clone(work), record.clone()).await;
                    match settled {
                        Ok(outcome) => ended.outcome = outcome,
                        Err(error) => attempt.in_scope(|| {
                            let error = crate::describe(&error);
                            tracing::warn!(error, "the record could not be settled");
                        }),
                    }
                }
            }
            // The run is over and forgotten, so there is nothing to add to it.
            Err(CallError::Refused { exit: Exit::NoInput, text }) => {
                attempt.in_scope(|| tracing::info!(answer = text, "report not wanted"));
                return lease;
            }
            Err(CallError::Refused { exit, text }) => {
                shared.end(Ending::Refused { exit, text });
                return std::future::pending().await;
            }
            Err(CallError::Away { .. }) => {}
        }
        sleep(pauses.next(random())).await;
    }
}

fn report(shared: &Shared, lease: &LeaseId, ended: &Ended) -> Report {
    let (attempt, outcome) = match &ended.outcome {
        Outcome::Failed(failure) => {
            (ended.attempt.clone(), ReportedOutcome::Failed(failure.clone()))
        }
        Outcome::Decided { record, won, .. } => match record.committed() {
            Some(committed) if *won => {
                let counts =
                    Counts { rows_out: committed.rows_out, rows_rejected: committed.rows_rejected };
                (record.attempt.clone(), ReportedOutcome::Committed(counts))
            }
            _ => {
                let winner = record.attempt.clone();
                (ended.attempt.clone(), ReportedOutcome::Lost { winner })
            }
        },
    };
    Report {
        worker: shared.settings.worker.clone(),
        lease: lease.clone(),
        attempt,
        outcome,
        batch_size: ended.batch_size,
    }
}

/// Finds out which record the shard has, and creates this one again if it has none.
async fn settle_again(
    runtime: &Handle,
    work: Arc<RunWork>,
    record: Box<Record>,
) -> Result<Outcome, StoreError> {
    let task = async move {
        let object = Object::Record { run: record.run.clone(), shard: record.shard };
        let found = match work.root.read::<Record>(&object).await? {
            Some(found) => found,
            // It was there once: the same bytes again, and whatever comes of it is the verdict.
            None => match work.root.take_over(&record).await? {
                Settled::Created => (*record).clone(),
                Settled::Existing(other) => other,
            },
        };
        let won = found.attempt == record.attempt;
        if won && found.committed().is_some() {
            let (run, attempt) = (found.run.clone(), found.attempt.clone());
            let permit = CommitPermit::from_stored_record(run, found.shard, attempt);
            publish_won(&work.root, &**work.plan(), &permit, &found).await?;
        }
        Ok(Outcome::Decided { work, record: Box::new(found), won })
    };
    let spawned = {
        let _entered = runtime.enter();
        nightshift_telemetry::spawn("settle", task)
    };
    spawned.await.unwrap_or_else(|error| {
        let (what, path) = ("settle again", "the record".to_owned());
        Err(StoreError::Failed { what, path, source: Box::new(error) })
    })
}
