//! A sidecar under test, with a client that can send it anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use nightshift_tests::process::{Finished, Program, Running};
use nightshift_tests::waiting::{PATIENCE, wait_for};

/// The control group of tests: a folder without files.
pub(crate) const NO_CGROUP: &str = "/does/not/exist";

pub(crate) struct Sidecar {
    channel: Channel,
    runtime: Runtime,
    pub(crate) running: Running,
    pub(crate) otlp: SocketAddr,
    pub(crate) http: SocketAddr,
}

pub(crate) fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_nightshift-sidecar")).env("OTEL_EXPORTER_OTLP_ENDPOINT", "")
}

impl Sidecar {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(program().args(["--pod-cgroup", NO_CGROUP]).args(arguments))
    }

    pub(crate) fn run(program: Program) -> Self {
        let program = program.args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
        let running = program.start();
        let (otlp, http) = wait_for("the sidecar says where it is", || {
            let said = running.stderr_so_far();
            let line = said.lines().find(|line| line.contains(" receiving OTLP on "))?;
            let (_, places) = line.split_once(" receiving OTLP on ")?;
            let (otlp, http) = places.split_once(" and serving HTTP on ")?;
            Some((otlp.parse().ok()?, http.parse().ok()?))
        });
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{otlp}")).unwrap().timeout(PATIENCE);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { channel, runtime, running, otlp, http }
    }

    pub(crate) fn export(&self, metrics: Vec<Metric>) -> Option<ExportMetricsPartialSuccess> {
        self.try_export(request("worker", metrics)).unwrap().partial_success
    }

    pub(crate) fn try_export(
        &self,
        request: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Status> {
        let mut client = MetricsServiceClient::new(self.channel.clone());
        self.runtime.block_on(client.export(request)).map(tonic::Response::into_inner)
    }

    pub(crate) fn export_traces(
        &self,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        let mut client = TraceServiceClient::new(self.channel.clone());
        self.runtime.block_on(client.export(request)).map(tonic::Response::into_inner)
    }

    /// Sends a message whose one resource is `bytes`, whatever they are.
    pub(crate) fn export_bytes(
        &self,
        bytes: Vec<u8>,
    ) -> Result<ExportMetricsServiceResponse, Status> {
        let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        // A `Vec<u8>` is encoded as field 1, which is where the resources are.
        let codec = ProstCodec::<Vec<u8>, ExportMetricsServiceResponse>::default();
        let path = PathAndQuery::from_static(path);
        self.runtime
            .block_on(async {
                grpc.ready().await.unwrap();
                grpc.unary(tonic::Request::new(bytes), path, codec).await
            })
            .map(tonic::Response::into_inner)
    }

    /// As [`export_bytes`](Self::export_bytes), compressed on the way.
    pub(crate) fn export_compressed(
        &self,
        bytes: Vec<u8>,
    ) -> Result<ExportMetricsServiceResponse, Status> {
        let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        let grpc = tonic::client::Grpc::new(self.channel.clone());
        let mut grpc = grpc.send_compressed(tonic::codec::CompressionEncoding::Gzip);
        let codec = ProstCodec::<Vec<u8>, ExportMetricsServiceResponse>::default();
        let path = PathAndQuery::from_static(path);
        self.runtime
            .block_on(async {
                grpc.ready().await.unwrap();
                grpc.unary(tonic::Request::new(bytes), path, codec).await
            })
            .map(tonic::Response::into_inner)
    }

    /// Content type and body of `/metrics`.
    pub(crate) fn scrape(&self, accept: &str) -> (String, String) {
        let (status, head, body) = get(self.http, "/metrics", accept);
        assert_eq!(status, 200, "{head}");
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        (content_type.unwrap().to_owned(), body)
    }

    /// The worker's part of the page in Prometheus' format.
    pub(crate) fn worker_page(&self) -> String {
        let (_, body) = self.scrape("");
        let own = body.find("# HELP nightshift_build_info").unwrap();
        body[..own].to_owned()
    }

    /// The value of one line of the page.
    pub(crate) fn value(&self, series: &str) -> f64 {
        let (_, body) = self.scrape("");
        let line = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{body}")).parse().unwrap()
    }

    pub(crate) fn end(mut self, signal: Signal) -> Finished {
        self.running.signal(signal);
        self.running.finish()
    }
}

pub(crate) fn get(address: SocketAddr, path: &str, accept: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

pub(crate) fn request(service: &str, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let attributes = vec![attribute("service.name", service), attribute("host.name", "left out")];
    let resource = Some(Resource { attributes, ..Default::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource = ResourceMetrics { resource, scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

pub(crate) fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Default::default()
    }
}
