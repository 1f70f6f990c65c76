//! `nightshift-worker commit`: files of a program in another language become a shard's verdict.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_core::exit::Exit;
use nightshift_core::ids::{AttemptId, RunId, ShardIndex};
use nightshift_core::record::Timing;
use nightshift_proto::names::Reason;
use nightshift_worker::describe;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::runtime;
use nightshift_worker::hand_in::{HandIn, HandedIn, hand_in};
use nightshift_worker::identity::Identity;
use serde_json::json;

/// Commits the files of a worker in another language as the result of a shard.
///
/// The files are checked against the plan, staged, recorded and published. Prints one JSON line:
///
///     {"attempt":"01J…","outcome":"won","winner":"01J…"}
///
/// `lost` means that another attempt was first: the shard is done, which is success too. Report
/// `committed` or `lost` to the coordinator accordingly.
///
///     nightshift-worker commit --output-root /data/out --run flights-2013-01-01-g1 --shard 17 \
///         --attempt 01J8… --data scores.parquet --rows-in 250 --rows-out 249 \
///         --rejects rejects.jsonl --rejects-by-reason missing_value=1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CommitArgs {
    /// The output root, as the grant names it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    output_root: String,

    /// The run, as the grant's lease names it
    #[arg(long, value_name = "RUN")]
    run: RunId,

    /// The shard, as the grant's lease names it
    #[arg(long, value_name = "I")]
    shard: u32,

    /// The attempt, a ULID of your own; a new one if absent. The same one again gives the same
    /// answer; after a crash take a new one
    #[arg(long, value_name = "ULID")]
    attempt: Option<AttemptId>,

    /// The scored rows, in the plan's output format
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    data: PathBuf,

    /// The rejected rows, one JSON object a line; only if there are any
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rejects: Option<PathBuf>,

    /// Rows that were read: all rows of the shard
    #[arg(long, value_name = "N")]
    rows_in: u64,

    /// Rows in --data
    #[arg(long, value_name = "N")]
    rows_out: u64,

    /// Rejected rows by reason, as in missing_value=3,bad_value=1
    #[arg(long, value_name = "REASON=N", value_delimiter = ',', value_parser = reason)]
    rejects_by_reason: Vec<(String, u64)>,

    /// Seconds spent in the model, for the report
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    infer_seconds: f64,
}

fn reason(text: &str) -> Result<(String, u64), String> {
    let invalid = || "write it as missing_value=3".to_owned();
    let (name, rows) = text.split_once('=').ok_or_else(invalid)?;
    let name: Reason = name.parse().map_err(|error| describe(&error))?;
    match rows.parse() {
        Ok(rows @ 1..) => Ok((name.to_string(), rows)),
        _ => Err(invalid()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let invalid = "write a number of seconds, as in 1.5";
    let seconds: f64 = text.parse().map_err(|_| invalid)?;
    if seconds.is_finite() && seconds >= 0.0 { Ok(seconds) } else { Err(invalid.to_owned()) }
}

impl CommitArgs {
    /// Commits, and prints what came of it.
    pub(crate) fn commit(&self) -> Result<Exit, Failure> {
        let mut rejects_by_reason = std::collections::BTreeMap::new();
        for (reason, rows) in &self.rejects_by_reason {
            if rejects_by_reason.insert(reason.clone(), *rows).is_some() {
                let text = format_args!("--rejects-by-reason names {reason} twice");
                return Err(Failure::new(Exit::Usage, text));
            }
        }
        let handed = HandIn {
            output_root: self.output_root.clone(),
            run: self.run.clone(),
            shard: ShardIndex(self.shard),
            attempt: self.attempt.clone(),
            data: self.data.clone(),
            rejects: self.rejects.clone(),
            rows_in: self.rows_in,
            rows_out: self.rows_out,
            rejects_by_reason,
            timing: Timing { infer_s: self.infer_seconds, ..Timing::default() },
        };
        let who = Identity::of_this_process();
        let done = runtime()?.block_on(hand_in(&handed, &who));
        let HandedIn { attempt, winner } =
            done.map_err(|error| Failure::new(error.exit(), describe(&error)))?;
        let outcome = if attempt == winner { "won" } else { "lost" };
        let line = json!({ "outcome": outcome, "attempt": attempt, "winner": winner });
        writeln!(std::io::stdout(), "{line}")?;
        Ok(Exit::Done)
    }
}
