//! Models that come from a Hub, from an MLflow registry and from buckets, through the programs that
//! people use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries::example_model;
use nightshift_tests::bucket_server::{BucketServer, Kind};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::hub::{Files, Hub};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::registry::Registry;
use nightshift_tests::s3::S3;
use nightshift_tests::tools;
use nightshift_tests::waiting::wait_for;
use serde_json::Value;

const ROWS: u64 = 1_000;
const DATES: [&str; 2] = ["2013-01-01", "2013-01-02"];
/// What no output and no message may hold.
const CANARY: &str = "canary-secret";

type Environment = Vec<(&'static str, String)>;

/// The example's spec with another model.
fn spec(model: &str) -> String {
    let text = SpecText::default().yaml();
    let example = example_model().display().to_string();
    assert!(text.contains(&example));
    text.replace(&example, model)
}

/// A bench of one partition whose model is `uri`.
fn bench(uri: &str) -> Bench {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    bench.write_spec(&spec(uri));
    bench
}

/// The variables of a process, with a cache of its bench's own.
fn environment(
    bench: &Bench,
    more: impl IntoIterator<Item = (&'static str, String)>,
) -> Environment {
    let cache = bench.path("cache").display().to_string();
    [("NIGHTSHIFT_MODEL_CACHE", cache)].into_iter().chain(more).collect()
}

fn with(program: Program, environment: &Environment) -> Program {
    environment.iter().fold(program, |program, (name, value)| program.env(name, value))
}

/// The example's model, and one that predicts something else.
fn changed_model(place: &Path) -> PathBuf {
    let folder = place.join("changed");
    fs::create_dir_all(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(example_model().join(name), folder.join(name)).unwrap();
    }
    let config = folder.join("config.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    value["features"][0]["mean"] = 20.0.into();
    fs::write(&config, value.to_string()).unwrap();
    folder
}

/// The stored plan of a run.
fn plan(bench: &Bench, run: &str) -> Value {
    let path = format!("_nightshift/v1/runs/{run}/plan.json");
    serde_json::from_slice(&fs::read(bench.output().join(path)).unwrap()).unwrap()
}

/// The digest that a run in a plain folder has in its plan.
fn digest_of(model: &Path) -> Value {
    let bench = bench(&model.display().to_string());
    bench.run().run().expect(0);
    plan(&bench, "flights-all-g1")["model"]["digest"].clone()
}

fn assert_no_secret(bench: &Bench, finished: &Finished) {
    assert!(!finished.stdout.contains(CANARY) && !finished.stderr.contains(CANARY), "{finished}");
    for (path, bytes) in bench.contents() {
        let found = bytes.is_some_and(|bytes| {
            bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
        });
        assert!(!found, "{} holds a secret", path.display());
    }
}

#[test]
fn a_run_takes_its_model_from_a_hub() {
    let hub = Hub::start();
    let files = ["config.json", "model.safetensors"].into_iter();
    let files = files.map(|name| (name.to_owned(), fs::read(example_model().join(name)).unwrap()));
    let commit = hub.commit('c', files.collect::<Files>());
    hub.require(CANARY);
    let bench = bench("hf://org/model@main");
    let environment =
        environment(&bench, [("HF_ENDPOINT", hub.url()), ("HF_TOKEN", CANARY.to_owned())]);

    let doctor = with(bench.command("doctor"), &environment).run().expect(0);
    assert!(doctor.stdout.contains(&format!("is hf://org/model@{commit}")), "{doctor}");
    let ran = with(bench.command("run"), &environment).args(["--log", "trace"]).run().expect(0);
    tools::audit(&bench.output(), 1);
    assert_no_secret(&bench, &ran);
    let model = &plan(&bench, "flights-all-g1")["model"];
    assert_eq!(model["uri"], "hf://org/model@main");
    assert_eq!(model["pinned"]["commit"], commit.as_str());
    assert_eq!(model["digest"], digest_of(&example_model()));

    // Who may not read it is told which right is missing.
    let refused = self::bench("hf://org/model@main");
    let stranger = self::environment(&refused, [("HF_ENDPOINT", hub.url())]);
    let denied = with(refused.run(), &stranger).run().expect(77);
    assert!(denied.stderr.contains("HF_TOKEN"), "{denied}");
    assert!(!refused.output().exists(), "something was written before the model was there");
}

#[test]
fn an_alias_that_moves_in_the_middle_of_a_run_changes_nothing_for_it() {
    let registry = Registry::start();
    let bench = Bench::dated(&SpecText::default(), &DATES, ROWS);
    let dated = SpecText { input: "in/date={date}/*.parquet".to_owned(), ..SpecText::default() };
    let example = example_model().display().to_string();
    bench.write_spec(&dated.yaml().replace(&example, "models:/delay@champion"));
    let changed = changed_model(&bench.path("models"));
    let (one, two) =
        (registry.register("delay", &example_model()), registry.register("delay", &changed));
    assert_eq!((one, two), (1, 2));
    registry.alias("delay", "champion", one);
    let environment = environment(&bench, [("MLFLOW_TRACKING_URI", registry.url())]);

    let doctor = with(bench.command("doctor"), &environment).run().expect(0);
    assert!(doctor.stdout.contains("models:/delay@champion is models:/delay/1"), "{doctor}");
    let planned = with(bench.command("plan"), &environment).args(["--date", DATES[0]]);
    planned.run().expect(0);

    let mut cluster = Cluster::start_with(bench, Setting::default(), environment.clone());
    let run = cluster.submit(DATES[0]);
    registry.alias("delay", "champion", two);
    // A worker of another host, which has to fetch the model itself.
    let cache = cluster.bench().path("other-cache");
    let worker = cluster.worker().env("NIGHTSHIFT_MODEL_CACHE", cache);
    cluster.add(worker);
    let verdict = cluster.wait_for_final(DATES[0], 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    let model = plan(cluster.bench(), &run)["model"].clone();
    assert_eq!(model["pinned"]["version"], 1);
    assert_eq!(model["version"], "1");
    assert_eq!(model["digest"], digest_of(&example_model()));

    let next = cluster.submit(DATES[1]);
    cluster.wait_for_final(DATES[1], 1);
    let model = plan(cluster.bench(), &next)["model"].clone();
    assert_eq!(model["pinned"]["version"], 2);
    assert_eq!(model["digest"], digest_of(&changed));
    cluster.auditor().runs(2).passes();

    // A version by its number, without a coordinator.
    let bench = self::bench("models:/delay/1");
    let environment = self::environment(&bench, [("MLFLOW_TRACKING_URI", registry.url())]);
    with(bench.run(), &environment).run().expect(0);

    // A version whose artifacts lie in a folder.
    let version = registry.register_local("delay", &example_model());
    let local = self::bench(&format!("models:/delay/{version}"));
    let environment = self::environment(&local, [("MLFLOW_TRACKING_URI", registry.url())]);
    with(local.run(), &environment).run().expect(0);
    assert!(!local.path("cache").exists(), "a folder needs no copy");
    assert_eq!(plan(&local, "flights-all-g1")["model"]["digest"], digest_of(&example_model()));

    let missing = self::bench("models:/delay@nobody");
    let refused = with(missing.run(), &environment).run().expect(78);
    assert!(refused.stderr.contains("models:/delay@nobody"), "{refused}");
    assert!(refused.stderr.contains("alias nobody not found"), "{refused}");
}

#[test]
fn a_model_may_lie_in_s3() {
    let s3 = S3::start();
    s3.put("models", "delay/v3", &example_model());
    let bench = bench("s3://models/delay/v3");
    let environment = environment(&bench, s3.environment());
    let ran = with(bench.run(), &environment).run().expect(0);
    assert_no_secret(&bench, &ran);
    let model = &plan(&bench, "flights-all-g1")["model"];
    assert_eq!(model["digest"], digest_of(&example_model()));
    assert!(model["pinned"]["objects"][0]["etag"].is_string(), "{model}");

    // One file into another.
    let scored = with(Program::worker(), &environment)
        .args(["--model", "s3://models/delay/v3", "--input"])
        .arg(bench.path("in/flights.parquet"))
        .arg("--output")
        .arg(bench.path("scores.parquet"));
    scored.run().expect(0);

    // A worker that plans nothing any more needs the planned objects.
    let missing = self::bench("s3://models/delay/v4");
    let refused = with(missing.run(), &environment).run().expect(78);
    assert!(refused.stderr.contains("there is no s3://models/delay/v4"), "{refused}");
}

#[test]
fn a_model_may_lie_in_a_bucket_of_google_or_azure() {
    for kind in [Kind::Gcs, Kind::Azure] {
        let server = BucketServer::start(kind);
        server.put("models", "delay/v3", &example_model());
        let uri = |version: &str| format!("{}://models/delay/{version}", kind.scheme());
        let bench = bench(&uri("v3"));
        let environment = environment(&bench, server.environment());
        let ran = with(bench.run(), &environment).run().expect(0);
        for canary in server.canaries() {
            assert!(!ran.stdout.contains(&canary) && !ran.stderr.contains(&canary), "{ran}");
        }
        let model = &plan(&bench, "flights-all-g1")["model"];
        assert_eq!(model["digest"], digest_of(&example_model()));
        assert!(model["pinned"]["objects"][0]["etag"].is_string(), "{model}");

        let missing = self::bench(&uri("v4"));
        let refused = with(missing.run(), &environment).run().expect(78);
        let told = format!("there is no {}", uri("v4"));
        assert!(refused.stderr.contains(&told), "{refused}");
    }
}

#[test]
fn a_model_that_was_replaced_in_its_bucket_is_not_taken_for_the_planned_one() {
    for kind in [Kind::Gcs, Kind::Azure] {
        let server = BucketServer::start(kind);
        server.put("models", "delay", &example_model());
        let bench = Bench::dated(&SpecText::default(), &DATES[..1], ROWS);
        let dated =
            SpecText { input: "in/date={date}/*.parquet".to_owned(), ..SpecText::default() };
        let example = example_model().display().to_string();
        let uri = format!("{}://models/delay", kind.scheme());
        bench.write_spec(&dated.yaml().replace(&example, &uri));
        let environment = environment(&bench, server.environment());
        let mut cluster = Cluster::start_with(bench, Setting::default(), environment);
        let run = cluster.submit(DATES[0]);
        server.put("models", "delay", &changed_model(&cluster.bench().path("other")));
        let cache = cluster.bench().path("other-cache");
        let worker = cluster.add(cluster.worker().env("NIGHTSHIFT_MODEL_CACHE", cache));
        let words = "replaced since the run was planned";
        wait_for("the refusal of the model", || {
            cluster.logs().iter().any(|log| log.contains(words)).then_some(())
        });
        cluster.kill_worker(worker);
        assert!(cluster.started(&run).is_empty(), "a shard was begun with another model");
    }
}
