//! The HTTP port: `/metrics` and `/healthz`.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::bounded::Bounded;
use crate::cgroup::Cgroup;
use crate::expose::{Format, Page};
use crate::receive::{Known, Receiver};
use crate::store::Kind;

/// What a page is made of.
#[derive(Debug)]
pub struct Scraped {
    /// What the worker sent.
    pub receiver: Receiver,
    /// The control group.
    pub cgroup: Cgroup,
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
        .route("/healthz", get(healthy))
        .with_state(Arc::new(scraped));
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// It answers, so it lives.
async fn healthy() -> &'static str {
    "ok\n"
}

async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let text = scraped.page(format);
    ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], text).into_response()
}

impl Scraped {
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
    page.family("nightshift_build_info", Kind::Gauge, "What is running; always 1.");
    page.own(&[("component", "sidecar"), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.family("nightshift_sidecar_calls", Kind::Counter, "OTLP calls received.");
    page.own(&[("signal", "metrics")], known.metric_calls as f64);
    page.own(&[("signal", "traces")], known.trace_calls as f64);
    let help = "Data points and spans that were received and not kept.";
    page.family("nightshift_sidecar_dropped", Kind::Counter, help);
    for (reason, count) in known.store.dropped() {
        page.own(&[("reason", reason.as_str())], *count as f64);
    }
    let help = "Lines of samples that the worker's metrics take.";
    page.family("nightshift_sidecar_series", Kind::Gauge, help);
    page.own(&[], known.store.lines() as f64);
    page.family("nightshift_sidecar_series_limit", Kind::Gauge, "The most lines of samples.");
    page.own(&[], known.store.max_lines() as f64);
    let help = "Spans that the collector took.";
    page.family("nightshift_sidecar_spans_forwarded", Kind::Counter, help);
    page.own(&[], known.spans_forwarded as f64);
}
