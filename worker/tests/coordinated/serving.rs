//! A coordinator on a port.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nightshift_proto::leases::acquire::Acquire;
use nightshift_proto::refusal::invalid_request;
use nightshift_proto::runs::list::RunPage;
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};
use nightshift_proto::wire;
use nightshift_proto::wire::runs_server::{Runs, RunsServer};
use nightshift_proto::wire::shard_leases_server::{ShardLeases, ShardLeasesServer};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout_at};
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::coordinator::Coordinator;
use crate::prepared::PATIENCE;

/// A coordinator that can be reached. It has a runtime of its own, with which all of its
/// connections end.
pub(crate) struct Serving {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Serving {
    /// Serves on a port that is free.
    pub(crate) fn start(coordinator: Arc<Coordinator>) -> Self {
        Self::start_at(coordinator, ([127, 0, 0, 1], 0).into())
    }

    /// Serves on a port that a coordinator before had.
    pub(crate) fn start_at(coordinator: Arc<Coordinator>, address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let face = Face(Arc::clone(&coordinator));
        let server = Server::builder()
            .add_service(ShardLeasesServer::new(face.clone()))
            .add_service(RunsServer::new(face));
        let entered = runtime.enter();
        nightshift_telemetry::spawn("coordinator", async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        drop(entered);
        Self { coordinator, address, runtime: Some(runtime) }
    }

    /// The address, as workers are told it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it at once, as a kill does: nothing is answered any more, connections break.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Clone)]
struct Face(Arc<Coordinator>);

#[tonic::async_trait]
impl ShardLeases for Face {
    async fn acquire(
        &self,
        request: Request<wire::AcquireRequest>,
    ) -> Result<Response<wire::AcquireResponse>, Status> {
        let acquire = Acquire::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let until = Instant::now() + Duration::from_millis(acquire.wait_ms.into());
        loop {
            self.0.admit(Method::Acquire)?;
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let over = Instant::now() >= until;
            if let Some(acquired) = self.0.try_acquire(&acquire, over)? {
                return Ok(Response::new(acquired.into()));
            }
            // Time alone frees shards too: the table is asked again after a moment.
            let again = until.min(Instant::now() + Duration::from_millis(5));
            let _ = timeout_at(again, changed).await;
        }
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        self.0.admit(Method::Heartbeat)?;
        let heartbeat = request.into_inner().try_into().map_err(|e| {
            let error: nightshift_proto::leases::heartbeat::InvalidHeartbeat = e;
            invalid_request(&error)
        })?;
        Ok(Response::new(self.0.heartbeat(heartbeat)?.into()))
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseResponse>, Status> {
        self.0.admit(Method::Release)?;
        let release = request.into_inner().try_into().map_err(|e| {
            let error: nightshift_proto::leases::release::InvalidRelease = e;
            invalid_request(&error)
        })?;
        Ok(Response::new(self.0.release(release)?.into()))
    }

    async fn report(
        &self,
        request: Request<wire::ReportRequest>,
    ) -> Result<Response<wire::ReportResponse>, Status> {
        self.0.admit(Method::Report)?;
        let report = request.into_inner().try_into().map_err(|e| {
            let error: nightshift_proto::leases::report::InvalidReport = e;
            invalid_request(&error)
        })?;
        Ok(Response::new(self.0.report(report).await?.into()))
    }

    async fn create_record(
        &self,
        _: Request<wire::CreateRecordRequest>,
    ) -> Result<Response<wire::CreateRecordResponse>, Status> {
        Err(Status::unimplemented("create_record"))
    }
}

fn nobody_asks<T>() -> Result<T, Status> {
    Err(Status::internal("no worker asks this"))
}

#[tonic::async_trait]
impl Runs for Face {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

    async fn backfill(
        &self,
        _request: Request<wire::BackfillRequest>,
    ) -> Result<Response<wire::BackfillResponse>, Status> {
        nobody_asks()
    }

    async fn list(
        &self,
        _request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListResponse>, Status> {
        let status = RunStatus {
            run: self.0.run().clone(),
            state: RunState::Running,
            shards: ShardCounts::default(),
            rows: RowCounts::default(),
            workers: 0,
            epoch: 1,
            planned_at: None,
            decided_at: None,
            notice: String::new(),
        };
        let runs = if self.0.is_unfinished() { vec![status] } else { Vec::new() };
        Ok(Response::new(RunPage { runs, next: None }.into()))
    }

    async fn plan(
        &self,
        _request: Request<wire::PlanRequest>,
    ) -> Result<Response<wire::PlanResponse>, Status> {
        nobody_asks()
    }

    async fn start(
        &self,
        _request: Request<wire::StartRequest>,
    ) -> Result<Response<wire::StartResponse>, Status> {
        nobody_asks()
    }

    async fn get(
        &self,
        _request: Request<wire::GetRequest>,
    ) -> Result<Response<wire::GetResponse>, Status> {
        nobody_asks()
    }

    async fn watch(
        &self,
        _request: Request<wire::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        nobody_asks()
    }

    async fn cancel(
        &self,
        _request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelResponse>, Status> {
        nobody_asks()
    }

    async fn judge(
        &self,
        _request: Request<wire::JudgeRequest>,
    ) -> Result<Response<wire::JudgeResponse>, Status> {
        nobody_asks()
    }

    async fn retry(
        &self,
        _request: Request<wire::RetryRequest>,
    ) -> Result<Response<wire::RetryResponse>, Status> {
        nobody_asks()
    }
}
