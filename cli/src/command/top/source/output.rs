//! The runs of an output, from its documents alone. Verdicts and records are written once, so
//! each is read once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use nightshift_core::conclusion::{Final, QuarantinedShard};
use nightshift_core::decide::Claim;
use nightshift_core::gates::Approval;
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Outline, Planned, ShardSet};
use nightshift_core::record::{Record, Verdict};
use nightshift_proto::limits::QUARANTINED_SHOWN_MAX;
use nightshift_proto::runs::get::FoundRun;
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};
use nightshift_proto::runs::verdict::RunVerdict;
use nightshift_storage::{Reader, StoreError};
use nightshift_worker::front::failure::Failure;

use super::Blind;
use crate::command::status::runs::Wanted;
use crate::command::top::model::Look;

/// Most records that one look reads of one run; the rest have their turn at the next ones.
const RECORDS_A_LOOK: usize = 500;
/// Most runs under way that one look reads: each costs a listing.
const OPEN_RUNS_MAX: usize = 100;

/// An output that is looked at again and again.
#[derive(Debug)]
pub(in crate::command::top) struct Output {
    place: String,
    reader: Option<Reader>,
    open: BTreeMap<RunId, Open>,
    concluded: BTreeMap<(Partition, Generation), Concluded>,
}

/// A run without a verdict.
#[derive(Debug)]
struct Open {
    outline: Option<Outline>,
    decided: ShardSet,
    read: ShardSet,
    shards: ShardCounts,
    rows: RowCounts,
    given_up: Vec<QuarantinedShard>,
}

#[derive(Debug)]
struct Concluded {
    verdict: Final,
    /// What a person decided, if a gate withheld it.
    approval: Option<Approval>,
}

impl From<StoreError> for Blind {
    fn from(error: StoreError) -> Self {
        let failure = Failure::from(error);
        Self { reason: failure.to_string(), failure, for_good: false }
    }
}

impl Output {
    pub(in crate::command::top) fn new(place: String) -> Self {
        Self { place, reader: None, open: BTreeMap::new(), concluded: BTreeMap::new() }
    }

    pub(in crate::command::top) fn place(&self) -> &str {
        &self.place
    }

    /// The newest generation of each date: runs under way first, then the newest dates.
    pub(super) async fn look(&mut self, wanted: &Wanted) -> Result<Look, Blind> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => match Reader::open(&self.place).await {
                Ok(reader) => reader,
                // Nothing has been run there yet.
                Err(StoreError::Missing { .. }) => {
                    return Ok(Look { runs: Vec::new(), more: false, ready: None });
                }
                Err(error) => return Err(error.into()),
            },
        };
        let look = self.read(&reader, wanted).await;
        self.reader = Some(reader);
        Ok(look?)
    }

    async fn read(&mut self, reader: &Reader, wanted: &Wanted) -> Result<Look, StoreError> {
        let claims = newest(reader.generations(&Prefix::AllClaims).await?);
        let finals = newest(reader.generations(&Prefix::AllFinals).await?);
        let mut runs = Vec::new();
        let mut seen = Vec::new();
        let open = claims.iter().rev().filter(|(date, claimed)| finals.get(date) < Some(claimed));
        for (&partition, &generation) in open.take(OPEN_RUNS_MAX) {
            let claim: Option<Claim> =
                reader.read(&Object::Claim { partition, generation }).await?;
            let Some(claim) = claim else { continue };
            runs.push(self.open_run(reader, &claim).await?);
            seen.push(claim.run);
        }
        self.open.retain(|run, _| seen.contains(run));
        let limit = wanted.limit as usize;
        let done = finals.iter().rev().filter(|(date, done)| claims.get(date) <= Some(done));
        let mut more = false;
        for (&partition, &generation) in done.filter(|_| !wanted.unfinished) {
            if runs.len() >= limit {
                more = true;
                break;
            }
            runs.extend(self.concluded_run(reader, partition, generation).await?);
        }
        more |= runs.len() > limit;
        runs.truncate(limit);
        runs.retain(|run| wanted.name.as_ref().is_none_or(|name| *name == run.run.name));
        Ok(Look { runs, more, ready: None })
    }

    async fn open_run(&mut self, reader: &Reader, claim: &Claim) -> Result<RunStatus, StoreError> {
        let run = &claim.run;
        let open = match self.open.entry(run.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Open::new()),
        };
        if open.outline.is_none() {
            let plan = reader.read_hashed::<Outline>(&Object::Plan { run: run.clone() }).await?;
            open.outline = plan.map(|(outline, _)| outline);
        }
        if open.outline.is_some() {
            open.decided = reader.decided_shards(run).await?;
            let fresh: Vec<ShardIndex> = open
                .decided
                .iter()
                .filter(|shard| !open.read.contains(*shard))
                .take(RECORDS_A_LOOK)
                .collect();
            for record in reader.records(run, fresh).await?.into_values() {
                open.note(&record);
            }
        }
        Ok(open.status(claim))
    }

    async fn concluded_run(
        &mut self,
        reader: &Reader,
        partition: Partition,
        generation: Generation,
    ) -> Result<Option<RunStatus>, StoreError> {
        let concluded = match self.concluded.entry((partition, generation)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let verdict =
                    reader.read::<Final>(&Object::Final { partition, generation }).await?;
                let Some(verdict) = verdict else { return Ok(None) };
                entry.insert(Concluded { verdict, approval: None })
            }
        };
        if concluded.waits() {
            // A person may have decided meanwhile.
            concluded.approval = reader.read(&Object::Approval { partition, generation }).await?;
        }
        Ok(Some(concluded.status()))
    }

    /// What is known of a run from the last look.
    pub(super) fn details(&self, run: &RunId) -> Option<FoundRun> {
        if let Some(concluded) = self.concluded.get(&(run.partition, run.generation)) {
            let (verdict, quarantined) =
                RunVerdict::of(&concluded.verdict, concluded.approval.clone());
            let run = concluded.status();
            let verdict = Some(verdict);
            return Some(FoundRun {
                run,
                verdict,
                quarantined,
                shard: None,
                open_shards: Vec::new(),
            });
        }
        let open = self.open.get(run)?;
        Some(FoundRun {
            run: open.status_of(run),
            verdict: None,
            quarantined: open.given_up.clone(),
            shard: None,
            open_shards: Vec::new(),
        })
    }
}

