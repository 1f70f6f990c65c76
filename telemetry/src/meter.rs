//! What a worker counts, to be sent by OTLP. Counting costs a few atomic additions a batch, and
//! goes on where nothing is sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram as HistogramData, HistogramDataPoint, Metric as Sent,
    NumberDataPoint, Sum,
};

use crate::exposition::Kind;
use crate::metrics::{Metric, worker};
use crate::otlp::settings::attribute;

mod process;

/// Most reasons of rejects that are told apart; further ones count as `other`.
const REASONS_MAX: usize = 32;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its record counts.
    Committed,
    /// Another attempt was first.
    Lost,
    /// It failed.
    Failed,
    /// It was told to stop.
    GivenUp,
}

impl Ended {
    const ALL: [Self; 4] = [Self::Committed, Self::Lost, Self::Failed, Self::GivenUp];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// The numbers of one process.
#[derive(Debug)]
pub struct Meter {
    began_ns: u64,
    rows_scored: AtomicU64,
    tokens: AtomicU64,
    rows_cut: AtomicU64,
    rejected: Mutex<BTreeMap<String, u64>>,
    attempts: [AtomicU64; 4],
    shards: Histogram,
    batches: Histogram,
    loads: Histogram,
    /// 0 until something was learned.
    batch_rows: AtomicU64,
    /// Times that batches became smaller, and larger.
    batch_changes: [AtomicU64; 2],
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// All numbers at zero.
    pub fn new() -> Self {
        Self {
            began_ns: now_ns(),
            rows_scored: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            rows_cut: AtomicU64::new(0),
            rejected: Mutex::default(),
            attempts: Default::default(),
            shards: Histogram::new(worker::bounds(&worker::SHARD_DURATION)),
            batches: Histogram::new(worker::bounds(&worker::BATCH_DURATION)),
            loads: Histogram::new(worker::bounds(&worker::MODEL_LOAD)),
            batch_rows: AtomicU64::new(0),
            batch_changes: Default::default(),
        }
    }

    /// A batch of `rows` rows spent `time` in the model.
    pub fn scored(&self, rows: u64, time: Duration) {
        self.rows_scored.fetch_add(rows, Ordering::Relaxed);
        self.batches.observe(time);
    }

    /// So many tokens of texts went through the model, and so many texts were cut.
    pub fn read_text(&self, tokens: u64, cut_rows: u64) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        self.rows_cut.fetch_add(cut_rows, Ordering::Relaxed);
    }

    /// A model took `time` to load.
    pub fn loaded(&self, time: Duration) {
        self.loads.observe(time);
    }

    /// Batches of more rows do not fit into memory.
    pub fn learned(&self, rows: usize) {
        self.batch_rows.store(rows as u64, Ordering::Relaxed);
    }

