//! The gRPC server: the services of nightshift.v1, health and reflection, with every limit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nightshift_proto::limits::{
    KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS, REPLY_MAX_BYTES, REQUEST_MAX_BYTES,
};
use nightshift_proto::wire::FILE_DESCRIPTOR_SET;
use nightshift_proto::wire::pods_server::PodsServer;
use nightshift_proto::wire::runs_server::RunsServer;
use nightshift_proto::wire::shard_leases_server::ShardLeasesServer;
use thiserror::Error;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

use crate::coordinator::Coordinator;

mod arrival;
mod leases;
mod pods;
mod runs;

use arrival::Arriving;

/// Calls that one connection may have open: a worker has a handful, a proxy many workers.
const STREAMS_MAX: u32 = 1_024;
/// Longest that a call may take to send its request and begin to be answered: planning a run
/// over a hundred thousand files is the longest.
const CALL_MAX: Duration = Duration::from_secs(130);
/// Largest header list of a call in bytes.
const HEADERS_MAX_BYTES: u32 = 16 << 10;

/// Why the server cannot serve.
#[derive(Debug, Error)]
pub enum GrpcError {
    /// The descriptors for reflection cannot be read.
    #[error("the reflection service cannot be made")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Certificate, key or authorities are none, or do not belong together.
    #[error(
        "see that --tls-cert, --tls-key and --tls-client-ca are PEM files that belong together"
    )]
    Tls(#[source] tonic::transport::Error),
    /// The listener failed.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `end`, and then until the calls under way have ended.
///
/// # Errors
/// See [`GrpcError`].
pub async fn serve(
    coordinator: Arc<Coordinator>,
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    end: impl Future<Output = ()>,
) -> Result<(), GrpcError> {
    let leases = ShardLeasesServer::new(leases::Leases::new(Arc::clone(&coordinator)))
        .max_decoding_message_size(REQUEST_MAX_BYTES)
        .max_encoding_message_size(REPLY_MAX_BYTES);
    let pods = PodsServer::new(pods::Pods::new(Arc::clone(&coordinator)))
        .max_decoding_message_size(REQUEST_MAX_BYTES)
        .max_encoding_message_size(REPLY_MAX_BYTES);
    let runs = RunsServer::new(runs::Runs::new(Arc::clone(&coordinator)))
        .max_decoding_message_size(REQUEST_MAX_BYTES)
        .max_encoding_message_size(REPLY_MAX_BYTES);
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    nightshift_telemetry::spawn("health", async move {
        reporter.set_not_serving::<ShardLeasesServer<leases::Leases>>().await;
        reporter.set_not_serving::<PodsServer<pods::Pods>>().await;
        reporter.set_not_serving::<RunsServer<runs::Runs>>().await;
        while !coordinator.is_recovered() {
            coordinator.changed(Duration::from_secs(1)).await;
        }
        reporter.set_serving::<ShardLeasesServer<leases::Leases>>().await;
        reporter.set_serving::<PodsServer<pods::Pods>>().await;
        reporter.set_serving::<RunsServer<runs::Runs>>().await;
    });
    // The builder's own setting counts only where the builder binds. Without it an answer waits
    // for the acknowledgement of its headers: 40 ms.
    let listener = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(GrpcError::Tls)?;
    }
    server
        .http2_keepalive_interval(Some(Duration::from_millis(KEEPALIVE_INTERVAL_MS)))
        .http2_keepalive_timeout(Some(Duration::from_millis(KEEPALIVE_TIMEOUT_MS)))
        .http2_max_header_list_size(HEADERS_MAX_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .timeout(CALL_MAX)
        .add_service(health)
        .add_service(reflection)
        .add_service(Arriving(leases))
        .add_service(Arriving(pods))
        .add_service(Arriving(runs))
        .serve_with_incoming_shutdown(listener, end)
        .await?;
    Ok(())
}
