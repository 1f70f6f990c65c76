//! `nightshift report`: what a finished run read, used and wrote.

use std::sync::Arc;

use nightshift_core::decide::{Release, run_id};
use nightshift_core::exit::Exit;
use nightshift_core::report::Report;
use nightshift_storage::root::Reader;
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::Session;
use nightshift_worker::source::Drain;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{LookArgs, OutputFormatArg};
use crate::table::{seconds, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

pub(crate) fn perform(runtime: Handle, args: &LookArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let session = Session::new(runtime.clone(), 1, Drain::default(), Arc::new(NoObserver));
    let (mut reports, mut releases) = (Vec::new(), Vec::new());
    for partition in workspace.partitions(&args.dates)? {
        let task = workspace.task(partition)?;
        let facts = runtime.block_on(async {
            let root = Reader::open(&task.bound.output).await?;
            root.partition_facts(partition).await
        })?;
        let none = || {
            let text = format_args!("{partition} has no finished run; run it first");
            Failure::new(Exit::Data, text)
        };
        let (generation, _) = facts.concluded.ok_or_else(none)?;
        let run = run_id(&workspace.spec.name, partition, generation);
        reports.push(session.report(&task, &run)?.ok_or_else(none)?);
        releases.push(facts.release);
    }
    if args.format.output_format == OutputFormatArg::Json {
        print_json(&reports)?;
    } else {
        let shown = reports.iter().zip(releases).map(|(report, release)| render(report, release));
        print(&shown.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Exit::Done)
}

fn render(report: &Report, release: Release) -> String {
    let verdict = &report.verdict;
    let totals = &verdict.totals;
    let mut lines = vec![
        ("run", verdict.run.to_string()),
        ("state", verdict.state.as_str().to_owned()),
        (
            "input",
            format!(
                "{} rows in {} files, {} bytes",
                thousands(report.input.rows),
                thousands(report.input.files),
                thousands(report.input.bytes)
            ),
        ),
        ("model", report.model.uri.clone()),
        ("digest", report.model.digest.to_string()),
        (
            "shards",
            format!(
                "{} committed ({} inherited), {} given up",
                thousands(totals.committed),
                thousands(totals.inherited),
                thousands(totals.quarantined)
            ),
        ),
        (
            "rows",
            format!(
                "{} in, {} out, {} rejected, {} given up",
                thousands(totals.rows_in),
                thousands(totals.rows_out),
                thousands(totals.rows_rejected),
                thousands(totals.rows_quarantined)
            ),
        ),
        (
            "time",
            format!(
                "{} s from plan to last shard; read {}, infer {}, write {} s",
                seconds(report.elapsed_s()),
                seconds(totals.read_s),
                seconds(totals.infer_s),
                seconds(totals.write_s)
            ),
        ),
        ("output", report.output.clone()),
    ];
    for (reason, count) in &totals.rejects_by_reason {
        lines.push(("rejects", format!("{} {reason}", thousands(*count))));
    }
    if let Some(gate) = &verdict.gate {
        let state = match release {
            Release::Open if verdict.is_withheld() => "withheld",
            Release::Open => "passed",
            Release::Waiting => "withheld, waits for a person",
            Release::Approved => "withheld, then approved",
            Release::Rejected => "withheld, then rejected",
        };
        lines.push(("gate", format!("{state}, {} checks", gate.checks.len())));
        lines.extend(gate.failed().map(|check| ("failed", check.text.clone())));
    }
    for shard in verdict.quarantined.iter().take(20) {
        let text = format!("shard {}: {}: {}", shard.shard, shard.reason, shard.message);
        lines.push(("given up", text));
    }
    lines.iter().map(|(name, value)| format!("{name:<9} {value}\n")).collect()
}
