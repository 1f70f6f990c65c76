//! `ShardLeases`: messages in, typed values through, messages out.

use std::sync::Arc;

use nightshift_proto::leases::acquire::Acquire;
use nightshift_proto::leases::create_record::CreateRecord;
use nightshift_proto::leases::heartbeat::Heartbeat;
use nightshift_proto::leases::release::Release;
use nightshift_proto::leases::report::Report;
use nightshift_proto::refusal::invalid_request;
use nightshift_proto::wire;
use nightshift_proto::wire::shard_leases_server::ShardLeases;
use tonic::{Request, Response, Status};

use crate::coordinator::Coordinator;

/// The service for workers.
#[derive(Debug)]
pub(super) struct Leases {
    coordinator: Arc<Coordinator>,
}

impl Leases {
    pub(super) fn new(coordinator: Arc<Coordinator>) -> Self {
        Self { coordinator }
    }
}

#[tonic::async_trait]
impl ShardLeases for Leases {
    async fn acquire(
        &self,
        request: Request<wire::AcquireRequest>,
    ) -> Result<Response<wire::AcquireResponse>, Status> {
        let acquire = Acquire::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.acquire(acquire).await?.into()))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        let heartbeat =
            Heartbeat::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.heartbeat(heartbeat).into()))
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseResponse>, Status> {
        let release = Release::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.release(&release).into()))
    }

    async fn report(
        &self,
        request: Request<wire::ReportRequest>,
    ) -> Result<Response<wire::ReportResponse>, Status> {
        let report = Report::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.report(report).await?.into()))
    }

    async fn create_record(
        &self,
        request: Request<wire::CreateRecordRequest>,
    ) -> Result<Response<wire::CreateRecordResponse>, Status> {
        let create =
            CreateRecord::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.create_record(create).await?.into()))
    }
}
