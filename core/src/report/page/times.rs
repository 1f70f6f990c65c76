//! Where the time went: shard by shard, and over all threads.

use super::charts::{self, Part};
use super::counted;
use super::text::Safe;
use crate::describe::cut;
use crate::figures::duration;
use crate::report::study::{Effort, ShardTimes};

/// Characters of a worker's name that are shown.
const WORKER_SHOWN: usize = 80;

/// How long each shard took.
pub(super) fn shards(times: &ShardTimes) -> String {
    if times.scored == 0 {
        return String::new();
    }
    let slowest = match times.slowest.first() {
        Some(slow) if times.scored > 1 => format!(
            "<p class=\"soft\">Slowest: shard {} with {}, {} on {}</p>",
            slow.shard,
            duration(slow.seconds),
            counted(slow.rows, "row"),
            Safe(cut(&slow.worker, WORKER_SHOWN))
        ),
        _ => String::new(),
    };
    format!(
        "<section><h2>Time per shard <small>median {}, 95 of 100 within {}, longest {}</small></h2>{}{slowest}</section>",
        duration(times.median_s),
        duration(times.p95_s),
        duration(times.longest_s),
        charts::shards(times)
    )
}

/// What worker threads spent their time on.
pub(super) fn effort(effort: &Effort) -> String {
    let part =
        |name, class, seconds: f64| Part { name, class, value: seconds, shown: duration(seconds) };
    let mut parts = vec![part("useful", "good", effort.useful_s)];
    let mut note = "";
    if effort.accounted > 0 {
        parts.extend([
            part("retries", "retry", effort.retry_s),
            part("model load", "load", effort.load_s),
            part("idle", "idle", effort.idle_s),
        ]);
    } else if effort.useful_s > 0.0 {
        note = "<p class=\"soft\">The workers of this run kept no account of retries, model loading and idle time.</p>";
    } else {
        return String::new();
    }
    format!(
        "<section><h2>What worker threads spent their time on</h2>{}{note}</section>",
        charts::stack(&parts, "what worker threads spent their time on")
    )
}
