//! Traces go on to a collector where one is named.
//!
//! A call is forwarded while the worker waits for its answer: nothing is queued here, so nothing
//! grows while the collector is away, and the worker's exporter decides whether to try again.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::settings::MESSAGE_MAX_BYTES;

/// Most calls on their way at once.
const IN_FLIGHT_MAX: usize = 4;
/// How long the collector may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// A way to a collector.
#[derive(Debug, Clone)]
pub struct Forward {
    client: TraceServiceClient<Channel>,
    places: Arc<Semaphore>,
}

/// An address of a collector that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// TLS is not built in.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for TLS, which the sidecar does not speak; name a \
         collector in the cluster, as in http://collector:4317"
    )]
    Tls,
    /// Not an address.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT is no address of a gRPC receiver; write it as in \
         http://collector:4317"
    )]
    Address,
}

impl Forward {
    /// Connects with the first call, and again whenever the connection breaks.
    ///
    /// # Errors
    /// If the address is not one of `http://host:port`.
    pub fn new(endpoint: &str) -> Result<Self, InvalidEndpoint> {
        if endpoint.starts_with("https:") {
            return Err(InvalidEndpoint::Tls);
        }
        if !endpoint.starts_with("http://") {
            return Err(InvalidEndpoint::Address);
        }
        let endpoint = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|_| InvalidEndpoint::Address)?
            .timeout(DEADLINE)
            .connect_timeout(CONNECT_DEADLINE);
        let client = TraceServiceClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MESSAGE_MAX_BYTES);
        Ok(Self { client, places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) })
    }

    /// Sends a message on.
    ///
    /// # Errors
    /// What the collector answered, or that it did not, or that too many calls wait for it.
    pub async fn send(
        &self,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Status::unavailable("the collector is too slow; try again later"));
        };
        self.client.clone().export(request).await.map(tonic::Response::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_addresses_are_taken() {
        assert!(Forward::new("http://collector:4317").is_ok());
        assert_eq!(Forward::new("https://collector").unwrap_err(), InvalidEndpoint::Tls);
        for wrong in ["collector:4317", "", "http://", "http://a b"] {
            assert_eq!(Forward::new(wrong).unwrap_err(), InvalidEndpoint::Address, "{wrong}");
        }
    }
}
