//! What became of each date of a command: the table that `run` and `submit --wait` end with.

use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, RunId};
use nightshift_core::report::Report;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::pool::Effort;
use serde::Serialize;

use crate::table::{Align, Table, rate, seconds, thousands};

/// What became of one partition.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) partition: Partition,
    /// The run, where a coordinator runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    /// `done`: it was done before; else the verdict, or `open`.
    pub(crate) state: &'static str,
    pub(crate) rows_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) rows_rejected: u64,
    pub(crate) shards: u64,
    pub(crate) quarantined: u64,
    /// Seconds that this command spent on it.
    pub(crate) seconds: f64,
    /// Where the time went, if this command did the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<Parts>,
    /// Folder of the visible files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    /// What went wrong, the first few things.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<String>,
    #[serde(skip)]
    pub(crate) exit: Exit,
}

impl Line {
    pub(crate) fn empty(partition: Partition, state: &'static str, exit: Exit) -> Self {
        Self {
            partition,
            run: None,
            state,
            rows_in: 0,
            rows_out: 0,
            rows_rejected: 0,
            shards: 0,
            quarantined: 0,
            seconds: 0.0,
            parts: None,
            output: None,
            troubles: Vec::new(),
            exit,
        }
    }

    /// A date that could not be run, among others that could.
    pub(crate) fn failed(partition: Partition, failure: &Failure) -> Self {
        let state = match failure.exit() {
            Exit::NoInput => "no input",
            Exit::Data => "unreadable",
            _ => "refused",
        };
        let troubles = vec![failure.to_string()];
        Self { troubles, ..Self::empty(partition, state, failure.exit()) }
    }
}

/// Where the time of one run went, in seconds added up over threads and concurrent commits.
#[derive(Debug, Serialize)]
pub(crate) struct Parts {
    read_s: f64,
    infer_s: f64,
    write_s: f64,
    commit_s: f64,
    /// Of the commits, waiting for files and directories to be on disk.
    sync_s: f64,
    synced_files: u64,
    synced_directories: u64,
    attempts_scored: u64,
    commits_lost: u64,
}

impl Parts {
    pub(crate) fn new(report: &Report, effort: Effort) -> Self {
        let totals = &report.verdict.totals;
        Self {
            read_s: totals.read_s,
            infer_s: totals.infer_s,
            write_s: totals.write_s,
            commit_s: effort.commit_s,
            sync_s: (effort.sync.files_time + effort.sync.directories_time).as_secs_f64(),
            synced_files: effort.sync.files,
            synced_directories: effort.sync.directories,
            attempts_scored: effort.attempts_scored,
            commits_lost: effort.commits_lost,
        }
    }
}

/// The table for people.
pub(crate) fn render(output: Option<&str>, lines: &[Line], elapsed: f64) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("state", Left),
        ("rows in", Right),
        ("rows out", Right),
        ("rejects", Right),
        ("shards", Right),
        ("seconds", Right),
        ("rows/s", Right),
    ]);
    let row = |name: String, state: &str, line: [u64; 4], spent: f64, worked: u64| {
        let [rows_in, rows_out, rejected, shards] = line.map(thousands);
        [
            name,
            state.to_owned(),
            rows_in,
            rows_out,
            rejected,
            shards,
            seconds(spent),
            rate(worked, spent),
        ]
    };
    let worked = |line: &Line| if line.state == "done" { 0 } else { line.rows_in };
    for line in lines {
        let numbers = [line.rows_in, line.rows_out, line.rows_rejected, line.shards];
        table.row(row(line.partition.to_string(), line.state, numbers, line.seconds, worked(line)));
    }
    if lines.len() > 1 {
        let sum = |number: fn(&Line) -> u64| lines.iter().map(number).sum::<u64>();
        let numbers = [
            sum(|line| line.rows_in),
            sum(|line| line.rows_out),
            sum(|line| line.rows_rejected),
            sum(|line| line.shards),
        ];
        let all = lines.iter().map(worked).sum();
        table.row(row("total".to_owned(), "", numbers, elapsed, all));
    }
    let before = lines.iter().filter(|line| line.state == "done").count();
    let mut text = table.render();
    text.push('\n');
    if before > 0 {
        let noun = if lines.len() == 1 { "date was" } else { "dates were" };
        text.push_str(&format!(
            "{before} of {} {noun} done already; nothing was computed for them\n",
            lines.len()
        ));
    }
    let last = lines.iter().rev().find_map(|line| line.output.as_ref());
    if let (Some(output), Some(folder)) = (output, last) {
        text.push_str(&format!("Predictions: {output}\nlast folder: {folder}/\n"));
    }
    text
}

/// Says why shards were given up or dates refused. The table has gone to standard output; this
/// is for people.
pub(crate) fn tell_troubles(lines: &[Line]) {
    for trouble in lines.iter().flat_map(|line| &line.troubles) {
        Failure::new(Exit::Data, trouble).print();
    }
}

/// The exit code of all dates: that of the first which did not succeed.
pub(crate) fn exit_of(lines: &[Line]) -> Exit {
    lines.iter().map(|line| line.exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done)
}
