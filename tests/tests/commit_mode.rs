//! `--commit-mode=coordinator`: a store that ignores the condition of a create, and one process
//! that decides in its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use nightshift_proto::wire::{CreateRecordRequest, RecordState};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::grpc::Client;
use nightshift_tests::process::Program;
use nightshift_tests::s3::S3;
use nightshift_tests::s3_faults::{Fault, Faults, Request, Rule};
use nightshift_tests::store;
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

const ROWS: u64 = 1_000;
const RUN: &str = "flights-all-g1";
const MARKER: &str = "out/all/gen=1/_SUCCESS";

type Environment = Vec<(&'static str, String)>;

/// A store that ignores conditions, and a bench whose output is in it.
struct Careless {
    s3: S3,
    faults: Faults,
    bench: Bench,
}

impl Careless {
    fn new(rule: Rule) -> Self {
        let s3 = S3::start();
        let spec = SpecText { sharding: "rows: 50".to_owned(), ..SpecText::default() };
        let bench = Bench::with(&spec, "flights.parquet", ROWS);
        // Makes the bucket.
        s3.put("lake", "in", &bench.path("in"));
        let text = std::fs::read_to_string(bench.spec()).unwrap();
        let text = text.replace("output: { uri: out,", "output: { uri: \"s3://lake/out\",");
        assert!(text.contains("s3://lake/out"), "{text}");
        bench.write_spec(&text);
        let faults = Faults::start(&s3, rule);
        Self { s3, faults, bench }
    }

    fn plain() -> Self {
        Self::new(Box::new(|_| Some(Fault::Unconditional)))
    }

    /// What processes need to reach it. Requests are given up soon, so that waits that follow
    /// from that are short.
    fn environment(&self) -> Environment {
        let mut environment = self.s3.environment_by(self.faults.url());
        environment.push(("NIGHTSHIFT_STORE_TIMEOUT", "3".to_owned()));
        environment
    }

    /// The same for processes that decide.
    fn deciding(&self) -> Environment {
        let mut environment = self.environment();
        environment.push(("NIGHTSHIFT_COMMIT_MODE", "coordinator".to_owned()));
        environment
    }

    fn run(&self) -> Program {
        with(self.bench.run(), &self.deciding())
    }
}

fn with(program: Program, environment: &Environment) -> Program {
    environment.iter().fold(program, |program, (name, value)| program.env(name, value))
}

/// Has the auditor judge a copy of the output.
#[track_caller]
fn audit(s3: &S3, bench: &Bench, runs: u32) {
    let copy = bench.path("copy");
    let _ = std::fs::remove_dir_all(&copy);
    s3.fetch("lake", "out", &copy);
    Audit::of(&copy).runs(runs).passes();
}

fn holder(s3: &S3, bench: &Bench) -> serde_json::Value {
    let copy = bench.path("holder");
    let _ = std::fs::remove_dir_all(&copy);
    s3.fetch("lake", "out/_nightshift/v1", &copy);
    serde_json::from_slice(&std::fs::read(copy.join("holder.json")).unwrap()).unwrap()
}

#[test]
fn without_the_flag_the_store_is_refused_and_the_flag_is_named() {
    let careless = Careless::plain();
    let refused = with(careless.bench.run(), &careless.environment()).run().expect(78);
    assert!(refused.stderr.contains("or --commit-mode=coordinator"), "{refused}");
}

#[test]
fn a_run_on_a_laptop_decides_and_leaves_the_root_to_the_next() {
    let careless = Careless::plain();
    let ran = careless.run().run().expect(0);
    assert!(ran.stderr.contains("s3://lake/out: this process decides"), "{ran}");
    assert!(ran.stderr.contains("Not promised any more"), "{ran}");
    audit(&careless.s3, &careless.bench, 1);
    assert_eq!(holder(&careless.s3, &careless.bench)["released"], true);
    let again = careless.run().run().expect(0);
    assert!(again.stdout.contains("done"), "{again}");
    let forced = careless.run().arg("--force").run().expect(0);
    assert!(!forced.stderr.contains("waiting to see"), "the root was left: {forced}");
    audit(&careless.s3, &careless.bench, 2);
}

#[test]
fn answers_that_are_lost_do_no_harm_where_one_process_decides() {
    let mut seen = 0_u32;
    let careless = Careless::new(Box::new(move |request: &Request| {
        if request.is_conditional_create() {
            seen += 1;
            match seen % 7 {
                2 => return Some(Fault::ResetBefore),
                4 => return Some(Fault::ResetAfter),
                6 => return Some(Fault::Denies(500, "InternalError")),
                _ => {}
            }
        }
        Some(Fault::Unconditional)
    }));
    careless.run().run().expect(0);
    audit(&careless.s3, &careless.bench, 1);
}

#[test]
fn on_a_volume_the_flag_says_that_it_changes_nothing() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    let ran = bench.run().args(["--commit-mode", "coordinator"]).run().expect(0);
    assert!(ran.stderr.contains("on a volume, which decides"), "{ran}");
    assert!(!bench.output().join("_nightshift/v1/holder.json").exists());
    let wrong = bench.run().args(["--commit-mode", "worker"]).run().expect(64);
    assert!(wrong.stderr.contains("`worker` is no commit mode; write store"), "{wrong}");
}

