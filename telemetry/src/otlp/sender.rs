//! The thread that sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::Notify;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::queue::Queue;
use super::settings::Settings;
use crate::meter::Meter;

/// First pause after a call that failed; it doubles each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often people are told that a collector is away.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Largest answer that is read.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct Sender {
    stop: Arc<Stop>,
    done: mpsc::Receiver<()>,
}

#[derive(Debug, Default)]
struct Stop {
    wanted: AtomicBool,
    told: Notify,
}

impl Sender {
    /// Begins to send what comes into `queue`, and what `meter` has counted.
    pub(crate) fn begin(
        settings: Settings,
        queue: Arc<Queue>,
        meter: Arc<Meter>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::new(Stop::default());
        let (ended, done) = mpsc::channel();
        let told = Arc::clone(&stop);
        let work = move || {
            runtime.block_on(Loop::new(settings, queue, meter, told).run());
            // Nobody listens if the end was not waited for.
            let _ = ended.send(());
        };
        std::thread::Builder::new().name("otlp".to_owned()).spawn(work)?;
        Ok(Self { stop, done })
    }

    /// Sends what is left, for `limit` at most. What takes longer is lost with the process.
    pub(crate) fn finish(self, limit: Duration) {
        self.stop.wanted.store(true, Ordering::Release);
        self.stop.told.notify_one();
        if self.done.recv_timeout(limit).is_err() {
            tracing::debug!("the last spans were not sent in time");
        }
    }
}

/// All that the thread has.
struct Loop {
    settings: Settings,
    queue: Arc<Queue>,
    meter: Arc<Meter>,
    stop: Arc<Stop>,
    traces: Option<TraceServiceClient<Channel>>,
    metrics: Option<MetricsServiceClient<Channel>>,
    scope: InstrumentationScope,
    pause: Duration,
    /// Nothing is sent before this moment, since the last call failed.
    not_before: Option<Instant>,
    warned: Option<Instant>,
    said_refused: bool,
}

/// What is to be done about a call that failed.
enum Failed {
    /// Another time it may go well.
    Away(Status),
    /// It will not be taken, ever.
    Refused(Status),
}

impl Loop {
    fn new(settings: Settings, queue: Arc<Queue>, meter: Arc<Meter>, stop: Arc<Stop>) -> Self {
        let scope = InstrumentationScope {
            name: "nightshift".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        Self {
            settings,
            queue,
            meter,
            stop,
            traces: None,
            metrics: None,
            scope,
            pause: PAUSE_MIN,
            not_before: None,
            warned: None,
            said_refused: false,
        }
    }

    async fn run(mut self) {
        // Lazy: connected with the first call, and again whenever the connection breaks.
        let traces = self.settings.traces.as_ref().map(|endpoint| endpoint.connect_lazy());
        let metrics = match (&traces, &self.settings.traces, &self.settings.metrics) {
            (Some(channel), Some(traces), Some(metrics)) if traces.uri() == metrics.uri() => {
                Some(channel.clone())
            }
            (_, _, metrics) => metrics.as_ref().map(|endpoint| endpoint.connect_lazy()),
        };
        let limit = ANSWER_MAX_BYTES;
        self.traces = traces.map(|c| TraceServiceClient::new(c).max_decoding_message_size(limit));
        self.metrics =
            metrics.map(|c| MetricsServiceClient::new(c).max_decoding_message_size(limit));
        let mut metrics_at = Instant::now() + self.settings.metrics_every;
        let (queue, stop) = (Arc::clone(&self.queue), Arc::clone(&self.stop));
        while !stop.wanted.load(Ordering::Acquire) {
            tokio::select! {
                () = tokio::time::sleep(self.settings.traces_every) => {}
                () = queue.full.notified() => {}
                () = stop.told.notified() => break,
            }
            if self.not_before.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            // Not cut off by the end: what has arrived would be sent twice. Whoever waits for the
            // end waits for a bounded time.
            self.send(&mut metrics_at).await;
        }
        self.send_spans().await;
        self.send_metrics().await;
    }

    async fn send(&mut self, metrics_at: &mut Instant) {
        self.send_spans().await;
        if Instant::now() >= *metrics_at {
            *metrics_at = Instant::now() + self.settings.metrics_every;
            self.send_metrics().await;
        }
    }

    /// Sends spans until none wait or a call fails.
    async fn send_spans(&mut self) {
        let Some(mut client) = self.traces.clone() else { return };
        while let Some(trees) = self.queue.next() {
            let spans: Vec<Span> = trees.iter().flatten().cloned().collect();
            let count = spans.len();
            let message = ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans {
                    resource: Some(self.settings.resource.clone()),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(self.scope.clone()),
                        spans,
                        ..ScopeSpans::default()
                    }],
                    ..ResourceSpans::default()
                }],
            };
            let answer = client.export(self.request(message)).await;
            match answer.map_err(Failed::of) {
                Ok(answer) => {
                    self.went_well();
                    if let Some(partial) = answer.into_inner().partial_success
                        && partial.rejected_spans > 0
                    {
                        self.refused(&partial.error_message);
                    }
                }
                Err(Failed::Refused(status)) => {
                    self.queue.drop_spans(count);
                    self.failed("traces", &status);
                }
                Err(Failed::Away(status)) => {
                    self.queue.put_back(trees);
                    self.failed("traces", &status);
                    return;
                }
            }
        }
    }

    /// Sends what is counted. What fails is not kept: the next numbers say it all again.
    async fn send_metrics(&mut self) {
        let Some(mut client) = self.metrics.clone() else { return };
        let metrics = self.meter.collect();
        if metrics.is_empty() {
            return;
        }
        let message = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.settings.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(self.scope.clone()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        match client.export(self.request(message)).await {
            Ok(answer) => {
                self.went_well();
                if let Some(partial) = answer.into_inner().partial_success
                    && partial.rejected_data_points > 0
                {
                    self.refused(&partial.error_message);
                }
            }
            Err(status) => self.failed("metrics", &status),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.settings.timeout);
        for (key, value) in &self.settings.headers {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        request
    }

    fn went_well(&mut self) {
        self.pause = PAUSE_MIN;
        self.not_before = None;
    }

    /// The receiver has dropped something and says so. Nobody can do more about it each time:
    /// it is said once.
    fn refused(&mut self, text: &str) {
        if !std::mem::replace(&mut self.said_refused, true) {
            tracing::info!(answer = text, "the OTLP receiver drops what it gets");
        }
    }

    fn failed(&mut self, what: &'static str, status: &Status) {
        let now = Instant::now();
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        if self.warned.is_none_or(|at| now.duration_since(at) >= WARN_EVERY) {
            self.warned = Some(now);
            let dropped = self.queue.take_dropped();
            let error = nightshift_core::describe::describe(status);
            tracing::warn!(what, dropped, error, "the OTLP receiver does not take what is sent");
        }
    }
}

impl Failed {
    /// Which codes are worth another try, as the OTLP specification has it.
    fn of(status: Status) -> Self {
        match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            // What the transport makes of a connection that breaks.
            | Code::Unknown => Self::Away(status),
            _ => Self::Refused(status),
        }
    }
}
