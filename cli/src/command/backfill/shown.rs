//! What a backfill has decided, for people and scripts.

use std::time::Instant;

use nightshift_core::backfill::instruction::DONE;
use nightshift_core::backfill::{Decided, Instruction};
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_ledger::Ledger;
use nightshift_ledger::consult::IndexState;
use nightshift_proto::runs::backfill::DateDecision;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use serde::Serialize;

use crate::command::{print, print_json};
use crate::coordinator::say;
use crate::prose;
use crate::summary::{self, Line};
use crate::table::{Align, Table, thousands};
use crate::ticking::Ticked;

/// Rows of the table; a window of years that was never run is summed up.
const ROWS_MAX: usize = 60;
/// Warnings that are told one by one.
const WARNINGS_MAX: usize = 5;
/// Characters of a reason, so that a row fits 80 columns.
const REASON_MAX_CHARS: usize = 48;

/// The decisions of a tick.
#[derive(Debug)]
pub(super) struct Shown {
    decided: Vec<Decision>,
    ledger: &'static str,
    exit: Exit,
    gaps: bool,
    /// What a person should look at.
    warnings: Vec<String>,
}

/// What was decided about one date.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    pub(crate) partition: Partition,
    pub(crate) state: String,
    /// `skip`, `run`, `retry`, `join`, `leave`, or `later` for one that waits for its turn.
    pub(crate) action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u32>,
    pub(crate) reason: String,
}

/// Everything, for scripts.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    output: &'a str,
    /// `none`, `current`, `lost` or `unavailable`.
    ledger: &'static str,
    decisions: &'a [Decision],
    /// What became of the dates that were worked on.
    dates: &'a [Line],
    seconds: f64,
}

impl From<&Decided> for Decision {
    fn from(decided: &Decided) -> Self {
        let Decided { partition, instruction, turn } = decided;
        Self {
            partition: *partition,
            state: instruction.state().to_owned(),
            action: turn.action(instruction).to_owned(),
            generation: instruction.generation().map(|generation| generation.get()),
            reason: instruction.to_string(),
        }
    }
}

impl From<&DateDecision> for Decision {
    fn from(decision: &DateDecision) -> Self {
        let DateDecision { partition, state, action, generation, reason, .. } = decision;
        Self {
            partition: *partition,
            state: prose::harmless(state),
            action: prose::harmless(action),
            generation: generation.map(|generation| generation.get()),
            reason: prose::harmless(reason),
        }
    }
}

impl Shown {
    pub(super) fn new(ticked: &Ticked) -> Self {
        let instructions = || ticked.decided.iter().map(|decided| &decided.instruction);
        let unreadable = instructions().any(|it| matches!(it, Instruction::Unreadable(_)));
        let exit = ticked.away.unwrap_or(if unreadable { Exit::Data } else { Exit::Done });
        let ledger = ticked.ledger();
        let gaps = instructions().any(|it| matches!(it, Instruction::NoInput));
        let warnings = ticked.decided.iter().filter_map(warning).collect();
        let decided = ticked.decided.iter().map(Decision::from).collect();
        Self { decided, ledger, exit, gaps, warnings }
    }

    /// What the decisions alone make of the exit code; a date without input counts if it was
    /// `named`.
    pub(super) fn exit(&self, named: bool) -> Exit {
        match self.exit {
            Exit::Done if named && self.gaps => Exit::NoInput,
            exit => exit,
        }
    }

    /// The table of what is not done, for people.
    pub(super) fn tell_table(&self) -> Result<(), Failure> {
        print(&table(&self.decided))
    }

    /// Says on standard error what a person should look at.
    pub(super) fn warn(&self) {
        self.warnings.iter().take(WARNINGS_MAX).for_each(|warning| say(warning));
        if let Some(more @ 1..) = self.warnings.len().checked_sub(WARNINGS_MAX) {
            say(&format!("and {more} more dates are in want of a look"));
        }
    }

    /// The results: for people after the table, for scripts together with it.
    pub(super) fn print(
        &self,
        workspace: &Workspace,
        lines: &[Line],
        json: bool,
        begun: Instant,
    ) -> Result<(), Failure> {
        let output = workspace.output()?;
        let seconds = begun.elapsed().as_secs_f64();
        if json {
            let Self { decided, ledger, .. } = self;
            let output = &output;
            return print_json(&Summary {
                output,
                ledger,
                decisions: decided,
                dates: lines,
                seconds,
            });
        }
        if lines.iter().any(|line| line.state != "running") {
            print(&format!("\n{}", summary::render(Some(&output), lines, seconds)))?;
        }
        Ok(())
    }
}

/// What a person should know about a date that nothing is done about.
fn warning(decided: &Decided) -> Option<String> {
    let Decided { partition, instruction, .. } = decided;
    match instruction {
        Instruction::GiveUp { .. } => Some(format!(
            "{partition}: {instruction}; when the cause is gone, do it again with --date {partition} --force --reason TEXT"
        )),
        Instruction::Unreadable(_)
        | Instruction::Unavailable(_)
        | Instruction::Held { rejected: false, .. } => Some(format!("{partition}: {instruction}")),
        _ => None,
    }
}

/// The dates that are not done, and how many are.
pub(super) fn table(decisions: &[Decision]) -> String {
    use Align::Left;
    let rest: Vec<&Decision> = decisions.iter().filter(|one| one.state != DONE).collect();
    let done = decisions.len() - rest.len();
    let mut text = String::new();
    if !rest.is_empty() {
        let columns = [("date", Left), ("state", Left), ("do", Left), ("why", Left)];
        let mut table = Table::new(&columns);
        for one in rest.iter().take(ROWS_MAX) {
            let reason = clipped(&one.reason);
            let cells = [one.partition.to_string(), one.state.clone(), one.action.clone(), reason];
            table.row(cells);
        }
        text.push_str(&table.render());
        if let Some(more @ 1..) = rest.len().checked_sub(ROWS_MAX) {
            text.push_str(&format!("and {} more\n", thousands(more as u64)));
        }
        text.push('\n');
    }
    let [done, all] = [done, decisions.len()].map(|count| thousands(count as u64));
    let noun = if decisions.len() == 1 { "date is" } else { "dates are" };
    text.push_str(&format!("{done} of {all} {noun} done\n"));
    text
}

fn clipped(reason: &str) -> String {
    if reason.chars().count() <= REASON_MAX_CHARS {
        return reason.to_owned();
    }
    let head: String = reason.chars().take(REASON_MAX_CHARS - 1).collect();
    format!("{head}…")
}

/// Says on standard error what the matter with the ledger is.
pub(crate) fn tell_index(index: &IndexState, ledger: Option<&dyn Ledger>) {
    match index {
        IndexState::Unavailable { why, .. } => {
            say(&format!("{why}; the output is asked instead"));
        }
        IndexState::Lost(lost) if ledger.is_some() => {
            say(&format!("the ledger is made anew: {lost}"));
        }
        _ => {}
    }
}
