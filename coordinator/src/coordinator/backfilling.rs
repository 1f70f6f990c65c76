//! Backfills: many partitions are decided about at once, and the runs of some are opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightshift_core::backfill::life::JOIN_AFTER;
use nightshift_core::backfill::{Decided, Input, Instruction, Rules, Step, Store, Tick, Turn};
use nightshift_core::conclusion::Final;
use nightshift_core::decide::{Claim, run_id};
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_ledger::consult::{Output, Sources};
use nightshift_proto::limits::BACKFILL_REASON_MAX_BYTES;
use nightshift_proto::runs::backfill::{BackfillRuns, BackfilledRuns, DateDecision};
use nightshift_proto::runs::status::RunStatus;
use nightshift_storage::opening::{Opener, take};
use nightshift_storage::standing::Onlooker;

use super::Coordinator;
use crate::planning::Order;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

/// Plans that are kept between the look at an input and its run.
const PLANS_MAX: usize = 16;

/// What was decided, and plans that were made on the way.
struct Ticked {
    decided: Vec<Decided>,
    plans: BTreeMap<Partition, Plan>,
}

impl Coordinator {
    /// Decides about the partitions of `wish`, and opens the runs of those whose turn it is.
    ///
    /// # Errors
    /// What is wrong with the spec, its model or all of its input, or a store that fails.
    pub async fn backfill(
        self: &Arc<Self>,
        wish: &BackfillRuns,
    ) -> Result<BackfilledRuns, Refusal> {
        let Some(&first) = wish.partitions.first() else {
            return Ok(BackfilledRuns { dates: Vec::new() });
        };
        let order = Order::new(&wish.spec, first)?;
        if wish.dry_run {
            let output = Output::find(&order.bound.output).await?;
            let ticked = self.weigh(wish, &order, output, wish.dates_max as usize).await?;
            return Ok(answer(ticked.decided, BTreeMap::new()));
        }
        let served = self.serve_root(&order.spec.name, &order.bound.output).await?;
        let _opening = served.opening.lock().await;
        let output =
            Output { reader: served.root.reader().clone(), root_id: Some(served.root_id.clone()) };
        let places = wish.dates_max as usize;
        let Ticked { decided, plans } = self.weigh(wish, &order, Some(output), places).await?;
        self.note_backfill(&served.name, &decided);
        for missed in decided.iter().filter(|one| one.instruction == Instruction::NoInput) {
            self.ledger.input_missed(&served.name, missed.partition, self.clock.wall());
        }
        let runs = self.open_chosen(wish, &served, &decided, plans).await?;
        Ok(answer(decided, runs))
    }

    /// Asks whatever the decisions depend on.
    async fn weigh(
        &self,
        wish: &BackfillRuns,
        order: &Order,
        output: Option<Output>,
        places: usize,
    ) -> Result<Ticked, Refusal> {
        let name = order.spec.name.clone();
        let sources = Sources { name, output, ledger: Some(self.ledger.ledger()) };
        let (indexed, _) = sources.index(&wish.partitions).await;
        let rules = Rules { reprocess: wish.reprocess, force: wish.forced.is_some() };
        let mut tick = Tick::new(rules, wish.order, places, indexed);
        let mut plans = BTreeMap::new();
        let decided = loop {
            match tick.step() {
                Step::AskStore(dates) => self.ask_store(&sources, &dates, &mut tick).await,
                Step::AskModel => tick.model(order.model(&self.models).await?.identity.digest),
                Step::AskInput(date) => {
                    let (input, plan) = self.look_at_input(wish, date).await?;
                    tick.input(date, input);
                    if let Some(plan) = plan
                        && plans.len() < PLANS_MAX
                    {
                        plans.insert(date, plan);
                    }
                }
                Step::Decided(decided) => break decided,
            }
        };
        Ok(Ticked { decided, plans })
    }

    async fn ask_store(&self, sources: &Sources, dates: &[Partition], tick: &mut Tick) {
        let (who, now) = (self.who.to_string(), self.clock.wall());
        let is_served = self.serves(sources);
        let onlooker = Onlooker { who, now, join_after: JOIN_AFTER };
        for (date, answer) in sources.standings(dates, &onlooker).await {
            let says = match answer {
                Ok(mut standing) => {
                    if let Some(verdict) = standing.verdict.as_ref().filter(|_| is_served) {
                        self.ledger.run_concluded(verdict);
                        self.met_final(&sources.name, verdict);
                        self.look_for_judgement(sources, verdict).await;
                    }
                    if let Some(open) = &mut standing.stored.open {
                        let run = run_id(&sources.name, date, open.generation);
                        // What is on the desk is worked on, whoever claimed it.
                        open.is_alive |= self.look(|desk, _| desk.run(&run).is_some());
                    }
                    Store::Says(standing.stored)
                }
                Err(error) => Store::Unavailable(describe(&error)),
            };
            tick.store(date, says);
        }
    }

