//! A client of the coordinator that can say anything, also what no honest client would.

use std::time::Duration;

use nightshift_proto::wire::runs_client::RunsClient;
use nightshift_proto::wire::shard_leases_client::ShardLeasesClient;
use nightshift_proto::wire::{
    AcquireRequest, AcquireResponse, CreateRecordRequest, CreateRecordResponse, Grant,
    HeartbeatRequest, HeartbeatResponse, LeaseId, LeaseProgress, Phase, ReleaseRequest,
    ReleaseResponse, ReportRequest, ReportResponse, StartRequest, StartResponse,
};
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::runtime::Runtime;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Time after which a call counts as unanswered.
const DEADLINE: Duration = Duration::from_secs(60);

/// One connection to a coordinator.
#[derive(Debug)]
pub struct Client {
    // Before the runtime, which its connection needs until the end.
    channel: Channel,
    runtime: Runtime,
}

impl Client {
    /// A client that connects with its first call, and again when the connection breaks.
    pub fn new(url: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().timeout(DEADLINE);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { channel, runtime }
    }

    /// Waits for a call.
    pub fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// The calls of workers.
    pub fn leases(&self) -> ShardLeasesClient<Channel> {
        ShardLeasesClient::new(self.channel.clone())
    }

    /// The calls of operators.
    pub fn runs(&self) -> RunsClient<Channel> {
        RunsClient::new(self.channel.clone())
    }

    /// Acquire.
    pub fn acquire(&self, request: AcquireRequest) -> Result<AcquireResponse, Status> {
        self.wait(self.leases().acquire(request)).map(tonic::Response::into_inner)
    }

    /// Heartbeat.
    pub fn heartbeat(&self, request: HeartbeatRequest) -> Result<HeartbeatResponse, Status> {
        self.wait(self.leases().heartbeat(request)).map(tonic::Response::into_inner)
    }

    /// Release.
    pub fn release(&self, request: ReleaseRequest) -> Result<ReleaseResponse, Status> {
        self.wait(self.leases().release(request)).map(tonic::Response::into_inner)
    }

    /// Report.
    pub fn report(&self, request: ReportRequest) -> Result<ReportResponse, Status> {
        self.wait(self.leases().report(request)).map(tonic::Response::into_inner)
    }

    /// CreateRecord.
    pub fn create_record(
        &self,
        request: CreateRecordRequest,
    ) -> Result<CreateRecordResponse, Status> {
        self.wait(self.leases().create_record(request)).map(tonic::Response::into_inner)
    }

    /// Start.
    pub fn start(&self, request: StartRequest) -> Result<StartResponse, Status> {
        self.wait(self.runs().start(request)).map(tonic::Response::into_inner)
    }

    /// A unary call with any bytes as its message, as in `ShardLeases/Acquire`.
    pub fn raw(&self, method: &str, message: Bytes) -> Result<Bytes, Status> {
        self.wait(raw(self.channel.clone(), method, message))
    }
}

async fn raw(channel: Channel, method: &str, message: Bytes) -> Result<Bytes, Status> {
    let path: PathAndQuery = format!("/nightshift.v1.{method}").parse().unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    grpc.unary(Request::new(message), path, AnyBytes).await.map(tonic::Response::into_inner)
}

/// A wish for `max` shards of any run, answered at once.
pub fn wish(worker: &str, request: &str, max: u32) -> AcquireRequest {
    AcquireRequest {
        worker_id: worker.to_owned(),
        request_id: request.to_owned(),
        max,
        ..AcquireRequest::default()
    }
}

/// A heartbeat over leases whose attempts are scoring.
pub fn scoring(worker: &str, leases: impl IntoIterator<Item = LeaseId>) -> HeartbeatRequest {
    let progress = |lease| LeaseProgress {
        lease: Some(lease),
        phase: Phase::Scoring.into(),
        ..LeaseProgress::default()
    };
    HeartbeatRequest {
        worker_id: worker.to_owned(),
        leases: leases.into_iter().map(progress).collect(),
    }
}

/// Shards of grants.
pub fn shards(grants: &[Grant]) -> Vec<u32> {
    grants.iter().map(|grant| grant.lease.as_ref().unwrap().shard).collect()
}

/// Messages as their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct AnyBytes;

impl Codec for AnyBytes {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AnyBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for AnyBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
