//! Secrets, values of rows and hostile names, planted everywhere and looked for in everything
//! that people read, with every program at `--log trace`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::hook::{Hook, Manner};
use nightshift_tests::http;
use nightshift_tests::ports::free_ports;
use nightshift_tests::process::{Finished, Program, Running};
use nightshift_tests::redis::RedisServer;
use nightshift_tests::waiting::wait_for;
use rustix::process::Signal;
use serde_json::Value;

const ROWS: u64 = 1_000;
const RUN: &str = "flights-all-g1";
const REDIS_PASSWORD: &str = "canaryredis7f3a";
/// A webhook's secret, in the form that receivers want.
const HOOK_SECRET: &str = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXI=";
/// Part of a webhook's path, which is often as good as a password.
const HOOK_PATH: &str = "canaryhookpath91";
const ROW: &str = "canaryrowvalue55";
const TOKENS: [(&str, &str); 10] = [
    ("HF_TOKEN", "hf_canarytoken31"),
    ("MLFLOW_TRACKING_TOKEN", "canarymlflow42"),
    ("AWS_ACCESS_KEY_ID", "CANARYACCESSKEY8"),
    ("AWS_SECRET_ACCESS_KEY", "canarys3secret66"),
    ("AWS_SESSION_TOKEN", "canarys3session9"),
    ("GOOGLE_BEARER_TOKEN", "canarygoogletoken12"),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", "canarygooglekey57"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "canaryazurekey83"),
    ("AZURE_STORAGE_SAS_TOKEN", "sv=2021-12-02&sig=canaryazuresig24"),
    ("NIGHTSHIFT_TEST_SECRET", HOOK_SECRET),
];

/// What nobody may read anywhere.
fn canaries() -> Vec<&'static str> {
    let mut all: Vec<&str> = TOKENS.iter().map(|(_, value)| *value).collect();
    all.extend([REDIS_PASSWORD, HOOK_PATH, ROW]);
    all
}

/// What was written, and where.
#[derive(Default)]
struct Written(Vec<(String, String)>);

impl Written {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    fn add_ended(&mut self, ended: &Finished) {
        self.add(&format!("{}: standard output", ended.name), ended.stdout.clone());
        self.add(&format!("{}: standard error", ended.name), ended.stderr.clone());
    }

