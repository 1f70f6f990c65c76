//! Every metric that a program shows of itself, described once: pages are made of these
//! descriptions, and so is the manual, `docs/metrics.md`.
//!
//! Labels are a spec's name and a few fixed words. No run, shard, date, worker or pod is a label:
//! those come and go by the thousand, and a series lives for years.

use std::fmt::Write;

use crate::exposition::Kind;

pub mod coordinator;
pub mod ended;
pub mod sidecar;
pub mod worker;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as queries say it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Labels that its series have, in order; `le` of a histogram is not among them.
    pub labels: &'static [&'static str],
    /// One sentence, shown on the page too.
    pub help: &'static str,
    /// More for the manual: what a value means, and when there is none.
    pub more: &'static str,
}

impl Metric {
    /// Its name without the `_total` of a counter.
    pub fn family(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

/// Constants of metrics, and `ALL` of them in the order of the manual.
macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal, $more:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: $crate::metrics::Metric = $crate::metrics::Metric {
                name: $name,
                kind: $crate::exposition::Kind::$kind,
                labels: &[$($label),*],
                help: $help,
                more: $more,
            };
        )*
        /// All of them.
        pub const ALL: &[$crate::metrics::Metric] = &[$($id),*];
    };
}
use metrics;

/// What is running.
pub const BUILD_INFO: Metric = Metric {
    name: "nightshift_build_info",
    kind: Kind::Gauge,
    labels: &["component", "version"],
    help: "What is running; always 1.",
    more: "`component` is `coordinator` or `sidecar`.",
};

/// A part of the manual: who shows what.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// What holds for all of them.
    pub intro: &'static str,
    /// The metrics.
    pub metrics: &'static [Metric],
}

/// Every metric, in the order of the manual.
pub const PARTS: &[Part] = &[
    Part { title: "Of both", intro: "", metrics: &[BUILD_INFO] },
    Part {
        title: "Coordinator: what the runs came to",
        intro: "Counted from records and finals, so they outlive workers and coordinators; \
                see [what survives](#what-survives).",
        metrics: coordinator::runs::ALL,
    },
    Part {
        title: "Coordinator: what it is doing",
        intro: "Of this process: counters begin at 0 when it starts. A replica that stands by \
                shows `nightshift_build_info` and `nightshift_leader` alone.",
        metrics: coordinator::doing::ALL,
    },
    Part {
        title: "Coordinator: pods that are gone",
        intro: "Sums of what the sidecars handed in when their pods ended, so that a pod that lived \
                between two scrapes is not missed. Of this process: all begin at 0 when it starts. \
                What a pod is not there to hand in, as when its node died, is missing.",
        metrics: ended::ALL,
    },
    Part {
        title: "Worker",
        intro: "Sent by OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` says so, in a pod to the sidecar, \
                which shows them with the label `service_name`. Of one process: all begin at 0 \
                when it starts. `nightshift run` sends them too.",
        metrics: worker::ALL,
    },
    Part {
        title: "Sidecar",
        intro: "Of one pod, and gone with it. What the worker sends is shown beside these, under \
                the names that it sends; see [sidecar.md](sidecar.md).",
        metrics: sidecar::ALL,
    },
];

/// The tables of `docs/metrics.md`.
pub fn manual() -> String {
    let mut text = String::new();
    for Part { title, intro, metrics } in PARTS {
        let _ = writeln!(text, "### {title}\n");
        if !intro.is_empty() {
            let _ = writeln!(text, "{intro}\n");
        }
        let _ = writeln!(text, "| metric | kind | meaning |\n|---|---|---|");
        for Metric { name, kind, labels, help, more } in *metrics {
            let labels = match labels {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let gap = if more.is_empty() { "" } else { " " };
            let kind = kind.as_str();
            let _ = writeln!(text, "| `{name}{labels}` | {kind} | {help}{gap}{more} |");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
