//! `nightshift plan --resources`: what a worker needs, and whether the spec gives it.

use std::fmt::Write;

use nightshift_core::demand::{completed, defaults, memory_limit, threads};
use nightshift_core::exit::Exit;
use nightshift_core::footprint::{Facts, Footprint};
use nightshift_core::ids::Partition;
use nightshift_core::quantity::mebibytes;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::session::Session;
use nightshift_worker::weigh::weigh;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::OutputFormatArg;
use crate::command::{print, print_json};
use crate::prose;
use crate::table::{Align, Table, thousands};

/// Threads that the table shows; a worker with more is better two workers.
const THREADS: [u32; 5] = [1, 2, 4, 8, 16];

/// What is shown.
#[derive(Debug, Serialize)]
struct Advice {
    partitions: u64,
    files: u64,
    rows: u64,
    facts: Facts,
    /// By threads.
    footprints: Vec<Footprint>,
    /// The worker of this spec.
    worker: Worker,
}

/// The worker as the spec has it, and as it should be.
#[derive(Debug, Serialize)]
struct Worker {
    threads: u32,
    /// Its `resources`, with what the spec leaves out.
    asked: Value,
    /// Bytes of its memory limit.
    limit_bytes: Option<u64>,
    footprint: Footprint,
    /// Whether the peak is below the limit.
    enough: bool,
    /// What to write into `spec.workers.resources`.
    suggested: Value,
}

/// Shows what the runs of `partitions` need. Nothing is written, done or not.
pub(super) fn show(
    session: &Session,
    workspace: &Workspace,
    partitions: &[Partition],
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let (mut facts, mut files, mut rows) = (Facts::default(), 0, 0);
    for partition in partitions {
        let prepared = session.prepare(&workspace.task(*partition)?)?;
        let plan = &prepared.plan;
        let weighed = weigh(plan, &*prepared.loaded.engine);
        facts = facts.or(weighed.map_err(nightshift_worker::session::RunError::from)?);
        files += plan.inputs.len() as u64;
        rows += plan.rows;
    }
    let advice = Advice {
        partitions: partitions.len() as u64,
        files,
        rows,
        facts,
        footprints: THREADS.map(|threads| Footprint::of(&facts, threads)).to_vec(),
        worker: Worker::of(workspace, &facts),
    };
    match format {
        OutputFormatArg::Json => print_json(&advice)?,
        OutputFormatArg::Text => print(&text(&advice, &workspace.file))?,
    }
    Ok(Exit::Done)
}

impl Worker {
    fn of(workspace: &Workspace, facts: &Facts) -> Self {
        let asked = completed(workspace.spec.workers.resources.as_ref(), &defaults());
        let threads = threads(&asked).unwrap_or(1);
        let footprint = Footprint::of(facts, threads);
        let limit_bytes = memory_limit(&asked);
        let cpu = asked["requests"]["cpu"].clone();
        // Memory cannot be taken back from a process, so that the request is the limit.
        let suggested = json!({
            "requests": { "cpu": cpu, "memory": footprint.limit() },
            "limits": { "memory": footprint.limit() },
        });
        let enough = limit_bytes.is_none_or(|limit| limit >= footprint.peak_bytes);
        Self { threads, asked, limit_bytes, footprint, enough, suggested }
    }
}

fn text(advice: &Advice, file: &str) -> String {
    let files = if advice.files == 1 { "file" } else { "files" };
    let mut out = format!(
        "memory of one worker, from the model and {} rows in {} {files}:\n\n",
        thousands(advice.rows),
        thousands(advice.files)
    );
    out.push_str(&table(&advice.footprints));
    let worker = &advice.worker;
    let limit = worker.limit_bytes.map_or_else(|| "none".to_owned(), mebibytes);
    let threads = match worker.threads {
        1 => "1 thread".to_owned(),
        more => format!("{more} threads"),
    };
    let needs = mebibytes(worker.footprint.peak_bytes);
    let said = if worker.enough {
        format!("{file}: {threads}, memory limit {limit}, needs {needs}: enough.")
    } else {
        format!(
            "warning: {file}: {threads}, memory limit {limit}, needs {needs}: the kernel will kill \
             this worker. Raise the limit, give it less CPU (fewer threads), or make shards smaller."
        )
    };
    // A String takes everything.
    let _ = writeln!(out, "\n{}\nTo paste into spec.workers:\n", prose::wrap(&said, prose::WIDTH));
    let _ = writeln!(out, "  resources:");
    for part in ["requests", "limits"] {
        let quantities = worker.suggested[part].as_object().into_iter().flatten();
        let quantities = quantities.map(|(name, quantity)| format!("{name}: {quantity}"));
        let _ = writeln!(out, "    {part}: {{ {} }}", quantities.collect::<Vec<_>>().join(", "));
    }
    out
}

fn table(footprints: &[Footprint]) -> String {
    use Align::Right;
    let mut table = Table::new(&[
        ("threads", Right),
        ("process", Right),
        ("weights", Right),
        ("plan", Right),
        ("input", Right),
        ("batches", Right),
        ("output", Right),
        ("peak", Right),
        ("limit", Right),
    ]);
    for one in footprints {
        let bytes = [
            one.process_bytes.saturating_add(one.thread_bytes).saturating_add(one.commit_bytes),
            one.weights_bytes,
            one.plan_bytes,
            one.footer_bytes.saturating_add(one.held_bytes).saturating_add(one.decoder_bytes),
            one.batch_bytes,
            one.output_bytes,
            one.peak_bytes,
            one.limit_bytes,
        ];
        table.row(std::iter::once(one.threads.to_string()).chain(bytes.map(mebibytes)));
    }
    table.render()
}
