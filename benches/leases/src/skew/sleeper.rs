//! A worker that sleeps instead of computing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Outline, ShardSet};
use nightshift_proto::limits::ACQUIRE_WAIT_MAX_MS;
use nightshift_proto::wire;
use nightshift_storage::root::{OutputRoot, Probed};
use nightshift_storage::sync::Durability;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::commit::commit;
use super::lengths::Lengths;
use crate::fleet::{self, Leases};

/// Longest wait for the final after the last shard was decided.
const FINAL_MAX: Duration = Duration::from_secs(60);

/// What the workers of one run share.
pub(super) struct Crew {
    root: Probed,
    outline: Outline,
    lengths: Arc<Lengths>,
    decided: Mutex<Decided>,
    all: Notify,
}

/// Shards with a record, and when the last of them got it.
#[derive(Default)]
struct Decided {
    shards: ShardSet,
    last: Option<Instant>,
}

impl Crew {
    pub(super) async fn new(output: &Path, run: &str, lengths: Arc<Lengths>) -> Result<Self> {
        let root = OutputRoot::open(&output.display().to_string(), Durability::Full).await?;
        let root = root.probe().await?;
        let run: RunId = run.parse()?;
        let outline = root.read(&Object::Plan { run }).await?.context("the run has no plan")?;
        Ok(Self { root, outline, lengths, decided: Mutex::default(), all: Notify::new() })
    }

    /// When the last shard was decided; waits for it.
    pub(super) async fn last_decided(&self) -> Instant {
        loop {
            let news = self.all.notified();
            {
                let decided = lock(&self.decided);
                if let (Some(last), true) =
                    (decided.last, decided.shards.len() == self.lengths.shards())
                {
                    return last;
                }
            }
            news.await;
        }
    }

    fn decided(&self, shard: ShardIndex) {
        let mut decided = lock(&self.decided);
        if decided.shards.insert(shard) {
            decided.last = Some(Instant::now());
        }
        self.all.notify_waiters();
    }

