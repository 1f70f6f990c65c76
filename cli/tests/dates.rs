//! `nightshift plan --state` and `nightshift why SPEC DATE`: how dates stand, and what the next
//! backfills do, which is what those then do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::flights;
use nightshift_tests::log;
use nightshift_tests::process::{Finished, Program};
use rustix::process::Signal;
use serde_json::Value;

const DATES: [&str; 3] = ["2013-01-01", "2013-01-02", "2013-01-03"];
const RANGE: &str = "2013-01-01..2013-01-03";
const ROWS: u64 = 600;

fn bench(dates: &[&str]) -> Bench {
    Bench::dated(&SpecText::default(), dates, ROWS)
}

fn backfill(bench: &Bench) -> Program {
    bench.command("backfill").args(["--dates", RANGE, "--workers", "1"])
}

fn plan(bench: &Bench) -> Program {
    bench.command("plan").args(["--dates", RANGE, "--state"])
}

fn json(program: Program) -> Value {
    let ended = program.args(["--output-format", "json"]).run();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
}

/// The states of dates; a look that changes something fails.
fn states(bench: &Bench, flags: &[&str]) -> Value {
    let before = bench.contents();
    let shown = json(plan(bench).args(flags.iter().copied()));
    assert!(bench.contents() == before, "who looks changes nothing");
    shown
}

/// `state action tick` of each date.
fn lines(shown: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let words = ["state", "action"].map(|field| one[field].as_str().unwrap().to_owned());
        let tick = one.get("tick").map_or_else(|| "-".to_owned(), Value::to_string);
        format!("{} {tick}", words.join(" "))
    };
    shown["dates"].as_array().unwrap().iter().map(line).collect()
}

/// Fails unless a backfill that is only shown decides the same about the dates that it looks at.
#[track_caller]
fn agree(bench: &Bench, shown: &Value, flags: &[&str]) {
    let decided = json(backfill(bench).args(flags.iter().copied()).arg("--dry-run"));
    let decisions = decided["decisions"].as_array().unwrap();
    for (date, decision) in shown["dates"].as_array().unwrap().iter().zip(decisions) {
        for field in ["partition", "state", "action", "generation", "reason"] {
            assert_eq!(date.get(field), decision.get(field), "{field}: {date} {decision}");
        }
    }
}

/// The paragraph about a date, in one line; a look that changes something fails.
fn why(bench: &Bench, date: &str, flags: &[&str]) -> String {
    let before = bench.contents();
    let told = bench.command("why").arg(date).args(flags.iter().copied()).run().expect(0);
    assert!(bench.contents() == before, "who looks changes nothing");
    let wide = told.stdout.lines().find(|line| line.chars().count() > 80);
    assert!(wide.is_none_or(|line| !line.contains(' ')), "{told}");
    flat(&told)
}

/// What is printed, in one line.
fn flat(told: &Finished) -> String {
    told.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
}

#[test]
fn missing_dates_get_their_ticks_and_past_runs_say_how_long_they_take() {
    let bench = bench(&DATES);
    let first = states(&bench, &[]);
    assert_eq!(lines(&first), ["missing run 1", "missing later 2", "missing later 3"]);
    assert!(first.get("pace").is_none(), "{first}");
    agree(&bench, &first, &[]);
    let wide = states(&bench, &["--max-dates", "2", "--order", "newest"]);
    assert_eq!(lines(&wide), ["missing later 2", "missing run 1", "missing run 1"]);
    agree(&bench, &wide, &["--max-dates", "2", "--order", "newest"]);
    let told = flat(&plan(&bench).run().expect(0));
    says(&told, &["no run has succeeded yet", "3 dates with 1,800 rows, in 3 backfills;"]);

    backfill(&bench).run().expect(0);
    let second = states(&bench, &[]);
    assert_eq!(lines(&second), ["done skip -", "missing run 1", "missing later 2"]);
    agree(&bench, &second, &[]);
    let (done, next) = (&second["dates"][0], &second["dates"][1]);
    for date in [done, next] {
        assert_eq!((&date["rows"], &date["shards"]), (&Value::from(600), &Value::from(3)));
    }
    assert_eq!((&done["rows_to_do"], &next["rows_to_do"]), (&Value::from(0), &Value::from(600)));
    assert_eq!(done["run"], "flights-2013-01-01-g1");
    assert!(done["since"].is_string() && next.get("since").is_none(), "{second}");
    // Minutes are rows by the pace of the one run that there was.
    let pace = second["pace"]["rows_per_s"].as_f64().unwrap();
    assert_eq!(second["pace"]["runs"], 1);
    let minutes = |value: &Value| value["minutes"].as_f64().unwrap();
    assert!((minutes(next) - 600.0 / pace / 60.0).abs() < 1e-9, "{second}");
    let totals = &second["totals"];
    assert!((minutes(totals) - 2.0 * minutes(next)).abs() < 1e-9, "{second}");
    let counts = ["dates", "to_do", "ticks", "rows_to_do"].map(|it| totals[it].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 2, 1_200]);
    assert_eq!(totals["states"], serde_json::json!({"done": 1, "missing": 2}));

    backfill(&bench).arg("--until-done").run().expect(0);
    let told = plan(&bench).run().expect(0);
    says(&told.stdout, &["3 dates: 3 done. There is nothing to do now."]);
    says(
        &why(&bench, DATES[0], &[]),
        &["2013-01-01 of flights is done", "Next: backfills skip it."],
    );
}

