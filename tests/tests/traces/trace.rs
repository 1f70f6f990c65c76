//! The trace of a run, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_tests::collector::{Collector, Span};
use nightshift_tests::waiting::wait_for;

/// The only trace of a collector, whole: one root, and every span's parent is there.
pub(crate) struct Trace(pub(crate) Vec<Span>);

impl Trace {
    /// Waits until the run's own span is there, which comes last of a run.
    pub(crate) fn of(collector: &Collector) -> Self {
        wait_for("the span of the run", || {
            collector.spans().iter().any(|span| span.parent.is_empty()).then_some(())
        });
        Self::whole(collector.spans())
    }

    /// Fails unless `spans` make one tree.
    pub(crate) fn whole(spans: Vec<Span>) -> Self {
        let traces: BTreeSet<&str> = spans.iter().map(|span| &*span.trace).collect();
        assert_eq!(traces.len(), 1, "{spans:#?}");
        let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.id).collect();
        assert_eq!(ids.len(), spans.len(), "a span is there twice: {spans:#?}");
        let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
        assert_eq!(roots.len(), 1, "{roots:#?}");
        assert_eq!(roots[0].name, "run");
        for span in &spans {
            let within = span.parent.is_empty() || ids.contains(&*span.parent);
            assert!(within, "the parent of {span:#?} is not there");
            assert!(span.time_ns.0 <= span.time_ns.1, "{span:#?}");
        }
        Self(spans)
    }

    pub(crate) fn root(&self) -> &Span {
        self.0.iter().find(|span| span.parent.is_empty()).unwrap()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    /// Attempts with this outcome.
    pub(crate) fn attempts(&self, outcome: &str) -> Vec<&Span> {
        let attempts = self.named("attempt");
        attempts.into_iter().filter(|span| span.attribute("outcome") == outcome).collect()
    }

    /// Shards, each with its attempts that committed.
    pub(crate) fn committed(&self) -> BTreeMap<u32, usize> {
        let mut shards = BTreeMap::new();
        for attempt in self.attempts("committed") {
            *shards.entry(attempt.attribute("shard").parse().unwrap()).or_default() += 1;
        }
        shards
    }

    /// Names of the spans right within `span`, in the order in which they began.
    pub(crate) fn steps(&self, span: &Span) -> Vec<&str> {
        let mut within: Vec<&Span> = self.0.iter().filter(|one| one.parent == span.id).collect();
        within.sort_by_key(|one| one.time_ns.0);
        within.iter().map(|one| &*one.name).collect()
    }

    /// Fails unless every attempt is one of its own, within the run, with its steps in order.
    pub(crate) fn assert_attempts(&self, steps: &[&str]) {
        let root = self.root();
        let mut seen = BTreeSet::new();
        for attempt in self.named("attempt") {
            assert_eq!(attempt.parent, root.id, "{attempt:#?}");
            assert!(attempt.attribute("number").parse::<u32>().unwrap() >= 1, "{attempt:#?}");
            let name = attempt.attribute("attempt");
            assert!(name.is_empty() || seen.insert(name), "{name} is there twice");
        }
        for attempt in self.attempts("committed") {
            assert_eq!(self.steps(attempt), steps, "{attempt:#?}");
            let (began, ended) = attempt.time_ns;
            for step in self.0.iter().filter(|one| one.parent == attempt.id) {
                assert!(began <= step.time_ns.0 && step.time_ns.1 <= ended, "{step:#?}");
            }
        }
    }
}