    /// Batches have `rows` rows from now on, fewer or more than before, for the sake of memory.
    pub fn resized(&self, rows: usize, is_larger: bool) {
        self.learned(rows);
        if let Some(count) = self.batch_changes.get(usize::from(is_larger)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An attempt ended after `time`.
    pub fn ended(&self, ended: Ended, time: Duration) {
        if let Some(count) = self.attempts.get(ended as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if ended == Ended::Committed {
            self.shards.observe(time);
        }
    }

    /// Rows of a committed shard were rejected.
    pub fn rejected<'a>(&self, by_reason: impl IntoIterator<Item = (&'a String, &'a u64)>) {
        // Whole between calls, so a panic elsewhere cannot break it.
        let mut known = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, rows) in by_reason {
            let full = known.len() >= REASONS_MAX && !known.contains_key(reason);
            let reason = if full { "other" } else { reason };
            *known.entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// All numbers as OTLP has them, cumulative since the start.
    pub(crate) fn collect(&self) -> Vec<Sent> {
        let now = now_ns();
        let point = |attributes: Vec<KeyValue>, value: u64| NumberDataPoint {
            attributes,
            start_time_unix_nano: self.began_ns,
            time_unix_nano: now,
            value: Some(Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        };
        let one = |value: u64| vec![point(Vec::new(), value)];
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rejected =
            rejected.iter().map(|(reason, rows)| point(vec![attribute("reason", reason)], *rows));
        let attempts = Ended::ALL.iter().zip(&self.attempts).map(|(ended, count)| {
            let outcome = attribute("outcome", ended.as_str());
            point(vec![outcome], count.load(Ordering::Relaxed))
        });
        let changes = ["smaller", "larger"].iter().zip(&self.batch_changes);
        let changes = changes.map(|(direction, count)| {
            point(vec![attribute("direction", *direction)], count.load(Ordering::Relaxed))
        });
        let batch_rows = self.batch_rows.load(Ordering::Relaxed);
        let memory = process::memory();
        let io = process::io();
        let numbers = [
            (worker::ROWS_SCORED, one(self.rows_scored.load(Ordering::Relaxed))),
            (worker::TOKENS, one(self.tokens.load(Ordering::Relaxed))),
            (worker::ROWS_CUT, one(self.rows_cut.load(Ordering::Relaxed))),
            (worker::ROWS_REJECTED, rejected.collect()),
            (worker::ATTEMPTS, attempts.collect()),
            (worker::READ_BYTES, io.iter().flat_map(|io| one(io.read_bytes)).collect()),
            (worker::WRITTEN_BYTES, io.iter().flat_map(|io| one(io.written_bytes)).collect()),
            (worker::BATCH_ROWS, if batch_rows == 0 { Vec::new() } else { one(batch_rows) }),
            (worker::BATCH_CHANGES, changes.collect()),
            (worker::MEMORY, memory.iter().flat_map(|memory| one(memory.resident_bytes)).collect()),
            (
                worker::MEMORY_PEAK,
                memory.iter().flat_map(|memory| one(memory.peak_bytes)).collect(),
            ),
        ];
        let numbers = numbers.into_iter().filter(|(_, points)| !points.is_empty());
        let numbers = numbers.map(|(metric, points)| number(metric, points));
        let histograms = [
            (worker::SHARD_DURATION, &self.shards),
            (worker::BATCH_DURATION, &self.batches),
            (worker::MODEL_LOAD, &self.loads),
        ];
        let histograms = histograms.into_iter().map(|(metric, histogram)| {
            let data = HistogramData {
                data_points: vec![histogram.point(self.began_ns, now)],
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            };
            sent(metric, Data::Histogram(data))
        });
        numbers.chain(histograms).collect()
    }
}

fn number(metric: Metric, data_points: Vec<NumberDataPoint>) -> Sent {
    let data = match metric.kind {
        Kind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        Kind::Gauge | Kind::Histogram => Data::Gauge(Gauge { data_points }),
    };
    sent(metric, data)
}

/// The name says the unit already, as Prometheus wants it, so that it is the same everywhere.
fn sent(metric: Metric, data: Data) -> Sent {
    Sent {
        name: metric.family().to_owned(),
        description: metric.help.to_owned(),
        data: Some(data),
        ..Sent::default()
    }
}

fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0)
}

/// Durations, counted by bounds.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    sum_ns: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_ns: AtomicU64::new(0) }
    }

    fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let place = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn point(&self, began_ns: u64, now_ns: u64) -> HistogramDataPoint {
        let bucket_counts: Vec<u64> =
            self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        HistogramDataPoint {
            start_time_unix_nano: began_ns,
            time_unix_nano: now_ns,
            count: bucket_counts.iter().sum(),
            sum: Some(self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9),
            bucket_counts,
            explicit_bounds: self.bounds.to_vec(),
            ..HistogramDataPoint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(metrics: &'a [Sent], metric: &Metric) -> &'a Data {
        let found = metrics.iter().find(|sent| sent.name == metric.family());
        found.and_then(|sent| sent.data.as_ref()).unwrap()
    }

    #[test]
    fn everything_that_is_sent_is_described() {
        let meter = Meter::new();
        meter.learned(512);
        meter.rejected([(&"missing_value".to_owned(), &3)]);
        let sent = meter.collect();
        let described: Vec<&str> = worker::ALL.iter().map(Metric::family).collect();
        assert!(sent.iter().all(|metric| described.contains(&&*metric.name)));
        assert_eq!(sent.len(), described.len());
    }

    #[test]
    fn durations_are_counted_below_their_bound() {
        let meter = Meter::new();
        meter.ended(Ended::Committed, Duration::from_millis(250));
        meter.ended(Ended::Lost, Duration::from_secs(9));
        let sent = meter.collect();
        let Data::Histogram(shards) = find(&sent, &worker::SHARD_DURATION) else { panic!() };
        let [point] = &shards.data_points[..] else { panic!() };
        assert_eq!((point.count, point.sum), (1, Some(0.25)));
        assert_eq!(point.bucket_counts.iter().position(|count| *count == 1), Some(4));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }

    #[test]
    fn reasons_are_bounded() {
        let meter = Meter::new();
        let reasons: Vec<String> = (0..100).map(|n| format!("reason_{n}")).collect();
        meter.rejected(reasons.iter().map(|reason| (reason, &1)));
        let sent = meter.collect();
        let Data::Sum(sum) = find(&sent, &worker::ROWS_REJECTED) else { panic!() };
        assert_eq!(sum.data_points.len(), REASONS_MAX + 1);
    }
}