#[test]
fn dates_without_input_and_with_one_that_cannot_be_read_say_so() {
    let bench = bench(&[DATES[0], DATES[2]]);
    std::fs::write(bench.path("in/date=2013-01-01/flights.parquet"), b"PAR1 no more").unwrap();
    let shown = states(&bench, &[]);
    assert_eq!(lines(&shown), ["unreadable skip -", "no input skip -", "missing run 1"]);
    agree(&bench, &shown, &[]);
    let told = plan(&bench).run().expect(0);
    says(&told.stdout, &["2013-01-01  unreadable input", "2013-01-02  no input"]);
    let torn = why(&bench, DATES[0], &[]);
    says(
        &torn,
        &["input that cannot be read", "flights.parquet", "exit code 65", "looks at it again"],
    );
    let missing = why(&bench, DATES[1], &[]);
    says(
        &missing,
        &["has no input", "in/date=2013-01-02/*.parquet", "exit code 66", "looks for it again"],
    );
    let next = why(&bench, DATES[2], &[]);
    says(
        &next,
        &["was never run", "600 rows now, in 3 shards", "none of the 14 dates", "runs it as g1"],
    );
    let told = json(bench.command("why").arg(DATES[1]));
    let words = ["state", "action", "turn"].map(|field| told[field].as_str().unwrap());
    assert_eq!(words, ["no input", "skip", "never"]);
    assert_eq!(told["exit_code"], 66);
}

#[test]
fn what_made_a_date_stale_is_named() {
    let input = "in/date={date}/*.parquet".to_owned();
    let spec = SpecText { input, ..SpecText::default() };
    let bench = bench(&DATES);
    let versioned = |version: &str, spec: &SpecText| {
        let yaml = spec.yaml();
        let (before, model) = yaml.split_once("model: { uri: ").unwrap();
        let model = model.replacen(" }", &format!(", version: {version} }}"), 1);
        bench.write_spec(&format!("{before}model: {{ uri: {model}"));
    };
    versioned("v2", &spec);
    backfill(&bench).arg("--until-done").run().expect(0);
    // Late input, and whoever does not ask for it does not see it.
    flights::write(&bench.path("in/date=2013-01-02/late.parquet"), 10);
    std::fs::remove_dir_all(bench.path("in/date=2013-01-03")).unwrap();
    for never in ["never", "on-model-change"] {
        let shown = states(&bench, &["--reprocess", never]);
        assert_eq!(lines(&shown), ["done skip -"; 3], "{never}");
    }
    let any = ["--reprocess", "on-any-change"];
    let shown = states(&bench, &any);
    assert_eq!(lines(&shown), ["done skip -", "stale run 1", "stale skip -"]);
    agree(&bench, &shown, &any);
    assert_eq!(shown["dates"][1]["detail"], "input changed");
    assert_eq!(shown["dates"][1]["run"], "flights-2013-01-02-g1");
    assert_eq!(
        (&shown["dates"][1]["rows"], &shown["dates"][1]["generation"]),
        (&Value::from(610), &Value::from(2))
    );
    assert_eq!(shown["dates"][2]["detail"], "its input is gone");
    let told = why(&bench, DATES[1], &any);
    says(
        &told,
        &[
            "is stale: input changed",
            "made by flights-2013-01-02-g1",
            "610 rows now",
            "runs it as g2",
        ],
    );
    says(
        &why(&bench, DATES[2], &any),
        &["is stale: its input is gone", "backfills leave what is there"],
    );
    // Another model, by its version.
    let copy = bench.path("model");
    copy_folder(&nightshift_tests::binaries::example_model(), &copy);
    let config = copy.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n")).unwrap();
    versioned("v3", &spec);
    let copy = copy.to_str().unwrap();
    let model = ["--model", copy, "--reprocess", "on-model-change"];
    let shown = states(&bench, &model);
    assert_eq!(shown["dates"][1]["detail"], "model changed v2 -> v3", "{shown}");
    let told = plan(&bench).args(model).run().expect(0);
    says(&told.stdout, &["2013-01-01  stale: model changed v2 -> v3"]);
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80), "{told}");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_date_that_failed_says_what_and_how_often() {
    let bench = Bench::new();
    let input = "in/date={date}/flights.csv".to_owned();
    let rejects = Some("{ min: 0, max_ratio: 0 }");
    bench.write_spec(&SpecText { input, rejects, ..SpecText::default() }.yaml());
    let file = bench.path("in/date=2013-01-01/flights.csv");
    flights::write(&file, 2_000);
    // One row cannot be read; it lies beyond the rows that are sampled.
    let good = std::fs::read_to_string(&file).unwrap();
    let mut lines_of: Vec<&str> = good.lines().collect();
    let bad = "x".repeat(lines_of[1_501].len());
    lines_of[1_501] = &bad;
    std::fs::write(&file, lines_of.join("\n") + "\n").unwrap();
    let one = ["--date", DATES[0], "--workers", "1"];
    let tick = || bench.command("backfill").args(one).run().expect(65);
    tick();
    let shown = json(bench.command("plan").args(["--date", DATES[0], "--state"]));
    assert_eq!(lines(&shown), ["partial retry 1"]);
    let date = &shown["dates"][0];
    assert_eq!(date["detail"], "1 of 10 shards");
    // The shards that are committed are taken over.
    assert_eq!((&date["rows"], &date["rows_to_do"]), (&Value::from(2_000), &Value::from(200)));
    let told = why(&bench, DATES[0], &[]);
    says(&told, &["has ended partial", "Shard 7 (200 rows) was given up (data)", "exit code 65"]);
    says(&told, &["tries it again as g2, which takes over what is committed"]);
    tick();
    tick();
    let given_up = bench.command("plan").args(["--date", DATES[0], "--state"]);
    assert_eq!(lines(&json(given_up)), ["partial skip -"]);
    let told = why(&bench, DATES[0], &[]);
    says(&told, &["ended so 3 times", "--date 2013-01-01 --force --reason TEXT"]);
}

