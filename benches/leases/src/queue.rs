//! The peer: a plain Redis list as a work queue, in the way of many job systems.
//!
//! A worker moves an item from the queue to the list of those in progress (`LMOVE`) and removes
//! it from there when it is done (`LREM`). It has no leases, so an item of a dead worker stays
//! in progress for ever, and no truth beside Redis's memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use crate::fleet::Seen;
use crate::latency::Latencies;
use crate::resp::{Redis, Reply};

const QUEUE: &[u8] = b"bench:queue";
const IN_PROGRESS: &[u8] = b"bench:in-progress";
/// Items that are pushed by one command.
const PUSHED_AT_ONCE: usize = 1_000;

/// Lets `workers` workers, each on a connection of its own, empty a queue of `items` items; none
/// is begun after `time_max`.
pub(crate) async fn perform(
    address: SocketAddr,
    workers: usize,
    items: u32,
    time_max: Duration,
) -> Result<Seen> {
    let mut control = Redis::connect(address).await?;
    fill(&mut control, items).await?;
    let mut connections = Vec::with_capacity(workers);
    for _ in 0..workers {
        connections.push(Redis::connect(address).await?);
    }
    let left = Arc::new(AtomicU32::new(items));
    let started = Instant::now();
    let over = started + time_max;
    let workers: Vec<_> = connections
        .into_iter()
        .map(|redis| nightshift_telemetry::spawn("worker", work(redis, Arc::clone(&left), over)))
        .collect();
    let (mut acquire, mut report) = (Latencies::default(), Latencies::default());
    for worker in workers {
        let (moved, removed) = worker.await.context("a simulated worker panicked")??;
        acquire.append(moved);
        report.append(removed);
    }
    let pairs = items - left.load(Ordering::Relaxed);
    Ok(Seen { pairs, elapsed: started.elapsed(), acquire, report })
}

async fn fill(redis: &mut Redis, items: u32) -> Result<()> {
    redis.call(&[b"DEL", QUEUE, IN_PROGRESS]).await?;
    let names: Vec<String> = (0..items).map(|item| format!("{item:07}")).collect();
    for some in names.chunks(PUSHED_AT_ONCE) {
        let words = [b"RPUSH", QUEUE].into_iter().chain(some.iter().map(|name| name.as_bytes()));
        redis.call(&words.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

async fn work(
    mut redis: Redis,
    left: Arc<AtomicU32>,
    over: Instant,
) -> Result<(Latencies, Latencies)> {
    let (mut moved, mut removed) = (Latencies::default(), Latencies::default());
    let one_less = |left: u32| left.checked_sub(1);
    while Instant::now() < over
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    {
        let begun = Instant::now();
        let words: [&[u8]; 5] = [b"LMOVE", QUEUE, IN_PROGRESS, b"LEFT", b"RIGHT"];
        let Reply::Bulk(item) = redis.call(&words).await? else { bail!("the queue is empty") };
        moved.add(begun.elapsed());
        let begun = Instant::now();
        let Reply::Integer(1) = redis.call(&[b"LREM", IN_PROGRESS, b"1", &item]).await? else {
            bail!("an item was not in progress")
        };
        removed.add(begun.elapsed());
    }
    Ok((moved, removed))
}
