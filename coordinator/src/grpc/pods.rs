//! `Pods`: messages in, typed values through, messages out.

use std::sync::Arc;

use nightshift_proto::pods::HandIn;
use nightshift_proto::refusal::invalid_request;
use nightshift_proto::wire;
use tonic::{Request, Response, Status};

use crate::coordinator::Coordinator;

/// The service for sidecars.
#[derive(Debug)]
pub(super) struct Pods {
    coordinator: Arc<Coordinator>,
}

impl Pods {
    pub(super) fn new(coordinator: Arc<Coordinator>) -> Self {
        Self { coordinator }
    }
}

#[tonic::async_trait]
impl wire::pods_server::Pods for Pods {
    async fn hand_in(
        &self,
        request: Request<wire::HandInRequest>,
    ) -> Result<Response<wire::HandInResponse>, Status> {
        let handed = HandIn::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.hand_in(&handed)?.into()))
    }
}
