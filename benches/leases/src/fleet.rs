//! Simulated workers: each asks for a shard, says that it is committed, and begins again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use nightshift_core::ids::ShardIndex;
use nightshift_proto::limits::{ACQUIRE_WAIT_MAX_MS, REPLY_MAX_BYTES};
use nightshift_proto::wire;
use nightshift_proto::wire::report_request::Outcome;
use nightshift_proto::wire::runs_client::RunsClient;
use nightshift_proto::wire::shard_leases_client::ShardLeasesClient;
use tokio::time::{Instant, sleep_until};
use tonic::transport::{Channel, Endpoint};

use crate::latency::Latencies;
use crate::records::{Records, attempt_of};

/// A client of leases.
pub(crate) type Leases = ShardLeasesClient<Channel>;

/// Connections that are opened at the same time, well below the backlog of a listening socket.
const CONNECTS_MAX: usize = 64;

/// Workers with their connections.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// One client a worker; several may share a connection.
    clients: Vec<Leases>,
    /// How many connections there are.
    pub(crate) connections: usize,
}

/// What a fleet is to do.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The run.
    pub(crate) run: String,
    /// Pairs of Acquire and Report.
    pub(crate) pairs: u32,
    /// Pairs a second, started at even distances; as many as can be if absent.
    pub(crate) rate: Option<u32>,
    /// No pair is begun after this time.
    pub(crate) time_max: Duration,
}

/// What a fleet has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) pairs: u32,
    pub(crate) elapsed: Duration,
    /// From the moment when a pair was due, if there is a rate.
    pub(crate) acquire: Latencies,
    pub(crate) report: Latencies,
}

/// A client of runs.
pub(crate) async fn operator(address: SocketAddr) -> Result<RunsClient<Channel>> {
    Ok(RunsClient::new(connect(address).await?).max_decoding_message_size(REPLY_MAX_BYTES))
}

/// A client of leases with a connection of its own.
pub(crate) async fn worker(address: SocketAddr) -> Result<Leases> {
    Ok(ShardLeasesClient::new(connect(address).await?))
}

async fn connect(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))
}

impl Fleet {
    /// `workers` workers that share `connections` connections evenly.
    pub(crate) async fn connect(
        address: SocketAddr,
        workers: usize,
        connections: usize,
    ) -> Result<Self> {
        let mut open = Vec::with_capacity(connections);
        while open.len() < connections {
            let more = CONNECTS_MAX.min(connections - open.len());
            open.extend(try_join_all((0..more).map(|_| worker(address))).await?);
        }
        let clients = open.iter().cycle().take(workers).cloned().collect();
        Ok(Self { clients, connections })
    }

    /// Does `job` once.
    pub(crate) async fn perform(&self, job: &Job, records: &Arc<Records>) -> Result<Seen> {
        let turns = Arc::new(Turns::new(job));
        let started = turns.started;
        let workers = self.clients.iter().enumerate().map(|(number, client)| {
            let worker = Simulated {
                client: client.clone(),
                name: format!("bench-{number}-{}", ulid::Ulid::generate()),
                run: job.run.clone(),
                turns: Arc::clone(&turns),
                records: Arc::clone(records),
                acquire: Latencies::default(),
                report: Latencies::default(),
            };
            nightshift_telemetry::spawn("worker", worker.work())
        });
        let workers: Vec<_> = workers.collect();
        let mut seen = Seen {
            pairs: 0,
            elapsed: Duration::ZERO,
            acquire: Latencies::default(),
            report: Latencies::default(),
        };
        for worker in workers {
            let worker = worker.await.context("a simulated worker panicked")??;
            seen.acquire.append(worker.acquire);
            seen.report.append(worker.report);
        }
        seen.elapsed = started.elapsed();
        seen.pairs = turns.taken();
        Ok(seen)
    }
}

/// Who begins the next pair, and when.
#[derive(Debug)]
struct Turns {
    next: AtomicU32,
    pairs: u32,
    started: Instant,
    /// Time between two pairs.
    distance: Option<Duration>,
    over: Instant,
}

impl Turns {
    fn new(job: &Job) -> Self {
        let started = Instant::now();
        Self {
            next: AtomicU32::new(0),
            pairs: job.pairs,
            started,
            distance: job.rate.map(|rate| Duration::from_secs(1) / rate.max(1)),
            over: started + job.time_max,
        }
    }

    /// When the next pair is due; none if all have begun.
    fn take(&self) -> Option<Instant> {
        let now = Instant::now();
        if now >= self.over {
            return None;
        }
        let turn = |next: u32| (next < self.pairs).then(|| next + 1);
        let next = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn).ok()?;
        Some(self.distance.map_or(now, |distance| self.started + distance * next))
    }

    fn taken(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }
}

struct Simulated {
    client: Leases,
    name: String,
    run: String,
    turns: Arc<Turns>,
    records: Arc<Records>,
    acquire: Latencies,
    report: Latencies,
}

impl Simulated {
    async fn work(mut self) -> Result<Self> {
        let mut number = 0_u64;
        while let Some(due) = self.turns.take() {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            number += 1;
            let lease = self.acquire(number).await?;
            self.acquire.add(due.elapsed());
            let shard = ShardIndex(lease.shard);
            self.records.reveal(shard)?;
            let begun = Instant::now();
            self.report(lease).await?;
            self.report.add(begun.elapsed());
        }
        Ok(self)
    }

    async fn acquire(&mut self, number: u64) -> Result<wire::LeaseId> {
        let request = wire::AcquireRequest {
            worker_id: self.name.clone(),
            request_id: format!("{}-{number}", self.name),
            max: 1,
            wait_ms: ACQUIRE_WAIT_MAX_MS,
            run: self.run.clone(),
        };
        let answer = self.client.acquire(request).await?.into_inner();
        match answer.grants.into_iter().next().and_then(|grant| grant.lease) {
            Some(lease) => Ok(lease),
            None => bail!("no shard was granted: {}", answer.notice),
        }
    }

    async fn report(&mut self, lease: wire::LeaseId) -> Result<()> {
        let request = wire::ReportRequest {
            worker_id: self.name.clone(),
            attempt: attempt_of(ShardIndex(lease.shard)),
            lease: Some(lease),
            outcome: Some(Outcome::Committed(wire::Committed { rows_out: 1, rows_rejected: 0 })),
            batch_size: 0,
        };
        let state = self.client.report(request).await?.into_inner().state();
        if state != wire::ReportState::Accepted {
            bail!("a report was answered {}", state.as_str_name());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
