//! What Prometheus is told: the desk as it stands, read at the moment of the scrape.
//!
//! Series are labelled by the spec's name and by a few fixed words, never by run, shard, date or
//! worker, so their number stays small for years.

use std::collections::BTreeMap;

use nightshift_proto::runs::status::ShardCounts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::coordinator::Coordinator;
use crate::desk::Counters;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabels {
    name: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    reason: &'static str,
}

/// What the desk looks like, taken under its lock and written down outside of it.
struct Snapshot {
    shards: BTreeMap<String, ShardCounts>,
    runs: BTreeMap<String, i64>,
    leases: i64,
    workers: i64,
    counters: Counters,
}

impl Snapshot {
    fn of(coordinator: &Coordinator) -> Self {
        coordinator.look(|desk, now| {
            let mut shards: BTreeMap<String, ShardCounts> = BTreeMap::new();
            let mut runs: BTreeMap<String, i64> = BTreeMap::new();
            let mut leases = 0;
            for run in desk.runs() {
                let status = run.status(now);
                let name = status.run.name.to_string();
                let sum = shards.entry(name.clone()).or_default();
                sum.committed += status.shards.committed;
                sum.quarantined += status.shards.quarantined;
                sum.leased += status.shards.leased;
                sum.delayed += status.shards.delayed;
                sum.ready += status.shards.ready;
                *runs.entry(name).or_default() += 1;
                leases += i64::try_from(run.leases()).unwrap_or(i64::MAX);
            }
            let workers = i64::try_from(desk.workers()).unwrap_or(i64::MAX);
            Self { shards, runs, leases, workers, counters: desk.counters() }
        })
    }
}

/// The metrics as OpenMetrics text; none if they cannot be written down. A replica that does not
/// lead has no coordinator, and little to say.
pub fn text(coordinator: Option<&Coordinator>) -> Option<String> {
    let mut registry = Registry::with_prefix("nightshift");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Version of this program", build);
    let leads = ConstGauge::new(i64::from(coordinator.is_some()));
    registry.register("leader", "Whether this replica leads, or is the only one", leads);
    if let Some(coordinator) = coordinator {
        coordinating(coordinator, &mut registry);
    }
    let mut out = String::new();
    encode(&mut out, &registry).ok()?;
    Some(out)
}

/// What the coordinator does.
fn coordinating(coordinator: &Coordinator, registry: &mut Registry) {
    let snapshot = Snapshot::of(coordinator);
    let ready = i64::from(coordinator.is_recovered());
    registry.register(
        "coordinator_ready",
        "Whether every run that was under way before is known again",
        ConstGauge::new(ready),
    );
    let shards = Family::<ShardLabels, Gauge>::default();
    for (name, counts) in &snapshot.shards {
        let states = [
            ("committed", counts.committed),
            ("quarantined", counts.quarantined),
            ("leased", counts.leased),
            ("delayed", counts.delayed),
            ("ready", counts.ready),
        ];
        for (state, count) in states {
            let labels = ShardLabels { name: name.clone(), state };
            shards.get_or_create(&labels).set(count.into());
        }
    }
    registry.register("shards", "Shards of runs that are under way, by state", shards);
    let runs = Family::<NameLabels, Gauge>::default();
    for (name, count) in &snapshot.runs {
        runs.get_or_create(&NameLabels { name: name.clone() }).set(*count);
    }
    registry.register("runs_active", "Runs that are under way", runs);
    registry.register("leases", "Leases that are out", ConstGauge::new(snapshot.leases));
    registry.register(
        "workers",
        "Workers that were heard of in the last minutes",
        ConstGauge::new(snapshot.workers),
    );
    let Counters { granted, backups, adopted, expired, released, failed, vanished, decided } =
        snapshot.counters;
    for (name, help, value) in [
        ("leases_granted", "Leases granted", granted),
        ("lease_backups", "Second leases granted on slow shards", backups),
        ("lease_adoptions", "Leases taken over from an earlier incarnation", adopted),
        ("lease_expirations", "Leases that ended because nobody renewed them", expired),
        ("lease_releases", "Leases that workers gave back", released),
        ("attempts_failed", "Attempts that ended without a record", failed),
        ("workers_vanished", "Workers that were seen to end while they held leases", vanished),
        ("shards_decided", "Shards that got a record", decided),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    ledger(coordinator, registry);
    let errors = Family::<ErrorLabels, Counter>::default();
    for (reason, count) in coordinator.launching().errors() {
        errors.get_or_create(&ErrorLabels { reason }).inc_by(count);
    }
    registry.register("launch_errors", "Times that workers could not be started", errors);
}

/// How the ledger does.
fn ledger(coordinator: &Coordinator, registry: &mut Registry) {
    let keeper = coordinator.ledger();
    let current = i64::from(keeper.state().is_current());
    registry.register(
        "ledger_current",
        "Whether the ledger says all that the outputs say",
        ConstGauge::new(current),
    );
    let counters = keeper.counters();
    for (name, help, value) in [
        ("ledger_batches", "Transactions that the ledger took", counters.batches()),
        ("ledger_shards", "Shards written to the ledger", counters.shards()),
        (
            "ledger_rebuilds",
            "Times that a ledger was made again from its output",
            counters.rebuilds(),
        ),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    let errors = Family::<ErrorLabels, Counter>::default();
    for (reason, count) in counters.errors() {
        errors.get_or_create(&ErrorLabels { reason: reason.as_str() }).inc_by(count);
    }
    registry.register("ledger_errors", "Times that the ledger was unavailable", errors);
}
