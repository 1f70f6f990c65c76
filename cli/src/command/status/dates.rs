//! `nightshift status SPEC`: the state of each date in the output; looks, changes nothing.

use nightshift_core::conclusion::Final;
use nightshift_core::decide::Release;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition, RunId};
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::Reader;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::args::OutputFormatArg;
use crate::command::{print, print_json};
use crate::table::{Align, Table, thousands};
use nightshift_worker::front::args::{DateArgs, SpecArgs};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// The newest generation of one partition.
#[derive(Debug, Serialize)]
struct Line {
    partition: Partition,
    /// `missing`, `open`, or the verdict; `withheld` or `rejected` where a gate keeps the output.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    shards: u64,
    decided: u64,
    quarantined: u64,
    rows_in: u64,
    rows_out: u64,
    rows_rejected: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
}

pub(super) fn perform(
    runtime: &Handle,
    spec: &SpecArgs,
    dates: &DateArgs,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let workspace = Workspace::open(spec)?;
    let named = workspace.named_partitions(dates)?;
    let lines = runtime.block_on(async {
        let root = match Reader::open(&workspace.output()?).await {
            Ok(root) => Some(root),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let partitions = match (named, &root) {
            (Some(named), _) => named,
            (None, Some(root)) => root.partitions().await?.into_iter().collect(),
            (None, None) => Vec::new(),
        };
        let mut lines = Vec::with_capacity(partitions.len());
        for partition in partitions {
            lines.push(line(root.as_ref(), &workspace, partition).await?);
        }
        Ok::<_, Failure>(lines)
    })?;
    if format == OutputFormatArg::Json {
        print_json(&lines)?;
    } else if lines.is_empty() {
        print(&format!("nothing has been run in {} yet\n", workspace.output()?))?;
    } else {
        print(&render(&lines))?;
    }
    Ok(Exit::Done)
}

async fn line(
    root: Option<&Reader>,
    workspace: &Workspace,
    partition: Partition,
) -> Result<Line, Failure> {
    let missing = Line {
        partition,
        state: "missing",
        run: None,
        shards: 0,
        decided: 0,
        quarantined: 0,
        rows_in: 0,
        rows_out: 0,
        rows_rejected: 0,
        decided_at: None,
    };
    let Some(root) = root else { return Ok(missing) };
    let facts = root.partition_facts(partition).await?;
    let concluded = facts.concluded.map(|(generation, _)| generation);
    let Some(generation) = facts.claimed.max(concluded) else { return Ok(missing) };
    let run = run_of(workspace, partition, generation);
    if concluded == Some(generation) {
        let object = Object::Final { partition, generation };
        if let Some(verdict) = root.read::<Final>(&object).await? {
            let totals = &verdict.totals;
            return Ok(Line {
                state: state_of(&verdict, facts.release),
                run: Some(run),
                shards: totals.shards,
                decided: totals.shards,
                quarantined: totals.quarantined,
                rows_in: totals.rows_in,
                rows_out: totals.rows_out,
                rows_rejected: totals.rows_rejected,
                decided_at: Some(verdict.decided_at.to_string()),
                ..missing
            });
        }
    }
    let plan = root.read::<Plan>(&Object::Plan { run: run.clone() }).await?;
    let decided = root.decided_shards(&run).await?.len().into();
    Ok(Line {
        state: "open",
        run: Some(run),
        shards: plan.as_ref().map_or(0, |plan| plan.shards.len() as u64),
        decided,
        rows_in: plan.map_or(0, |plan| plan.rows),
        ..missing
    })
}

/// The verdict, unless it is one that readers may not see yet.
fn state_of(verdict: &Final, release: Release) -> &'static str {
    match release {
        Release::Waiting => "withheld",
        Release::Rejected => "rejected",
        Release::Open | Release::Approved => verdict.state.as_str(),
    }
}

fn run_of(workspace: &Workspace, partition: Partition, generation: Generation) -> RunId {
    nightshift_core::decide::run_id(&workspace.spec.name, partition, generation)
}

fn render(lines: &[Line]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("state", Left),
        ("gen", Right),
        ("shards", Right),
        ("rows in", Right),
        ("rows out", Right),
        ("rejects", Right),
        ("failed", Right),
    ]);
    for line in lines {
        let generation = line.run.as_ref().map_or(0, |run| run.generation.get());
        table.row([
            line.partition.to_string(),
            line.state.to_owned(),
            generation.to_string(),
            format!("{}/{}", line.decided, line.shards),
            thousands(line.rows_in),
            thousands(line.rows_out),
            thousands(line.rows_rejected),
            thousands(line.quarantined),
        ]);
    }
    table.render()
}
