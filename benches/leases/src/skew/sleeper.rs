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
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

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
    ahead: usize,
}

/// Its connection, and the leases that it holds.
struct Hand {
    client: Leases,
    name: String,
    run: String,
    held: Mutex<BTreeMap<u64, wire::LeaseProgress>>,
    revoked: Mutex<BTreeSet<u64>>,
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
        ahead: usize,
    ) -> Result<Self> {
        let hand = Hand {
            client: fleet::worker(address).await?,
            name,
            run: crew.outline.run.to_string(),
            held: Mutex::default(),
            revoked: Mutex::default(),
            interval_ms: AtomicU32::new(1_000),
            news: Notify::new(),
        };
        Ok(Self { hand, crew, slowness, ahead })
    }

    /// Works until there is nothing more to do in the run.
    pub(super) async fn work(self) -> Result<()> {
        tokio::select! {
            done = self.shards() => done,
            failed = self.hand.beat() => failed,
        }
    }

    async fn shards(&self) -> Result<()> {
        let mut number = 0;
        if self.ahead == 0 {
            while let Some(grant) = self.hand.acquire(&mut number).await? {
                self.attempt(grant).await?;
            }
            return Ok(());
        }
        let (give, mut take) = mpsc::channel::<wire::Grant>(self.ahead);
        let fetch = async move {
            // Room first: no more is held than is to be held ahead.
            while let Ok(room) = give.reserve().await {
                match self.hand.acquire(&mut number).await? {
                    Some(grant) => room.send(grant),
                    None => break,
                }
            }
            Ok(())
        };
        let work = async {
            while let Some(grant) = take.recv().await {
                self.attempt(grant).await?;
            }
            Ok(())
        };
        futures::future::try_join(fetch, work).await.map(|_| ())
    }

    /// Sleeps as long as the shard is, commits it and reports; ends early if the lease is
    /// revoked.
    async fn attempt(&self, grant: wire::Grant) -> Result<()> {
        let lease = grant.lease.context("a grant without a lease")?;
        let sequence = sequence(&lease);
        let shard = ShardIndex(lease.shard);
        self.hand.phase(sequence, wire::Phase::Scoring);
        let scored = tokio::select! {
            () = sleep(self.crew.lengths.of(lease.shard) * self.slowness) => true,
            () = self.hand.revocation(sequence) => false,
        };
        if scored {
            self.hand.phase(sequence, wire::Phase::Committing);
            let (attempt, outcome) =
                commit(&self.crew.root, &self.crew.outline, shard, &self.hand.name).await?;
            self.crew.decided(shard);
            self.hand.report(lease, attempt, outcome).await?;
        }
        lock(&self.hand.held).remove(&sequence);
        Ok(())
    }
}

impl Hand {
    /// The next shard; none if the run is over.
    async fn acquire(&self, number: &mut u64) -> Result<Option<wire::Grant>> {
        loop {
            *number += 1;
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
