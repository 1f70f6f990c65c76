//! Setting up the log of a process.

use std::io::{IsTerminal, Write, stderr};

use clap::ValueEnum;
use thiserror::Error;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::failure::colours;
use crate::line::{Fields, Line};
use crate::otlp::{Exporting, Plan, Sends};
use crate::secrets::Secrets;
use crate::trace::layer::{Spans, is_traced};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The filter does not parse.
    #[error(
        "`{filter}` is not a log filter; write a level such as info or debug, or target=level pairs, in --log or NIGHTSHIFT_LOG"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// Where and why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("the log of this process is set up already; set it up once, in main")]
    Again,
}

/// Sets up the log of this process on standard error, in colour if that is a terminal and
/// `NO_COLOR` is not set. `filter` is a level, or pairs as in `info,nightshift_storage=trace`.
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn init(format: LogFormat, filter: &str) -> Result<(), InitError> {
    init_to(format, filter, colours(stderr().is_terminal()), to_stderr)
}

/// Like [`init`], and sends traces and metrics as the `OTEL_…` variables say, for a program that is
/// called `service` there. Without an endpoint it does what [`init`] does.
///
/// # Errors
/// As [`init`]. Variables that make no sense are a warning.
pub fn init_exporting(
    format: LogFormat,
    filter: &str,
    service: &'static str,
    sends: Sends,
) -> Result<Exporting, InitError> {
    let plan = Plan::from_env(service, sends);
    let Some(settings) = plan.settings().filter(|settings| settings.traces.is_some()) else {
        init(format, filter)?;
        return Ok(plan.begin());
    };
    let secrets = Secrets::of_process();
    let queue = std::sync::Arc::clone(&plan.queue);
    let spans = Spans::new(queue, settings.sampler, secrets.clone());
    let colours = colours(stderr().is_terminal());
    let lines = Lines { format, colours, secrets, write: to_stderr };
    // Each has its own filter: how much is logged says nothing about what is traced.
    Registry::default()
        .with(lines.with_filter(parse_filter(filter)?))
        .with(spans.with_filter(filter_fn(is_traced)))
        .try_init()
        .map_err(|_| InitError::Again)?;
    Ok(plan.begin())
}

fn to_stderr(line: &str) {
    // A process whose standard error is gone has nowhere to complain.
    let _ = stderr().lock().write_all(line.as_bytes());
}

/// Like [`init`], with the lines handed to `write`, such as one that draws progress bars below
/// them. Each call has one line, with its line break.
///
/// # Errors
/// As [`init`].
pub fn init_to(
    format: LogFormat,
    filter: &str,
    colours: bool,
    write: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(), InitError> {
    let filter = parse_filter(filter)?;
    Registry::default()
        .with(filter)
        .with(Lines { format, colours, secrets: Secrets::of_process(), write })
        .try_init()
        .map_err(|_| InitError::Again)
}

fn parse_filter(text: &str) -> Result<EnvFilter, InitError> {
    EnvFilter::try_new(text).map_err(|source| InitError::Filter {
        filter: text.chars().take(200).flat_map(char::escape_debug).collect(),
        source,
    })
}

/// Writes one line for each event.
pub(crate) struct Lines<W> {
    pub(crate) format: LogFormat,
    pub(crate) colours: bool,
    pub(crate) secrets: Secrets,
    pub(crate) write: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer);
            }
        }
        let message = fields.record_event(event);
        fields.hide(&self.secrets);
        let message = self.secrets.hide(&message);
        let line = Line {
            timestamp: jiff::Timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: &message,
            fields: &fields,
        };
        (self.write)(&match self.format {
            LogFormat::Text => line.to_text(self.colours),
            LogFormat::Json => line.to_json(),
        });
    }
}

#[cfg(test)]
pub(crate) mod tests;
