//! The last numbers go to the coordinator, because the pod and its page of metrics end.
//!
//! Prometheus misses a pod that lives between two scrapes. The coordinator lives longer: it adds
//! up what such pods hand in. One call, a second at most, tried again while there is time; the end
//! of the pod waits for nothing longer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_core::ids::RunId;
use nightshift_proto::limits::{LABEL_MAX_BYTES, POD_SAMPLES_MAX};
use nightshift_proto::names::{PodName, SnapshotId};
use nightshift_proto::pods::{HandIn, HandedIn, PodSample};
use nightshift_proto::wire::HandInRequest;
use nightshift_proto::wire::pods_client::PodsClient;
use nightshift_telemetry::exposition::Value;
use nightshift_telemetry::metrics::ended::OF_POD;
use nightshift_telemetry::metrics::{Metric, sidecar, worker};
use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::cgroup::Usage;
use crate::store::Store;

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_millis(400);
/// How long to hand in at most, all tries together.
const HAND_IN_MAX: Duration = Duration::from_millis(700);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Certificates for a coordinator at an `https://` address.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// Authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate to show, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Whose numbers these are, and who gets them.
#[derive(Debug, Clone)]
pub struct Handing {
    client: PodsClient<Channel>,
    snapshot: SnapshotId,
    run: RunId,
    pod: PodName,
}

/// Why the coordinator cannot be called.
#[derive(Debug, Error)]
pub enum InvalidCoordinator {
    /// Not an address.
    #[error("the coordinator's address is none; write it as in http://coordinator:7070")]
    Address,
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The files do not fit.
    #[error("see that the files for TLS are PEM and belong together")]
    Tls(#[source] tonic::transport::Error),
    /// No id could be made.
    #[error("no id could be made for the snapshot")]
    Id,
}

impl Handing {
    /// Will call the coordinator at `address`, with the first call and not before.
    ///
    /// # Errors
    /// If the address is not one of `http://host:port` or `https://host:port`, or files for TLS
    /// cannot be used.
    pub fn new(
        address: &str,
        certificates: &Certificates,
        run: RunId,
        pod: PodName,
    ) -> Result<Self, InvalidCoordinator> {
        let is_tls = address.starts_with("https://");
        if !is_tls && !address.starts_with("http://") {
            return Err(InvalidCoordinator::Address);
        }
        let mut endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|_| InvalidCoordinator::Address)?
            .timeout(TRY_MAX)
            .connect_timeout(TRY_MAX);
        if is_tls {
            let tls = certificates.tls()?;
            endpoint = endpoint.tls_config(tls).map_err(InvalidCoordinator::Tls)?;
        }
        let snapshot = ulid::Ulid::generate().to_string();
        let snapshot = snapshot.parse().map_err(|_| InvalidCoordinator::Id)?;
        Ok(Self { client: PodsClient::new(endpoint.connect_lazy()), snapshot, run, pod })
    }

    /// Hands in what is known now. Whatever goes wrong is logged, and the pod ends all the same.
    pub async fn hand_in(&self, samples: Vec<PodSample>) {
        let numbers = samples.len();
        if numbers == 0 {
            return;
        }
        let (snapshot, run, pod) = (self.snapshot.clone(), self.run.clone(), self.pod.clone());
        let request = HandInRequest::from(HandIn { snapshot, run, pod, samples });
        match tokio::time::timeout(HAND_IN_MAX, self.until_answered(request)).await {
            Ok(Ok(HandedIn { left_out, .. })) => {
                tracing::info!(numbers, left_out, "the coordinator has the last numbers");
            }
            Ok(Err(status)) => tracing::warn!(
                code = %status.code(),
                reason = status.message(),
                "the coordinator did not take the last numbers"
            ),
            Err(_) => tracing::warn!(
                "the coordinator did not answer in time: the last numbers are gone with the pod"
            ),
        }
    }

    /// Tries again what may succeed: the id makes a repetition harmless.
    async fn until_answered(&self, request: HandInRequest) -> Result<HandedIn, Status> {
        loop {
            let answer = self.client.clone().hand_in(request.clone()).await;
            match answer {
                Ok(answer) => {
                    return HandedIn::try_from(answer.into_inner())
                        .map_err(|error| nightshift_proto::refusal::invalid_reply(&error));
                }
                Err(status) if may_pass(status.code()) => tokio::time::sleep(PAUSE).await,
                Err(status) => return Err(status),
            }
        }
    }
}

