//! The HTTP port: is it alive, is it ready, what are its numbers?

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::coordinator::Coordinator;
use crate::metrics;

/// Serves until `end`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    coordinator: Arc<Coordinator>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(scraped))
        .with_state(coordinator);
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// It answers, so it lives.
async fn healthy() -> &'static str {
    "ok\n"
}

/// Ready when every run that was under way before is known again.
async fn ready(State(coordinator): State<Arc<Coordinator>>) -> Response {
    if coordinator.is_recovered() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "recovering runs from the store\n").into_response()
    }
}

async fn scraped(State(coordinator): State<Arc<Coordinator>>) -> Response {
    match metrics::text(&coordinator) {
        Some(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
