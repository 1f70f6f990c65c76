//! `nightshift submit --dry-run`: what the coordinator would do.

use futures::StreamExt;
use futures::stream;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, RunId};
use nightshift_proto::runs::plan::{PlanRun, PlannedRun};
use nightshift_proto::runs::{Decision, SpecSource};
use nightshift_worker::front::failure::Failure;
use serde::Serialize;

use super::STARTS_MAX;
use crate::args::OutputFormatArg;
use crate::command::{print, print_json};
use crate::coordinator::Coordinator;
use crate::prose;
use crate::table::{Align, Table, thousands};

/// What would be done about one partition.
#[derive(Debug, Serialize)]
struct Line {
    partition: Partition,
    /// `skip`, `continue` or `run`, as `nightshift plan` says.
    action: &'static str,
    run: RunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherits: Option<RunId>,
    files: u64,
    bytes: u64,
    rows: u64,
    shards: u32,
    reason: String,
}

pub(super) async fn show(
    coordinator: &Coordinator,
    source: &SpecSource,
    partitions: Vec<Partition>,
    force: bool,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let plan = async |partition| {
        let plan = PlanRun { spec: source.clone(), partition, force };
        let planned = coordinator.plan(plan).await?;
        Ok::<_, Failure>(line(partition, planned))
    };
    let mut planned = stream::iter(partitions).map(plan).buffered(STARTS_MAX).boxed_local();
    let mut lines = Vec::new();
    while let Some(line) = planned.next().await {
        lines.push(line?);
    }
    if format == OutputFormatArg::Json {
        print_json(&lines)?;
    } else {
        print(&render(&lines))?;
    }
    Ok(Exit::Done)
}

fn line(partition: Partition, planned: PlannedRun) -> Line {
    Line {
        partition,
        action: match planned.decision {
            Decision::Done => "skip",
            Decision::Join => "continue",
            Decision::Start => "run",
        },
        run: planned.run,
        inherits: planned.inherits,
        files: planned.input_files,
        bytes: planned.input_bytes,
        rows: planned.rows,
        shards: planned.shards,
        reason: prose::one_line(&planned.explanation),
    }
}

fn render(lines: &[Line]) -> String {
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
    for line in lines {
        table.row([
            line.partition.to_string(),
            line.action.to_owned(),
            line.run.generation.get().to_string(),
            thousands(line.files),
            thousands(line.rows),
            thousands(line.shards.into()),
            line.reason.clone(),
        ]);
    }
    // The reason comes last and may be a sentence; all of it is in the JSON.
    table.render().lines().map(|line| prose::cut(line, prose::WIDTH) + "\n").collect()
}
