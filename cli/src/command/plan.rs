//! `nightshift plan`, and `nightshift run --dry-run`: what would be done; writes nothing.

use nightshift_core::decide::Decision;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition};
use nightshift_worker::session::Session;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, PlanArgs};
use crate::table::{Align, Table, thousands};
use nightshift_worker::front::args::{DateArgs, SpecArgs};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// What would be done about one partition.
#[derive(Debug, Serialize)]
struct Line {
    partition: Partition,
    /// `skip`, `continue` or `run`.
    action: &'static str,
    reason: String,
    generation: u32,
    files: u64,
    rows: u64,
    shards: u64,
}

mod resources;
mod states;

pub(crate) fn perform(runtime: Handle, args: &PlanArgs) -> Result<Exit, Failure> {
    if args.is_of_states() {
        return states::perform(&runtime, args);
    }
    let PlanArgs { look, resources, .. } = args;
    let format = look.format.output_format;
    if !resources {
        return show(runtime, &look.spec, &look.dates, format, false);
    }
    let workspace = Workspace::open(&look.spec)?;
    let session = Session::looking(runtime);
    let partitions = workspace.partitions(&look.dates)?;
    resources::show(&session, &workspace, &partitions, format)
}

pub(crate) fn show(
    runtime: Handle,
    spec: &SpecArgs,
    dates: &DateArgs,
    format: OutputFormatArg,
    force: bool,
) -> Result<Exit, Failure> {
    let workspace = Workspace::open(spec)?;
    let session = Session::looking(runtime);
    let partitions = workspace.partitions(dates)?;
    let lines: Vec<Line> = partitions
        .into_iter()
        .map(|partition| line(&session, &workspace, partition, force))
        .collect::<Result<_, Failure>>()?;
    if format == OutputFormatArg::Json {
        print_json(&lines)?;
        return Ok(Exit::Done);
    }
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("action", Left),
        ("gen", Right),
        ("files", Right),
        ("rows", Right),
        ("shards", Right),
        ("reason", Left),
    ]);
    for line in &lines {
        table.row([
            line.partition.to_string(),
            line.action.to_owned(),
            line.generation.to_string(),
            thousands(line.files),
            thousands(line.rows),
            thousands(line.shards),
            line.reason.clone(),
        ]);
    }
    print(&table.render())?;
    Ok(Exit::Done)
}

fn line(
    session: &Session,
    workspace: &Workspace,
    partition: Partition,
    force: bool,
) -> Result<Line, Failure> {
    let mut task = workspace.task(partition)?;
    task.force = force.then(|| "dry run".to_owned());
    let decision = session.decide(&task)?;
    let skip = |generation: Generation, why: &str| Line {
        partition,
        action: "skip",
        reason: format!("{generation} {why}"),
        generation: generation.get(),
        files: 0,
        rows: 0,
        shards: 0,
    };
    let (action, reason, generation) = match decision {
        Decision::Done(generation) => return Ok(skip(generation, "has succeeded")),
        Decision::Withheld(generation) => {
            return Ok(skip(generation, "is withheld by its gate and waits for approval"));
        }
        Decision::Rejected(generation) => return Ok(skip(generation, "was rejected")),
        Decision::Join(generation) => {
            ("continue", format!("{generation} is unfinished"), generation)
        }
        Decision::Start { generation, inherit: Some(from) } => {
            ("run", format!("{from} lacks shards; keeps its rest if nothing changed"), generation)
        }
        Decision::Start { generation, inherit: None } if force => {
            ("run", "asked for by --force".to_owned(), generation)
        }
        Decision::Start { generation, inherit: None } => {
            ("run", "never run".to_owned(), generation)
        }
    };
    let plan = session.prepare(&task)?.plan;
    Ok(Line {
        partition,
        action,
        reason,
        generation: generation.get(),
        files: plan.inputs.len() as u64,
        rows: plan.rows,
        shards: plan.shards.len() as u64,
    })
}
