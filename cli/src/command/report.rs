//! `nightshift report`: what a finished run read, used and wrote.

use std::path::Path;
use std::sync::Arc;

use nightshift_core::decide::{Release, run_id};
use nightshift_core::exit::Exit;
use nightshift_core::plan::Reporting;
use nightshift_core::report::page::{Places, page};
use nightshift_core::report::study::FullReport;
use nightshift_notify::Urgency;
use nightshift_storage::root::Reader;
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::{Session, Task};
use nightshift_worker::source::Drain;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, ReportArgs};
use crate::table::{seconds, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// Given-up shards that are printed.
const GIVEN_UP_SHOWN: usize = 20;

pub(crate) fn perform(runtime: Handle, args: &ReportArgs) -> Result<Exit, Failure> {
    let look = &args.look;
    let workspace = Workspace::open(&look.spec)?;
    let partitions = workspace.partitions(&look.dates)?;
    if args.html.is_some() && partitions.len() != 1 {
        let text = "--html writes the page of one date: name it with --date";
        return Err(Failure::new(Exit::Usage, text));
    }
    let session = Session::new(runtime.clone(), 1, Drain::default(), Arc::new(NoObserver));
    let (mut reports, mut releases) = (Vec::new(), Vec::new());
    for partition in partitions {
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
        let (plan, report) = session.stored(&task, &run)?.ok_or_else(none)?;
        session.catch_up(&task, &plan, &report, Urgency::Asked)?;
        let report = session.full_report(&task, &plan, report)?;
        if let Some(file) = &args.html {
            write_page(file, &report, &task, plan.reporting.as_ref())?;
        }
        reports.push(report);
        releases.push(facts.release);
    }
    match look.format.output_format {
        _ if args.html.is_some() => {}
        OutputFormatArg::Json => print_json(&reports)?,
        OutputFormatArg::Text => {
            let shown = reports.iter().zip(releases);
            let shown = shown.map(|(report, release)| render(report, release));
            print(&shown.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Writes the page. The plan knows which places the run had; where it says nothing about them,
/// they are those of the spec as it is now.
fn write_page(
    file: &Path,
    report: &FullReport,
    task: &Task,
    planned: Option<&Reporting>,
) -> Result<(), Failure> {
    let places = match planned {
        Some(planned) => Places { input: &planned.input, output: &planned.output },
        None => Places { input: &task.bound.input, output: &task.bound.output },
    };
    let html = page(report, Some(places));
    if file.as_os_str() == "-" {
        return print(&html);
    }
    std::fs::write(file, html).map_err(|error| {
        let text = format_args!("{} cannot be written: {error}", file.display());
        Failure::new(Exit::CannotCreate, text)
    })
}

fn render(full: &FullReport, release: Release) -> String {
    let report = &full.report;
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
                seconds(full.elapsed_s),
                seconds(totals.read_s),
                seconds(totals.infer_s),
                seconds(totals.write_s)
            ),
        ),
        ("output", report.output.clone()),
    ];
    if full.effort.accounted > 0 {
        lines.push(("threads", spent(full)));
    }
    for (reason, count) in &totals.rejects_by_reason {
        lines.push(("rejects", format!("{} {reason}", thousands(*count))));
    }
    if full.rows_cut > 0 {
        let texts = thousands(full.rows_cut);
        lines.push(("cut", format!("{texts} texts longer than the model takes")));
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
    for shard in verdict.quarantined.iter().take(GIVEN_UP_SHOWN) {
        let text = format!("shard {}: {}: {}", shard.shard, shard.reason, shard.message);
        lines.push(("given up", text));
    }
    lines.iter().map(|(name, value)| format!("{name:<9} {value}\n")).collect()
}

/// What worker threads spent their time on.
fn spent(full: &FullReport) -> String {
    let effort = &full.effort;
    format!(
        "{} s useful; retries {}, model load {}, idle {} s",
        seconds(effort.useful_s),
        seconds(effort.retry_s),
        seconds(effort.load_s),
        seconds(effort.idle_s)
    )
}
