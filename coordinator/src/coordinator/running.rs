//! Answering operators: what is to be run, and how it goes.

use std::sync::Arc;

use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::{Claim, Decision, decide, run_id};
use nightshift_core::ids::{Generation, Partition, RunId};
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_proto::runs::Decision as Shown;
use nightshift_proto::runs::cancel::CancelRun;
use nightshift_proto::runs::plan::{PlanRun, PlannedRun};
use nightshift_proto::runs::retry::RetryRun;
use nightshift_proto::runs::start::{StartRun, StartedRun};
use nightshift_proto::runs::status::{RunState, RunStatus};
use nightshift_storage::error::StoreError;
use nightshift_storage::opening::{Opener, decision_for, open_outline};
use nightshift_storage::root::Reader;
use nightshift_telemetry::trace;

use super::Coordinator;
use crate::planning::Order;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

mod looking;

impl Coordinator {
    /// Says what [`start`](Self::start) would do, and changes nothing.
    ///
    /// # Errors
    /// What is wrong with the spec, its model or its input.
    pub async fn plan(&self, plan: &PlanRun) -> Result<PlannedRun, Refusal> {
        let order = Order::new(&plan.spec, plan.partition)?;
        let root = match Reader::open(&order.bound.output).await {
            Ok(root) => Some(root),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let decision = match &root {
            Some(root) => decision_for(root, plan.partition, plan.force).await?,
            None => decide(Default::default(), plan.force),
        };
        let (shown, generation, inherit, explanation) = explained(decision, plan.force);
        let run = run_id(&order.spec.name, plan.partition, generation);
        let stored = match (&root, shown) {
            (Some(root), Shown::Done | Shown::Join) => {
                root.read::<Plan>(&Object::Plan { run: run.clone() }).await?
            }
            _ => None,
        };
        let planned = match stored {
            Some(stored) => stored,
            None => order.plan(&self.models, self.clock.wall()).await?,
        };
        Ok(PlannedRun {
            decision: shown,
            inherits: inherit.map(|from| run_id(&order.spec.name, plan.partition, from)),
            run,
            shards: planned.shard_count(),
            rows: planned.rows,
            input_files: planned.inputs.len() as u64,
            input_bytes: planned.inputs.iter().map(|file| file.pin.size_bytes).sum(),
            fingerprint: planned.fingerprint,
            model_digest: planned.model.digest,
            explanation,
        })
    }

    /// Starts the run of one partition, or joins the one that is under way.
    ///
    /// # Errors
    /// What is wrong with the spec, its model or its input, or a store that fails.
    pub async fn start(self: &Arc<Self>, start: &StartRun) -> Result<StartedRun, Refusal> {
        let order = Order::new(&start.spec, start.partition)?;
        let name = &order.spec.name;
        let served = self.serve_root(name, &order.bound.output).await?;
        let _opening = served.opening.lock().await;
        let decision =
            self.decision(&served, start.partition, start.request.as_str(), start.forced.is_some());
        let decision = decision.await?;
        if let Decision::Done(generation)
        | Decision::Withheld(generation)
        | Decision::Rejected(generation) = decision
        {
            self.complete(&served, start.partition, generation).await?;
            let run = run_id(name, start.partition, generation);
            return Ok(StartedRun { decision: Shown::Done, run: self.status(&run).await? });
        }
        if let Decision::Join(generation) = decision {
            let run = run_id(name, start.partition, generation);
            if let Some(run) = self.look(|desk, now| desk.status(now, &run)) {
                return Ok(StartedRun { decision: Shown::Join, run });
            }
        }
        let fresh = match self.stored_plan(&served, start.partition, decision).await? {
            Some(stored) => stored,
            None => order.plan(&self.models, self.clock.wall()).await?,
        };
        let who = start.requested_by.to_string();
        let mut opener = self.opener(name, start.request.as_str(), &who);
        opener.force.clone_from(&start.forced);
        self.open_run(&served, &opener, start.partition, decision, fresh).await
    }

    /// What is to be done about a partition; a request that is repeated finds what it started.
    async fn decision(
        &self,
        served: &ServedRoot,
        partition: Partition,
        request: &str,
        force: bool,
    ) -> Result<Decision, Refusal> {
        let facts = served.root.partition_facts(partition).await?;
        if force && let Some(generation) = facts.claimed {
            let claim: Option<Claim> =
                served.root.read(&Object::Claim { partition, generation }).await?;
            if claim.is_some_and(|claim| claim.request == request) {
                return Ok(match facts.concluded {
                    Some((concluded, _)) if concluded == generation => Decision::Done(generation),
                    _ => Decision::Join(generation),
                });
            }
        }
        Ok(decide(facts, force))
    }

    pub(super) async fn stored_plan(
        &self,
        served: &ServedRoot,
        partition: Partition,
        decision: Decision,
    ) -> Result<Option<Plan>, Refusal> {
        let Decision::Join(generation) = decision else { return Ok(None) };
        let run = run_id(&served.name, partition, generation);
        Ok(served.root.read(&Object::Plan { run }).await?)
    }

    /// Opens a run in the store and puts it on the desk.
    pub(super) async fn open_run(
        self: &Arc<Self>,
        served: &Arc<ServedRoot>,
        opener: &Opener,
        partition: Partition,
        decision: Decision,
        fresh: Plan,
    ) -> Result<StartedRun, Refusal> {
        let open = open_outline(&served.root, opener, partition, decision, fresh).await?;
        let run = open.outline.run.clone();
        let decision = if open.claimed { Shown::Start } else { Shown::Join };
        if open.claimed {
            trace::planned(&open.outline);
            self.teller.begun(&served.root, &open.outline);
        }
        if !open.decided.is_empty() {
            // Records that were inherited, or made without this coordinator.
            self.ledger.reconcile(&served.name);
        }
        self.take_over(served, open).await?;
        Ok(StartedRun { decision, run: self.status(&run).await? })
    }

    /// Starts a new generation of a run that ended without all of its shards; it takes over the
    /// committed ones and works from the same plan.
    ///
    /// # Errors
    /// If the run is not known, is not partial or failed, or has been followed by another.
    pub async fn retry(self: &Arc<Self>, retry: &RetryRun) -> Result<RunStatus, Refusal> {
        let run = &retry.run;
        let unknown = || Refusal::UnknownRun { run: run.clone() };
        let served = self.root_of(run).ok_or_else(unknown)?;
        let _opening = served.opening.lock().await;
        let partition = run.partition;
        let facts = served.root.partition_facts(partition).await?;
        let newest = facts.claimed.max(facts.concluded.map(|(generation, _)| generation));
        let newest = newest.ok_or_else(unknown)?;
        if newest > run.generation {
            return self.retried(&served, retry, newest).await;
        }
        let object = Object::Final { partition, generation: run.generation };
        let state = match served.root.read::<Final>(&object).await? {
            Some(verdict) if verdict.state != FinalState::Succeeded => None,
            Some(_) => Some("succeeded"),
            None if self.look(|desk, _| desk.run(run).is_some()) => Some("under way"),
            None => return Err(unknown()),
        };
        if let Some(state) = state {
            return Err(Refusal::NotRetryable { run: run.clone(), state });
        }
        let stored: Option<Plan> = served.root.read(&Object::Plan { run: run.clone() }).await?;
        let now = self.clock.wall();
        let fresh = Plan { planned_at: now, inherits: None, ..stored.ok_or_else(unknown)? };
        let decision =
            Decision::Start { generation: run.generation.next(), inherit: Some(run.generation) };
        let who = retry.requested_by.to_string();
        let opener = self.opener(&run.name, retry.request.as_str(), &who);
        Ok(self.open_run(&served, &opener, partition, decision, fresh).await?.run)
    }

    /// A newer generation exists: it is this request's own, made when it came first, or another's.
    async fn retried(
        self: &Arc<Self>,
        served: &Arc<ServedRoot>,
        retry: &RetryRun,
        newest: Generation,
    ) -> Result<RunStatus, Refusal> {
        let partition = retry.run.partition;
        let object = Object::Claim { partition, generation: newest };
        let claim: Option<Claim> = served.root.read(&object).await?;
        if claim.is_none_or(|claim| claim.request != retry.request.as_str()) {
            let (run, newest) = (retry.run.clone(), newest.to_string());
            return Err(Refusal::Superseded { run, newest });
        }
        self.status(&run_id(&served.name, partition, newest)).await
    }

    /// Gives up what is undecided in a run, and concludes it.
    ///
    /// # Errors
    /// If the run is not known.
    pub async fn cancel(self: &Arc<Self>, cancel: &CancelRun) -> Result<RunStatus, Refusal> {
        let status = self.status(&cancel.run).await?;
        if status.state.verdict().is_some() {
            return Ok(status);
        }
        let who = cancel.requested_by.to_string();
        let now = self.clock.now();
        let tasks = self.desk().cancel(now, &cancel.run, &cancel.reason, &who);
        self.perform(tasks);
        self.changed.notify_waiters();
        self.status(&cancel.run).await
    }

    /// How a run goes, or how it ended.
    ///
    /// # Errors
    /// If the run is not known, or the store does not answer.
    pub async fn status(&self, run: &RunId) -> Result<RunStatus, Refusal> {
        if let Some(status) = self.look(|desk, now| desk.status(now, run)) {
            return Ok(status);
        }
        match self.verdict(run).await? {
            Some(verdict) => Ok(RunStatus::concluded(&verdict)),
            None if !self.is_recovered() => Err(Refusal::Recovering),
            None => Err(Refusal::UnknownRun { run: run.clone() }),
        }
    }

    pub(super) async fn verdict(&self, run: &RunId) -> Result<Option<Final>, Refusal> {
        let Some(served) = self.root_of(run) else { return Ok(None) };
        let object = Object::Final { partition: run.partition, generation: run.generation };
        Ok(served.root.read(&object).await?)
    }
}

/// A decision in the words of the protocol, and why it was made.
fn explained(decision: Decision, force: bool) -> (Shown, Generation, Option<Generation>, String) {
    match decision {
        Decision::Done(generation) => {
            (Shown::Done, generation, None, format!("{generation} has succeeded"))
        }
        Decision::Withheld(generation) => {
            let why = format!("{generation} was withheld by a gate; approve or reject it");
            (Shown::Done, generation, None, why)
        }
        Decision::Rejected(generation) => {
            (Shown::Done, generation, None, format!("{generation} was rejected"))
        }
        Decision::Join(generation) => {
            (Shown::Join, generation, None, format!("{generation} is unfinished"))
        }
        Decision::Start { generation, inherit: Some(from) } => {
            let why = format!("{from} lacks shards; its rest is kept if nothing changed");
            (Shown::Start, generation, Some(from), why)
        }
        Decision::Start { generation, inherit: None } => {
            let why = if force { "asked for by force" } else { "never run" };
            (Shown::Start, generation, None, why.to_owned())
        }
    }
}

/// Whether a run in this state changes no more.
pub(crate) fn is_over(state: RunState) -> bool {
    state.verdict().is_some()
}
