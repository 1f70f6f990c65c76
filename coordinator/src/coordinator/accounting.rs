//! Keeping the accounts: what the runs of each name came to, from records, finals and approvals
//! alone.
//!
//! A name is surveyed once, when its output is first served: its finals, and the records of runs
//! without one. From then on records and finals are counted as this process meets them. What others
//! do to the same output without it is met when a run is opened or a backfill looks at its date,
//! and at the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use nightshift_core::accounts::{Account, Ending, Figures, Met};
use nightshift_core::backfill::Decided;
use nightshift_core::conclusion::Final;
use nightshift_core::decide::{Claim, run_id};
use nightshift_core::describe::describe;
use nightshift_core::gates::Judgement;
use nightshift_core::ids::{Generation, Partition, RunId, SpecName};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::Record;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::Reader;

use super::Coordinator;
use super::performing::{PAUSE_MAX, PAUSE_MIN};
use crate::roots::ServedRoot;

/// Finals that are read at the same time.
const READS_MAX: usize = 16;

/// The accounts of all names that are served.
pub(super) type Accounts = BTreeMap<SpecName, Account>;

/// How runs ended, and what a person decided about those that were withheld.
type Endings = BTreeMap<(Partition, Generation), (Ending, Option<Judgement>)>;

impl Coordinator {
    /// What the accounts say; a name whose store is still being counted is left out.
    pub fn figures(&self) -> BTreeMap<SpecName, Figures> {
        let accounts = self.accounts();
        let said =
            |(name, account): (&SpecName, &Account)| Some((name.clone(), account.figures()?));
        accounts.iter().filter_map(said).collect()
    }

    /// Opens the account of a name, if it has none, and counts what its store has, however long
    /// that takes.
    pub(super) fn open_account(self: &Arc<Self>, served: &Arc<ServedRoot>) {
        {
            let mut accounts = self.accounts();
            if accounts.contains_key(&served.name) {
                return;
            }
            accounts.insert(served.name.clone(), Account::default());
        }
        let (this, served) = (Arc::clone(self), Arc::clone(served));
        nightshift_telemetry::spawn("survey", async move {
            let mut pause = PAUSE_MIN;
            while let Err(error) = this.survey(&served).await {
                put_off("runs", &served.name, &error, &mut pause).await;
            }
        });
    }

    /// Counts a record of a run that is on the desk.
    pub(super) fn count(&self, record: &Record, rows: u64, met: Met) {
        self.with_account(&record.run.name, |account| account.record(record, rows, met));
    }

    /// Counts a run that has its final. If records of it were missed, they are read first.
    pub(super) fn count_final(self: &Arc<Self>, served: &Arc<ServedRoot>, verdict: &Final) {
        let ending = Ending::from(verdict);
        if self.try_conclude(&served.name, &ending) {
            return;
        }
        let (this, served) = (Arc::clone(self), Arc::clone(served));
        nightshift_telemetry::spawn("count-records", async move {
            let mut pause = PAUSE_MIN;
            while let Err(error) = this.settle(&served, &ending, None).await {
                put_off("records", &served.name, &error, &mut pause).await;
            }
        });
    }

    /// Counts a final that somebody else may have made, if it says enough by itself; otherwise
    /// it is counted at the next start.
    pub(super) fn met_final(&self, name: &SpecName, verdict: &Final) {
        self.try_conclude(name, &Ending::from(verdict));
    }

    /// Counts what a person decided about a withheld run.
    pub(super) fn count_judgement(&self, verdict: &Final, judgement: Judgement) {
        let ending = Ending::from(verdict);
        self.with_account(&verdict.run.name, |account| account.judge(&ending, judgement));
    }

    /// Notes what a backfill has decided.
    pub(super) fn note_backfill(&self, name: &SpecName, decided: &[Decided]) {
        self.with_account(name, |account| account.decided(decided));
    }

    /// Notes the plan of a run.
    pub(super) fn note_plan(&self, plan: &impl Planned) {
        self.with_account(&plan.run().name, |account| account.planned(plan));
    }

    fn try_conclude(&self, name: &SpecName, ending: &Ending) -> bool {
        let conclude = |account: &mut Account| account.conclude(ending, None).is_ok();
        self.with_account(name, conclude).unwrap_or(true)
    }

    fn with_account<T>(&self, name: &SpecName, with: impl FnOnce(&mut Account) -> T) -> Option<T> {
        self.accounts().get_mut(name).map(with)
    }

