//! How a date stands: facts for [`nightshift_core::backfill`].

use std::path::Path;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use nightshift_core::backfill::life::{self, Process};
use nightshift_core::backfill::{Concluded, Open, Stored};
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::{Claim, Epoch, Release, run_id};
use nightshift_core::ids::{Generation, Partition, RunId, SpecName};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Outline;

use crate::error::StoreError;
use crate::root::Reader;

/// What the names of all programs of Nightshift begin with, in the process table too.
const PROGRAMS: &str = "nightshift";

/// Who looks at runs that others hold.
#[derive(Debug, Clone)]
pub struct Onlooker {
    /// This host and process, as claims name them: `host:process`.
    pub who: String,
    /// Now, by this process's clock.
    pub now: Timestamp,
    /// How long a holder on another host may give no sign of life.
    pub join_after: SignedDuration,
}

/// What the store says about one date, and the verdict behind it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The facts.
    pub stored: Stored,
    /// The final of the newest concluded generation, which the ledger may have to be told.
    pub verdict: Option<Final>,
}

/// The last that is known of the holder of a run.
struct Holder {
    who: String,
    is_forced: bool,
    epoch: u64,
    sign: Timestamp,
}

impl Reader {
    /// What is concluded, claimed and held for `partition` of the spec `name`.
    ///
    /// # Errors
    /// If the store does not answer, or a document cannot be read.
    pub async fn standing(
        &self,
        name: &SpecName,
        partition: Partition,
        onlooker: &Onlooker,
    ) -> Result<Standing, StoreError> {
        let claimed = self.newest(&Prefix::Claims(partition)).await?;
        let standing = self.over(partition).await?;
        let newest = standing.stored.concluded.map(|concluded| concluded.generation);
        match claimed.filter(|claimed| Some(*claimed) > newest) {
            Some(generation) => {
                self.held_or_over(name, partition, generation, onlooker, standing).await
            }
            None => Ok(standing),
        }
    }

    /// The newest verdict about a date.
    async fn over(&self, partition: Partition) -> Result<Standing, StoreError> {
        let verdict = match self.newest(&Prefix::Finals(partition)).await? {
            Some(generation) => {
                self.read::<Final>(&Object::Final { partition, generation }).await?
            }
            None => None,
        };
        let concluded = match &verdict {
            Some(verdict) => Some(self.concluded(partition, verdict).await?),
            None => None,
        };
        Ok(Standing { stored: Stored { concluded, open: None }, verdict })
    }

    /// How a date stands that had a generation without a final after `before`.
    ///
    /// A holder that is gone may have made the final between two looks: without another look a
    /// run that has just succeeded would be taken for one that was left.
    async fn held_or_over(
        &self,
        name: &SpecName,
        partition: Partition,
        generation: Generation,
        onlooker: &Onlooker,
        before: Standing,
    ) -> Result<Standing, StoreError> {
        let open = self.held(name, partition, generation, onlooker).await?;
        if !open.is_alive {
            let now = self.over(partition).await?;
            if now.stored.concluded.is_some_and(|concluded| concluded.generation >= generation) {
                return Ok(now);
            }
        }
        let stored = Stored { open: Some(open), ..before.stored };
        Ok(Standing { stored, ..before })
    }

    async fn concluded(
        &self,
        partition: Partition,
        verdict: &Final,
    ) -> Result<Concluded, StoreError> {
        let generation = verdict.run.generation;
        let retries = match verdict.state {
            // Nobody asks how often a date was tried that has succeeded.
            FinalState::Succeeded => 0,
            FinalState::Partial | FinalState::Failed => {
                let claim: Option<Claim> =
                    self.read(&Object::Claim { partition, generation }).await?;
                claim.map_or(0, |claim| claim.retry)
            }
        };
        Ok(Concluded {
            generation,
            state: verdict.state,
            release: Release::of(verdict, self.judgement(verdict).await?),
            model: verdict.model_digest,
            fingerprint: verdict.fingerprint,
            retries,
        })
    }

    /// A claimed generation without a final, and who holds it.
    async fn held(
        &self,
        name: &SpecName,
        partition: Partition,
        generation: Generation,
        onlooker: &Onlooker,
    ) -> Result<Open, StoreError> {
        let run = run_id(name, partition, generation);
        let holder = self.holder(&run).await?;
        let process = onlooker.process(&holder.who);
        let mut is_alive = onlooker.takes_for_alive(process, holder.sign);
        if process == Process::Elsewhere && !is_alive {
            is_alive = onlooker.takes_for_alive(process, self.newest_record(&run).await?);
        }
        // Who lives has a plan, or makes one; only whoever takes over has to know it.
        let planned = match is_alive {
            true => None,
            false => self.read_hashed::<Outline>(&Object::Plan { run }).await?,
        };
        let planned = planned.map(|(outline, _)| outline.model.digest);
        let Holder { who: holder, epoch, is_forced, .. } = holder;
        Ok(Open { generation, planned, epoch, holder, is_forced, is_alive })
    }

    async fn holder(&self, run: &RunId) -> Result<Holder, StoreError> {
        let number = self.newest_epoch(run).await?;
        let opened: Option<Epoch> = match number {
            0 => None,
            number => self.read(&Object::Epoch { run: run.clone(), number }).await?,
        };
        let RunId { partition, generation, .. } = *run;
        let claim: Option<Claim> = self.read(&Object::Claim { partition, generation }).await?;
        let is_forced = claim.as_ref().is_some_and(|claim| claim.forced.is_some());
        let (who, sign) = match (opened, claim) {
            (Some(opened), _) => (opened.opened_by, opened.opened_at),
            (None, Some(claim)) => (claim.claimed_by, claim.claimed_at),
            // A claim that vanished between two looks is nobody's.
            (None, None) => ("nobody".to_owned(), Timestamp::MIN),
        };
        Ok(Holder { who, is_forced, epoch: number, sign })
    }

    /// When the newest record of a run was written.
    async fn newest_record(&self, run: &RunId) -> Result<Timestamp, StoreError> {
        let records = self.list(&Prefix::Records(run.clone()));
        records
            .try_fold(Timestamp::MIN, async |newest, listed| Ok(newest.max(listed.modified)))
            .await
    }
}

impl Onlooker {
    fn takes_for_alive(&self, process: Process, sign: Timestamp) -> bool {
        life::is_alive(process, sign, self.now, self.join_after)
    }

    /// What the process table says about a holder.
    fn process(&self, holder: &str) -> Process {
        let address = |who: &str| -> Option<(String, u32)> {
            let (host, process) = who.rsplit(' ').next()?.rsplit_once(':')?;
            Some((host.to_owned(), process.parse().ok()?))
        };
        match (address(&self.who), address(holder)) {
            (Some((here, me)), Some((host, process))) if here == host => {
                // This process holds nothing while it looks.
                if process == me { Process::Gone } else { running(process) }
            }
            _ => Process::Elsewhere,
        }
    }
}

/// Whether a process of this host is one of Nightshift. Another program may have got the number
/// of one that is gone.
fn running(process: u32) -> Process {
    let table = Path::new("/proc");
    if !table.join("self/comm").exists() {
        return Process::Elsewhere;
    }
    match std::fs::read_to_string(table.join(process.to_string()).join("comm")) {
        Ok(program) if program.starts_with(PROGRAMS) => Process::Runs,
        _ => Process::Gone,
    }
}

#[cfg(test)]
mod tests;
