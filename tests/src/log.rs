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

/// Log lines with this message so far; a line that is still being written does not count.
pub fn count(stderr: &str, message: &str) -> usize {
    lines(stderr).filter(|line| line["message"] == message).count()
}

fn shards(stderr: &str, message: &str, counts: impl Fn(&Value) -> bool) -> Shards {
    let mut found = Shards::new();
    for line in lines(stderr).filter(|line| line["message"] == message && counts(line)) {
        let shard = match &line["shard"] {
            Value::String(text) => text.parse().unwrap(),
            number => u32::try_from(number.as_u64().unwrap()).unwrap(),
        };
        *found.entry(shard).or_default() += 1;
    }
    found
}

fn lines(stderr: &str) -> impl Iterator<Item = Value> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok())
}