#[test]
fn who_holds_a_date_is_named_alive_and_dead() {
    let bench = Bench::dated(&SpecText::default(), &[DATES[0]], 12_000);
    let first = bench.command("backfill").args(["--date", DATES[0], "--workers", "1"]);
    let mut first = first.logged().start();
    first.wait_until_said("the first commit", |said| log::count(said, "shard committed") > 0);
    first.signal(Signal::STOP);
    let one = || bench.command("plan").args(["--date", DATES[0], "--state"]);
    let shown = json(one());
    assert_eq!(lines(&shown), ["running leave 1"]);
    let date = &shown["dates"][0];
    assert!(date["detail"].as_str().unwrap().starts_with("held by "), "{date}");
    assert_eq!((&date["rows"], &date["shards"]), (&Value::from(12_000), &Value::from(60)));
    let left = date["rows_to_do"].as_u64().unwrap();
    assert!(left < 12_000 && left.is_multiple_of(200), "some shards have their record: {date}");
    let told = flat(&bench.command("why").arg(DATES[0]).run().expect(0));
    says(&told, &["is running (held by ", "was claimed at", "of its 60 shards have a record"]);
    says(&told, &["backfills leave it to them, and go on with it if they die"]);
    first.signal(Signal::CONT);
    first.kill();
    assert_eq!(lines(&json(one())), ["unfinished join 1"]);
    says(&why(&bench, DATES[0], &[]), &["is unfinished (left by ", "goes on with g1"]);
}

#[test]
fn the_turn_of_a_date_is_that_of_the_window() {
    // In the middle of the window, so that midnight may pass.
    let today = Zoned::new(Timestamp::now(), TimeZone::UTC).date();
    let [first, second] = [7, 6].map(|days: i64| (today - days.days()).to_string());
    let bench = bench(&[&first, &second]);
    says(&why(&bench, &first, &[]), &["Next: a backfill runs it as g1 (never run)"]);
    let told = why(&bench, &second, &[]);
    says(&told, &[&format!("a backfill does {first} first; when its turn comes, one runs it")]);
    bench.command("backfill").run().expect(0);
    assert_eq!(json(bench.command("why").arg(&second))["turn"], "next");
    let shown = json(bench.command("plan").args(["--window", "14d"]));
    let states = lines(&shown);
    assert_eq!(states.len(), 14);
    assert_eq!(states.iter().filter(|line| *line == "no input skip -").count(), 12);
    assert_eq!(
        shown["totals"]["states"],
        serde_json::json!({"done": 1, "missing": 1, "no input": 12})
    );
}

#[test]
fn what_is_asked_wrongly_says_what_to_write() {
    let bench = bench(&DATES[..1]);
    let spec = bench.spec().display().to_string();
    let refused = |words: &[&str], exit: i32, part: &str| {
        let ended: Finished = Program::nightshift().args(words.iter().copied()).run().expect(exit);
        says(&ended.stderr, &[part]);
    };
    refused(&["why", "2013-01-01"], 64, "nightshift why SPEC 2013-01-01");
    refused(&["why", &spec], 64, "so a date is needed");
    refused(&["why", &spec, "2013-02-30"], 64, "is not a date of the calendar");
    refused(&["why", &spec, "7"], 64, "is not a date of the calendar");
    refused(&["why", "flights-all-g1", "2013-01-01"], 64, "is no shard of flights-all-g1");
    refused(&["why", "./nothing.yaml", "2013-01-01"], 66, "there is no spec");
    refused(&["plan", &spec, "--window", "14d", "--date", "2013-01-01"], 64, "cannot be used with");
    refused(&["plan", &spec, "--date", "2013-01-01", "--reprocess", "never"], 64, "--state");
    refused(&["plan", &spec, "--state", "--resources"], 64, "cannot be used with");
}
