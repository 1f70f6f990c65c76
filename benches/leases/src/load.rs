//! The load benchmark: how many pairs of Acquire and Report, how fast, and what they cost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nightshift_core::ids::RunId;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::args::LoadArgs;
use crate::fleet::{Fleet, Job, Seen};
use crate::latency::Quantiles;
use crate::memory::{self, Memory};
use crate::queue;
use crate::records::Records;
use crate::resp::{Redis, Reply};
use crate::service::{Service, Usage};
use crate::stand::Stand;

mod render;

pub(crate) use render::render;

/// Pairs that are made before anything is measured: every connection and every worker has had
/// its turns.
const WARM_UP_PAIRS: u32 = 4_000;
/// Longest wait until the ledger has what the coordinator knows.
const LEDGER_MAX: Duration = Duration::from_secs(60);

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    /// Cores of the machine; the coordinator has one of them.
    pub(crate) cores: usize,
    pub(crate) workers: usize,
    pub(crate) measurements: Vec<Measurement>,
    /// Bytes that one finished shard takes in Redis.
    pub(crate) redis_bytes_per_shard: Option<f64>,
    pub(crate) memory: Option<Memory>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    /// Who hands out work.
    pub(crate) peer: Peer,
    pub(crate) connections: usize,
    /// Pairs a second that were asked for; as many as could be if absent.
    pub(crate) rate: Option<u32>,
    pub(crate) pairs: u32,
    pub(crate) seconds: f64,
    pub(crate) pairs_per_s: f64,
    pub(crate) acquire: Quantiles,
    pub(crate) report: Quantiles,
    /// Processor time of the measured process.
    pub(crate) cpu_s: f64,
    pub(crate) rss_before_bytes: u64,
    pub(crate) rss_after_bytes: u64,
}

/// Who hands out work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peer {
    /// A coordinator with its ledger in memory.
    MemoryLedger,
    /// A coordinator with its ledger in Redis.
    RedisLedger,
    /// A list in Redis, `LMOVE` and `LREM`.
    RedisList,
}

/// Measures everything.
pub(crate) async fn load(args: &LoadArgs) -> Result<Load> {
    let stand = Stand::new(&args.common)?;
    let mut measurements = Vec::new();
    {
        let bench = Bench { stand: &stand, args, peer: Peer::MemoryLedger };
        let coordinator = stand.coordinator(None)?;
        for connections in [args.connections, args.workers] {
            for rate in [None, Some(args.rate)] {
                measurements.push(bench.measure(&coordinator, connections, rate).await?);
            }
        }
    }
    let mut redis_bytes_per_shard = None;
    if !args.no_redis {
        let bench = Bench { stand: &stand, args, peer: Peer::RedisLedger };
        let redis = stand.redis_beside()?;
        let coordinator = stand.coordinator(Some(redis.address))?;
        for rate in [None, Some(args.rate)] {
            let before = Redis::connect(redis.address).await?.used_memory().await?;
            measurements.push(bench.measure(&coordinator, args.connections, rate).await?);
            if rate.is_none() {
                redis_bytes_per_shard = Some(bench.bytes_per_shard(&redis, before).await?);
            }
        }
        drop((coordinator, redis));
        measurements.push(list_queue(&stand, args).await?);
    }
    let memory = match args.shards {
        0 => None,
        shards => Some(memory::measure(&stand, shards, 0).await?),
    };
    let (cores, workers) = (stand.cores, args.workers);
    Ok(Load { cores, workers, measurements, redis_bytes_per_shard, memory })
}

/// One coordinator under load.
struct Bench<'a> {
    stand: &'a Stand,
    args: &'a LoadArgs,
    peer: Peer,
}

