//! A coordinator in miniature for tests: leases each shard once, believes every report.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nightshift_core::document::Document as _;
use nightshift_core::ids::{Digest, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::{
    Compression, InputFile, InputFormat, ModelIdentity, Outline, Pin, Plan, Sharding, TaskSettings,
    cut,
};
use nightshift_proto::wire;
use nightshift_proto::wire::report_request::Outcome;
use nightshift_proto::wire::shard_leases_server::{ShardLeases, ShardLeasesServer};
use nightshift_storage::concluding::conclude_stored;
use nightshift_storage::root::{OutputRoot, Probed};
use nightshift_storage::sync::Durability;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::scene::FORMAT;

pub(crate) const RUN: &str = "bench-all-g1";

/// What the stub was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) granted: u32,
    pub(crate) reported: BTreeSet<u32>,
    pub(crate) workers: BTreeSet<String>,
}

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) told: Arc<Mutex<Told>>,
    root: Probed,
    outline: Arc<Outline>,
    /// Reports of this shard are answered as though it had no record.
    denied: Option<u32>,
}

/// An output root with the plan of a run of `shards` shards of one row.
pub(crate) async fn planned(output: &Path, shards: u32) -> (Probed, Outline) {
    let uri = output.to_str().unwrap();
    let root = OutputRoot::open(uri, Durability::None).await.unwrap().probe().await.unwrap();
    let model = ModelIdentity {
        uri: "/m".into(),
        version: None,
        pinned: None,
        digest: Digest([1; 32]),
        files: vec![],
    };
    let plan = Plan {
        version: Plan::VERSION,
        run: RUN.parse().unwrap(),
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        fingerprint: Digest([2; 32]),
        model,
        task: TaskSettings {
            onnx: None,
            kind: "tabular".into(),
            id: vec!["n".into()],
            keep: Vec::new(),
            output_format: FORMAT,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 4,
            text: None,
            generate: None,
        },
        inputs: vec![InputFile {
            uri: "/in.csv".into(),
            format: InputFormat::Csv,
            compression: Compression::None,
            pin: Pin { size_bytes: 1, version: "mtime:1".into() },
            rows: shards.into(),
            partition_columns: Vec::new(),
            columns: Vec::new(),
        }],
        rows: shards.into(),
        shards: cut(&[shards.into()], Sharding::Rows(1)).unwrap(),
        inherits: None,
        workers: None,
        window: None,
        gate: None,
        reporting: None,
    };
    assert_eq!(plan.version(), Plan::VERSION);
    let object = Object::Plan { run: plan.run.clone() };
    let _ = root.create_once(&object, &plan).await.unwrap();
    let outline = Outline::of(&plan);
    (root, outline)
}

impl Stub {
    /// Serves the run that is planned in `output`.
    pub(crate) async fn serve(
        output: &Path,
        shards: u32,
        denied: Option<u32>,
    ) -> (SocketAddr, Self) {
        let (root, outline) = planned(output, shards).await;
        let stub = Self { told: Arc::default(), root, outline: Arc::new(outline), denied };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = ShardLeasesServer::new(stub.clone());
        let server = Server::builder().add_service(service);
        nightshift_telemetry::spawn(
            "stub",
            server.serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (address, stub)
    }

    fn all_reported(&self) -> bool {
        self.told.lock().unwrap().reported.len() == self.outline.indexes().count()
    }
}

#[tonic::async_trait]
impl ShardLeases for Stub {
    async fn acquire(
        &self,
        request: Request<wire::AcquireRequest>,
    ) -> Result<Response<wire::AcquireResponse>, Status> {
        let request = request.into_inner();
        assert_eq!((request.run.as_str(), request.max), (RUN, 1));
        let retire = self.all_reported();
        let mut told = self.told.lock().unwrap();
        told.workers.insert(request.worker_id);
        let mut grants = Vec::new();
        if self.outline.indexes().any(|shard| shard == ShardIndex(told.granted)) {
            let token = wire::Token { epoch: 1, sequence: told.granted.into() };
            let lease = wire::LeaseId { run: RUN.into(), shard: told.granted, token: Some(token) };
            told.granted += 1;
            grants.push(wire::Grant {
                lease: Some(lease),
                ttl_ms: 30_000,
                heartbeat_interval_ms: 1,
                ..Default::default()
            });
        }
        let directive = if retire { wire::Directive::Retire } else { wire::Directive::Continue };
        Ok(Response::new(wire::AcquireResponse {
            grants,
            directive: directive.into(),
            retry_after_ms: 1,
            notice: "every shard is leased".into(),
        }))
    }

    async fn report(
        &self,
        request: Request<wire::ReportRequest>,
    ) -> Result<Response<wire::ReportResponse>, Status> {
        let request = request.into_inner();
        let lease = request.lease.unwrap();
        let object = Object::Record { run: RUN.parse().unwrap(), shard: ShardIndex(lease.shard) };
        let record = self.root.exists(&object).await.unwrap();
        let committed = matches!(request.outcome, Some(Outcome::Committed(_)));
        let state = if record && committed && self.denied != Some(lease.shard) {
            self.told.lock().unwrap().reported.insert(lease.shard);
            wire::ReportState::Accepted
        } else {
            wire::ReportState::NoRecord
        };
        if self.all_reported() {
            // Records of the load benchmark have no files behind them: then there is no final.
            let _ = conclude_stored(&self.root, &self.outline).await;
        }
        let directive = wire::Directive::Continue.into();
        Ok(Response::new(wire::ReportResponse { state: state.into(), directive }))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        let answers = request.into_inner().leases.into_iter().map(|progress| wire::LeaseAnswer {
            lease: progress.lease,
            state: wire::LeaseState::Ok.into(),
        });
        let directive = wire::Directive::Continue.into();
        Ok(Response::new(wire::HeartbeatResponse { answers: answers.collect(), directive }))
    }

    async fn release(
        &self,
        _: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseResponse>, Status> {
        Err(Status::unimplemented("nobody releases here"))
    }

    async fn create_record(
        &self,
        _: Request<wire::CreateRecordRequest>,
    ) -> Result<Response<wire::CreateRecordResponse>, Status> {
        Err(Status::unimplemented("create_record"))
    }
}
