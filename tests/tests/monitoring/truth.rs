//! A real Prometheus beside workers that live for three seconds and a coordinator that is killed:
//! afterwards it says exactly what lies in the output.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::prometheus::Prometheus;
use nightshift_tests::waiting::{PATIENCE, wait_for};
use nightshift_tests::{flights, store};
use serde_json::Value;

use crate::pages;

/// Dates with rows that are scored but for a few.
const GOOD: [&str; 2] = ["2013-01-01", "2013-01-02"];
/// A date of which a part cannot be scored.
const BAD: &str = "2013-01-03";
const RANGE: &str = "2013-01-01..2013-01-03";
/// Rows of each date.
const ROWS: u64 = 6_000;
/// Lines at the end of each date that are no rows.
const REJECTS: usize = 7;
/// Such lines at the end of the bad date: more than a shard may have.
const MANY_REJECTS: usize = 400;
/// How long a worker lives.
const LIFE: Duration = Duration::from_secs(3);

/// Folders with text files of flights, with lines at the end that are none.
fn bench() -> Bench {
    let bench = Bench::new();
    let spec = SpecText {
        input: "in/date={date}/*.jsonl".to_owned(),
        format: "jsonl",
        // Kills count against a shard too.
        crashes: Some(100),
        ..SpecText::default()
    };
    bench.write_spec(&spec.yaml());
    for (date, broken) in GOOD.map(|date| (date, REJECTS)).into_iter().chain([(BAD, MANY_REJECTS)])
    {
        let path = bench.path(&format!("in/date={date}/flights.jsonl"));
        flights::write(&path, ROWS);
        let mut text = fs::read_to_string(&path).unwrap();
        text.extend(std::iter::repeat_n("no row at all\n", broken));
        fs::write(&path, text).unwrap();
    }
    bench
}

fn backfill(cluster: &Cluster) {
    let spec = cluster.bench().spec();
    let words = ["backfill", spec.to_str().unwrap(), "--dates", RANGE, "--max-dates", "3"];
    cluster.operator(words).run().expect(0);
}

/// Lines of the visible files whose names begin like this. A shard that was taken over is one
/// file with a name in each generation.
fn lines(output: &Path, begin: &str) -> usize {
    let mut files: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for date in GOOD.iter().chain([&BAD]) {
        for generation in fs::read_dir(output.join(format!("date={date}"))).unwrap() {
            for file in store::names(&generation.unwrap().path(), "jsonl") {
                if file.file_name().unwrap().to_str().unwrap().starts_with(begin) {
                    files.insert(fs::metadata(&file).unwrap().ino(), file);
                }
            }
        }
    }
    files.values().map(|file| fs::read_to_string(file).unwrap().lines().count()).sum()
}

fn finals(output: &Path) -> Vec<Value> {
    let dates = GOOD.into_iter().chain([BAD]);
    dates.flat_map(|date| (1..5).filter_map(move |g| store::verdict(output, date, g))).collect()
}

/// Lets workers live and die until `date` has the final of this generation.
fn churn(
    cluster: &mut Cluster,
    date: &str,
    generation: u32,
    mut meanwhile: impl FnMut(&mut Cluster),
) {
    let output = cluster.output();
    let started = Instant::now();
    while store::verdict(&output, date, generation).is_none() {
        assert!(started.elapsed() < PATIENCE, "the run does not end");
        for _ in 0..2 {
            let slow = ["--max-rows-per-second", "900"];
            cluster.add(cluster.worker().args(slow));
        }
        let born = Instant::now();
        // Not a sleep before a check: it is how long a worker lives.
        while born.elapsed() < LIFE && store::verdict(&output, date, generation).is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        meanwhile(cluster);
        cluster.kill_worker(0);
        cluster.terminate_worker(0);
    }
}