impl Bench<'_> {
    /// The name of the run of one measurement; each has its own.
    fn name(&self, connections: usize, rate: Option<u32>) -> String {
        let ledger = if self.peer == Peer::RedisLedger { "redis" } else { "memory" };
        format!(
            "{ledger}-{connections}-{}",
            rate.map_or_else(|| "all".to_owned(), |r| r.to_string())
        )
    }

    async fn measure(
        &self,
        coordinator: &Service,
        connections: usize,
        rate: Option<u32>,
    ) -> Result<Measurement> {
        let Self { stand, args, peer } = self;
        let pairs = match rate {
            None => args.pairs,
            Some(rate) => args.pairs.min(rate.saturating_mul(args.time_max as u32 / 2)),
        };
        let before = coordinator.usage()?;
        // More shards than are asked for: the queue never runs dry, and the run never ends.
        let shards = WARM_UP_PAIRS + pairs + 2 * args.workers as u32;
        let name = self.name(connections, rate);
        let run = stand.start(coordinator, stand.scene.wish(&name, shards)?).await?;
        let (output, spare) =
            (stand.scene.output(&name), stand.scene.path(&format!("spare-{name}")));
        let id: RunId = run.parse()?;
        let records = Records::prepare(&output, spare, id, WARM_UP_PAIRS + pairs).await?;
        let records = Arc::new(records);
        let fleet = Fleet::connect(coordinator.address, args.workers, connections).await?;
        let warm_up =
            Job { run: run.clone(), pairs: WARM_UP_PAIRS, rate, time_max: args.time_max() };
        fleet.perform(&warm_up, &records).await?;
        let begun = coordinator.usage()?;
        let job = Job { pairs, ..warm_up };
        let seen = fleet.perform(&job, &records).await?;
        let after = coordinator.usage()?;
        Ok(measurement(*peer, fleet.connections, rate, seen, [before, begun, after]))
    }

    /// What one finished shard of the first run takes in Redis, which had `before` bytes.
    async fn bytes_per_shard(&self, redis: &Service, before: u64) -> Result<f64> {
        let name = self.name(self.args.connections, None);
        let key = format!("nightshift:{{{name}}}:run:{name}-all-g1:done");
        let mut redis = Redis::connect(redis.address).await?;
        let wanted = i64::from(WARM_UP_PAIRS + self.args.pairs);
        let started = Instant::now();
        let mut last = -1;
        // A run that was stopped by the clock has fewer: then the ledger stands still.
        loop {
            let Reply::Integer(done) = redis.call(&[b"SCARD", key.as_bytes()]).await? else {
                anyhow::bail!("SCARD gave no number")
            };
            let still = done == last && started.elapsed() > LEDGER_MAX / 12;
            if done >= wanted || still || started.elapsed() > LEDGER_MAX {
                let after = redis.used_memory().await?;
                anyhow::ensure!(done > 0, "the ledger has nothing under {key}");
                return Ok(after.saturating_sub(before) as f64 / done as f64);
            }
            last = done;
            sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn list_queue(stand: &Stand, args: &LoadArgs) -> Result<Measurement> {
    let redis = stand.redis_measured()?;
    queue::perform(redis.address, args.workers, WARM_UP_PAIRS, args.time_max()).await?;
    let begun = redis.usage()?;
    let seen = queue::perform(redis.address, args.workers, args.pairs, args.time_max()).await?;
    let after = redis.usage()?;
    Ok(measurement(Peer::RedisList, args.workers, None, seen, [begun, begun, after]))
}

fn measurement(
    peer: Peer,
    connections: usize,
    rate: Option<u32>,
    seen: Seen,
    [before, begun, after]: [Usage; 3],
) -> Measurement {
    let seconds = seen.elapsed.as_secs_f64();
    Measurement {
        peer,
        connections,
        rate,
        pairs: seen.pairs,
        seconds,
        pairs_per_s: f64::from(seen.pairs) / seconds,
        acquire: seen.acquire.quantiles(),
        report: seen.report.quantiles(),
        cpu_s: after.cpu.saturating_sub(begun.cpu).as_secs_f64(),
        rss_before_bytes: before.rss_bytes,
        rss_after_bytes: after.rss_bytes,
    }
}

#[cfg(test)]
mod tests;
