//! Buckets of Google Cloud Storage and containers of Azure: the promises of S3, over a double of
//! the one and the emulator of the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::{Path, PathBuf};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::bucket_server::{BucketServer, Kind};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::random::Random;
use nightshift_tests::s3_faults::{Fault, Faults, Request, Rule};
use nightshift_tests::tools::Audit;
use nightshift_tests::waiting::wait_for;

const ROWS: u64 = 1_000;
const KINDS: [Kind; 2] = [Kind::Gcs, Kind::Azure];

type Environment = Vec<(&'static str, String)>;

/// A server whose bucket has the input of a bench, and the bench, whose spec is in the bucket.
struct Lake {
    kind: Kind,
    server: BucketServer,
    bench: Bench,
}

impl Lake {
    fn new(kind: Kind, spec: &SpecText, file: &str, rows: u64) -> Self {
        let server = BucketServer::start(kind);
        let bench = Bench::with(spec, file, rows);
        server.put("lake", "in", &bench.path("in"));
        let lake = Self { kind, server, bench };
        let spec = SpecText { input: format!("{}/", lake.uri("in")), ..spec.clone() };
        lake.bench.write_spec(&lake.in_bucket(&spec));
        lake
    }

    fn parquet(kind: Kind) -> Self {
        Self::new(kind, &SpecText::default(), "flights.parquet", ROWS)
    }

    fn uri(&self, prefix: &str) -> String {
        format!("{}://lake/{prefix}", self.kind.scheme())
    }

    /// The YAML of `spec` with its output in the bucket.
    fn in_bucket(&self, spec: &SpecText) -> String {
        let (text, output) = (spec.yaml(), format!("output: {{ uri: \"{}\", ", self.uri("out")));
        let placed = text.replace("output: { uri: out, ", &output);
        assert_ne!(placed, text);
        placed
    }

    fn command(&self, name: &str, environment: &Environment) -> Program {
        with(self.bench.command(name), environment)
    }

    fn run(&self, environment: &Environment) -> Program {
        with(self.bench.run(), environment)
    }

    fn direct(&self) -> Environment {
        self.server.environment()
    }

    fn faults(&self, rule: Rule) -> (Faults, Environment) {
        let faults = Faults::before(&self.server.url(), rule);
        let environment = self.server.environment_by(faults.url());
        (faults, environment)
    }

    /// Has the auditor judge a copy of the output; gives the folder and how many uploads nobody
    /// finished.
    #[track_caller]
    fn audit(&self) -> (PathBuf, u32) {
        let copy = self.bench.path("copy");
        let _ = std::fs::remove_dir_all(&copy);
        let unfinished = self.server.fetch("lake", "out", &copy);
        Audit::of(&copy).copy(&self.uri("in"), &self.bench.path("in")).passes();
        for (path, bytes) in self.bench.contents() {
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            self.assert_no_secret(&path.display().to_string(), &text);
        }
        (copy, unfinished)
    }

    #[track_caller]
    fn assert_no_secret(&self, place: &str, text: &str) {
        for canary in self.server.canaries().iter().map(String::as_str).chain(["canary-key"]) {
            assert!(!text.contains(canary), "{canary} in {place}: {text}");
        }
    }

    #[track_caller]
    fn assert_said_no_secret(&self, done: &Finished) {
        self.assert_no_secret("what was said", &done.stderr);
        self.assert_no_secret("what was printed", &done.stdout);
    }
}

fn with(program: Program, environment: &Environment) -> Program {
    environment.iter().fold(program, |program, (name, value)| program.env(name, value))
}

fn parts(folder: &Path, generation: u32) -> usize {
    let folder = folder.join(format!("all/gen={generation}"));
    std::fs::read_dir(folder).map_or(0, |entries| {
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("part-")).count()
    })
}

#[test]
fn a_run_reads_a_bucket_of_google_and_writes_one() {
    whole_runs(Kind::Gcs);
}

#[test]
fn a_run_reads_a_container_of_azure_and_writes_one() {
    whole_runs(Kind::Azure);
}