impl Certificates {
    fn tls(&self) -> Result<ClientTlsConfig, InvalidCoordinator> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.own {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(tls)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, InvalidCoordinator> {
    std::fs::read(file).map_err(|source| InvalidCoordinator::File { file: file.to_owned(), source })
}

/// Whether another try may succeed: nobody was reached, or nobody knows whether they were.
fn may_pass(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
}

/// What the coordinator wants to know of this pod, as far as it is known. `pod` are the numbers of
/// the pod's control group, where it can be seen.
pub fn samples(store: &Store, pod: Option<&Usage>) -> Vec<PodSample> {
    let mut samples = Vec::new();
    let mut push = |name: &str, label: &str, value: f64| {
        if let Ok(metric) = name.parse()
            && value.is_finite()
            && value >= 0.0
            && label.len() <= LABEL_MAX_BYTES
            && samples.len() < POD_SAMPLES_MAX
        {
            samples.push(PodSample { metric, label: label.to_owned(), value });
        }
    };
    for (metric, _) in OF_POD {
        for (labels, value) in store.series(metric.family(), metric.kind) {
            let label = metric.labels.first().and_then(|name| {
                labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            });
            match value {
                Value::Number(value) => push(metric.name, label.unwrap_or_default(), *value),
                Value::Histogram { bounds, counts, sum } => {
                    buckets(metric, bounds, counts, *sum, &mut push);
                }
            }
        }
    }
    let kills = pod.and_then(|usage| usage.oom_kills);
    kills.into_iter().for_each(|kills| push(sidecar::OOM_KILLS.name, "", kills));
    samples
}

/// The buckets of a histogram, if they are those that everybody has.
fn buckets(
    metric: &Metric,
    bounds: &[f64],
    counts: &[u64],
    sum: Option<f64>,
    push: &mut impl FnMut(&str, &str, f64),
) {
    if bounds != worker::bounds(metric) {
        return;
    }
    let bucket = format!("{}_bucket", metric.name);
    let ends = bounds.iter().copied().chain([f64::INFINITY]);
    for (end, count) in ends.zip(counts).filter(|(_, count)| **count > 0) {
        push(&bucket, &end.to_string(), *count as f64);
    }
    push(&format!("{}_sum", metric.name), "", sum.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use nightshift_telemetry::exposition::Kind;

    use super::*;
    use crate::store::{Description, Point};

    fn put(store: &mut Store, name: &str, kind: Kind, labels: &[(&str, &str)], value: Value) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let labels = labels.iter().map(owned).collect();
        let about = Description { name: name.to_owned(), kind, help: String::new() };
        let point = Point { labels, start_ns: 1, time_ns: 2, is_delta: false, value: Some(value) };
        store.put(&about, point).unwrap();
    }

    fn texts(samples: &[PodSample]) -> Vec<String> {
        let text =
            |sample: &PodSample| format!("{} {:?} {}", sample.metric, sample.label, sample.value);
        samples.iter().map(text).collect()
    }

    #[test]
    fn what_the_coordinator_knows_is_handed_in_and_nothing_else() {
        let mut store = Store::new(1_000);
        let service = ("service_name", "nightshift-worker");
        let number = Value::Number;
        put(&mut store, "nightshift_worker_rows_scored", Kind::Counter, &[service], number(7.0));
        let reason = [("reason", "missing_value"), service];
        put(&mut store, "nightshift_worker_rows_rejected", Kind::Counter, &reason, number(2.0));
        put(&mut store, "something_else", Kind::Counter, &[], number(9.0));
        // A family of the name, and not of the kind.
        put(&mut store, "nightshift_worker_read_bytes", Kind::Gauge, &[], number(9.0));
        let bounds = worker::bounds(&worker::MODEL_LOAD);
        let mut counts = vec![0; bounds.len() + 1];
        counts[1] = 3;
        counts[bounds.len()] = 1;
        let loads = Value::Histogram { bounds: bounds.to_vec(), counts, sum: Some(0.1) };
        put(&mut store, "nightshift_worker_model_load_seconds", Kind::Histogram, &[], loads);
        let other = Value::Histogram { bounds: vec![1.0], counts: vec![1, 1], sum: None };
        put(&mut store, "nightshift_worker_batch_duration_seconds", Kind::Histogram, &[], other);
        let usage = Usage { oom_kills: Some(1.0), ..Usage::default() };
        insta::assert_snapshot!(texts(&samples(&store, Some(&usage))).join("\n"), @r#"
        nightshift_worker_rows_scored_total "" 7
        nightshift_worker_rows_rejected_total "missing_value" 2
        nightshift_worker_model_load_seconds_bucket "0.05" 3
        nightshift_worker_model_load_seconds_bucket "inf" 1
        nightshift_worker_model_load_seconds_sum "" 0.1
        nightshift_cgroup_oom_kills_total "" 1
        "#);
    }

    #[test]
    fn addresses_and_files_that_cannot_be_used_are_refused() {
        let new = |address: &str, certificates: &Certificates| {
            let run = "flights-all-g1".parse().unwrap();
            Handing::new(address, certificates, run, "pod".parse().unwrap()).map(|_| ())
        };
        let none = Certificates::default();
        for wrong in ["coordinator:7070", "", "http://", "http://a b"] {
            assert!(matches!(new(wrong, &none), Err(InvalidCoordinator::Address)), "{wrong}");
        }
        let missing = Certificates { ca: Some("no/such/ca.pem".into()), own: None };
        let refused = new("https://coordinator:7070", &missing).unwrap_err().to_string();
        assert!(refused.starts_with("no/such/ca.pem: "), "{refused}");
    }
}
