//! What a run is made of and what came of it, as lines that answer for it later: inputs, model
//! version and outputs can be found from the log alone.

use std::fmt::Display;

use nightshift_core::plan::Planned;
use nightshift_core::report::Report;

/// A run is open: what it reads, what scores it, and where its results go. `root` is the output
/// root as this process sees it.
pub fn run_opened(plan: &impl Planned, root: impl Display) {
    let (run, model, input) = (plan.run(), plan.model(), plan.input());
    tracing::info!(
        %run,
        name = %run.name,
        partition = %run.partition,
        input = input.first,
        input_files = input.files,
        input_bytes = input.bytes,
        rows = input.rows,
        shards = plan.shard_count(),
        model = model.uri,
        model_version = model.version,
        model_digest = %model.digest,
        output = %root,
        "run opened"
    );
}

/// A run has its verdict: the sums, and the folder of the visible files below `root`.
pub fn run_concluded(report: &Report, root: impl Display) {
    let verdict = &report.verdict;
    let totals = &verdict.totals;
    tracing::info!(
        run = %verdict.run,
        state = verdict.state.as_str(),
        input = report.input.first,
        input_files = report.input.files,
        rows = totals.rows_in,
        rows_out = totals.rows_out,
        rows_rejected = totals.rows_rejected,
        shards = totals.shards,
        quarantined = totals.quarantined,
        model = report.model.uri,
        model_version = report.model.version,
        model_digest = %report.model.digest,
        output = format_args!("{root}/{}", report.output),
        "run concluded"
    );
}
