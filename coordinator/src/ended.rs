//! Pods that are gone, added up from what their sidecars handed in.
//!
//! Bounded whatever is handed in: names that this coordinator serves, metrics that it knows, and so
//! many values of a label.

use std::collections::{BTreeMap, HashSet, VecDeque};

use nightshift_core::ids::SpecName;
use nightshift_proto::names::SnapshotId;
use nightshift_proto::pods::{HandIn, HandedIn, PodSample};
use nightshift_telemetry::exposition::{Kind, Page, Value};
use nightshift_telemetry::metrics::ended::{self, OF_POD};
use nightshift_telemetry::metrics::{Metric, worker};

/// Snapshots that are remembered, so that a repeated one counts once: a repetition comes within a
/// second, and this many pods do not end in one.
const SNAPSHOTS_MAX: usize = 10_000;
/// Most values of a label of one metric of one name; further ones count as [`OTHER`].
const LABELS_MAX: usize = 64;
/// The value of a label that stands for all that did not fit.
const OTHER: &str = "other";

/// What pods that are gone came to.
#[derive(Debug, Default)]
pub struct EndedPods {
    names: BTreeMap<SpecName, Totals>,
    known: HashSet<SnapshotId>,
    /// The same in the order in which they came.
    order: VecDeque<SnapshotId>,
}

/// What the pods of one name came to.
#[derive(Debug, Default)]
struct Totals {
    pods: u64,
    /// By the name of the metric that is shown, and the value of its label.
    series: BTreeMap<&'static str, BTreeMap<String, Value>>,
}

impl EndedPods {
    /// Counts a snapshot, unless it is known.
    pub fn take(&mut self, handed: &HandIn) -> HandedIn {
        if !self.known.insert(handed.snapshot.clone()) {
            return HandedIn { counted: false, left_out: 0 };
        }
        self.order.push_back(handed.snapshot.clone());
        if self.order.len() > SNAPSHOTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let totals = self.names.entry(handed.run.name.clone()).or_default();
        totals.pods += 1;
        let left_out = handed.samples.iter().filter(|sample| totals.add(sample).is_none()).count();
        HandedIn { counted: true, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) }
    }

    /// Writes all of them.
    pub fn write(&self, page: &mut Page) {
        page.metric(&ended::PODS);
        for (name, totals) in &self.names {
            page.own(&[("name", name.as_str())], totals.pods as f64);
        }
        for (of_pod, shown) in OF_POD {
            page.metric(shown);
            for (name, totals) in &self.names {
                for (label, value) in totals.series.get(shown.name).into_iter().flatten() {
                    page.sample(&labels(of_pod, name, label), value);
                }
            }
        }
    }
}

/// The labels of a series, in order.
fn labels(of_pod: &Metric, name: &SpecName, value: &str) -> Vec<(String, String)> {
    let own = of_pod.labels.first().map(|label| ((*label).to_owned(), value.to_owned()));
    let mut labels: Vec<_> = own.into_iter().collect();
    labels.push(("name".to_owned(), name.to_string()));
    labels.sort_unstable();
    labels
}

impl Totals {
    /// Adds a number; none if nobody knows what it is.
    fn add(&mut self, sample: &PodSample) -> Option<()> {
        let name = sample.metric.as_str();
        if let Some((_, shown)) = OF_POD.iter().find(|(of_pod, _)| of_pod.name == name) {
            return self.number(shown, &sample.label, sample.value);
        }
        let (family, part) = name.rsplit_once('_')?;
        let (of_pod, shown) = OF_POD.iter().find(|(of_pod, _)| of_pod.name == family)?;
        (of_pod.kind == Kind::Histogram).then_some(())?;
        self.histogram(of_pod, shown, part, sample)
    }

    fn number(&mut self, shown: &Metric, label: &str, value: f64) -> Option<()> {
        // A histogram has no sample of its own name.
        (shown.kind != Kind::Histogram).then_some(())?;
        let series = self.series.entry(shown.name).or_default();
        // A metric without a label of its own has one series.
        let label = match shown.labels.len() {
            1 => "",
            _ if series.len() >= LABELS_MAX && !series.contains_key(label) => OTHER,
            _ => label,
        };
        let known = series.entry(label.to_owned()).or_insert(Value::Number(0.0));
        let Value::Number(known) = known else { return None };
        *known = if shown.kind == Kind::Gauge { known.max(value) } else { *known + value };
        Some(())
    }