    /// Waits until the coordinator has concluded the run.
    pub(super) async fn wait_for_final(&self) -> Result<()> {
        let RunId { partition, generation, .. } = self.outline.run;
        let started = Instant::now();
        while !self.root.exists(&Object::Final { partition, generation }).await? {
            if started.elapsed() > FINAL_MAX {
                bail!("{} has no final", self.outline.run);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// One worker.
pub(super) struct Sleeper {
    hand: Hand,
    crew: Arc<Crew>,
    slowness: u32,
    /// How long before the end of a shard it asks for the next.
    horizon: Duration,
}

/// Its connection, and the leases that it holds.
struct Hand {
    client: Leases,
    name: String,
    run: String,
    held: Mutex<BTreeMap<u64, wire::LeaseProgress>>,
    revoked: Mutex<BTreeSet<u64>>,
    requests: AtomicU32,
    /// Time between two heartbeats, as the last grant says.
    interval_ms: AtomicU32,
    /// Told when a lease was revoked.
    news: Notify,
}

impl Sleeper {
    pub(super) async fn new(
        address: SocketAddr,
        crew: Arc<Crew>,
        name: String,
        slowness: u32,
        horizon: Duration,
    ) -> Result<Self> {
        let hand = Hand {
            client: fleet::worker(address).await?,
            name,
            run: crew.outline.run.to_string(),
            held: Mutex::default(),
            revoked: Mutex::default(),
            requests: AtomicU32::new(0),
            interval_ms: AtomicU32::new(1_000),
            news: Notify::new(),
        };
        Ok(Self { hand, crew, slowness, horizon })
    }

    /// Works until there is nothing more to do in the run.
    pub(super) async fn work(self) -> Result<()> {
        tokio::select! {
            done = self.shards() => done,
            failed = self.hand.beat() => failed,
        }
    }

    /// One shard after the other; the next is asked for just before the end of the last.
    async fn shards(&self) -> Result<()> {
        let mut next = self.hand.acquire().await?;
        while let Some(grant) = next {
            let lease = grant.lease.context("a grant without a lease")?;
            let length = self.crew.lengths.of(lease.shard) * self.slowness;
            let begun = Instant::now();
            let last_look = begun + length.saturating_sub(self.horizon);
            self.hand.phase(sequence(&lease), wire::Phase::Scoring);
            if !self.sleep_until(last_look, &lease).await {
                self.hand.drop_lease(&lease);
                next = self.hand.acquire().await?;
                continue;
            }
            (_, next) =
                futures::try_join!(self.end_attempt(lease, begun + length), self.hand.acquire())?;
        }
        Ok(())
    }

    /// Sleeps to the end of a shard, commits it and reports, unless the lease is revoked.
    async fn end_attempt(&self, lease: wire::LeaseId, end: Instant) -> Result<()> {
        if self.sleep_until(end, &lease).await {
            let shard = ShardIndex(lease.shard);
            self.hand.phase(sequence(&lease), wire::Phase::Committing);
            let (attempt, outcome) =
                commit(&self.crew.root, &self.crew.outline, shard, &self.hand.name).await?;
            self.crew.decided(shard);
            self.hand.report(lease.clone(), attempt, outcome).await?;
        }
        self.hand.drop_lease(&lease);
        Ok(())
    }

    /// Sleeps; false if the lease was revoked before the end.
    async fn sleep_until(&self, end: Instant, lease: &wire::LeaseId) -> bool {
        tokio::select! {
            () = sleep_until(end) => true,
            () = self.hand.revocation(sequence(lease)) => false,
        }
    }
}

impl Hand {
    /// The next shard; none if the run is over.
    async fn acquire(&self) -> Result<Option<wire::Grant>> {
        loop {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let request = wire::AcquireRequest {
                worker_id: self.name.clone(),
                request_id: format!("{}-{number}", self.name),
                max: 1,
                wait_ms: ACQUIRE_WAIT_MAX_MS,
                run: self.run.clone(),
            };
            let answer = self.client.clone().acquire(request).await?.into_inner();
            let directive = answer.directive();
            if let Some(grant) = answer.grants.into_iter().next() {
                self.interval_ms.store(grant.heartbeat_interval_ms.max(1), Ordering::Relaxed);
                if let Some(lease) = &grant.lease {
                    let progress = wire::LeaseProgress {
                        lease: Some(lease.clone()),
                        phase: wire::Phase::Waiting.into(),
                        rows_done: 0,
                    };
                    lock(&self.held).insert(sequence(lease), progress);
                }
                return Ok(Some(grant));
            }
            if directive == wire::Directive::Retire {
                return Ok(None);
            }
            sleep(Duration::from_millis(answer.retry_after_ms.into())).await;
        }
    }

    async fn report(
        &self,
        lease: wire::LeaseId,
        attempt: String,
        outcome: wire::report_request::Outcome,
    ) -> Result<()> {
        let request = wire::ReportRequest {
            worker_id: self.name.clone(),
            lease: Some(lease),
            attempt,
            outcome: Some(outcome),
            batch_size: 0,
        };
        self.client.clone().report(request).await?;
        Ok(())
    }

    /// Renews the leases that are held as often as grants say, and notes those that are revoked.
    async fn beat(&self) -> Result<()> {
        loop {
            sleep(Duration::from_millis(self.interval_ms.load(Ordering::Relaxed).into())).await;
            let leases = lock(&self.held).values().cloned().collect();
            let request = wire::HeartbeatRequest { worker_id: self.name.clone(), leases };
            let answer = self.client.clone().heartbeat(request).await?.into_inner();
            for answer in answer.answers {
                if let (wire::LeaseState::Revoked, Some(lease)) = (answer.state(), &answer.lease) {
                    lock(&self.revoked).insert(sequence(lease));
                    self.news.notify_waiters();
                }
            }
        }
    }

    /// Waits until a lease is revoked.
    async fn revocation(&self, sequence: u64) {
        loop {
            let news = self.news.notified();
            if lock(&self.revoked).contains(&sequence) {
                return;
            }
            news.await;
        }
    }

    fn drop_lease(&self, lease: &wire::LeaseId) {
        lock(&self.held).remove(&sequence(lease));
    }

    fn phase(&self, sequence: u64, phase: wire::Phase) {
        if let Some(progress) = lock(&self.held).get_mut(&sequence) {
            progress.phase = phase.into();
        }
    }
}

/// What tells the leases of one coordinator apart.
fn sequence(lease: &wire::LeaseId) -> u64 {
    lease.token.as_ref().map_or(0, |token| token.sequence)
}

/// Nothing here can be left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
