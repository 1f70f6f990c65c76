//! Which of several replicas works: the one that holds a Kubernetes Lease.
//!
//! [`decide`] is the whole rule, a pure function over what was seen of the Lease; [`Election`]
//! reads the Lease, asks it, and writes. Clocks of other machines are never compared: a holder
//! counts as silent when its Lease has not *changed* for as long as it lasts, by our own clock.
//!
//! Two replicas that both think that they lead do no harm: each run has epochs, and the records
//! decide. The Lease only keeps them from working twice.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use nightshift_core::describe::describe;
use tokio::time::Instant;

mod decide;

pub use decide::{Seen, Step, decide};

/// How long a silent holder keeps the Lease.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long a leader may fail to renew before it gives up; less than [`LEASE`], so that it has
/// ended when another takes over.
pub const RENEW_BY: Duration = Duration::from_secs(10);
/// Pause between looks at the Lease.
pub const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(4);

/// One replica's part in an election.
#[derive(Debug)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    /// What this replica calls itself; no other does.
    me: String,
    seen: Option<(Seen, Instant)>,
}

impl Election {
    /// The part of `me` in the election named `name`.
    pub fn new(client: Client, namespace: &str, name: &str, me: String) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self { leases, name: name.to_owned(), me, seen: None }
    }

    /// Waits until this replica leads.
    pub async fn win(&mut self) {
        loop {
            match self.step().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    let lease = &self.name;
                    tracing::warn!(lease, error = describe(&error), "the election is not answered");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews until that has not succeeded for [`RENEW_BY`], or another leads.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_BY {
            tokio::time::sleep(RETRY.min(RENEW_BY.saturating_sub(renewed.elapsed()))).await;
            let asked = Instant::now();
            match self.step().await {
                Ok(true) => renewed = asked,
                Ok(false) if self.seen.as_ref().is_some_and(|(seen, _)| seen.holder != self.me) => {
                    return;
                }
                // A conflict: look again.
                Ok(false) => {}
                Err(error) => {
                    let lease = &self.name;
                    tracing::warn!(lease, error = describe(&error), "the lead cannot be renewed");
                }
            }
        }
    }

    /// Gives the lead away, so that another need not wait; best effort.
    pub async fn release(&mut self) {
        let Ok(Ok(Some(mut lease))) =
            tokio::time::timeout(ANSWER, self.leases.get_opt(&self.name)).await
        else {
            return;
        };
        let Some(spec) = &mut lease.spec else { return };
        if spec.holder_identity.as_deref() != Some(&self.me) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let params = PostParams::default();
        let released = self.leases.replace(&self.name, &params, &lease);
        // It ends by itself otherwise.
        let _ = tokio::time::timeout(ANSWER, released).await;
    }

    /// Looks and does what is to be done; whether this replica leads now.
    async fn step(&mut self) -> Result<bool, kube::Error> {
        let Ok(stepped) = tokio::time::timeout(ANSWER, self.step_unbounded()).await else {
            tracing::warn!(lease = self.name, "the election is not answered in time");
            return Ok(false);
        };
        match stepped {
            // Another was faster; who it was is seen next time.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            stepped => stepped,
        }
    }

    async fn step_unbounded(&mut self) -> Result<bool, kube::Error> {
        let found = self.leases.get_opt(&self.name).await?;
        let now = Instant::now();
        let seen = found.as_ref().map(Seen::of);
        match (&seen, &self.seen) {
            (Some(seen), Some((before, _))) if seen == before => {}
            (Some(seen), _) => self.seen = Some((seen.clone(), now)),
            (None, _) => self.seen = None,
        }
        let unchanged = self.seen.as_ref().map(|(_, at)| now.saturating_duration_since(*at));
        let step = decide(seen.as_ref(), unchanged.unwrap_or_default(), &self.me);
        match (step, found) {
            (Step::Wait, _) => return Ok(false),
            (Step::Create, _) | (_, None) => {
                let mut lease = Lease::default();
                lease.metadata.name = Some(self.name.clone());
                lease.spec = Some(self.spec(None, 0));
                self.leases.create(&PostParams::default(), &lease).await?;
            }
            (Step::Renew, Some(mut lease)) => {
                let spec = lease.spec.as_ref();
                let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
                let since = spec.and_then(|spec| spec.acquire_time.clone());
                lease.spec = Some(self.spec(since, transitions));
                self.replace(&lease).await?;
            }
            (Step::Take, Some(mut lease)) => {
                let spec = lease.spec.as_ref();
                let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
                lease.spec = Some(self.spec(None, transitions.saturating_add(1)));
                self.replace(&lease).await?;
            }
        }
        Ok(true)
    }

    /// Only if nobody has changed it since it was read: the Lease carries its resource version.
    async fn replace(&self, lease: &Lease) -> Result<(), kube::Error> {
        debug_assert!(lease.resource_version().is_some(), "any version would do");
        self.leases.replace(&self.name, &PostParams::default(), lease).await.map(|_| ())
    }

    fn spec(&self, since: Option<MicroTime>, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: Some(since.unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}
