//! Input from buckets and output to them: the promises of a volume, over a server of S3.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::{Path, PathBuf};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::random::Random;
use nightshift_tests::s3::S3;
use nightshift_tests::s3_faults::{Fault, Faults};
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

const ROWS: u64 = 1_000;
/// What no output and no message may hold: the key of [`S3::environment`], and the one that the
/// proxy repeats in its errors.
const CANARIES: [&str; 2] = ["canary-secret", "canary-key"];
const OUTPUT: &str = "output:  { uri: out, ";
const BUCKET_OUTPUT: &str = "output:  { uri: \"s3://lake/out\", ";

type Environment = Vec<(&'static str, String)>;

/// A server whose bucket has the input of a bench, and the bench, whose spec is in the bucket.
struct Lake {
    s3: S3,
    bench: Bench,
}

impl Lake {
    fn new(spec: &SpecText, file: &str) -> Self {
        let s3 = S3::start();
        let bench = Bench::with(spec, file, ROWS);
        s3.put("lake", "in", &bench.path("in"));
        let spec = SpecText { input: "s3://lake/in/".to_owned(), ..spec.clone() };
        bench.write_spec(&in_bucket(&spec));
        Self { s3, bench }
    }

    fn parquet() -> Self {
        Self::new(&SpecText::default(), "flights.parquet")
    }

    fn command(&self, name: &str, environment: &Environment) -> Program {
        with(self.bench.command(name), environment)
    }

    fn direct(&self) -> Environment {
        self.s3.environment().to_vec()
    }

    /// Has the auditor judge a copy of the output; gives the folder and how many uploads nobody
    /// finished.
    #[track_caller]
    fn audit(&self) -> (PathBuf, u32) {
        let copy = self.bench.path("copy");
        let _ = std::fs::remove_dir_all(&copy);
        let unfinished = self.s3.fetch("lake", "out", &copy);
        Audit::of(&copy).copy("s3://lake/in", &self.bench.path("in")).passes();
        for (path, bytes) in self.bench.contents() {
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            assert_no_secret(&path.display().to_string(), &text);
        }
        (copy, unfinished)
    }
}

/// The YAML of `spec` with its output in the bucket.
fn in_bucket(spec: &SpecText) -> String {
    let text = spec.yaml().replace("output: {", "output:  {");
    assert!(text.contains(OUTPUT), "{text}");
    text.replace(OUTPUT, BUCKET_OUTPUT)
}

fn with(program: Program, environment: &Environment) -> Program {
    environment.iter().fold(program, |program, (name, value)| program.env(name, value))
}

#[track_caller]
fn assert_no_secret(place: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} in {place}: {text}");
    }
}

#[track_caller]
fn assert_said_no_secret(done: &Finished) {
    assert_no_secret("what was said", &done.stderr);
    assert_no_secret("what was printed", &done.stdout);
}

fn parts(folder: &Path, generation: u32) -> usize {
    let folder = folder.join(format!("all/gen={generation}"));
    std::fs::read_dir(folder).map_or(0, |entries| {
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("part-")).count()
    })
}

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

#[test]
fn nothing_is_lost_or_made_twice_when_one_request_of_a_hundred_fails() {
    whole_run_at(1, "nothing_is_lost_or_made_twice_when_one_request_of_a_hundred_fails");
}

#[test]
fn nothing_is_lost_or_made_twice_when_one_request_of_ten_fails() {
    whole_run_at(10, "nothing_is_lost_or_made_twice_when_one_request_of_ten_fails");
}

#[test]
fn nothing_is_lost_or_made_twice_when_every_other_request_fails() {
    whole_run_at(50, "nothing_is_lost_or_made_twice_when_every_other_request_fails");
}

