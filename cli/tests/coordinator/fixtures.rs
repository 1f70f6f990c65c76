//! Runs in all states, a spec, and the program under test.

use jiff::{Timestamp, ToSpan};
use nightshift_core::conclusion::{FinalState, QuarantinedShard, Totals};
use nightshift_core::ids::{Digest, Partition, RunId, ShardIndex};
use nightshift_core::record::FailureClass;
use nightshift_proto::runs::Decision;
use nightshift_proto::runs::get::{FoundRun, GetRun};
use nightshift_proto::runs::start::StartedRun;
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};
use nightshift_proto::runs::verdict::RunVerdict;
use nightshift_proto::runs::watch::WatchedRun;
use nightshift_tests::process::{Finished, Program};
use tempfile::TempDir;
use tonic::Status;

use crate::server::{Frame, Server};

/// Rows of a shard of the runs here.
pub(crate) const SHARD_ROWS: u64 = 100;

pub(crate) fn id(text: &str) -> RunId {
    text.parse().unwrap()
}

/// The run `flights-<partition>-g1`.
pub(crate) fn of(partition: Partition) -> RunId {
    id(&format!("flights-{partition}-g1"))
}

/// A run of which `committed` of `total` shards are done; one more is leased, if there is one.
pub(crate) fn going(run: &RunId, state: RunState, committed: u32, total: u32) -> RunStatus {
    let leased = (total - committed).min(1);
    let ready = total - committed - leased;
    RunStatus {
        run: run.clone(),
        state,
        shards: ShardCounts { total, committed, leased, ready, ..ShardCounts::default() },
        rows: RowCounts {
            planned: SHARD_ROWS * u64::from(total),
            out: SHARD_ROWS * u64::from(committed),
            ..RowCounts::default()
        },
        workers: leased,
        epoch: 1,
        planned_at: (state != RunState::Planning).then(planned_at),
        decided_at: None,
        notice: String::new(),
    }
}

fn planned_at() -> Timestamp {
    Timestamp::now() - 90.seconds()
}

/// A run that ended: with `quarantined` of `total` shards given up.
pub(crate) fn ended(run: &RunId, quarantined: u32, total: u32) -> WatchedRun {
    let committed = total - quarantined;
    let state = match (committed, quarantined) {
        (_, 0) => FinalState::Succeeded,
        (0, _) => FinalState::Failed,
        _ => FinalState::Partial,
    };
    let rows = |shards: u32| SHARD_ROWS * u64::from(shards);
    let mut status = going(run, state.into(), committed, total);
    status.shards = ShardCounts { total, committed, quarantined, ..ShardCounts::default() };
    status.rows.quarantined = rows(quarantined);
    status.workers = 0;
    status.decided_at = status.planned_at.map(|planned| planned + 60.seconds());
    let totals = Totals {
        shards: total.into(),
        committed: committed.into(),
        quarantined: quarantined.into(),
        rows_in: rows(total),
        rows_out: rows(committed),
        rows_quarantined: rows(quarantined),
        ..Totals::default()
    };
    let verdict = RunVerdict {
        state,
        fingerprint: Digest([1; 32]),
        model_digest: Digest([2; 32]),
        totals,
        withheld: String::new(),
        judged: None,
    };
    WatchedRun { run: status, verdict: Some(verdict) }
}

pub(crate) fn show(run: RunStatus) -> Frame {
    Frame::Show(Box::new(WatchedRun { run, verdict: None }))
}

pub(crate) fn verdict(run: &RunId, quarantined: u32, total: u32) -> Frame {
    Frame::Show(Box::new(ended(run, quarantined, total)))
}

pub(crate) fn started(run: &RunId) -> StartedRun {
    StartedRun { decision: Decision::Start, run: going(run, RunState::Planning, 0, 0) }
}

/// A run that was done before, as `submit` looks it up: nothing keeps it from readers.
pub(crate) fn was_done(get: GetRun, _: usize) -> Result<FoundRun, Status> {
    Ok(found(ended(&get.run, 0, 8), FailureClass::Data, ""))
}

/// A run in detail; the last of its shards were given up.
pub(crate) fn found(watched: WatchedRun, class: FailureClass, message: &str) -> FoundRun {
    let counts = watched.run.shards;
    let quarantined =
        (counts.total - counts.quarantined..counts.total).map(|shard| QuarantinedShard {
            shard: ShardIndex(shard),
            rows: SHARD_ROWS,
            class,
            reason: "rejects_over_budget".to_owned(),
            message: message.to_owned(),
        });
    FoundRun {
        quarantined: quarantined.collect(),
        run: watched.run,
        verdict: watched.verdict,
        shard: None,
        open_shards: Vec::new(),
    }
}

pub(crate) fn only(run: RunStatus) -> FoundRun {
    FoundRun { run, verdict: None, quarantined: Vec::new(), shard: None, open_shards: Vec::new() }
}

/// A folder with a spec of dates.
pub(crate) struct Spec {
    folder: TempDir,
}

impl Spec {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("nightshift-test-").tempdir().unwrap();
        let spec = Self { folder };
        std::fs::write(spec.path(), TEXT).unwrap();
        spec
    }

    pub(crate) fn path(&self) -> String {
        format!("{}/spec.yaml", self.base())
    }

    pub(crate) fn base(&self) -> String {
        self.folder.path().display().to_string()
    }
}

/// The spec's text.
pub(crate) const TEXT: &str = "apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: { name: flights }
spec:
  input: { uri: \"data/date={date}/*.parquet\", id: [flight_id] }
  model: { uri: models/delay }
  task: { kind: tabular }
  output: { uri: out, format: parquet }
";

/// The program, with nothing of this machine's user.
pub(crate) fn nightshift(words: &[&str]) -> Program {
    Program::new(env!("CARGO_BIN_EXE_nightshift")).args(words)
}

/// The program against `server`.
pub(crate) fn ask(server: &Server, words: &[&str]) -> Program {
    nightshift(words).args(["--coordinator", &server.url()])
}

/// Nothing that was printed moves a cursor, changes a colour or the direction of writing.
#[track_caller]
pub(crate) fn plain(ended: &Finished) {
    for text in [&ended.stdout, &ended.stderr] {
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{2028}'..='\u{202e}').contains(&c);
        assert!(!text.contains(bad), "{ended}");
    }
}

/// No line of the result is wider than a terminal.
#[track_caller]
pub(crate) fn fits(ended: &Finished) {
    let wide = ended.stdout.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{ended}");
}

/// The one JSON document on standard output.
#[track_caller]
pub(crate) fn json(ended: &Finished) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
}
