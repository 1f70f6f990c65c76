//! The OTLP/gRPC services.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::bounded::Bounded;
use crate::dropped::Dropped;
use crate::forward::Forward;
use crate::reading::{Rejected, take};
use crate::settings::{MESSAGE_MAX_BYTES, OTLP_CALLS_MAX};
use crate::store::Store;

/// How long one call may take, with the collector's time.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// How often an idle connection is asked whether anybody is there, and how long that may take.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What is known: the series, and how much was received.
#[derive(Debug)]
pub struct Known {
    /// The series.
    pub store: Store,
    /// Calls with metrics.
    pub metric_calls: u64,
    /// Calls with traces.
    pub trace_calls: u64,
    /// Spans that a collector took.
    pub spans_forwarded: u64,
}

/// Both services; its copies share what they know.
#[derive(Debug, Clone)]
pub struct Receiver {
    known: Arc<Mutex<Known>>,
    forward: Option<Forward>,
}

impl Receiver {
    /// Keeps at most `max_series` lines of samples, and sends traces on if there is a `forward`.
    pub fn new(max_series: usize, forward: Option<Forward>) -> Self {
        let known = Known {
            store: Store::new(max_series),
            metric_calls: 0,
            trace_calls: 0,
            spans_forwarded: 0,
        };
        Self { known: Arc::new(Mutex::new(known)), forward }
    }

    /// Looks at or changes what is known.
    pub fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        // A panic in between leaves numbers that are at worst one point behind.
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn drop_spans(&self, spans: u64) {
        self.with(|known| known.store.drop_points(Dropped::Spans, spans));
    }
}

/// Serves until `end`.
///
/// # Errors
/// If the server fails.
pub async fn serve(
    receiver: Receiver,
    listener: Bounded,
    end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let metrics = MetricsServiceServer::new(receiver.clone());
    let traces = TraceServiceServer::new(receiver);
    let incoming = futures::stream::unfold(listener, |listener| async move {
        let (place, _) = listener.next().await;
        Some((Ok::<_, std::io::Error>(place), listener))
    });
    Server::builder()
        .max_concurrent_streams(OTLP_CALLS_MAX)
        .timeout(CALL_DEADLINE)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        // The limit holds for what a compressed message unfolds into, too.
        .add_service(metrics.accept_compressed(Gzip).max_decoding_message_size(MESSAGE_MAX_BYTES))
        .add_service(traces.accept_compressed(Gzip).max_decoding_message_size(MESSAGE_MAX_BYTES))
        .serve_with_incoming_shutdown(incoming, end)
        .await
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let request = request.into_inner();
        let rejected = self.with(|known| {
            known.metric_calls += 1;
            take(&mut known.store, request)
        });
        let partial_success = refusal(&rejected).map(|error_message| ExportMetricsPartialSuccess {
            rejected_data_points: as_count(rejected.values().sum()),
            error_message,
        });
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: u64 = scopes.map(|scope| scope.spans.len() as u64).sum();
        self.with(|known| known.trace_calls += 1);
        let Some(forward) = &self.forward else {
            self.drop_spans(spans);
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans: as_count(spans),
                error_message: "OTEL_EXPORTER_OTLP_ENDPOINT is not set for the sidecar, so \
                                traces go nowhere"
                    .to_owned(),
            });
            return Ok(Response::new(ExportTraceServiceResponse { partial_success }));
        };
        match forward.send(request).await {
            Ok(answer) => {
                let refused = answer.partial_success.as_ref().map_or(0, |p| p.rejected_spans);
                let refused = u64::try_from(refused).unwrap_or(0).min(spans);
                self.with(|known| known.spans_forwarded += spans - refused);
                self.drop_spans(refused);
                Ok(Response::new(answer))
            }
            Err(status) => {
                self.drop_spans(spans);
                Err(status)
            }
        }
    }
}

fn as_count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `series_limit: 12, value: 1`; none if nothing was rejected.
fn refusal(rejected: &Rejected) -> Option<String> {
    let parts: Vec<String> =
        rejected.iter().map(|(reason, n)| format!("{}: {n}", reason.as_str())).collect();
    (!parts.is_empty()).then(|| format!("data points dropped for {}", parts.join(", ")))
}
