//! A receiver of OTLP that keeps what it gets, or behaves badly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Takes,
    /// Not at all: calls hang.
    Hangs,
    /// With an error that says to come again.
    Unavailable,
    /// With an error that says never to come again.
    Refuses,
}

/// A receiver. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
    /// Ends everything that serves.
    _runtime: Runtime,
}

/// A span as the tests look at it.
#[derive(Debug, Clone)]
pub struct Span {
    /// Of which trace, in hexadecimal digits.
    pub trace: String,
    /// Its identity.
    pub id: String,
    /// The span that it is within; empty for a root.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `service.name` of the process that sent it.
    pub service: String,
    /// When it began and ended, in nanoseconds since 1970.
    pub time_ns: (u64, u64),
    /// Attributes as text, without `nightshift.`.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong, if something did.
    pub failed: Option<String>,
}

#[derive(Debug, Clone)]
struct Kept {
    manner: Manner,
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<BTreeSet<String>>>,
    calls: Arc<Mutex<u64>>,
}

impl Collector {
    /// Starts one.
    pub fn start(manner: Manner) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let kept =
            Kept { manner, spans: Arc::default(), metrics: Arc::default(), calls: Arc::default() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(MetricsServiceServer::new(kept.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        runtime.handle().spawn(serving);
        Self { address, kept, _runtime: runtime }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says to get here.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().unwrap().clone()
    }

    /// Names of all metrics so far.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.kept.metrics.lock().unwrap().clone()
    }

    /// Calls so far, also those that were refused.
    pub fn calls(&self) -> u64 {
        *self.kept.calls.lock().unwrap()
    }
}

impl Span {
    /// An attribute.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Kept {
    async fn answer<T>(&self, good: T) -> Result<Response<T>, Status> {
        *self.calls.lock().unwrap() += 1;
        match self.manner {
            Manner::Takes => Ok(Response::new(good)),
            Manner::Hangs => {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                Err(Status::deadline_exceeded("an hour has passed"))
            }
            Manner::Unavailable => Err(Status::unavailable("come again")),
            Manner::Refuses => Err(Status::permission_denied("who are you?")),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let answer = self.answer(ExportTraceServiceResponse::default()).await?;
        for resource in request.into_inner().resource_spans {
            let sender = resource.resource.map(|sender| texts(sender.attributes));
            let service = sender.and_then(|mut sender| sender.remove("service.name"));
            let service = service.unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let seen = spans.map(|span| Span {
                trace: digits(&span.trace_id),
                id: digits(&span.span_id),
                parent: digits(&span.parent_span_id),
                name: span.name,
                service: service.clone(),
                time_ns: (span.start_time_unix_nano, span.end_time_unix_nano),
                attributes: texts(span.attributes),
                failed: span.status.map(|status| status.message),
            });
            self.spans.lock().unwrap().extend(seen);
        }
        Ok(answer)
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let answer = self.answer(ExportMetricsServiceResponse::default()).await?;
        let scopes =
            request.into_inner().resource_metrics.into_iter().flat_map(|some| some.scope_metrics);
        let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name);
        self.metrics.lock().unwrap().extend(names);
        Ok(answer)
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(is) => is.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = attributes.into_iter().map(|KeyValue { key, value, .. }| {
        let name = key.strip_prefix("nightshift.").unwrap_or(&key).to_owned();
        (name, value.and_then(|value| value.value).map(text).unwrap_or_default())
    });
    pairs.collect()
}