    fn histogram(
        &mut self,
        of_pod: &Metric,
        shown: &Metric,
        part: &str,
        sample: &PodSample,
    ) -> Option<()> {
        let all = worker::bounds(of_pod);
        let place = match part {
            "bucket" => {
                let bound: f64 = sample.label.parse().ok()?;
                let is_last = bound == f64::INFINITY;
                Some(if is_last { all.len() } else { all.iter().position(|b| *b == bound)? })
            }
            "sum" => None,
            _ => return None,
        };
        let empty = || Value::Histogram {
            bounds: all.to_vec(),
            counts: vec![0; all.len() + 1],
            sum: Some(0.0),
        };
        let series = self.series.entry(shown.name).or_default();
        let known = series.entry(String::new()).or_insert_with(empty);
        let Value::Histogram { counts, sum, .. } = known else { return None };
        match place {
            // Whole: counts of what happened.
            Some(place) => {
                let count = counts.get_mut(place)?;
                *count = count.saturating_add(sample.value as u64);
            }
            None => *sum = sum.map(|sum| sum + sample.value),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use nightshift_telemetry::exposition::Format;

    use super::*;

    fn sample(metric: &str, label: &str, value: f64) -> PodSample {
        PodSample { metric: metric.parse().unwrap(), label: label.to_owned(), value }
    }

    fn handed(snapshot: &str, samples: Vec<PodSample>) -> HandIn {
        HandIn {
            snapshot: snapshot.parse().unwrap(),
            run: "flights-2013-01-31-g1".parse().unwrap(),
            pod: "pod-1".parse().unwrap(),
            samples,
        }
    }

    fn page(pods: &EndedPods) -> String {
        let mut page = Page::new(Format::Prometheus);
        pods.write(&mut page);
        page.finish()
    }

    fn lines(pods: &EndedPods) -> Vec<String> {
        let page = page(pods);
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn counters_are_added_and_of_gauges_the_largest_is_kept() {
        let mut pods = EndedPods::default();
        for (snapshot, rows, peak) in [("a", 10.0, 5e6), ("b", 3.0, 7e6), ("c", 0.0, 6e6)] {
            pods.take(&handed(
                snapshot,
                vec![
                    sample("nightshift_worker_rows_scored_total", "", rows),
                    sample("nightshift_worker_memory_peak_bytes", "", peak),
                    sample("nightshift_worker_attempts_total", "committed", 1.0),
                    sample("nightshift_worker_model_load_seconds_bucket", "0.05", 2.0),
                    sample("nightshift_worker_model_load_seconds_bucket", "inf", 1.0),
                    sample("nightshift_worker_model_load_seconds_sum", "", 0.5),
                ],
            ));
        }
        let lines = lines(&pods);
        for line in [
            r#"nightshift_ended_pods_total{name="flights"} 3"#,
            r#"nightshift_ended_worker_rows_scored_total{name="flights"} 13"#,
            r#"nightshift_ended_worker_memory_peak_bytes{name="flights"} 7000000"#,
            r#"nightshift_ended_worker_attempts_total{name="flights",outcome="committed"} 3"#,
            r#"nightshift_ended_worker_model_load_seconds_bucket{name="flights",le="0.01"} 0"#,
            r#"nightshift_ended_worker_model_load_seconds_bucket{name="flights",le="0.05"} 6"#,
            r#"nightshift_ended_worker_model_load_seconds_count{name="flights"} 9"#,
            r#"nightshift_ended_worker_model_load_seconds_sum{name="flights"} 1.5"#,
        ] {
            assert!(
                lines.iter().any(|found| found == line),
                "{line} is not in\n{}",
                lines.join("\n")
            );
        }
    }

    #[test]
    fn a_snapshot_counts_once() {
        let mut pods = EndedPods::default();
        let request = handed("a", vec![sample("nightshift_worker_rows_scored_total", "", 4.0)]);
        assert_eq!(pods.take(&request), HandedIn { counted: true, left_out: 0 });
        assert_eq!(pods.take(&request), HandedIn { counted: false, left_out: 0 });
        assert!(
            page(&pods).contains(r#"nightshift_ended_worker_rows_scored_total{name="flights"} 4"#)
        );
    }

    #[test]
    fn what_nobody_knows_is_left_out() {
        let mut pods = EndedPods::default();
        let strange = [
            sample("something_total", "", 1.0),
            sample("x", "", 1.0),
            sample("nightshift_worker_model_load_seconds", "", 1.0),
            sample("nightshift_worker_model_load_seconds_bucket", "0.3", 1.0),
            sample("nightshift_worker_model_load_seconds_bucket", "NaN", 1.0),
            sample("nightshift_worker_model_load_seconds_count", "", 1.0),
            sample("nightshift_worker_rows_scored_total_sum", "", 1.0),
        ];
        let before = strange.len() as u32;
        let answer = pods.take(&handed("a", strange.to_vec()));
        assert_eq!(answer, HandedIn { counted: true, left_out: before });
        assert_eq!(lines(&pods), [r#"nightshift_ended_pods_total{name="flights"} 1"#]);
    }

    #[test]
    fn labels_and_snapshots_are_bounded() {
        let mut pods = EndedPods::default();
        let metric = "nightshift_worker_rows_rejected_total";
        for n in 0..SNAPSHOTS_MAX + 500 {
            pods.take(&handed(&format!("s{n}"), vec![sample(metric, &format!("r{n}"), 1.0)]));
        }
        assert_eq!((pods.known.len(), pods.order.len()), (SNAPSHOTS_MAX, SNAPSHOTS_MAX));
        let rejected: Vec<String> =
            lines(&pods).into_iter().filter(|line| line.contains("rows_rejected")).collect();
        assert_eq!(rejected.len(), LABELS_MAX + 1);
        let other = format!(r#"reason="other"}} {}"#, SNAPSHOTS_MAX + 500 - LABELS_MAX);
        assert!(rejected.iter().any(|line| line.ends_with(&other)), "{rejected:?}");
    }
}
