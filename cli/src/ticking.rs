//! What stands to be done about many dates: facts from ledger, store, model and input, and the
//! decisions of [`nightshift_core::backfill`] about them. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use nightshift_core::backfill::{Decided, Input, Rules, Step, Store, Tick, Turn};
use nightshift_core::conclusion::Final;
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_core::plan::Plan;
use nightshift_core::spec::Order;
use nightshift_ledger::Ledger;
use nightshift_ledger::consult::{IndexState, Output, Sources};
use nightshift_storage::standing::Onlooker;
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
    /// Why the store does not answer, about the first such date.
    pub(crate) away: Option<Exit>,
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
        let untold = unsaid.filter_map(|one| found.finals.remove(&one.partition)).collect();
        let Found { plans, away, .. } = found;
        Ok(Ticked { decided, plans, sources, index, untold, away })
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
                    found.finals.extend(standing.verdict.map(|verdict| (date, verdict)));
                    Store::Says(standing.stored)
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

/// What was found on the way to the decisions.
#[derive(Default)]
struct Found {
    plans: BTreeMap<Partition, Plan>,
    finals: BTreeMap<Partition, Final>,
    away: Option<Exit>,
}
