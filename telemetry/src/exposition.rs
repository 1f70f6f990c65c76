//! What Prometheus reads, in its two text formats: Prometheus 0.0.4 and OpenMetrics 1.0.
//!
//! No timestamps are written: a value is as old as the page, and the last one of a worker that has
//! ended must stay visible until its pod ends.

use std::fmt::Write;

use crate::metrics::Metric;

/// Labels of a series, ordered by name, each name once.
pub type Labels = Vec<(String, String)>;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// Counts by bounds.
    Histogram,
}

impl Kind {
    /// The word for it in both formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a gauge or counter.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// Upper bounds, rising, without the infinite one.
        bounds: Vec<f64>,
        /// How many fell below each bound and above the one before, the last above all.
        counts: Vec<u64>,
        /// Sum of what was measured, where it is known.
        sum: Option<f64>,
    },
}

impl Value {
    /// Lines that it takes on a page.
    pub fn lines(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Histogram { counts, .. } => counts.len() + 2,
        }
    }

    /// Adds what was measured since. A histogram with other bounds begins anew: the old counts
    /// cannot be told apart by them.
    pub fn add(&mut self, more: Self) {
        match (self, more) {
            (Self::Number(now), Self::Number(more)) => *now += more,
            (
                Self::Histogram { bounds, counts, sum },
                Self::Histogram { bounds: others, counts: more, sum: more_sum },
            ) if *bounds == others => {
                for (count, more) in counts.iter_mut().zip(more) {
                    *count = count.saturating_add(more);
                }
                *sum = sum.zip(more_sum).map(|(a, b)| a + b);
            }
            (now, more) => *now = more,
        }
    }
}

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// A page that is being written.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
    name: String,
    kind: Kind,
}

impl Format {
    /// The best one for an `Accept` header; OpenMetrics only for those that prefer it.
    pub fn accepted(header: &str) -> Self {
        let mut open = 0.0;
        let mut plain: f32 = 0.0;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut weight: f32 = 1.0;
            let mut is_version_known = true;
            for part in parts {
                match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                    Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => {
                        is_version_known = matches!(value.trim_matches('"'), "1.0.0" | "0.0.1");
                    }
                    _ => {}
                }
            }
            match kind.as_str() {
                "application/openmetrics-text" if is_version_known => open = weight.max(open),
                "text/plain" | "text/*" | "*/*" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Page {
    /// An empty page.
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new(), name: String::new(), kind: Kind::Gauge }
    }

    /// Begins a family; `name` is without `_total`.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        name.clone_into(&mut self.name);
        self.kind = kind;
        // Prometheus names a counter by its sample, OpenMetrics by its family.
        let suffix = match (kind, self.format) {
            (Kind::Counter, Format::Prometheus) => "_total",
            _ => "",
        };
        let word = kind.as_str();
        if !help.is_empty() {
            let _ = write!(self.text, "# HELP {name}{suffix} ");
            // OpenMetrics escapes quotes in help texts too.
            escape(&mut self.text, help, self.format == Format::OpenMetrics);
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {word}");
    }

    /// Writes one series of the family that was begun last.
    pub fn sample(&mut self, labels: &Labels, value: &Value) {
        match value {
            Value::Number(value) => {
                let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
                self.line(suffix, labels, None, &number(*value));
            }
            Value::Histogram { bounds, counts, sum } => {
                let mut total = 0_u64;
                let ends = bounds.iter().copied().chain([f64::INFINITY]);
                for (bound, count) in ends.zip(counts) {
                    total = total.saturating_add(*count);
                    let le = self.bound(bound);
                    self.line("_bucket", labels, Some(&le), &total.to_string());
                }
                if let Some(sum) = sum {
                    self.line("_sum", labels, None, &number(*sum));
                }
                self.line("_count", labels, None, &total.to_string());
            }
        }
    }

    /// Begins a family that a program has of its own.
    pub fn metric(&mut self, metric: &Metric) {
        self.family(metric.family(), metric.kind, metric.help);
    }

    /// Writes the only number of a family without labels.
    pub fn single(&mut self, metric: &Metric, value: f64) {
        self.metric(metric);
        self.own(&[], value);
    }

    /// Writes one number with labels that are in order.
    pub fn own(&mut self, labels: &[(&str, &str)], value: f64) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.sample(&labels.iter().map(owned).collect(), &Value::Number(value));
    }

    /// The page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &Labels, le: Option<&str>, value: &str) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let mut before = '{';
        for (name, value) in labels {
            let _ = write!(self.text, "{before}{name}=\"");
            escape(&mut self.text, value, true);
            self.text.push('"');
            before = ',';
        }
        if let Some(le) = le {
            let _ = write!(self.text, "{before}le=\"{le}\"");
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A bound as a label: OpenMetrics wants a point in it, so that it is the same everywhere.
    fn bound(&self, bound: f64) -> String {
        match self.format {
            Format::OpenMetrics if bound.is_finite() => format!("{bound:?}"),
            _ => number(bound),
        }
    }
}

fn escape(to: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '"' if quotes => to.push_str("\\\""),
            c => to.push(c),
        }
    }
}

/// A number as both formats read it, in as few characters as keep it exact.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests;
