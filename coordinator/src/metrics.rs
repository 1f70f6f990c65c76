//! What Prometheus is told: desk and accounts as they stand, read at the moment of the scrape.
//!
//! The metrics are described in [`nightshift_telemetry::metrics`].

use std::collections::BTreeMap;

use nightshift_core::accounts::{
    BOUNDS_S, Figures, OTHER_REASON, Outcome, REJECT_REASONS, Seconds,
};
use nightshift_core::gates::Judgement;
use nightshift_core::ids::SpecName;
use nightshift_proto::runs::status::ShardCounts;
use nightshift_telemetry::exposition::{Format, Page, Value};
use nightshift_telemetry::metrics::coordinator::{doing, runs};
use nightshift_telemetry::metrics::{BUILD_INFO, Metric};

use crate::coordinator::Coordinator;
use crate::desk::Counters;
use crate::desk::pace::Pace;

/// What the desk looks like, taken under its lock and written down outside of it.
struct Snapshot {
    names: BTreeMap<SpecName, Open>,
    leases: usize,
    workers: usize,
    counters: Counters,
}

/// The runs of one name that are under way.
#[derive(Default)]
struct Open {
    runs: u64,
    shards: ShardCounts,
    pace: Pace,
}

impl Snapshot {
    fn of(coordinator: &Coordinator) -> Self {
        coordinator.look(|desk, now| {
            let mut names: BTreeMap<SpecName, Open> = BTreeMap::new();
            let mut leases = 0;
            for run in desk.runs() {
                let status = run.status(now);
                let open = names.entry(status.run.name.clone()).or_default();
                let sum = &mut open.shards;
                sum.committed += status.shards.committed;
                sum.quarantined += status.shards.quarantined;
                sum.leased += status.shards.leased;
                sum.delayed += status.shards.delayed;
                sum.ready += status.shards.ready;
                open.runs += 1;
                open.pace = open.pace.and(run.pace(now));
                leases += run.leases();
            }
            Self { names, leases, workers: desk.workers(), counters: desk.counters() }
        })
    }
}