#[track_caller]
fn whole_runs(kind: Kind) {
    for (file, format) in
        [("flights.parquet", "parquet"), ("flights.csv.gz", "csv"), ("flights.jsonl", "jsonl")]
    {
        let lake = Lake::new(kind, &SpecText { format, ..SpecText::default() }, file, ROWS);
        let direct = lake.direct();
        let ran = lake.run(&direct).run().expect(0);
        lake.assert_said_no_secret(&ran);
        let verified = lake.command("verify", &direct).arg("--inputs").run().expect(0);
        assert!(verified.stdout.contains("ok"), "{verified}");
        let (copy, unfinished) = lake.audit();
        assert_eq!((parts(&copy, 1), unfinished), (5, 0), "{file}");
        assert!(copy.join("all/gen=1/_SUCCESS").is_file());
        let again = lake.run(&direct).run().expect(0);
        assert!(again.stdout.contains("done"), "{again}");
    }
}

#[test]
fn input_and_output_need_not_be_in_the_same_kind_of_place() {
    for kind in KINDS {
        let lake = Lake::parquet(kind);
        let direct = lake.direct();
        // From the bucket to a volume.
        let (output, inputs) = (lake.bench.output(), lake.bench.path("in"));
        lake.run(&direct).arg("--output").arg(&output).run().expect(0);
        Audit::of(&output).copy(&lake.uri("in"), &inputs).runs(1).passes();
        // From a volume to the bucket.
        lake.run(&direct).arg("--input").arg(&inputs).run().expect(0);
        assert_eq!(parts(&lake.audit().0, 1), 5);
    }
}

#[test]
fn from_one_store_to_the_other() {
    let (from, to) = (Lake::parquet(Kind::Gcs), Lake::parquet(Kind::Azure));
    let environment = [from.direct(), to.direct()].concat();
    to.run(&environment).args(["--input", &from.uri("in/")]).run().expect(0);
    let copy = to.bench.path("copy");
    to.server.fetch("lake", "out", &copy);
    Audit::of(&copy).copy(&from.uri("in"), &from.bench.path("in")).runs(1).passes();
}

#[test]
fn what_another_generation_replaced_is_collected() {
    for kind in KINDS {
        let lake = Lake::parquet(kind);
        let direct = lake.direct();
        lake.run(&direct).run().expect(0);
        lake.run(&direct).arg("--force").run().expect(0);
        let text = format!(
            "{}  retention: {{ succeeded: 1, superseded: 0s }}\n",
            std::fs::read_to_string(lake.bench.spec()).unwrap()
        );
        lake.bench.write_spec(&text);
        let looked = lake.command("gc", &direct).run().expect(0);
        assert!(looked.stdout.contains("g1"), "{looked}");
        lake.command("gc", &direct).arg("--delete").run().expect(0);
        let (copy, _) = lake.audit();
        assert_eq!((parts(&copy, 1), parts(&copy, 2)), (0, 5), "{kind:?}");
        lake.command("verify", &direct).run().expect(0);
    }
}

#[test]
fn an_upload_that_nobody_finished_is_collected_after_a_day() {
    let lake = Lake::parquet(Kind::Gcs);
    let direct = lake.direct();
    lake.run(&direct).run().expect(0);
    for (prefix, seconds_ago) in [("out", 60), ("out", 2 * 86_400), ("elsewhere", 2 * 86_400)] {
        lake.server.begin_upload("lake", &format!("{prefix}/a&b"), seconds_ago);
    }
    assert_eq!(lake.audit().1, 3);
    lake.command("gc", &direct).run().expect(0);
    assert_eq!(lake.audit().1, 3, "only looked");
    let collected = lake.command("gc", &direct).arg("--delete").run().expect(0);
    lake.assert_said_no_secret(&collected);
    assert_eq!(lake.audit().1, 2, "{collected}");
}

#[test]
fn workers_of_a_coordinator_share_a_bucket_and_one_may_die() {
    for kind in KINDS {
        let Lake { server, bench, .. } = Lake::parquet(kind);
        let direct = server.environment();
        let mut cluster = Cluster::start_with(bench, Setting::default(), direct.clone());
        cluster.submit("all");
        let first = cluster.add(cluster.worker());
        let record = "out/_nightshift/v1/runs/flights-all-g1/records/";
        wait_for("a record", || {
            let has = |shard| server.has("lake", &format!("{record}{shard:07}.json"));
            (0..5).any(has).then_some(())
        });
        cluster.kill_worker(first);
        cluster.add(cluster.worker());
        wait_for("the marker", || server.has("lake", "out/all/gen=1/_SUCCESS").then_some(()));
        cluster.assert_sound();
        let copy = cluster.bench().path("copy");
        server.fetch("lake", "out", &copy);
        let input = format!("{}://lake/in", kind.scheme());
        Audit::of(&copy).copy(&input, &cluster.bench().path("in")).runs(1).passes();
        with(cluster.bench().command("verify"), &direct).run().expect(0);
    }
}