impl Concluded {
    /// Whether a person has to decide about it.
    fn waits(&self) -> bool {
        self.approval.is_none() && self.verdict.waits_for_approval()
    }

    fn status(&self) -> RunStatus {
        let mut status = RunStatus::concluded(&self.verdict);
        if self.waits() {
            status.notice =
                "a gate withholds the output; nightshift approve or reject decides".to_owned();
        }
        status
    }
}

impl Open {
    fn new() -> Self {
        Self {
            outline: None,
            decided: ShardSet::default(),
            read: ShardSet::default(),
            shards: ShardCounts::default(),
            rows: RowCounts::default(),
            given_up: Vec::new(),
        }
    }

    fn note(&mut self, record: &Record) {
        let shard = record.shard;
        if !self.read.insert(shard) {
            return;
        }
        match &record.verdict {
            Verdict::Committed(committed) => {
                self.shards.committed += 1;
                self.rows.out += committed.rows_out;
                self.rows.rejected += committed.rows_rejected;
            }
            Verdict::Quarantined(given_up) => {
                let rows = self.outline.as_ref().and_then(|plan| plan.shard_rows(shard));
                let rows = rows.unwrap_or_default();
                self.shards.quarantined += 1;
                self.rows.quarantined += rows;
                if self.given_up.len() < QUARANTINED_SHOWN_MAX {
                    self.given_up.push(QuarantinedShard {
                        shard,
                        rows,
                        class: given_up.class,
                        reason: given_up.reason.clone(),
                        message: given_up.message.clone(),
                    });
                }
            }
        }
    }

    fn status(&self, claim: &Claim) -> RunStatus {
        self.status_of(&claim.run)
    }

    /// Documents do not say who works, so a shard without a record counts as free.
    fn status_of(&self, run: &RunId) -> RunStatus {
        let total = self.outline.as_ref().map_or(0, Planned::shard_count);
        let decided = self.shards.committed + self.shards.quarantined;
        RunStatus {
            run: run.clone(),
            state: if self.outline.is_some() { RunState::Running } else { RunState::Planning },
            shards: ShardCounts { total, ready: total.saturating_sub(decided), ..self.shards },
            rows: RowCounts {
                planned: self.outline.as_ref().map_or(0, Planned::rows),
                ..self.rows
            },
            workers: 0,
            epoch: 0,
            planned_at: self.outline.as_ref().map(|plan| plan.planned_at),
            decided_at: None,
            notice: String::new(),
        }
    }
}

/// The newest generation of each date.
fn newest(found: Vec<(Partition, Generation)>) -> BTreeMap<Partition, Generation> {
    let mut newest = BTreeMap::new();
    for (partition, generation) in found {
        let known = newest.entry(partition).or_insert(generation);
        *known = (*known).max(generation);
    }
    newest
}