/// Runs a date through a store that spoils `percent` of all requests, until a process says that
/// it is done or has had enough tries; whatever was left is finished without faults, and audited.
#[track_caller]
fn whole_run_at(percent: u64, test: &str) {
    /// Processes that may give up, as one in a pod would.
    const TRIES: usize = 4;
    let lake = Lake::parquet();
    let faults = Faults::at(&lake.s3, percent, Random::for_test(test));
    let mut environment = lake.s3.environment_by(faults.url());
    environment.push(("NIGHTSHIFT_STORE_TIMEOUT", "1".to_owned()));
    for _ in 0..TRIES {
        let ran = with(lake.bench.run(), &environment).run();
        assert_said_no_secret(&ran);
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        if ran.code() == Some(0) {
            break;
        }
        // Out of reach, I/O, partial, or to be tried again: never a bug, a right or the spec.
        assert!(matches!(ran.code(), Some(65 | 66 | 69 | 73 | 74 | 75)), "{ran}");
    }
    let (requests, spoiled) = (faults.seen().len(), faults.spoiled());
    eprintln!("{percent} %: {spoiled} of {requests} requests were spoiled");
    assert!(spoiled > 0 || percent == 1);
    let direct = lake.direct();
    with(lake.bench.run(), &direct).run().expect(0);
    lake.command("verify", &direct).run().expect(0);
    lake.audit();
}

#[test]
fn a_refusal_ends_the_run_at_once_and_names_the_right_that_is_missing() {
    let of_input = |request: &nightshift_tests::s3_faults::Request| {
        request.target.contains("/lake/in/") && request.method == "GET"
    };
    let cases: [(&str, nightshift_tests::s3_faults::Rule); 3] = [
        (
            "s3:PutObject",
            Box::new(|request| {
                (request.method == "PUT").then_some(Fault::Refused(403, "AccessDenied"))
            }),
        ),
        (
            "s3:GetObject",
            Box::new(move |request| {
                of_input(request).then_some(Fault::Refused(403, "AccessDenied"))
            }),
        ),
        ("missing, wrong or expired", Box::new(|_| Some(Fault::Refused(401, "Unauthorized")))),
    ];
    for (words, rule) in cases {
        let lake = Lake::parquet();
        let faults = Faults::start(&lake.s3, rule);
        let environment = lake.s3.environment_by(faults.url());
        let refused = with(lake.bench.run(), &environment).run().expect(77);
        assert!(refused.stderr.contains(words), "{words}: {refused}");
        assert_said_no_secret(&refused);
        assert!(faults.seen().len() < 60, "asked {} times", faults.seen().len());
    }
}

#[test]
fn a_store_that_ignores_the_condition_is_refused_by_name() {
    let lake = Lake::parquet();
    let rule = |_: &nightshift_tests::s3_faults::Request| Some(Fault::Unconditional);
    let faults = Faults::start(&lake.s3, Box::new(rule));
    let environment = lake.s3.environment_by(faults.url());
    let refused = with(lake.bench.run(), &environment).run().expect(78);
    assert!(refused.stderr.contains("s3://lake/out cannot be used as an output"), "{refused}");
    assert!(refused.stderr.contains("a second create is refused: it was accepted"), "{refused}");
}

#[test]
fn places_that_are_none_are_refused_before_anything_is_asked() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    for (output, code, words) in [
        ("s3://AKIA:canary-secret@lake/out", 78, "it holds credentials"),
        ("s3://169.254.169.254/out", 78, "hands out credentials"),
        ("data:text/csv,canary-secret", 78, "`data:` URL"),
        ("s3:///out", 78, "it names no bucket"),
        ("gs://lake/out", 78, "is not supported by this build"),
    ] {
        let text = in_bucket(&SpecText::default()).replace("s3://lake/out", output);
        lake.bench.write_spec(&text);
        let refused = with(lake.bench.run(), &direct).run().expect(code);
        assert!(refused.stderr.contains(words), "{output}: {refused}");
        assert_said_no_secret(&refused);
    }
    let spec = in_bucket(&SpecText::default());
    lake.bench.write_spec(&spec.replace("s3://lake/out", "s3://nobodys/out"));
    let refused = with(lake.bench.run(), &direct).run().expect(78);
    assert!(refused.stderr.contains("there is no bucket for s3://nobodys/out"), "{refused}");
}

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
