//! `nightshift why SPEC DATE`: how a date stands, and what the next backfill will do about it.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::conclusion::Final;
use nightshift_core::decide::Claim;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, RunId};
use nightshift_worker::front::args::{DateArgs, SpecArgs};
use nightshift_worker::front::dates::DateArg;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::args::{OutputFormatArg, WhyArgs};
use crate::command::backfill::shown::Decision;
use crate::command::{print, print_json};
use crate::view::RunView;
use crate::{prose, span};

mod local;
mod next;
mod remote;

/// Everything that is told, with the paragraph that people get.
#[derive(Debug, Serialize)]
struct Told {
    text: String,
    /// The date with its state, and what a backfill does about it when its turn comes.
    #[serde(flatten)]
    decision: Decision,
    /// What stands behind the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// When its turn comes: `next`, `later`, `never`, or `outside` of the window.
    turn: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The run that the state is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    /// The exit code of a command that met this.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Final>,
    /// The run as the coordinator has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<RunView>,
}

/// The date that is asked about.
struct Question<'a> {
    workspace: &'a Workspace,
    partition: Partition,
    /// The dates that a backfill looks at by itself.
    window: Vec<Partition>,
    now: Timestamp,
}

pub(super) fn perform(
    runtime: &Handle,
    args: &WhyArgs,
    spec: &SpecArgs,
    date: Option<DateArg>,
) -> Result<Exit, Failure> {
    let workspace = Workspace::open(spec)?;
    let question = Question::new(&workspace, date)?;
    // A folder that is named is looked into, whatever the environment says.
    let address = match args.output {
        Some(_) => None,
        None => args.coordinator.named_address()?,
    };
    let told = match address {
        None => local::tell(runtime, args, &question)?,
        Some(address) => {
            let told = remote::tell(args, spec, &question, &address);
            runtime.block_on(told)?
        }
    };
    match args.format.output_format {
        OutputFormatArg::Json => print_json(&told)?,
        OutputFormatArg::Text => print(&prose::wrap(&told.text, prose::WIDTH))?,
    }
    Ok(Exit::Done)
}

impl<'a> Question<'a> {
    fn new(workspace: &'a Workspace, date: Option<DateArg>) -> Result<Self, Failure> {
        let dates = DateArgs { date, dates: None };
        let named = workspace.named_partitions(&dates)?;
        let partition = match named.as_deref() {
            Some([date]) => *date,
            _ if !workspace.spec.is_dated() => Partition::All,
            _ => {
                let file = &workspace.file;
                let text = format_args!(
                    "the spec's input has {{date}}, so a date is needed: nightshift why {file} YYYY-MM-DD"
                );
                return Err(Failure::new(Exit::Usage, text));
            }
        };
        let window = workspace.window(workspace.spec.backfill.window_days)?;
        Ok(Self { workspace, partition, window, now: Timestamp::now() })
    }

    /// `2013-01-05 of flights`, or the name alone.
    fn subject(&self) -> String {
        let name = &self.workspace.spec.name;
        match self.partition {
            Partition::Date(date) => format!("{date} of {name}"),
            Partition::All => name.to_string(),
        }
    }

    /// A command on this date of this spec.
    fn command(&self, command: &str) -> String {
        let file = prose::one_line(&self.workspace.file);
        match self.partition {
            Partition::Date(date) => format!("nightshift {command} {file} --date {date}"),
            Partition::All => format!("nightshift {command} {file}"),
        }
    }

    fn ago(&self, moment: Timestamp) -> String {
        let passed = Duration::try_from(self.now.duration_since(moment)).unwrap_or_default();
        format!("{} ago", span::words(passed))
    }

    /// When a backfill does something about the date, if `decision` is something to do, and
    /// `chosen` is the date of the window whose turn is next.
    fn turn(&self, decision: &Decision, chosen: Option<Partition>) -> next::Turn {
        if decision.action == "skip" {
            return next::Turn::Never;
        }
        if !self.window.contains(&self.partition) {
            return next::Turn::Outside { days: self.workspace.spec.backfill.window_days };
        }
        match chosen {
            Some(other) if other != self.partition => next::Turn::After(other),
            _ => next::Turn::Next,
        }
    }
}

/// The exit code of a command that ran the date, or that meets it as it is.
fn exit_code(exit: Exit, was_run: bool) -> String {
    let who = if was_run { "Whoever ran it ended" } else { "A command that meets this ends" };
    format!("{who} with exit code {}: {}", exit.code(), exit.meaning())
}
