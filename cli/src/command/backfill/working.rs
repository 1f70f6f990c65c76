//! Carrying out what was decided: runs, waits, and what the ledger is told.

use std::time::{Duration, Instant};

use nightshift_core::backfill::{Decided, Instruction, Turn, Work};
use nightshift_core::decide::run_id;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition};
use nightshift_core::plan::Plan;
use nightshift_core::spec::Order;
use nightshift_ledger::LedgerError;
use nightshift_ledger::consult::{IndexState, News};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::session::{Alone, Outcome, RunError};

use super::Wish;
use crate::command::run::{PAUSED, line_of, of_one_date, outcome_line, with_partition};
use crate::coordinator::say;
use crate::progress::Progress;
use crate::summary::Line;
use crate::ticking::{Ask, Scene, Ticked};

/// Time between two looks at a run that somebody else does.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Does the work of ticks.
pub(super) struct Worker<'a> {
    scene: &'a Scene<'a>,
    wish: &'a Wish,
    progress: &'a Progress,
}

/// What one tick has done.
pub(super) struct Round {
    pub(super) lines: Vec<Line>,
    /// Dates that this process worked on or waited for.
    worked: usize,
}

/// How a wait for somebody else's run ended.
enum Waited {
    Concluded,
    HolderGone,
    Drained,
}

impl Round {
    /// Whether another tick would find the same.
    pub(super) fn is_idle(&self) -> bool {
        self.worked == 0
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, wish: &'a Wish, progress: &'a Progress) -> Self {
        Self { scene, wish, progress }
    }

    /// Carries out the instructions whose turn it is, in the order that was asked for.
    pub(super) fn work(&mut self, ticked: Ticked, wait: bool) -> Result<Round, Failure> {
        let Ticked { decided, mut plans, sources, index, untold, gaps, .. } = ticked;
        let looked_at = self.scene.session.who.now();
        let news = News { finals: &untold, gaps: &gaps, now: looked_at };
        let told = self.scene.runtime.block_on(sources.tell(&index, news));
        report_untold(&index, told);
        // An output in which nothing was ever run has no ledger before its first run.
        let untold_gaps = if sources.is_identified() { Vec::new() } else { gaps };
        let mut round = Round { lines: Vec::new(), worked: 0 };
        let mut now: Vec<Decided> =
            decided.into_iter().filter(|decided| decided.turn == Turn::Now).collect();
        if self.wish.order == Order::Newest {
            now.reverse();
        }
        for Decided { partition, instruction, .. } in now {
            if self.scene.session.drain.is_requested() {
                break;
            }
            let line = match (&instruction, instruction.work()) {
                (_, Some(work)) => self.run(partition, work, plans.remove(&partition), &index)?,
                (Instruction::Leave { generation, holder }, None) if wait => {
                    say(&format!("{partition}: waiting for {holder}"));
                    self.await_other(partition, *generation, &index)?
                }
                _ => Some(Line::empty(partition, "running", Exit::Done)),
            };
            let Some(line) = line else { continue };
            round.worked += usize::from(line.state != "running");
            round.lines.push(line);
        }
        if round.worked > 0 && !untold_gaps.is_empty() {
            self.tell(&index, News { finals: &[], gaps: &untold_gaps, now: looked_at })?;
        }
        Ok(round)
    }

    /// Runs one date, unless another process is faster, and tells the ledger.
    fn run(
        &self,
        partition: Partition,
        work: Work,
        fresh: Option<Plan>,
        index: &IndexState,
    ) -> Result<Option<Line>, Failure> {
        let began = Instant::now();
        let Scene { session, workspace, .. } = self.scene;
        let mut task = workspace.task(partition)?;
        task.force.clone_from(&self.wish.forced);
        self.progress.begin(&partition.to_string());
        let outcome = match session.run_alone(&task, work, fresh) {
            Ok(Alone::Ran(outcome)) => outcome,
            Ok(Alone::Taken) => {
                let text = format!("{partition}  another process was faster and does it");
                self.progress.end(&text);
                return Ok(Some(Line::empty(partition, "running", Exit::Done)));
            }
            Err(error) => {
                let failure = with_partition(&error, partition);
                self.progress.end(&failure.to_string());
                if !of_one_date(failure.exit()) {
                    self.progress.finish();
                    return Err(failure);
                }
                return Ok(Some(Line::failed(partition, &failure)));
            }
        };
        if let Outcome::Concluded(report, _) = &outcome {
            let finals = std::slice::from_ref(&report.verdict);
            let now = self.scene.session.who.now();
            self.tell(index, News { finals, gaps: &[], now })?;
        }
        let mut line = outcome_line(partition, outcome, began.elapsed().as_secs_f64());
        if line.state == PAUSED {
            // The next tick goes on; a Job that is told to try again would do so at once.
            line.exit = Exit::Done;
            line.troubles.drain(..).for_each(|why| say(&why));
        }
        self.progress.end(&format!("{partition}  {}", line.state));
        Ok(Some(line))
    }

    /// The final is in the store; now the ledger may say so (I4).
    fn tell(&self, index: &IndexState, news: News<'_>) -> Result<(), Failure> {
        if self.scene.ledger.is_none() {
            return Ok(());
        }
        // The root may have been made by this very run.
        let sources = self.scene.sources()?;
        let told = self.scene.runtime.block_on(sources.tell(index, news));
        report_untold(index, told);
        Ok(())
    }

    /// Waits for the final of a run that somebody else does; goes on with it if they die.
    fn await_other(
        &self,
        partition: Partition,
        generation: Generation,
        index: &IndexState,
    ) -> Result<Option<Line>, Failure> {
        let began = Instant::now();
        match self.wait(partition, generation)? {
            Waited::Drained => Ok(None),
            Waited::HolderGone => {
                let ask = Ask { dates: &[partition], dates_max: 1, ..self.wish.ask() };
                let mut ticked = self.scene.tick(&ask)?;
                let plan = ticked.plans.remove(&partition);
                let work = ticked.decided.first().and_then(|decided| decided.instruction.work());
                match work {
                    Some(work) => self.run(partition, work, plan, index),
                    None => Ok(None),
                }
            }
            Waited::Concluded => {
                let Scene { session, workspace, .. } = self.scene;
                let run = run_id(&workspace.spec.name, partition, generation);
                let stored = session.stored(&workspace.task(partition)?, &run)?;
                let report = stored.map(|(_, report)| report);
                Ok(report.map(|report| line_of(&report, began.elapsed().as_secs_f64())))
            }
        }
    }

    fn wait(&self, partition: Partition, generation: Generation) -> Result<Waited, Failure> {
        let sources = self.scene.sources()?;
        loop {
            if self.scene.session.drain.is_requested() {
                return Ok(Waited::Drained);
            }
            let onlooker = self.scene.onlooker();
            let asked = sources.standing(partition, &onlooker);
            let standing = self.scene.runtime.block_on(asked);
            let stored = standing.map_err(RunError::from)?.stored;
            if stored.concluded.is_some_and(|concluded| concluded.generation >= generation) {
                return Ok(Waited::Concluded);
            }
            if !stored.open.is_some_and(|open| open.is_alive) {
                return Ok(Waited::HolderGone);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A ledger that takes nothing is caught up by the next backfill; it was said already if it
/// does not answer at all.
fn report_untold(index: &IndexState, told: Result<(), LedgerError>) {
    if let Err(error) = told
        && !matches!(index, IndexState::Unavailable { .. })
    {
        say(&format!("the ledger was not told: {error}; the next backfill tells it"));
    }
}
