//! Sending traces and metrics by OTLP over gRPC, as the standard `OTEL_…` variables say.
//!
//! Without an endpoint there is no thread, no queue and no connection. With one, a thread of its
//! own sends what has been handed to it, so that no shard and no call ever waits for a collector:
//! what comes in faster than it can be sent, or while the collector is away, is dropped beyond a
//! bound and counted. The end of a program waits for the last spans for [`FLUSH_MAX`] at most.
//!
//! `settings` reads the variables, `queue` keeps what waits, `sender` is the thread.
//!
//! The library `opentelemetry-otlp` is not used: identities of traces follow from plans, an
//! attempt is sent whole or not at all, and the bounds above are ours; what it would add is
//! the messages, which `opentelemetry-proto` has.

use std::sync::Arc;
use std::time::Duration;

use crate::meter::Meter;

pub(crate) mod queue;
pub(crate) mod sender;
pub(crate) mod settings;

use queue::Queue;
use sender::Sender;
use settings::{Read, Settings};

/// How long the end of a program waits for its last spans and numbers.
pub const FLUSH_MAX: Duration = Duration::from_secs(2);

/// What a program sends, until it is dropped: then the rest is sent, for [`FLUSH_MAX`] at most.
#[derive(Debug)]
#[must_use = "what is sent ends with this value"]
pub struct Exporting {
    meter: Arc<Meter>,
    sender: Option<Sender>,
}

impl Exporting {
    /// Where this program counts. It counts also where nothing is sent.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.finish(FLUSH_MAX);
        }
    }
}

/// What a program has to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// Spans alone.
    Traces,
    /// Spans, and the numbers of a [`Meter`].
    TracesAndMetrics,
}

/// What is to be sent, before the log of the process is there to say so.
#[derive(Debug)]
pub(crate) struct Plan {
    service: &'static str,
    read: Read,
    pub(crate) queue: Arc<Queue>,
}

impl Plan {
    /// As the environment says for a program that is called `service`.
    pub(crate) fn from_env(service: &'static str, sends: Sends) -> Self {
        let mut read = Settings::read(service, |name| std::env::var(name).ok());
        if let (Sends::Traces, Ok(Some(settings))) = (sends, &mut read) {
            settings.metrics = None;
        }
        Self { service, read, queue: Arc::default() }
    }

    /// The settings, if anything is to be sent.
    pub(crate) fn settings(&self) -> Option<&Settings> {
        self.read.as_ref().ok().and_then(Option::as_ref)
    }

    /// Begins to send. What is wrong with the settings or the system is a warning: no run fails
    /// for it.
    pub(crate) fn begin(self) -> Exporting {
        let meter = Arc::new(Meter::new());
        let settings = self.read.unwrap_or_else(|error| {
            let error = nightshift_core::describe::describe(&error);
            tracing::warn!(error, "no traces and metrics are sent");
            None
        });
        let sender = settings.and_then(|settings| {
            let Settings { traces, metrics, .. } = &settings;
            tracing::debug!(service = self.service, ?traces, ?metrics, "sending OTLP");
            let begun = Sender::begin(settings, self.queue, Arc::clone(&meter));
            begun.inspect_err(|error| tracing::warn!(%error, "no thread for OTLP")).ok()
        });
        Exporting { meter, sender }
    }
}