    fn add_files(&mut self, folder: &Path, wanted: impl Fn(&Path) -> bool + Copy) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_files(&path, wanted);
            } else if wanted(&path) {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                self.add(&path.display().to_string(), text);
            }
        }
    }

    fn assert_without(&self, canaries: &[&str]) {
        let mut found = Vec::new();
        for (place, text) in &self.0 {
            for canary in canaries.iter().filter(|canary| text.contains(**canary)) {
                let line = text.lines().find(|line| line.contains(canary)).unwrap_or_default();
                let line: String = line.chars().take(600).collect();
                found.push(format!("{canary} in {place}:\n    {line}"));
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// JSON lines of the project's own crates, and that nothing in any line moves a cursor.
    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for (place, text) in self.0.iter().filter(|(place, _)| place.ends_with("standard error")) {
            let moves =
                |c: char| c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
            assert!(!text.contains(moves), "{place}");
            let json = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.extend(json.filter(|line| {
                line["target"].as_str().is_some_and(|target| target.starts_with("nightshift"))
            }));
        }
        lines
    }
}

fn at_trace(program: Program) -> Program {
    let program = program.args(["--log", "trace", "--log-format", "json"]);
    TOKENS.iter().fold(program, |program, (name, value)| program.env(name, value))
}

/// A spec that tells a webhook of its runs, over rows of which some cannot be scored. The name of
/// the input would clear a screen.
fn bench(hook: &Hook) -> Bench {
    let spec = SpecText {
        input: "in/*.csv".into(),
        rejects: Some("{ max_ratio: 0.05, min: 20 }"),
        ..SpecText::default()
    };
    let bench = Bench::new();
    let report = format!(
        "  report:\n    uri: \"reports/{{name}}\"\n    \
           webhook: {{ url: \"{}\", secret_env: NIGHTSHIFT_TEST_SECRET }}\n    \
           lineage: {{ uri: lineage.jsonl, namespace: tests }}\n",
        hook.url(&format!("/{HOOK_PATH}"))
    );
    bench.write_spec(&format!("{}{report}", spec.yaml()));
    let plain = bench.path("in/flights.csv");
    nightshift_tests::flights::write(&plain, ROWS);
    let text = fs::read_to_string(&plain).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header: Vec<String> = lines[0].split(',').map(str::to_owned).collect();
    let distance = header.iter().position(|name| name == "distance").unwrap();
    // A few rows of the first shard within the budget, and too many of the third.
    for at in (1..6).chain(401..500) {
        let mut cells: Vec<String> = lines[at].split(',').map(str::to_owned).collect();
        match at % 3 {
            0 => cells.push(ROW.to_owned()),
            1 => ROW.clone_into(&mut cells[distance]),
            _ => cells[distance] = format!("\"{ROW}"),
        }
        lines[at] = cells.join(",");
    }
    fs::write(bench.path("in/\u{1b}[2J\u{9b}31m\u{202e}flights.csv"), lines.join("\n")).unwrap();
    fs::remove_file(plain).unwrap();
    bench
}

struct Coordinator {
    process: Running,
    url: String,
    http: SocketAddr,
}

fn coordinator(bench: &Bench, redis: &str) -> Coordinator {
    let [grpc, http] = free_ports().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let program = Program::coordinator()
        .args(["--listen", &grpc.to_string(), "--http", &http.to_string(), "--home"])
        .arg(bench.path("home"))
        .env("REDIS_URL", redis)
        .env("NIGHTSHIFT_TERMINATION_LOG", bench.path("words-coordinator"));
    let process = at_trace(program).start();
    let ready = || http::get(http, "/readyz").filter(|(status, _)| *status == 200).map(|_| ());
    wait_for("the coordinator is ready", ready);
    Coordinator { process, url: format!("http://{grpc}"), http }
}

#[test]
fn nothing_that_people_read_has_a_secret_or_a_row_in_it() {
    let redis = RedisServer::start();
    let login = format!(">{REDIS_PASSWORD}");
    redis.cli(&["ACL", "SETUSER", "nightshift", "on", &login, "~*", "&*", "+@all"]);
    // The service is rude: what is told to it fails, which is told of.
    let hook = Hook::start(Manner::Answers(500));
    let bench = bench(&hook);
    let mut coordinator = coordinator(&bench, &redis.url_for("nightshift", REDIS_PASSWORD));
    let mut written = Written::default();
    let operator = |words: &[&str]| {
        let program = Program::nightshift().args(words).args(["--coordinator", &coordinator.url]);
        at_trace(program).run()
    };
    let spec = bench.spec();
    written.add_ended(&operator(&["submit", spec.to_str().unwrap()]).expect(0));
    let worker = Program::worker()
        .args(["--coordinator", &coordinator.url, "--workers", "2", "--exit-when-idle"])
        .env("NIGHTSHIFT_TERMINATION_LOG", bench.path("words-worker"));
    written.add_ended(&at_trace(worker).run().expect(0));
    let status = wait_for("the verdict", || {
        let status = operator(&["status", RUN]);
        status.stdout.contains("partial").then_some(status)
    });
    written.add_ended(&status);
    for words in [
        &["why", RUN][..],
        &["why", RUN, "2"],
        &["why", RUN, "0", "--output-format", "json"],
        &["status", "--output-format", "json"],
        &["top", "--once"],
    ] {
        written.add_ended(&operator(words).expect(0));
    }
    let (_, metrics) = http::get(coordinator.http, "/metrics").unwrap();
    written.add("/metrics", metrics);
    written.add_ended(&at_trace(bench.command("report")).run());
    written.add_ended(&at_trace(bench.command("status")).run().expect(0));
    coordinator.process.signal(Signal::TERM);
    written.add_ended(&coordinator.process.finish().expect(0));

    // Documents, the report, last words. The plan and the list of outputs that are served repeat
    // the spec, webhook and all; rejected rows are in the rejects files, which is their place.
    let is_read = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_data = name.starts_with("part-") || name.starts_with("rejects-");
        !is_data && name != "plan.json" && !path.to_str().unwrap().contains("/attempts/")
    };
    written.add_files(&bench.output(), is_read);
    written.add_files(&bench.path("reports"), |_| true);
    for words in ["words-coordinator", "words-worker"] {
        written.add(words, fs::read_to_string(bench.path(words)).unwrap());
    }
    written.add("lineage", fs::read_to_string(bench.path("lineage.jsonl")).unwrap());
    let seen = |part: &str| written.0.iter().filter(|(place, _)| place.contains(part)).count();
    for part in ["records", "report.html", "report.json", "finals", "_SUCCESS", "standard error"] {
        assert!(part == "_SUCCESS" || seen(part) > 0, "{part} was not looked at");
    }
    written.assert_without(&canaries());
    assert_lines_of_shards_name_them(&written.lines());
}

