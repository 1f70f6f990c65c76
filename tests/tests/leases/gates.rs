//! Publish gates of a run whose shards are leased: the coordinator judges, workers publish nothing.

use nightshift_tests::bench::SpecText;
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::place::Place;

use crate::{RUN, SMALL, succeeds};

const SHARDS: u64 = 20;

fn under_way(place: &Place, gates: &str) -> Cluster {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = place.with(&spec, "flights.parquet", SHARDS * SMALL);
    bench.write_spec(&format!("{}  gates: {gates}\n", spec.yaml()));
    let mut cluster = Cluster::start(bench, Setting::default());
    assert_eq!(cluster.submit("all"), RUN);
    for _ in 0..2 {
        cluster.add(cluster.worker());
    }
    cluster
}

fn is_visible(cluster: &Cluster) -> bool {
    cluster.output().join("all/gen=1").is_dir()
}

fn what_passes_becomes_visible_and_the_canary_goes_first(place: &Place) {
    let mut cluster = under_way(place, "{ rows: equal, canary: true }");
    succeeds(&mut cluster, SHARDS);
    let started = cluster.started(RUN);
    assert_eq!(started.len() as u64, SHARDS);
    // In a bucket a shard may be slow, and be tried by another worker too.
    assert!(place.is_bucket() || started.values().all(|&times| times == 1), "{started:?}");
    // Two workers have a log each; the one that scored the canary did nothing before it.
    let canary = SHARDS as u32 / 2;
    let first_of_both: Vec<u32> = cluster
        .logs()
        .iter()
        .filter_map(|said| {
            nightshift_tests::log::events(said, "inference started").first().cloned()
        })
        .map(|event| event.shard)
        .collect();
    assert!(first_of_both.contains(&canary), "{first_of_both:?}");
}

fn a_canary_that_fails_ends_the_run_and_nothing_is_seen(place: &Place) {
    let cluster = under_way(place, "{ columns: { mood: { max_null_ratio: 0 } }, canary: true }");
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "partial", "{verdict}");
    assert_eq!(verdict["totals"]["quarantined"], SHARDS - 1);
    assert_eq!(verdict["quarantined"][0]["reason"], "canary_failed");
    let started: Vec<u32> = cluster.started(RUN).into_keys().collect();
    assert_eq!(started, [SHARDS as u32 / 2]);
    assert!(!is_visible(&cluster));
    cluster.auditor().runs(1).passes();
}

fn what_is_withheld_outlives_a_restart_and_is_published_after_an_approval(place: &Place) {
    let mut cluster = under_way(place, "{ columns: { mood: { max_null_ratio: 0 } } }");
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.coordinator().wait_until_ready();
    assert!(!is_visible(&cluster));
    cluster.auditor().runs(1).passes();
    let spec = cluster.bench().spec();
    let approve = nightshift_tests::process::Program::nightshift().args(["approve", RUN]);
    let approve = approve.arg(spec).args(["--reason", "a test"]);
    cluster.bench().equipped(approve).run().expect(0);
    cluster.wait_for_marker("all", 1);
    cluster.auditor().runs(1).passes();
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    what_passes_becomes_visible_and_the_canary_goes_first,
    a_canary_that_fails_ends_the_run_and_nothing_is_seen,
    what_is_withheld_outlives_a_restart_and_is_published_after_an_approval,
}

nightshift_tests::through_faults! {
    what_is_withheld_outlives_a_restart_and_is_published_after_an_approval,
}
