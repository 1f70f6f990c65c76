//! What stands to be done about many dates: facts from ledger, store, model and input, and the
//! decisions of [`nightshift_core::backfill`] about them. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use nightshift_core::backfill::{Decided, Input, Instruction, Rules, Step, Store, Tick, Turn};
use nightshift_core::conclusion::Final;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Digest, Partition};
use nightshift_core::plan::{ModelIdentity, Plan, TaskSettings};
use nightshift_core::spec::Order;
use nightshift_ledger::Ledger;
use nightshift_ledger::consult::{IndexState, Output, Sources};
use nightshift_storage::standing::{Onlooker, Standing};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::session::{RunError, Session};
use tokio::runtime::Handle;

/// Plans that are kept between the look at an input and its run. A plan may have megabytes; one
/// that is not kept is made again.
const PLANS_MAX: usize = 16;

/// Where the facts come from.
pub(crate) struct Scene<'a> {
    pub(crate) runtime: &'a Handle,
    pub(crate) session: &'a Session,
    pub(crate) workspace: &'a Workspace,
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// How long a holder on another host may give no sign of life.
    pub(crate) join_after: SignedDuration,
}

/// What is to be decided.
pub(crate) struct Ask<'a> {
    pub(crate) dates: &'a [Partition],
    pub(crate) rules: Rules,
    pub(crate) order: Order,
    pub(crate) dates_max: usize,
}

/// What was decided, and what was found on the way.
pub(crate) struct Ticked {
    pub(crate) decided: Vec<Decided>,
    /// Plans of dates whose turn it is, where they are made already.
    pub(crate) plans: BTreeMap<Partition, Plan>,
    pub(crate) sources: Sources,
    pub(crate) index: IndexState,
    /// Finals that the ledger lacks.
    pub(crate) untold: Vec<Final>,
    /// Dates whose input is not there.
    pub(crate) gaps: Vec<Partition>,
    /// What the store says about the dates that it was asked about.
    pub(crate) standings: BTreeMap<Partition, Standing>,
    /// What a run would read of the dates whose input was looked at.
    pub(crate) inputs: BTreeMap<Partition, Fresh>,
    /// The model that there is now, if anybody had to know.
    pub(crate) model: Option<ModelIdentity>,
    /// The settings of the task that there are now, likewise.
    pub(crate) task: Option<TaskSettings>,
    /// Why the store does not answer, about the first such date.
    pub(crate) away: Option<Exit>,
}

impl Ticked {
    /// Whether the ledger could be used, as one word: `none`, `current`, `lost` or `unavailable`.
    pub(crate) fn ledger(&self) -> &'static str {
        match self.index {
            IndexState::None => "none",
            IndexState::Current => "current",
            IndexState::Lost(_) => "lost",
            IndexState::Unavailable { .. } => "unavailable",
        }
    }
}

/// The input of a date as it is now, in short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh {
    pub(crate) rows: u64,
    pub(crate) shards: u64,
    pub(crate) fingerprint: Digest,
}

