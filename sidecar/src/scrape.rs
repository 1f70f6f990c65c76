//! The HTTP port: `/metrics`, `/limits` and `/healthz`.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nightshift_telemetry::exposition::{Format, Page};
use nightshift_telemetry::metrics::{BUILD_INFO, sidecar as own};
use serde::Serialize;

use crate::bounded::Bounded;
use crate::cgroup::{Cgroup, Scope};
use crate::receive::{Known, Receiver};

/// What a page is made of.
#[derive(Debug)]
pub struct Scraped {
    /// What the worker sent.
    pub receiver: Receiver,
    /// The control group.
    pub cgroup: Cgroup,
    /// Whose group that is.
    pub scope: Scope,
}

/// What `/limits` says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Whose they are.
    pub scope: Scope,
    /// The most memory that may be used, in bytes; none where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Memory in use, without files that the kernel would drop, in bytes.
    pub memory_used_bytes: Option<u64>,
}

/// Serves until `end`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    scraped: Scraped,
    listener: Bounded,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/limits", get(limits))
        .route("/healthz", get(healthy))
        .with_state(Arc::new(scraped));
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// It answers, so it lives.
async fn healthy() -> &'static str {
    "ok\n"
}

/// What the control group may use of memory, and does: for a worker that cannot see it.
async fn limits(State(scraped): State<Arc<Scraped>>) -> Response {
    match serde_json::to_string(&scraped.limits()) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let text = scraped.page(format);
    ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], text).into_response()
}

impl Scraped {
    /// What the control group says of memory.
    pub fn limits(&self) -> Limits {
        let usage = self.cgroup.read();
        // Counts of bytes: whole, and no larger than what a machine has.
        let whole = |bytes: f64| bytes as u64;
        Limits {
            scope: self.scope,
            memory_limit_bytes: usage.memory_limit.map(whole),
            memory_used_bytes: usage.memory_used().map(whole),
        }
    }

    /// Everything that there is.
    pub fn page(&self, format: Format) -> String {
        let mut page = Page::new(format);
        self.receiver.with(|known| {
            known.store.write(&mut page);
            write_own(&mut page, known);
        });
        self.cgroup.write(&mut page);
        page.finish()
    }
}

fn write_own(page: &mut Page, known: &Known) {
    page.metric(&BUILD_INFO);
    page.own(&[("component", "sidecar"), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.metric(&own::CALLS);
    page.own(&[("signal", "metrics")], known.metric_calls as f64);
    page.own(&[("signal", "traces")], known.trace_calls as f64);
    page.metric(&own::DROPPED);
    for (reason, count) in known.store.dropped() {
        page.own(&[("reason", reason.as_str())], *count as f64);
    }
    page.single(&own::SERIES, known.store.lines() as f64);
    page.single(&own::SERIES_LIMIT, known.store.max_lines() as f64);
    page.single(&own::SPANS_FORWARDED, known.spans_forwarded as f64);
}