/// The metrics as text. A replica that does not lead has no coordinator, and little to say.
pub fn text(coordinator: Option<&Coordinator>, format: Format) -> String {
    let mut page = Page::new(format);
    page.metric(&BUILD_INFO);
    page.own(&[("component", "coordinator"), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.single(&doing::LEADER, truth(coordinator.is_some()));
    if let Some(coordinator) = coordinator {
        // The desk first: what is concluded in between is then in the accounts too.
        let snapshot = Snapshot::of(coordinator);
        write_runs(&mut page, &coordinator.figures(), &snapshot.names);
        write_doing(&mut page, coordinator, &snapshot);
        coordinator.write_ended_pods(&mut page);
        write_ledger(&mut page, coordinator);
        let errors = coordinator.launching().errors();
        write_each(&mut page, &doing::LAUNCH_ERRORS, "reason", errors);
    }
    page.finish()
}

/// What the runs of each name came to, and how those under way go.
fn write_runs(
    page: &mut Page,
    figures: &BTreeMap<SpecName, Figures>,
    names: &BTreeMap<SpecName, Open>,
) {
    page.metric(&runs::ROWS_PROCESSED);
    for (name, figures) in figures {
        let Some(newest) = &figures.newest else { continue };
        let sums = &figures.sums;
        for (outcome, rows) in [
            ("quarantined", sums.quarantined),
            ("rejected", sums.rejected),
            ("scored", sums.scored),
        ] {
            let labels = [("name", name.as_str()), ("outcome", outcome), ("task", &newest.task)];
            page.own(&labels, rows as f64);
        }
    }
    page.metric(&runs::ROWS_REJECTED);
    for (name, figures) in figures {
        for reason in REJECT_REASONS.into_iter().chain([OTHER_REASON]) {
            let rows = figures.sums.by_reason.get(reason).copied().unwrap_or_default();
            page.own(&[("name", name.as_str()), ("reason", reason)], rows as f64);
        }
    }
    page.metric(&runs::RUNS_CONCLUDED);
    for (name, figures) in figures {
        for outcome in Outcome::ALL {
            let count = figures.runs.get(&outcome).copied().unwrap_or_default();
            page.own(&[("name", name.as_str()), ("state", outcome.as_str())], count as f64);
        }
    }
    page.metric(&runs::RUNS_JUDGED);
    for (name, figures) in figures {
        for judgement in Judgement::ALL {
            let count = figures.judged.get(&judgement).copied().unwrap_or_default();
            let labels = [("judgement", judgement.as_str()), ("name", name.as_str())];
            page.own(&labels, count as f64);
        }
    }
    let seconds = |at: Option<jiff::Timestamp>| at.map(|at| at.as_millisecond() as f64 / 1e3);
    let of_figures = |page: &mut Page, metric, value: &dyn Fn(&Figures) -> Option<f64>| {
        let values = figures.iter().filter_map(|(name, figures)| Some((name, value(figures)?)));
        write_named(page, metric, values);
    };
    let budget = |figures: &Figures| Some(figures.newest.as_ref()?.rejects_max_ratio);
    of_figures(page, &runs::REJECTS_BUDGET, &budget);
    of_figures(page, &runs::LAST_SUCCESS, &|figures| seconds(figures.last_success));
    of_figures(page, &runs::LAST_FAILURE, &|figures| seconds(figures.last_failure));
    let pending = |figures: &Figures| figures.pending.map(|pending| pending.dates as f64);
    of_figures(page, &runs::DATES_PENDING, &pending);
    let oldest = |figures: &Figures| seconds(figures.pending.and_then(|pending| pending.oldest));
    of_figures(page, &runs::OLDEST_PENDING, &oldest);
    page.metric(&runs::SHARD_DURATION);
    for (name, figures) in figures {
        page.sample(&vec![("name".to_owned(), name.to_string())], &histogram(&figures.seconds));
    }
    write_open(page, figures, names);
}

/// The runs that are under way. A name whose runs are all over has zeros.
fn write_open(
    page: &mut Page,
    figures: &BTreeMap<SpecName, Figures>,
    names: &BTreeMap<SpecName, Open>,
) {
    let idle = Open::default();
    let mut all: BTreeMap<&SpecName, &Open> = figures.keys().map(|name| (name, &idle)).collect();
    all.extend(names);
    page.metric(&runs::SHARDS);
    for (name, open) in &all {
        for (state, count) in [
            ("committed", open.shards.committed),
            ("delayed", open.shards.delayed),
            ("leased", open.shards.leased),
            ("quarantined", open.shards.quarantined),
            ("ready", open.shards.ready),
        ] {
            page.own(&[("name", name.as_str()), ("state", state)], count.into());
        }
    }
    write_named(page, &runs::RUNS_ACTIVE, all.iter().map(|(name, open)| (*name, open.runs as f64)));
    let etas = names.iter().filter_map(|(name, open)| Some((name, open.pace.eta_s()?)));
    write_named(page, &runs::ETA, etas);
}

/// What the coordinator does.
fn write_doing(page: &mut Page, coordinator: &Coordinator, snapshot: &Snapshot) {
    page.single(&doing::READY, truth(coordinator.is_recovered()));
    page.single(&doing::LEASES, snapshot.leases as f64);
    page.single(&doing::WORKERS, snapshot.workers as f64);
    let Counters { granted, backups, adopted, expired, released, failed, vanished, decided } =
        snapshot.counters;
    for (metric, value) in [
        (&doing::LEASES_GRANTED, granted),
        (&doing::LEASE_BACKUPS, backups),
        (&doing::LEASE_ADOPTIONS, adopted),
        (&doing::LEASE_EXPIRATIONS, expired),
        (&doing::LEASE_RELEASES, released),
        (&doing::ATTEMPTS_FAILED, failed),
        (&doing::WORKERS_VANISHED, vanished),
        (&doing::SHARDS_DECIDED, decided),
    ] {
        page.single(metric, value as f64);
    }
}

/// How the ledger does.
fn write_ledger(page: &mut Page, coordinator: &Coordinator) {
    let keeper = coordinator.ledger();
    page.single(&doing::LEDGER_CURRENT, truth(keeper.state().is_current()));
    let counters = keeper.counters();
    for (metric, value) in [
        (&doing::LEDGER_BATCHES, counters.batches()),
        (&doing::LEDGER_SHARDS, counters.shards()),
        (&doing::LEDGER_REBUILDS, counters.rebuilds()),
    ] {
        page.single(metric, value as f64);
    }
    let errors = counters.errors().map(|(reason, count)| (reason.as_str(), count));
    write_each(page, &doing::LEDGER_ERRORS, "reason", errors);
}

fn write_named<'a>(
    page: &mut Page,
    metric: &Metric,
    values: impl IntoIterator<Item = (&'a SpecName, f64)>,
) {
    page.metric(metric);
    values.into_iter().for_each(|(name, value)| page.own(&[("name", name.as_str())], value));
}

fn write_each<'a>(
    page: &mut Page,
    metric: &Metric,
    label: &str,
    counts: impl IntoIterator<Item = (&'a str, u64)>,
) {
    page.metric(metric);
    counts.into_iter().for_each(|(word, count)| page.own(&[(label, word)], count as f64));
}

fn histogram(seconds: &Seconds) -> Value {
    Value::Histogram {
        bounds: BOUNDS_S.to_vec(),
        counts: seconds.counts().to_vec(),
        sum: Some(seconds.sum_s()),
    }
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}
