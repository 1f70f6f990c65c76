//! The HTTP port: is it alive, is it ready, what are its numbers?
//!
//! It is served from the start. A replica that does not lead is alive and not ready.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nightshift_telemetry::exposition::Format;
use tokio::net::TcpListener;

use crate::coordinator::Coordinator;
use crate::metrics;

/// The coordinator, once this replica leads.
pub type Leading = Arc<OnceLock<Arc<Coordinator>>>;

/// Serves until `end`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    leading: Leading,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(scraped))
        .with_state(leading);
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// It answers, so it lives.
async fn healthy() -> &'static str {
    "ok\n"
}

/// Ready when every run that was under way before is known again.
async fn ready(State(leading): State<Leading>) -> Response {
    match leading.get() {
        Some(coordinator) if coordinator.is_recovered() => {
            (StatusCode::OK, "ready\n").into_response()
        }
        Some(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "recovering runs from the store\n").into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "standby\n").into_response(),
    }
}

async fn scraped(State(leading): State<Leading>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let text = metrics::text(leading.get().map(|coordinator| &**coordinator), format);
    ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], text).into_response()
}
