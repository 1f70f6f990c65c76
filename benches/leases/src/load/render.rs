//! What was measured, for people.

use std::fmt::Write as _;

use super::{Load, Measurement, Peer};
use crate::memory;
use crate::table::{self, megabytes, pair_of_ms, thousands};

const HEADER: [&str; 7] = ["", "conns", "load", "pairs/s", "acquire ms", "report ms", "cpu us"];

const COST_HEADER: [&str; 6] = ["", "conns", "load", "rss before", "after", "busy"];

/// A table of at most 80 columns, and what does not fit into it.
pub(crate) fn render(load: &Load) -> String {
    let mut text = format!(
        "{} simulated workers; what is measured has one of {} cores\n\n",
        load.workers, load.cores
    );
    let rows: Vec<_> = load.measurements.iter().map(row).collect();
    text.push_str(&table::render(&HEADER, &rows));
    text.push_str(
        "\nms: median / 99th of 100, at a rate counted from the moment a pair was due;\n\
         cpu us: processor time of the measured process for one pair\n\n",
    );
    let coordinators = load.measurements.iter().filter(|one| one.peer != Peer::RedisList);
    let rows: Vec<_> = coordinators.map(cost_row).collect();
    text.push_str(&table::render(&COST_HEADER, &rows));
    if let Some(bytes) = load.redis_bytes_per_shard {
        let _ = writeln!(text, "\nRedis takes {bytes:.1} bytes for a finished shard");
    }
    if let Some(memory) = &load.memory {
        let _ = write!(text, "\n{}", memory::render(memory));
    }
    text
}

fn row(one: &Measurement) -> Vec<String> {
    vec![
        name(one.peer).to_owned(),
        thousands(one.connections as f64),
        load_of(one),
        thousands(one.pairs_per_s),
        pair_of_ms(one.acquire.p50_ms, one.acquire.p99_ms),
        pair_of_ms(one.report.p50_ms, one.report.p99_ms),
        format!("{:.0}", one.cpu_s * 1e6 / f64::from(one.pairs.max(1))),
    ]
}

fn cost_row(one: &Measurement) -> Vec<String> {
    vec![
        name(one.peer).to_owned(),
        thousands(one.connections as f64),
        load_of(one),
        megabytes(one.rss_before_bytes),
        megabytes(one.rss_after_bytes),
        format!("{:.1} of {:.1} s", one.cpu_s, one.seconds),
    ]
}

fn name(peer: Peer) -> &'static str {
    match peer {
        Peer::MemoryLedger => "memory ledger",
        Peer::RedisLedger => "Redis ledger",
        Peer::RedisList => "plain Redis list",
    }
}

fn load_of(one: &Measurement) -> String {
    one.rate.map_or_else(|| "full".to_owned(), |rate| format!("{}/s", thousands(f64::from(rate))))
}
