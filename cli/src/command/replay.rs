//! `nightshift replay`: shards of a finished run are computed again and compared.

use nightshift_core::exit::Exit;
use nightshift_core::ids::RunId;
use nightshift_storage::root::Reader;
use nightshift_worker::describe;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::replaying::{Outcome, Replay, ReplayError, Replayed};
use serde::Serialize;
use tokio::runtime::Handle;

use super::verify::known;
use super::{print, print_json};
use crate::args::{OutputFormatArg, ReplayArgs};
use crate::table::{Align, Table, thousands};

/// What scripts read.
#[derive(Debug, Serialize)]
struct Report<'a> {
    run: &'a RunId,
    tolerance: f64,
    shards: Vec<Replayed>,
}

pub(crate) fn perform(runtime: &Handle, args: &ReplayArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let root = runtime.block_on(async {
        let root = Reader::open(&workspace.output()?).await?;
        known(&root, &args.run).await?;
        Ok::<_, Failure>(root)
    })?;
    // Relative to the current folder, as for every other command.
    let model = args.spec.model.as_ref().map(|_| workspace.task(args.run.partition));
    let model = model.transpose()?.map(|task| task.bound.model);
    let failed = |error: ReplayError| Failure::new(error.exit(), describe(&error));
    let replay = Replay::open(runtime.clone(), &root, &args.run, model.as_ref(), args.tolerance);
    let replay = replay.map_err(failed)?;
    let shards = match args.sample {
        Some(count) => replay.sample(count).map_err(failed)?,
        None => args.shard.clone(),
    };
    let replayed: Result<Vec<Replayed>, ReplayError> =
        shards.into_iter().map(|shard| replay.shard(shard)).collect();
    let report =
        Report { run: &args.run, tolerance: args.tolerance, shards: replayed.map_err(failed)? };
    match args.format.output_format {
        OutputFormatArg::Json => print_json(&report)?,
        OutputFormatArg::Text => print(&render(&report))?,
    }
    let agrees = report.shards.iter().all(|shard| shard.outcome.agrees());
    Ok(if agrees { Exit::Done } else { Exit::Data })
}

fn render(report: &Report<'_>) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[("shard", Right), ("rows", Right), ("result", Left), ("", Left)]);
    for one in &report.shards {
        let (result, detail) = match &one.outcome {
            Outcome::Same => ("same bytes", String::new()),
            Outcome::Close(seen) => (
                "close",
                format!(
                    "{} rows differ, {:.1e} at most",
                    thousands(seen.rows_differing),
                    seen.worst
                ),
            ),
            Outcome::Different { what } => ("DIFFERENT", what.clone()),
        };
        table.row([one.shard.to_string(), thousands(one.rows), result.to_owned(), detail]);
    }
    match report.shards.is_empty() {
        true => format!("{} has no committed shard to compute again\n", report.run),
        false => table.render(),
    }
}