#[test]
fn prometheus_says_what_lies_in_the_output_although_every_process_dies() {
    let mut cluster = Cluster::start(
        bench(),
        Setting { lease_ttl: Duration::from_secs(1), ..Setting::default() },
    );
    let (_sidecar, sidecar) = pages::sidecar();
    let coordinator = cluster.coordinator().http();
    let rules: String = crate::alerts::rules()
        .lines()
        .filter(|line| !line.trim_start().starts_with("for: "))
        .map(|line| format!("{line}\n"))
        .collect();
    let prometheus =
        Prometheus::start(&[("coordinator", coordinator), ("sidecar", sidecar)], &rules);

    backfill(&cluster);
    prometheus.wait_for_value("nightshift_backfill_dates_pending", 3.0);
    let mut restarts = 0;
    let mut lives = 0;
    let restart = |cluster: &mut Cluster| {
        lives += 1;
        if restarts == 0 {
            restarts += 1;
            cluster.coordinator().kill();
            cluster.coordinator().restart();
            cluster.coordinator().wait_until_ready();
        }
    };
    churn(&mut cluster, BAD, 1, restart);
    for date in GOOD {
        churn(&mut cluster, date, 1, |_| ());
    }
    assert_eq!(restarts, 1, "the coordinator was never killed in the middle");
    assert!(lives >= 2, "the runs took one life");
    let failed = store::verdict(&cluster.output(), BAD, 1).unwrap();
    assert_eq!(failed["state"], "partial", "{failed}");

    // The next tick retries what failed, and takes over what was committed.
    backfill(&cluster);
    churn(&mut cluster, BAD, 2, |_| ());
    let retried = store::verdict(&cluster.output(), BAD, 2).unwrap();
    assert_eq!(retried["totals"]["inherited"], failed["totals"]["committed"], "{retried}");

    let output = cluster.output();
    let (scored, rejected) = (lines(&output, "part-"), lines(&output, "rejects-"));
    assert!(scored > 3 * ROWS as usize * 9 / 10, "only {scored} rows are in the output");
    assert!(rejected >= 2 * REJECTS, "only {rejected} rows are in rejects");
    let finals = finals(&output);
    let quarantined: u64 =
        finals.iter().map(|verdict| verdict["totals"]["rows_quarantined"].as_u64().unwrap()).sum();
    assert!(finals.len() == 4 && quarantined > 0, "{finals:?}");
    let rows = |outcome: &str| {
        format!(
            "nightshift_rows_processed_total{{name=\"flights\",task=\"tabular\",outcome=\"{outcome}\"}}"
        )
    };
    let mut totals = vec![
        (rows("scored"), scored as f64),
        (rows("rejected"), rejected as f64),
        (rows("quarantined"), quarantined as f64),
        ("sum(nightshift_rows_rejected_total)".to_owned(), rejected as f64),
        ("nightshift_rows_rejected_total{reason=\"malformed_row\"}".to_owned(), rejected as f64),
    ];
    for state in ["succeeded", "partial", "failed", "withheld"] {
        let count = finals.iter().filter(|verdict| verdict["state"] == state).count();
        let query = format!("nightshift_runs_concluded_total{{state=\"{state}\"}}");
        totals.push((query, count as f64));
    }
    for (query, value) in &totals {
        prometheus.wait_for_value(query, *value);
    }
    assert_everything(&prometheus, &totals);

    // A run has failed just now, and a date of 2013 is not done.
    let alerts = ["NightshiftRunFailed", "NightshiftDatePending"];
    let firing = wait_for("the alerts fire", || {
        let firing = prometheus.firing();
        alerts.iter().all(|name| firing.contains_key(*name)).then_some(firing)
    });
    for (name, words) in firing.iter().filter(|(name, _)| alerts.contains(&name.as_str())) {
        let words = words.to_string();
        assert!(words.contains("flights") && !words.contains("error"), "{name}: {words}");
    }
    assert!(!prometheus.said().contains("level=error"), "{}", prometheus.said());

    let page = cluster.coordinator().metrics();
    let families = pages::assert_page(&page);
    assert!(families.contains("nightshift_shard_duration_seconds"), "{families:?}");
    // Another coordinator reads the same from the store alone.
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.coordinator().wait_until_ready();
    let counted = |page: &str| -> Vec<String> {
        let names = ["nightshift_rows_", "nightshift_runs_concluded", "nightshift_last_"];
        let lines = page.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        lines.map(str::to_owned).collect()
    };
    wait_for("the new coordinator has counted the store", || {
        let now = counted(&cluster.coordinator().metrics());
        (now == counted(&page)).then_some(())
    });
    cluster.assert_sound();
}

/// What holds of all that was scraped.
fn assert_everything(prometheus: &Prometheus, totals: &[(String, f64)]) {
    // No scrape in between has seen more, and none less than one before it.
    for (query, value) in totals.iter().filter(|(query, _)| !query.starts_with("sum")) {
        assert_eq!(
            prometheus.value(&format!("max_over_time({query}[1h])")),
            Some(*value),
            "{query}"
        );
        assert_eq!(prometheus.value(&format!("resets({query}[1h])")), Some(0.0), "{query}");
        let steps = prometheus.value(&format!("count_over_time({query}[1h])"));
        assert!(steps > Some(5.0), "{query} was scraped {steps:?} times");
    }
    let growing = ["run", "shard", "date", "pod", "worker", "attempt"];
    let labels = prometheus.labels();
    assert!(labels.iter().all(|label| !growing.contains(&label.as_str())), "{labels:?}");
}