    /// Every account is whole between calls, so a panic elsewhere cannot break it.
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts all that the store has.
    async fn survey(&self, served: &ServedRoot) -> Result<(), StoreError> {
        let (name, reader) = (&served.name, served.root.reader());
        // Claims come first: a run that is claimed later is met by this process.
        let claims = reader.generations(&Prefix::AllClaims).await?;
        let endings = endings(reader, name).await?;
        for (ending, judgement) in endings.values() {
            let mut before = None;
            if ending.totals.inherited > 0 {
                let (partition, generation) = (ending.partition, ending.generation);
                let claim: Option<Claim> =
                    reader.read(&Object::Claim { partition, generation }).await?;
                let from = claim.and_then(|claim| claim.inherits);
                let from = from.and_then(|from| endings.get(&(from.partition, from.generation)));
                before = from.map(|(before, _)| before);
            }
            self.settle(served, ending, before).await?;
            if let Some(judgement) = judgement {
                self.with_account(name, |account| account.judge(ending, *judgement));
            }
        }
        for (partition, generation) in claims {
            if !endings.contains_key(&(partition, generation)) {
                self.count_records(served, &run_id(name, partition, generation)).await?;
            }
        }
        let newest = endings.values().map(|(ending, _)| ending);
        let newest = newest.max_by_key(|ending| ending.planned_at);
        if let Some(Ending { partition, generation, .. }) = newest {
            let run = run_id(name, *partition, *generation);
            let plan: Option<Outline> = reader.read(&Object::Plan { run }).await?;
            plan.iter().for_each(|plan| self.note_plan(plan));
        }
        self.with_account(name, Account::surveyed);
        tracing::info!(%name, finals = endings.len(), "the runs of the output are counted");
        Ok(())
    }

    /// Counts a final; if it does not say enough, the records of its run come first.
    async fn settle(
        &self,
        served: &ServedRoot,
        ending: &Ending,
        before: Option<&Ending>,
    ) -> Result<(), StoreError> {
        let name = &served.name;
        let before = before.map(|before| &before.totals);
        let conclude = |account: &mut Account| account.conclude(ending, before);
        let Some(Err(_)) = self.with_account(name, conclude) else { return Ok(()) };
        let run = run_id(name, ending.partition, ending.generation);
        self.count_records(served, &run).await?;
        if let Some(Err(error)) = self.with_account(name, |account| account.conclude(ending, None))
        {
            // Records that a final was made of are gone from the store. What is left is counted.
            tracing::error!(%run, error = describe(&error), "records of a concluded run are missing");
        }
        Ok(())
    }

    /// Counts the records that a run has; none if it has no plan.
    async fn count_records(&self, served: &ServedRoot, run: &RunId) -> Result<(), StoreError> {
        let reader = served.root.reader();
        let plan: Option<Outline> = reader.read(&Object::Plan { run: run.clone() }).await?;
        let Some(plan) = plan else { return Ok(()) };
        self.note_plan(&plan);
        let decided = reader.decided_shards(run).await?;
        let mut records = reader.records_in_order(run, decided.iter());
        while let Some((shard, record)) = records.try_next().await? {
            if let Some(record) = record {
                self.count(&record, plan.shard_rows(shard).unwrap_or_default(), Met::Before);
            }
        }
        Ok(())
    }
}

/// Waits before the store is asked again, longer each time.
async fn put_off(what: &str, name: &SpecName, error: &StoreError, pause: &mut Duration) {
    tracing::warn!(%name, error = describe(error), "{what} cannot be counted yet");
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}

/// Every final of the output, without its statistics, and every decision of a person.
async fn endings(reader: &Reader, name: &SpecName) -> Result<Endings, StoreError> {
    let listed = reader.generations(&Prefix::AllFinals).await?;
    let read = |(partition, generation)| async move {
        let verdict: Option<Final> = reader.read(&Object::Final { partition, generation }).await?;
        // A final that names another run than its path does decides nothing.
        let verdict = verdict.filter(|it| it.run == run_id(name, partition, generation));
        let Some(verdict) = verdict else { return Ok::<_, StoreError>(None) };
        let judgement = reader.judgement(&verdict).await?;
        Ok(Some(((partition, generation), (Ending::from(&verdict), judgement))))
    };
    let found = stream::iter(listed).map(read).buffer_unordered(READS_MAX);
    found.try_filter_map(async |ending| Ok(ending)).try_collect().await
}