/// Each line of a shard says which one, and whose.
fn assert_lines_of_shards_name_them(lines: &[Value]) {
    let of_shards: Vec<_> = lines.iter().filter(|line| line.get("shard").is_some()).collect();
    let messages: BTreeSet<_> =
        of_shards.iter().map(|line| line["message"].as_str().unwrap()).collect();
    for message in ["lease granted", "inference started", "shard committed", "attempt failed"] {
        assert!(messages.contains(message), "no line `{message}` in {messages:?}");
    }
    for line in of_shards {
        for field in ["run", "attempt", "model_digest"] {
            // A lease that is granted has no attempt yet, and the first one no plan.
            let early = line["message"] == "lease granted" && field != "run";
            assert!(early || line[field].is_string(), "no {field}: {line}");
        }
        let shard = line["shard"].as_str().map(str::parse::<u32>);
        assert!(matches!(shard, Some(Ok(_))), "{line}");
    }
}

/// A server that refuses everything and repeats what it was asked, headers and all.
fn parrot() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let reading = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = reading.map_while(Result::ok).take_while(|line| !line.is_empty());
            let body = format!("\u{1b}[31mNO\u{1b}[0m: {}", head.collect::<Vec<_>>().join("\n"));
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            // Who asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_server_that_repeats_a_token_is_not_repeated() {
    let server = format!("http://{}", parrot());
    for uri in ["hf://org/name@main", "models:/name/1", "s3://bucket/model"] {
        let bench = Bench::with(&SpecText::default(), "flights.parquet", 10);
        let spec = fs::read_to_string(bench.spec()).unwrap();
        let lines = spec.lines().map(|line| match line.trim_start().starts_with("model:") {
            true => format!("  model: {{ uri: \"{uri}\" }}\n"),
            false => format!("{line}\n"),
        });
        bench.write_spec(&lines.collect::<String>());
        let mut written = Written::default();
        for command in ["doctor", "run"] {
            let words = bench.path("words");
            let program = at_trace(bench.command(command))
                .env("HF_ENDPOINT", &server)
                .env("MLFLOW_TRACKING_URI", &server)
                .env("AWS_ENDPOINT_URL", &server)
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_REGION", "eu-west-1")
                .env("NIGHTSHIFT_MODEL_CACHE", bench.path("cache"))
                .env("NIGHTSHIFT_TERMINATION_LOG", &words);
            let ended = program.run();
            assert_ne!(ended.code(), Some(0), "{uri}: {ended}");
            written.add_ended(&ended);
            written.add("last words", fs::read_to_string(&words).unwrap());
        }
        written.lines();
        written.assert_without(&canaries());
    }
}

#[test]
fn a_value_that_is_refused_is_not_repeated_with_its_password() {
    let url = format!("redis://me:{REDIS_PASSWORD}@[broken");
    let spec = Bench::with(&SpecText::default(), "flights.parquet", 10);
    let mut written = Written::default();
    for program in [
        Program::coordinator().args(["--redis", &url]),
        Program::coordinator().env("REDIS_URL", &url),
        Program::nightshift().arg("backfill").arg(spec.spec()).args(["--redis", &url]),
        Program::nightshift()
            .args(["status", "--coordinator"])
            .arg(format!("http://me:{REDIS_PASSWORD}@h:1")),
    ] {
        let ended = at_trace(program).run();
        assert_ne!(ended.code(), Some(0), "{ended}");
        written.add_ended(&ended);
    }
    written.assert_without(&canaries());
}