#[test]
fn an_object_that_was_replaced_since_it_was_planned_is_never_mixed_in() {
    for kind in KINDS {
        let Lake { server, bench, .. } = Lake::parquet(kind);
        let direct = server.environment();
        let mut cluster = Cluster::start_with(bench, Setting::default(), direct.clone());
        cluster.submit("all");
        let other = cluster.bench().path("other");
        nightshift_tests::flights::write(&other.join("flights.parquet"), ROWS + 1);
        server.put("lake", "in", &other);
        cluster.add(cluster.worker());
        let verdict = "out/_nightshift/v1/finals/all/g1.json";
        wait_for("the final", || server.has("lake", verdict).then_some(()));
        let copy = cluster.bench().path("copy");
        server.fetch("lake", "out", &copy);
        assert_eq!(parts(&copy, 1), 0, "{kind:?}");
        let record = nightshift_tests::store::record(&copy, "flights-all-g1", 0);
        let record = record.unwrap().to_string();
        assert!(record.contains("input_changed"), "{record}");
        assert_eq!(record.matches("etag:").count(), 2, "both versions are named: {record}");
    }
}

#[test]
fn nothing_is_lost_or_made_twice_when_one_request_of_ten_fails() {
    for kind in KINDS {
        whole_run_at(kind, 10, "nothing_is_lost_or_made_twice_when_one_request_of_ten_fails");
    }
}

#[test]
fn nothing_is_lost_or_made_twice_when_every_other_request_fails() {
    for kind in KINDS {
        whole_run_at(kind, 50, "nothing_is_lost_or_made_twice_when_every_other_request_fails");
    }
}

/// Runs a date through a store that spoils `percent` of all requests, until a process says that
/// it is done or has had enough tries; whatever was left is finished without faults, and audited.
#[track_caller]
fn whole_run_at(kind: Kind, percent: u64, test: &str) {
    /// Processes that may give up, as one in a pod would.
    const TRIES: usize = 4;
    let lake = Lake::parquet(kind);
    let faults = Faults::at_url(&lake.server.url(), percent, Random::for_test(test));
    let mut environment = lake.server.environment_by(faults.url());
    environment.push(("NIGHTSHIFT_STORE_TIMEOUT", "1".to_owned()));
    for _ in 0..TRIES {
        let ran = lake.run(&environment).run();
        lake.assert_said_no_secret(&ran);
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        if ran.code() == Some(0) {
            break;
        }
        // Out of reach, I/O, partial, or to be tried again: never a bug, a right or the spec.
        assert!(matches!(ran.code(), Some(65 | 66 | 69 | 73 | 74 | 75)), "{ran}");
    }
    let (requests, spoiled) = (faults.seen().len(), faults.spoiled());
    eprintln!("{kind:?}, {percent} %: {spoiled} of {requests} requests were spoiled");
    assert!(spoiled > 0);
    let direct = lake.direct();
    lake.run(&direct).run().expect(0);
    lake.command("verify", &direct).run().expect(0);
    lake.audit();
}

