//! Requests and parts, counted.

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::s3::S3;
use nightshift_tests::s3_faults::Faults;
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

use crate::scene::{Environment, Lake, ROWS, in_bucket, with};

#[test]
fn a_shard_costs_at_most_four_requests_beside_its_data() {
    let alone = |lake: &Lake, environment: &Environment| {
        with(lake.bench.run(), environment).run().expect(0);
    };
    assert_few_requests("nightshift run", alone);
}

#[test]
fn with_a_coordinator_a_shard_costs_no_more() {
    let together = |lake: &Lake, environment: &Environment| {
        let bench = Bench::new();
        std::fs::copy(lake.bench.spec(), bench.spec()).unwrap();
        let mut cluster = Cluster::start_with(bench, Setting::default(), environment.clone());
        cluster.submit("all");
        cluster.add(cluster.worker());
        wait_for("the marker", || lake.s3.has("lake", "out/all/gen=1/_SUCCESS").then_some(()));
        cluster.assert_sound();
    };
    assert_few_requests("coordinator and worker", together);
}

/// Compares a run of few shards with one of many.
#[track_caller]
fn assert_few_requests(who: &str, run: impl Fn(&Lake, &Environment)) {
    let requests = |rows_a_shard: u64| {
        let spec = SpecText { sharding: format!("rows: {rows_a_shard}"), ..SpecText::default() };
        let lake = Lake::new(&spec, "flights.parquet");
        let faults = Faults::none(&lake.s3);
        run(&lake, &lake.s3.environment_by(faults.url()));
        lake.audit();
        faults.seen().len() as f64
    };
    let (few, many) = (requests(ROWS / 10), requests(ROWS / 50));
    let a_shard = (many - few) / 40.0;
    eprintln!("{who}: {few} requests for 10 shards, {many} for 50: {a_shard} a shard");
    // A few more come by the clock, as long as a run lasts.
    assert!(a_shard <= 5.25, "one request for the data, and {} more", a_shard - 1.0);
}

#[test]
fn a_large_file_is_uploaded_in_parts_and_seen_whole() {
    let s3 = S3::start();
    let bench = Bench::with(
        &SpecText { format: "csv", sharding: "count: 1".to_owned(), ..SpecText::default() },
        "flights.parquet",
        600_000,
    );
    s3.put("lake", "in", &bench.path("in"));
    let text = in_bucket(&SpecText {
        format: "csv",
        sharding: "count: 1".to_owned(),
        ..SpecText::default()
    });
    bench.write_spec(&text);
    let faults = Faults::none(&s3);
    with(bench.run(), &s3.environment_by(faults.url())).run().expect(0);
    let parts =
        faults.seen().iter().filter(|(_, target, _)| target.contains("partNumber=")).count();
    assert!(parts >= 2, "{parts} parts");
    let copy = bench.path("copy");
    assert_eq!(s3.fetch("lake", "out", &copy), 0);
    Audit::of(&copy).runs(1).passes();
}