impl Scene<'_> {
    /// Finds out what it takes, and decides.
    ///
    /// # Errors
    /// What is wrong with the model or the spec, or an output that does not answer at all.
    pub(crate) fn tick(&self, ask: &Ask<'_>) -> Result<Ticked, Failure> {
        // Compared with the model of an hour ago, what today's has made would be stale.
        self.session.forget_model();
        let sources = self.sources()?;
        let (indexed, index) = self.runtime.block_on(sources.index(ask.dates));
        let mut tick = Tick::new(ask.rules, ask.order, ask.dates_max, indexed);
        let mut found = Found::default();
        let decided = loop {
            match tick.step() {
                Step::AskStore(dates) => self.ask_store(&sources, &dates, &mut tick, &mut found),
                Step::AskModel => {
                    let Some(date) = ask.dates.first() else { break Vec::new() };
                    let loaded = self.session.load(&self.workspace.task(*date)?)?;
                    tick.model(loaded.identity.digest);
                    found.model = Some(loaded.identity);
                }
                Step::AskInput(date) => {
                    let input = self.look_at_input(date, &mut found)?;
                    tick.input(date, input);
                }
                Step::Decided(decided) => break decided,
            }
        };
        let turn = |date: &Partition| {
            decided.iter().any(|one| one.partition == *date && one.turn == Turn::Now)
        };
        found.plans.retain(|date, _| turn(date));
        let unsaid = decided.iter().filter(|one| one.instruction.writes_back());
        let verdict = |one: &Decided| found.standings.get(&one.partition)?.verdict.clone();
        let untold = unsaid.filter_map(verdict).collect();
        let missed = decided.iter().filter(|one| one.instruction == Instruction::NoInput);
        let gaps = missed.map(|one| one.partition).collect();
        let Found { plans, standings, inputs, model, task, away } = found;
        Ok(Ticked {
            decided,
            plans,
            sources,
            index,
            untold,
            gaps,
            standings,
            inputs,
            model,
            task,
            away,
        })
    }

    /// The output as it is now, and the ledger.
    ///
    /// # Errors
    /// If the output does not answer, or its identity cannot be read.
    pub(crate) fn sources(&self) -> Result<Sources, Failure> {
        let uri = self.workspace.output()?;
        let output = self.runtime.block_on(Output::find(&uri)).map_err(RunError::from)?;
        let name = self.workspace.spec.name.clone();
        Ok(Sources { name, output, ledger: self.ledger.clone() })
    }

    /// Whoever looks now.
    pub(crate) fn onlooker(&self) -> Onlooker {
        let who = &self.session.who;
        Onlooker { who: who.to_string(), now: who.now(), join_after: self.join_after }
    }

    fn ask_store(
        &self,
        sources: &Sources,
        dates: &[Partition],
        tick: &mut Tick,
        found: &mut Found,
    ) {
        let onlooker = self.onlooker();
        for (date, answer) in self.runtime.block_on(sources.standings(dates, &onlooker)) {
            let says = match answer {
                Ok(standing) => {
                    let stored = standing.stored.clone();
                    found.standings.insert(date, standing);
                    Store::Says(stored)
                }
                Err(error) => {
                    found.away.get_or_insert(error.exit());
                    Store::Unavailable(nightshift_worker::describe(&error))
                }
            };
            tick.store(date, says);
        }
    }

    /// Plans a date, as if it were run now.
    fn look_at_input(&self, date: Partition, found: &mut Found) -> Result<Input, Failure> {
        match self.session.prepare(&self.workspace.task(date)?) {
            Ok(prepared) => {
                let fingerprint = prepared.plan.fingerprint;
                found.inputs.insert(date, Fresh::of(&prepared.plan));
                found.model.get_or_insert(prepared.loaded.identity);
                found.task.get_or_insert_with(|| prepared.plan.task.clone());
                if found.plans.len() < PLANS_MAX {
                    found.plans.insert(date, prepared.plan);
                }
                Ok(Input::Present { fingerprint })
            }
            // Of one date; anything else would be wrong for every date.
            Err(RunError::Input(error)) if error.exit() == Exit::NoInput => Ok(Input::Missing),
            Err(error) if error.exit() == Exit::Data => {
                Ok(Input::Unreadable(nightshift_worker::describe(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Fresh {
    fn of(plan: &Plan) -> Self {
        Self { rows: plan.rows, shards: plan.shards.len() as u64, fingerprint: plan.fingerprint }
    }
}

/// What was found on the way to the decisions.
#[derive(Default)]
struct Found {
    plans: BTreeMap<Partition, Plan>,
    standings: BTreeMap<Partition, Standing>,
    inputs: BTreeMap<Partition, Fresh>,
    model: Option<ModelIdentity>,
    task: Option<TaskSettings>,
    away: Option<Exit>,
}