#[test]
fn a_refusal_ends_the_run_at_once_and_names_the_right_that_is_missing() {
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/";
    for (kind, put, get, list) in [
        (
            Kind::Gcs,
            "storage.objects.create".to_owned(),
            "storage.objects.get",
            "storage.objects.list",
        ),
        (Kind::Azure, format!("{blobs}write"), "containers/blobs/read", "`l` of a SAS"),
    ] {
        let forbidden = Fault::Refused(403, "AccessDenied");
        let of_input = |request: &Request| {
            let object = ["/lake/in/", "/lake/in%2F"].iter().any(|at| request.target.contains(at));
            object && request.method == "GET"
        };
        let cases: [(&str, Rule); 4] = [
            (&put, Box::new(move |request| (request.method == "PUT").then_some(forbidden))),
            (get, Box::new(move |request| of_input(request).then_some(forbidden))),
            (list, Box::new(move |request| request.is_listing().then_some(forbidden))),
            ("missing, wrong or expired", Box::new(|_| Some(Fault::Refused(401, "Unauthorized")))),
        ];
        for (words, rule) in cases {
            let lake = Lake::parquet(kind);
            let (faults, environment) = lake.faults(rule);
            let refused = lake.run(&environment).run().expect(77);
            assert!(refused.stderr.contains(words), "{words}: {refused}");
            lake.assert_said_no_secret(&refused);
            assert!(faults.seen().len() < 60, "asked {} times", faults.seen().len());
        }
    }
}

#[test]
fn a_store_that_ignores_the_condition_is_refused_by_name() {
    for kind in KINDS {
        let lake = Lake::parquet(kind);
        let (faults, mut environment) = lake.faults(Box::new(|_| Some(Fault::Unconditional)));
        if kind == Kind::Azure {
            // A key signs the condition, too, and Azure would see that it is missing.
            environment = lake.server.signed_environment_by(&faults.url());
        }
        let refused = lake.run(&environment).run().expect(78);
        let words = format!("{} cannot be used as an output", lake.uri("out"));
        assert!(refused.stderr.contains(&words), "{refused}");
        assert!(
            refused.stderr.contains("a second create is refused: it was accepted"),
            "{refused}"
        );
        lake.assert_said_no_secret(&refused);
    }
}

#[test]
fn a_shared_access_signature_will_do_for_azure() {
    let lake = Lake::parquet(Kind::Azure);
    let environment = lake.server.signed_environment_by(&lake.server.url());
    let ran = lake.run(&environment).run().expect(0);
    lake.assert_said_no_secret(&ran);
    assert_eq!(parts(&lake.audit().0, 1), 5);
}

#[test]
fn a_copy_of_azure_is_waited_for_until_it_is_whole() {
    let lake = Lake::parquet(Kind::Azure);
    let mut looks = 0;
    let (faults, environment) = lake.faults(Box::new(move |request| {
        looks += u32::from(request.method == "HEAD" && request.target.contains("part-"));
        let pending = request.is_copy() || (looks > 0 && looks % 4 != 0);
        pending.then_some(Fault::PendingCopy)
    }));
    lake.run(&environment).run().expect(0);
    let looked = |told: &&(String, String, Option<Fault>)| told.0 == "HEAD" && told.2.is_some();
    let waited = faults.seen().iter().filter(looked).count();
    assert!(waited >= 5, "{waited} looks found a copy that is not whole");
    assert_eq!(parts(&lake.audit().0, 1), 5);
}

#[test]
fn the_key_of_an_account_will_do_for_google() {
    let lake = Lake::parquet(Kind::Gcs);
    let keys = tempfile::tempdir().unwrap();
    let mut environment = lake.server.account_environment(&keys.path().join("key.json"));
    let ran = lake.run(&environment).run().expect(0);
    assert!(!ran.stderr.contains("canary"), "{ran}");
    assert_eq!(parts(&lake.audit().0, 1), 5);
    // Another account's, which the store does not know.
    let other = BucketServer::start(Kind::Gcs);
    environment = other.account_environment(&keys.path().join("other.json"));
    environment.push(("GOOGLE_BASE_URL", lake.server.url()));
    let refused = lake.run(&environment).run().expect(77);
    assert!(refused.stderr.contains("missing, wrong or expired"), "{refused}");
    assert!(!refused.stderr.contains("canary"), "{refused}");
}