#[test]
fn workers_have_their_records_created_and_a_killed_coordinator_is_followed() {
    let careless = Careless::plain();
    let environment = careless.deciding();
    let Careless { s3, faults, bench } = careless;
    let mut cluster = Cluster::start_with(bench, Setting::default(), environment.clone());
    cluster.submit("all");
    cluster.add(cluster.worker());
    let records = format!("out/_nightshift/v1/runs/{RUN}/records/");
    wait_for("a record", || {
        (0..20).any(|shard| s3.has("lake", &format!("{records}{shard:07}.json"))).then_some(())
    });
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.add(cluster.worker());
    wait_for("the marker", || s3.has("lake", MARKER).then_some(()));

    // Another coordinator is refused, whether it finds the output in the home or is asked for it.
    let home = cluster.bench().path("home");
    let coordinator = |home: &std::path::Path| {
        let ports = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--home"];
        with(Program::coordinator().args(ports).arg(home), &environment)
    };
    let second = coordinator(&home).run().expect(75);
    assert!(second.stderr.contains("s3://lake/out is held by coordinator "), "{second}");
    // So is a run on a laptop.
    let beside = with(cluster.bench().run(), &environment).arg("--force").run().expect(69);
    assert!(beside.stderr.contains("s3://lake/out is held by coordinator "), "{beside}");

    cluster.assert_sound();
    let worked = cluster.events("shard committed").len();
    assert!(worked >= 20, "{worked} commits");
    let ended = cluster.coordinator().terminate();
    assert!(ended.stderr.contains("Not promised any more"), "{ended}");
    assert_eq!(holder(&s3, cluster.bench())["released"], true);
    audit(&s3, cluster.bench(), 1);
    assert!(faults.spoiled() > 0);
}

#[test]
fn of_twenty_workers_that_commit_a_shard_at_once_one_wins() {
    let careless = Careless::plain();
    let environment = careless.deciding();
    let Careless { s3, faults: _faults, bench } = careless;
    // A record as workers make them: that of the same run on a volume.
    let spec = SpecText { sharding: "rows: 50".to_owned(), ..SpecText::default() };
    let model = Bench::with(&spec, "flights.parquet", ROWS);
    model.run().run().expect(0);
    let mut record = store::record(&model.output(), RUN, 7).unwrap();
    let cluster = Cluster::start_with(bench, Setting::default(), environment);
    assert_eq!(cluster.submit("all"), RUN);
    let digits = "0123456789ABCDEFGHJK".chars();
    let requests: Vec<CreateRecordRequest> = digits
        .map(|digit| {
            record["attempt"] = format!("01ARZ3NDEKTSV4RRFFQ69G5FA{digit}").into();
            CreateRecordRequest {
                worker_id: format!("racer-{digit}"),
                run: RUN.to_owned(),
                shard: 7,
                record: serde_json::to_vec(&record).unwrap(),
            }
        })
        .collect();
    let url = cluster.url();
    let states: Vec<RecordState> = std::thread::scope(|scope| {
        let race = |request: &CreateRecordRequest| {
            let (url, request) = (url.clone(), request.clone());
            scope.spawn(move || Client::new(&url).create_record(request).unwrap().state())
        };
        let racers: Vec<_> = requests.iter().map(race).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let won: Vec<usize> = (0..20).filter(|racer| states[*racer] == RecordState::Created).collect();
    assert_eq!(won.len(), 1, "{states:?}");
    assert_eq!(states.iter().filter(|state| **state == RecordState::Exists).count(), 19);
    let copy = cluster.bench().path("copy");
    s3.fetch("lake", "out", &copy);
    let path = format!("_nightshift/v1/runs/{RUN}/records/0000007.json");
    assert_eq!(std::fs::read(copy.join(path)).unwrap(), requests[won[0]].record);

    // What is no record of the shard is nobody's.
    let client = Client::new(&url);
    let other = CreateRecordRequest { shard: 8, ..requests[0].clone() };
    let refused = client.create_record(other).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
}
