//! People decide about withheld runs: through the coordinator, beside it, at once, and while it is
//! killed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nightshift_proto::wire::{JudgeRequest, JudgeResponse, Judgement, StartRequest};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::random::Random;
use nightshift_tests::waiting::wait_for;
use serde_json::Value;
use tonic::{Code, Status};

use crate::{RUN, SMALL};

/// A gate that no run passes: there is no such column.
const CLOSED: &str = "  gates: { columns: { mood: { max_null_ratio: 0 } } }\n";
/// Shards of a run: publishing them takes long enough to be killed meanwhile.
const SHARDS: u64 = 60;
/// The same in a bucket.
const SHARDS_IN_BUCKET: u64 = 15;
const DATES: [&str; 6] =
    ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05", "2013-01-06"];
/// The longest that a killed coordinator may have gone on after its approval was there.
const LATE_MAX: Duration = Duration::from_millis(12);

fn spec() -> SpecText {
    spec_at(&Place::Volume)
}

fn spec_at(place: &Place) -> SpecText {
    SpecText { sharding: format!("count: {}", shards(place)), ..SpecText::default() }
}

fn shards(place: &Place) -> u64 {
    place.size(SHARDS, SHARDS_IN_BUCKET)
}

/// A cluster over one partition, without a worker.
fn cluster() -> Cluster {
    let bench = Bench::with(&spec(), "flights.parquet", SHARDS * SMALL);
    bench.write_spec(&format!("{}{CLOSED}", spec().yaml()));
    Cluster::start(bench, Setting { redis: true, ..Setting::default() })
}

/// A cluster whose runs of `dates` have ended, all withheld.
fn withheld(place: &Place, dates: &[&str]) -> Cluster {
    let bench = place.dated(&spec_at(place), dates, shards(place) * SMALL);
    let text = std::fs::read_to_string(bench.spec()).unwrap();
    bench.write_spec(&format!("{text}{CLOSED}"));
    let mut cluster = Cluster::start(bench, Setting::default());
    for date in dates {
        cluster.submit(date);
    }
    for _ in 0..2 {
        cluster.add(cluster.worker());
    }
    for date in dates {
        assert_eq!(cluster.wait_for_final(date, 1)["state"], "succeeded");
    }
    cluster
}

fn run_of(date: &str) -> String {
    format!("flights-{date}-g1")
}

fn judge(
    cluster: &mut Cluster,
    run: &str,
    judgement: Judgement,
) -> Result<JudgeResponse, (Code, String, String)> {
    let request = JudgeRequest {
        run: run.to_owned(),
        judgement: judgement.into(),
        reason: "looked at it".to_owned(),
        requested_by: "tests".to_owned(),
    };
    ask(cluster, request)
}

/// The answer; or the code, the exit code that a command ends with, and the words.
fn ask(
    cluster: &mut Cluster,
    request: JudgeRequest,
) -> Result<JudgeResponse, (Code, String, String)> {
    let client = cluster.coordinator().client();
    let answer = client.wait(client.runs().judge(request));
    answer.map(tonic::Response::into_inner).map_err(|status: Status| {
        let exit = status.metadata().get("nightshift-exit");
        let exit = exit.map(|exit| exit.to_str().unwrap().to_owned()).unwrap_or_default();
        (status.code(), exit, status.message().to_owned())
    })
}

/// `nightshift approve` or `reject` through the coordinator.
fn through(cluster: &Cluster, command: &str, run: &str) -> Program {
    cluster.operator([command, run, "--reason", "looked at it", "--output-format", "json"])
}

/// The same with the output at hand.
fn beside(cluster: &Cluster, command: &str, run: &str) -> Program {
    let output = cluster.bench().output_place();
    let words = [command, run, "--reason", "looked at it", "--output-format", "json"];
    cluster.bench().equipped(Program::nightshift().args(words).args(["--output", &output]))
}

fn said(done: &Finished) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

