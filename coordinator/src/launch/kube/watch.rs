//! Following Jobs, pods and Events. Reconnecting, and beginning again after `410 Gone`, is the
//! watcher's business; pausing in between is ours.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event as KubeEvent, Pod};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff as Pauses;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client};
use nightshift_core::describe::describe;
use serde::de::DeserializeOwned;

use super::View;
use super::apply::MANAGED;
use crate::launch::backoff::{Backoff, random};

/// How long a watch lasts before it is begun again, in seconds. One that has died in silence is
/// noticed then: about the time for which a lease would have been kept anyway.
pub(super) const WATCH_LASTS_S: u32 = 30;
/// Longest pause before watching is tried again: pods die unseen in the meantime.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pauses of a watch that fails.
#[derive(Debug, Default)]
struct WatchPauses(Backoff);

impl Iterator for WatchPauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.pause(random()).min(PAUSE_MAX))
    }
}

impl Pauses for WatchPauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Begins to watch, for the life of the process.
pub(super) fn start(client: &Client, namespace: &str, view: &Arc<View>) {
    let every = || Config::default().timeout(WATCH_LASTS_S);
    let of_workers = || every().labels(MANAGED);
    let jobs = follow::<Job>("Jobs", client, namespace, of_workers());
    let seeing = Arc::clone(view);
    nightshift_telemetry::spawn("watch-jobs", async move {
        let mut jobs = std::pin::pin!(jobs);
        while let Some(event) = jobs.next().await {
            seeing
                .see(|cluster, now| match event {
                    Event::Init => cluster.jobs_listing(),
                    Event::Apply(job) | Event::InitApply(job) => cluster.job_applied(&job, now),
                    Event::InitDone => cluster.jobs_listed(now),
                    Event::Delete(job) => cluster.job_deleted(&job, now),
                })
                .await;
        }
    });
    let pods = follow::<Pod>("pods", client, namespace, of_workers());
    let seeing = Arc::clone(view);
    nightshift_telemetry::spawn("watch-pods", async move {
        let mut pods = std::pin::pin!(pods);
        while let Some(event) = pods.next().await {
            seeing
                .see(|cluster, now| match event {
                    Event::Init => cluster.pods_listing(),
                    Event::Apply(pod) | Event::InitApply(pod) => cluster.pod_applied(&pod, now),
                    Event::InitDone => cluster.pods_listed(now),
                    Event::Delete(pod) => cluster.pod_deleted(&pod, now),
                })
                .await;
        }
    });
    for kind in ["Job", "Pod"] {
        // Events carry no labels of what they are about, so they come for the whole namespace.
        let about = every().fields(&format!("involvedObject.kind={kind}"));
        let events = follow::<KubeEvent>("Events", client, namespace, about);
        let seeing = Arc::clone(view);
        nightshift_telemetry::spawn("watch-events", async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                if let Event::Apply(event) | Event::InitApply(event) = event {
                    seeing.see(|cluster, now| cluster.event_seen(&event, now)).await;
                }
            }
        });
    }
}

/// The objects of a kind, without end; errors are logged and paused over.
fn follow<K>(
    what: &'static str,
    client: &Client,
    namespace: &str,
    config: Config,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
    K::DynamicType: Default,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let events = watcher(api, config).backoff(WatchPauses::default());
    events.filter_map(move |event: Result<Event<K>, watcher::Error>| async move {
        match event {
            Ok(event) => Some(event),
            Err(error) => {
                tracing::debug!(what, error = describe(&error), "watching was interrupted");
                None
            }
        }
    })
}
