//! What a process says it did, from its log.

use std::collections::BTreeMap;

use serde_json::Value;

/// Shards named by the log lines with one message, and how often.
pub type Shards = BTreeMap<u32, u32>;

/// Shards on which inference started.
pub fn started(stderr: &str) -> Shards {
    shards(stderr, "inference started", |_| true)
}

/// Shards that this process committed itself.
pub fn committed(stderr: &str) -> Shards {
    shards(stderr, "shard committed", |line| line["won"] == Value::Bool(true))
}

/// What one log line says about one attempt at a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The run.
    pub run: String,
    /// The shard.
    pub shard: u32,
    /// The attempt, where the line names it.
    pub attempt: Option<String>,
    /// The lease, as in `2.17`, where the line names it.
    pub lease: Option<String>,
    /// Whether the line says that the attempt's record is the shard's.
    pub won: bool,
    /// Whether the line is about a second lease on a slow shard.
    pub backup: bool,
}

impl Event {
    /// The epoch of the lease.
    pub fn epoch(&self) -> u64 {
        let lease = self.lease.as_ref().unwrap_or_else(|| panic!("no lease in {self:?}"));
        lease.split('.').next().unwrap().parse().unwrap()
    }
}

/// The log lines with this message so far, of all runs, in order.
pub fn events(stderr: &str, message: &str) -> Vec<Event> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let event = |line: Value| Event {
        run: text(&line["run"]).unwrap_or_else(|| panic!("a line names no run: {line}")),
        shard: shard(&line),
        attempt: text(&line["attempt"]),
        lease: text(&line["token"]),
        won: line["won"] == Value::Bool(true),
        backup: line["backup"] == Value::Bool(true),
    };
    lines(stderr).filter(|line| line["message"] == message).map(event).collect()
}

/// Log lines with this message so far; a line that is still being written does not count.
pub fn count(stderr: &str, message: &str) -> usize {
    lines(stderr).filter(|line| line["message"] == message).count()
}

fn shards(stderr: &str, message: &str, counts: impl Fn(&Value) -> bool) -> Shards {
    let mut found = Shards::new();
    for line in lines(stderr).filter(|line| line["message"] == message && counts(line)) {
        *found.entry(shard(&line)).or_default() += 1;
    }
    found
}

fn shard(line: &Value) -> u32 {
    match &line["shard"] {
        Value::String(text) => text.parse().unwrap(),
        number => u32::try_from(number.as_u64().unwrap()).unwrap(),
    }
}

fn lines(stderr: &str) -> impl Iterator<Item = Value> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok())
}