/// Names of the visible files of generation 1.
fn visible(cluster: &Cluster, folder: &str) -> usize {
    let folder = cluster.output().join(folder).join("gen=1");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The samples that begin like this, once there are any.
fn samples(cluster: &mut Cluster, metric: &str) -> BTreeMap<String, f64> {
    let page = cluster.coordinator().metrics();
    let lines = page.lines().filter(|line| line.starts_with(metric));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// What the metrics say about decisions and successes, once the output is counted.
#[track_caller]
fn assert_counted(cluster: &mut Cluster, approved: f64, rejected: f64, withheld: f64) {
    let judged = wait_for("the decisions are counted", || {
        let judged = samples(cluster, "nightshift_runs_judged_total{");
        (judged.len() == 2 && judged.values().sum::<f64>() >= approved + rejected).then_some(judged)
    });
    let series = |judgement: &str| {
        format!("nightshift_runs_judged_total{{judgement=\"{judgement}\",name=\"flights\"}}")
    };
    let expected = [(series("approved"), approved), (series("rejected"), rejected)];
    assert_eq!(judged, BTreeMap::from(expected));
    // How it ended is never taken back.
    let ended = samples(cluster, "nightshift_runs_concluded_total{name=\"flights\",state=\"with");
    assert_eq!(ended.into_values().collect::<Vec<_>>(), [withheld]);
    let success = samples(cluster, "nightshift_last_success_timestamp_seconds{");
    assert_eq!(success.len(), usize::from(approved > 0.0), "{success:?}");
}

#[test]
fn a_decision_is_asked_of_a_withheld_run_alone_and_the_first_one_counts() {
    let mut cluster = cluster();
    assert_eq!(judge(&mut cluster, RUN, Judgement::Approved).unwrap_err().0, Code::NotFound);
    assert_eq!(cluster.submit("all"), RUN);
    let (code, exit, words) = judge(&mut cluster, RUN, Judgement::Approved).unwrap_err();
    assert_eq!((code, exit.as_str()), (Code::FailedPrecondition, "75"), "{words}");
    assert!(words.contains("is under way; decide"), "{words}");
    let (code, exit, words) =
        judge(&mut cluster, "flights-all-g9", Judgement::Approved).unwrap_err();
    assert_eq!((code, exit.as_str()), (Code::NotFound, "66"), "{words}");
    for request in [
        JudgeRequest { run: RUN.to_owned(), ..JudgeRequest::default() },
        JudgeRequest {
            run: RUN.to_owned(),
            judgement: Judgement::Approved.into(),
            reason: " ".to_owned(),
            requested_by: "tests".to_owned(),
        },
    ] {
        assert_eq!(ask(&mut cluster, request).unwrap_err().0, Code::InvalidArgument);
    }

    cluster.add(cluster.worker());
    assert_eq!(cluster.wait_for_final("all", 1)["state"], "succeeded");
    let is_withheld = |cluster: &mut Cluster| {
        wait_for("the ledger has the date", || cluster.ledger_dates().get("all").cloned())
            .get("withheld")
            .is_some_and(|withheld| *withheld == Value::Bool(true))
    };
    assert!(is_withheld(&mut cluster));
    let approved = judge(&mut cluster, RUN, Judgement::Approved).unwrap();
    assert!(approved.first, "{approved:?}");
    assert_eq!(approved.judged.as_ref().unwrap().decided_by, "tests");
    assert_eq!(approved.output, format!("{}/all/gen=1", cluster.output().display()));
    assert_eq!(visible(&cluster, "all"), SHARDS as usize + 1, "it is whole when it is answered");
    let again = judge(&mut cluster, RUN, Judgement::Approved).unwrap();
    assert_eq!(again, JudgeResponse { first: false, ..approved });
    let (code, exit, words) = judge(&mut cluster, RUN, Judgement::Rejected).unwrap_err();
    assert_eq!((code, exit.as_str()), (Code::FailedPrecondition, "65"), "{words}");
    let why = cluster.operator(["why", RUN]).run().expect(0);
    let told = why.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("by tests: looked at it"), "{why}");
    assert!(words.contains("the first decision counts"), "{words}");
    assert_counted(&mut cluster, 1.0, 0.0, 1.0);
    wait_for("the ledger has the approval", || (!is_withheld(&mut cluster)).then_some(()));
    cluster.auditor().runs(1).passes();

    // A coordinator that starts finds the same in the store alone, with a ledger that is lost.
    cluster.coordinator().kill();
    cluster.redis().cli(&["FLUSHALL"]);
    cluster.coordinator().restart();
    cluster.coordinator().wait_until_ready();
    assert_counted(&mut cluster, 1.0, 0.0, 1.0);
    assert!(!is_withheld(&mut cluster), "the ledger was made anew without the approval");

    // What no gate withholds is not decided about.
    cluster.bench().write_spec(&spec().yaml());
    let forced = StartRequest {
        request_id: "again".to_owned(),
        spec: Some(cluster.spec()),
        partition: "all".to_owned(),
        force_reason: "a test".to_owned(),
        requested_by: "tests".to_owned(),
    };
    cluster.coordinator().client().start(forced).unwrap();
    cluster.wait_for_final("all", 2);
    let (code, exit, words) =
        judge(&mut cluster, "flights-all-g2", Judgement::Approved).unwrap_err();
    assert_eq!((code, exit.as_str()), (Code::FailedPrecondition, "64"), "{words}");
    cluster.assert_sound();
}

fn of_ten_people_at_once_one_is_heard_wherever_they_ask(place: &Place) {
    let mut cluster = withheld(place, &DATES[..3]);
    let mut won = Vec::new();
    for date in &DATES[..3] {
        let run = run_of(date);
        let commands: Vec<&str> = ["approve", "reject"].into_iter().cycle().take(10).collect();
        let ask = |(n, command): (usize, &&str)| match n % 4 < 2 {
            true => through(&cluster, command, &run).start(),
            false => beside(&cluster, command, &run).start(),
        };
        let running: Vec<_> = commands.iter().enumerate().map(ask).collect();
        let ended: Vec<Finished> = running.into_iter().map(|program| program.finish()).collect();
        let path = cluster.output().join(format!("_nightshift/v1/approvals/{date}/g1.json"));
        let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let winner = if stored["judgement"] == "approved" { "approve" } else { "reject" };
        let mut first = 0;
        for (command, done) in commands.iter().zip(&ended) {
            let heard = *command == winner;
            assert_eq!(done.code(), Some(if heard { 0 } else { 65 }), "{done}");
            if heard {
                assert_eq!(said(done)["approval"], stored, "{done}");
                first += usize::from(said(done)["first"] == true);
            } else {
                assert!(done.stderr.contains("the first decision counts"), "{done}");
            }
        }
        assert_eq!(first, 1, "{ended:?}");
        let files = if winner == "approve" { shards(place) as usize + 1 } else { 0 };
        assert_eq!(visible(&cluster, &format!("date={date}")), files);
        // Whoever was faster, the coordinator has counted it: each was asked the winning word.
        won.push(winner);
    }
    let approved = won.iter().filter(|winner| **winner == "approve").count();
    assert_counted(&mut cluster, approved as f64, (3 - approved) as f64, 3.0);
    cluster.auditor().runs(3).passes();
    cluster.assert_sound();
}

fn a_coordinator_killed_after_the_approval_publishes_it_when_it_is_back(place: &Place) {
    let mut random = Random::for_test("a_coordinator_killed_after_the_approval");
    let mut cluster = withheld(place, &DATES);
    let mut between = 0;
    for (round, date) in DATES.iter().enumerate() {
        let run = run_of(date);
        let mut asking = through(&cluster, "approve", &run).start();
        let approval = format!("_nightshift/v1/approvals/{date}/g1.json");
        wait_for("the approval", || {
            let ended = asking.has_ended();
            let approved = cluster.bench().has(&approval);
            assert!(!ended || approved, "{}", asking.stderr_so_far());
            approved.then_some(())
        });
        let (late, noticed) = (random.up_to(LATE_MAX), Instant::now());
        // Not a sleep before a check: the moment of the kill is what the test varies.
        while noticed.elapsed() < late {
            std::thread::sleep(Duration::from_micros(100));
        }
        cluster.coordinator().kill();
        let marker = format!("date={date}/gen=1/_SUCCESS");
        between += usize::from(!cluster.bench().has(&marker));
        // The next start alone, or the person who asks on.
        let asking = match round % 2 {
            0 => {
                asking.kill();
                None
            }
            _ => Some(asking),
        };
        cluster.coordinator().restart();
        match asking {
            Some(asking) => {
                let done = asking.finish().expect(0);
                assert_eq!(said(&done)["approval"]["judgement"], "approved", "{done}");
                assert!(cluster.bench().has(&marker), "{done}");
            }
            None => cluster.wait_for_marker(date, 1),
        }
        assert_eq!(visible(&cluster, &format!("date={date}")), shards(place) as usize + 1);
        through(&cluster, "reject", &run).run().expect(65);
    }
    eprintln!("{between} of {} kills fell between the approval and _SUCCESS", DATES.len());
    assert!(between > 0, "no kill fell between the approval and _SUCCESS");
    cluster.coordinator().wait_until_ready();
    assert_counted(&mut cluster, DATES.len() as f64, 0.0, DATES.len() as f64);
    cluster.auditor().runs(DATES.len() as u32).passes();
}

fn a_decision_beside_the_coordinator_is_met_by_it(place: &Place) {
    let dates = &DATES[..2];
    let mut cluster = withheld(place, dates);
    beside(&cluster, "approve", &run_of(dates[0])).run().expect(0);
    beside(&cluster, "reject", &run_of(dates[1])).run().expect(0);
    // It finds out when it is asked to decide, also where it refuses to.
    through(&cluster, "approve", &run_of(dates[1])).run().expect(65);
    assert_counted(&mut cluster, 0.0, 1.0, 2.0);
    // When a backfill looks at the date.
    let spec = cluster.bench().spec().display().to_string();
    let range = format!("{}..{}", dates[0], dates[1]);
    cluster.operator(["backfill", &spec, "--dates", &range]).run();
    assert_counted(&mut cluster, 1.0, 1.0, 2.0);
    // The same decision again; the date is one of a spec.
    let words = ["approve", dates[0], &spec, "--reason", "me too"];
    let again = cluster.operator(words).run().expect(0);
    assert!(again.stdout.contains("was approved already"), "{again}");
    assert_counted(&mut cluster, 1.0, 1.0, 2.0);
    cluster.auditor().runs(2).passes();
}

#[test]
fn a_date_that_a_gate_keeps_is_not_called_done_when_it_is_submitted_again() {
    const DATE: &str = "2013-01-01";
    let mut cluster = withheld(&Place::Volume, &[DATE]);
    let spec = cluster.bench().spec();
    let submit = |cluster: &Cluster| {
        let words = ["submit", spec.to_str().unwrap(), "--date", DATE, "--output-format", "json"];
        let said = cluster.operator(words).run().expect(0);
        let summary: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        summary["dates"][0]["decision"].as_str().unwrap().to_owned()
    };
    assert_eq!(submit(&cluster), "withheld");
    judge(&mut cluster, &run_of(DATE), Judgement::Approved).unwrap();
    assert_eq!(submit(&cluster), "done");
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    of_ten_people_at_once_one_is_heard_wherever_they_ask,
    a_coordinator_killed_after_the_approval_publishes_it_when_it_is_back,
    a_decision_beside_the_coordinator_is_met_by_it,
}