#[test]
fn an_emulator_of_google_is_sent_no_token() {
    let lake = Lake::parquet(Kind::Gcs);
    let address = lake.server.url().replace("http://", "");
    let mut environment = lake.direct();
    environment.push(("STORAGE_EMULATOR_HOST", address));
    let refused = lake.run(&environment).run().expect(77);
    assert!(refused.stderr.contains("the store answered 401"), "{refused}");
    assert!(refused.stderr.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{refused}");
}

#[test]
fn places_that_are_none_are_refused_before_anything_is_asked() {
    for (kind, output, words) in [
        (Kind::Gcs, "gs://user:canary-secret@lake/out", "it holds credentials"),
        (Kind::Gcs, "gs://lake/out?X-Goog-Signature=canary-secret", "it holds credentials"),
        (Kind::Gcs, "gs://metadata.google.internal/out", "hands out credentials"),
        (Kind::Gcs, "gs:///out", "it names no bucket"),
        (Kind::Azure, "az://lake/out?se=1&sig=Y2FuYXJ5", "it holds credentials"),
        (Kind::Azure, "az:///out", "it names no container"),
        (Kind::Azure, "az://x.blob.core.windows.net/lake", "no name of a container"),
        (Kind::Azure, "abfss://lake@x.dfs.core.windows.net/o", "write az://container/prefix"),
        (Kind::Gcs, "gs://nobodys/out", "there is no bucket for gs://nobodys/out"),
        (Kind::Azure, "az://nobodys/out", "there is no container for az://nobodys/out"),
    ] {
        let lake = Lake::parquet(kind);
        let text = lake.in_bucket(&SpecText::default()).replace(&lake.uri("out"), output);
        lake.bench.write_spec(&text);
        let refused = lake.run(&lake.direct()).run().expect(78);
        assert!(refused.stderr.contains(words), "{output}: {refused}");
        lake.assert_said_no_secret(&refused);
    }
}

#[test]
fn settings_that_do_not_fit_are_told_by_name_and_never_repeated() {
    for (kind, variable, value, words) in [
        (Kind::Gcs, "GOOGLE_BASE_URL", "http://user:canary-key@h", "GOOGLE_BASE_URL"),
        (Kind::Gcs, "GOOGLE_BASE_URL", "http://169.254.169.254", "hands out credentials"),
        (
            Kind::Gcs,
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "\"canary-key\"",
            "not those of a service account",
        ),
        (Kind::Azure, "AZURITE_BLOB_STORAGE_URL", "canary-key", "it is no URL"),
        (Kind::Azure, "AZURE_STORAGE_ACCOUNT_KEY", "canary-key?", "settings of the store"),
    ] {
        let lake = Lake::parquet(kind);
        let mut environment = lake.direct();
        environment.push((variable, value.to_owned()));
        let refused = lake.run(&environment).run().expect(78);
        assert!(refused.stderr.contains(words), "{variable}: {refused}");
        lake.assert_said_no_secret(&refused);
    }
    let lake = Lake::parquet(Kind::Azure);
    let refused = lake.run(&Vec::new()).run().expect(78);
    assert!(refused.stderr.contains("set AZURE_STORAGE_ACCOUNT_NAME"), "{refused}");
}

#[test]
fn a_shard_costs_at_most_four_requests_beside_its_data() {
    for kind in KINDS {
        let requests = |rows_a_shard: u64| {
            let sharding = format!("rows: {rows_a_shard}");
            let spec = SpecText { sharding, ..SpecText::default() };
            let lake = Lake::new(kind, &spec, "flights.parquet", ROWS);
            let (faults, environment) = lake.faults(Box::new(|_| None));
            lake.run(&environment).run().expect(0);
            lake.audit();
            faults.seen().len() as f64
        };
        let (few, many) = (requests(ROWS / 10), requests(ROWS / 50));
        let a_shard = (many - few) / 40.0;
        eprintln!("{kind:?}: {few} requests for 10 shards, {many} for 50: {a_shard} a shard");
        // A few more come by the clock, as long as a run lasts.
        assert!(a_shard <= 5.25, "one request for the data, and {} more", a_shard - 1.0);
    }
}

#[test]
fn a_large_file_is_uploaded_in_parts_and_seen_whole() {
    for (kind, word) in [(Kind::Gcs, "partNumber="), (Kind::Azure, "comp=block&")] {
        let sharding = "count: 1".to_owned();
        let spec = SpecText { format: "csv", sharding, ..SpecText::default() };
        let lake = Lake::new(kind, &spec, "flights.parquet", 600_000);
        let (faults, environment) = lake.faults(Box::new(|_| None));
        lake.run(&environment).run().expect(0);
        let parts = faults.seen().iter().filter(|(_, target, _)| target.contains(word)).count();
        assert!(parts >= 2, "{parts} parts");
        assert_eq!(lake.audit().1, 0, "{kind:?}");
    }
}
