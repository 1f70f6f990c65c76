//! Whole runs that read buckets and write to them.

use nightshift_tests::bench::SpecText;
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

use crate::scene::{Lake, ROWS, assert_said_no_secret, parts, with};

#[test]
fn a_run_reads_a_bucket_and_writes_one() {
    for (file, format) in
        [("flights.parquet", "parquet"), ("flights.csv.gz", "csv"), ("flights.jsonl", "jsonl")]
    {
        let lake = Lake::new(&SpecText { format, ..SpecText::default() }, file);
        let direct = lake.direct();
        let ran = with(lake.bench.run(), &direct).run().expect(0);
        assert_said_no_secret(&ran);
        let verified = lake.command("verify", &direct).arg("--inputs").run().expect(0);
        assert!(verified.stdout.contains("ok"), "{verified}");
        let (copy, unfinished) = lake.audit();
        assert_eq!((parts(&copy, 1), unfinished), (5, 0), "{file}");
        assert!(copy.join("all/gen=1/_SUCCESS").is_file());
        let again = with(lake.bench.run(), &direct).run().expect(0);
        assert!(again.stdout.contains("done"), "{again}");
    }
}

#[test]
fn input_and_output_need_not_be_in_the_same_kind_of_place() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    // From the bucket to a volume.
    let output = lake.bench.output();
    let run = with(lake.bench.run(), &direct).arg("--output").arg(&output);
    run.run().expect(0);
    let inputs = lake.bench.path("in");
    Audit::of(&output).copy("s3://lake/in", &inputs).runs(1).passes();
    // From a volume to the bucket.
    with(lake.bench.run(), &direct).arg("--input").arg(&inputs).run().expect(0);
    assert_eq!(parts(&lake.audit().0, 1), 5);
}

#[test]
fn what_another_generation_replaced_is_collected() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    with(lake.bench.run(), &direct).run().expect(0);
    with(lake.bench.run(), &direct).arg("--force").run().expect(0);
    let text = format!(
        "{}  retention: {{ succeeded: 1, superseded: 0s }}\n",
        std::fs::read_to_string(lake.bench.spec()).unwrap()
    );
    lake.bench.write_spec(&text);
    let looked = lake.command("gc", &direct).run().expect(0);
    assert!(looked.stdout.contains("g1"), "{looked}");
    lake.command("gc", &direct).arg("--delete").run().expect(0);
    let (copy, _) = lake.audit();
    assert_eq!((parts(&copy, 1), parts(&copy, 2)), (0, 5));
    lake.command("verify", &direct).run().expect(0);
}

#[test]
fn uploads_that_nobody_finished_are_collected_below_the_output_alone() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    with(lake.bench.run(), &direct).run().expect(0);
    let staged = "_nightshift/v1/attempts/flights-all-g1/0000001/lost/data.parquet";
    lake.s3.begin_upload("lake", &format!("out/{staged}"));
    lake.s3.begin_upload("lake", &format!("outside/{staged}"));
    let looked = lake.command("gc", &direct).run().expect(0);
    assert!(looked.stdout.contains("left by killed processes: 1 files"), "{looked}");
    assert_eq!(lake.audit().1, 2, "looking removes nothing");
    lake.command("gc", &direct).arg("--delete").run().expect(0);
    assert_eq!(lake.audit().1, 1, "what is not of this output stays");
    let again = lake.command("gc", &direct).run().expect(0);
    assert!(again.stdout.contains("nothing has had its time"), "{again}");
}

#[test]
fn what_is_held_of_objects_counts_among_the_memory_of_a_worker() {
    let lake = Lake::parquet();
    let held = |input: &str| {
        let plan = lake.command("plan", &lake.direct()).args(["--resources", "--input", input]);
        let told = plan.args(["--output-format", "json"]).run().expect(0);
        let advice: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        advice["facts"]["held_bytes"].as_u64().unwrap()
    };
    let file = lake.bench.path("in/flights.parquet");
    assert_eq!(held("s3://lake/in/"), std::fs::metadata(&file).unwrap().len());
    assert_eq!(held(file.to_str().unwrap()), 0);
}

#[test]
fn workers_of_a_coordinator_share_a_bucket_and_one_may_die() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    let Lake { s3, bench } = lake;
    let mut cluster = Cluster::start_with(bench, Setting::default(), direct.clone());
    cluster.submit("all");
    let first = cluster.add(cluster.worker());
    let record = "out/_nightshift/v1/runs/flights-all-g1/records/";
    wait_for("a record", || {
        (0..5).any(|shard| s3.has("lake", &format!("{record}{shard:07}.json"))).then_some(())
    });
    cluster.kill_worker(first);
    cluster.add(cluster.worker());
    wait_for("the marker", || s3.has("lake", "out/all/gen=1/_SUCCESS").then_some(()));
    cluster.assert_sound();
    let copy = cluster.bench().path("copy");
    s3.fetch("lake", "out", &copy);
    Audit::of(&copy).copy("s3://lake/in", &cluster.bench().path("in")).runs(1).passes();
    with(cluster.bench().command("verify"), &direct).run().expect(0);
}

#[test]
fn an_object_that_was_replaced_since_it_was_planned_is_never_mixed_in() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    let Lake { s3, bench } = lake;
    let mut cluster = Cluster::start_with(bench, Setting::default(), direct.clone());
    cluster.submit("all");
    let other = cluster.bench().path("other");
    nightshift_tests::flights::write(&other.join("flights.parquet"), ROWS + 1);
    s3.put("lake", "in", &other);
    cluster.add(cluster.worker());
    wait_for("the final", || s3.has("lake", "out/_nightshift/v1/finals/all/g1.json").then_some(()));
    let why = with(cluster.bench().command("report"), &direct).args(["--output-format", "json"]);
    let why = why.run();
    let copy = cluster.bench().path("copy");
    s3.fetch("lake", "out", &copy);
    assert_eq!(parts(&copy, 1), 0, "{why}");
    let record = nightshift_tests::store::record(&copy, "flights-all-g1", 0).unwrap().to_string();
    assert!(record.contains("input_changed"), "{record}");
    assert_eq!(record.matches("etag:").count(), 2, "both versions are named: {record}");
}