    /// Whether this is the output that the name has here. A dry run may look at another one, whose
    /// finals say nothing about this name's ledger and account.
    fn serves(&self, sources: &Sources) -> bool {
        let looked_at = sources.output.as_ref().and_then(|output| output.root_id.as_ref());
        let served = self.roots.get(&sources.name);
        served.is_some_and(|served| looked_at == Some(&served.root_id))
    }

    /// Counts what a person decided with the output at hand.
    async fn look_for_judgement(&self, sources: &Sources, verdict: &Final) {
        let Some(output) = &sources.output else { return };
        if let Err(error) = self.met_judgement(&output.reader, verdict).await {
            let (run, error) = (&verdict.run, describe(&error));
            tracing::warn!(%run, error, "what was decided about the run cannot be counted");
        }
    }

    /// Plans a date, as if it were run now.
    async fn look_at_input(
        &self,
        wish: &BackfillRuns,
        date: Partition,
    ) -> Result<(Input, Option<Plan>), Refusal> {
        match Order::new(&wish.spec, date)?.plan(&self.models, self.clock.wall()).await {
            Ok(plan) => Ok((Input::Present { fingerprint: plan.fingerprint }, Some(plan))),
            Err(Refusal::Input(error)) if error.exit() == Exit::NoInput => {
                Ok((Input::Missing, None))
            }
            Err(Refusal::Input(error)) if error.exit() == Exit::Data => {
                Ok((Input::Unreadable(describe(&error)), None))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Opens the runs whose turn it is, and shows those that are under way.
    async fn open_chosen(
        self: &Arc<Self>,
        wish: &BackfillRuns,
        served: &Arc<ServedRoot>,
        decided: &[Decided],
        mut plans: BTreeMap<Partition, Plan>,
    ) -> Result<BTreeMap<Partition, RunStatus>, Refusal> {
        let mut runs = BTreeMap::new();
        for Decided { partition, instruction, .. } in
            decided.iter().filter(|decided| decided.turn == Turn::Now)
        {
            let partition = *partition;
            let Some(work) = instruction.work() else {
                let run = instruction.generation();
                let run = run.map(|generation| run_id(&served.name, partition, generation));
                let status = run.and_then(|run| self.look(|desk, now| desk.status(now, &run)));
                runs.extend(status.map(|status| (partition, status)));
                continue;
            };
            if let Some(run) = self.forced_before(served, wish, partition).await? {
                runs.insert(partition, run);
                continue;
            }
            let who = wish.requested_by.to_string();
            let opener = self.opener(&served.name, wish.request.as_str(), &who);
            let opener = Opener { force: wish.forced.clone(), retry: work.retry(), ..opener };
            let decision = work.decision();
            let fresh = match self.stored_plan(served, partition, decision).await? {
                Some(stored) => stored,
                None => match plans.remove(&partition) {
                    Some(plan) => plan,
                    None => {
                        Order::new(&wish.spec, partition)?
                            .plan(&self.models, self.clock.wall())
                            .await?
                    }
                },
            };
            // Another process that is faster does it.
            if !take(&served.root, &opener, partition, work).await? {
                continue;
            }
            let started = self.open_run(served, &opener, partition, decision, fresh).await?;
            runs.insert(partition, started.run);
        }
        Ok(runs)
    }

    /// The generation that an earlier call with the same id has forced.
    async fn forced_before(
        &self,
        served: &ServedRoot,
        wish: &BackfillRuns,
        partition: Partition,
    ) -> Result<Option<RunStatus>, Refusal> {
        if wish.forced.is_none() {
            return Ok(None);
        }
        let Some(generation) = served.root.partition_facts(partition).await?.claimed else {
            return Ok(None);
        };
        let claim: Option<Claim> =
            served.root.read(&Object::Claim { partition, generation }).await?;
        if claim.is_none_or(|claim| claim.request != wish.request.as_str()) {
            return Ok(None);
        }
        self.status(&run_id(&served.name, partition, generation)).await.map(Some)
    }
}

/// The decisions in the words of the protocol.
fn answer(decided: Vec<Decided>, mut runs: BTreeMap<Partition, RunStatus>) -> BackfilledRuns {
    let shown = |Decided { partition, instruction, turn }: Decided| DateDecision {
        partition,
        state: instruction.state().to_owned(),
        action: turn.action(&instruction).to_owned(),
        generation: instruction.generation(),
        reason: clipped(&instruction),
        run: runs.remove(&partition),
    };
    BackfilledRuns { dates: decided.into_iter().map(shown).collect() }
}

/// The reason, no longer than the protocol takes.
fn clipped(instruction: &Instruction) -> String {
    let mut reason = instruction.to_string();
    reason.truncate(reason.floor_char_boundary(BACKFILL_REASON_MAX_BYTES));
    reason
}
