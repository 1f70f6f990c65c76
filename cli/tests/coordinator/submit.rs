//! `nightshift submit` without waiting.

use nightshift_core::ids::Digest;
use nightshift_proto::runs::Decision;
use nightshift_proto::runs::plan::PlannedRun;
use nightshift_proto::runs::start::{StartRun, StartedRun};
use nightshift_proto::runs::status::RunState;
use tonic::Status;

use crate::fixtures::{Spec, TEXT, ask, ended, fits, going, json, of, plain, started, was_done};
use crate::server::{Call, Script, Server};

fn starts(server: &Server) -> Vec<StartRun> {
    let calls = server.calls().into_iter();
    calls
        .filter_map(|call| if let Call::Start(start) = call { Some(start) } else { None })
        .collect()
}

/// Started, joined and done, by the day of the month.
fn by_day(start: &StartRun) -> StartedRun {
    let run = of(start.partition);
    match start.partition.to_string().as_str() {
        "2013-01-02" => {
            StartedRun { decision: Decision::Join, run: going(&run, RunState::Running, 3, 8) }
        }
        "2013-01-03" => StartedRun { decision: Decision::Done, run: ended(&run, 0, 8).run },
        _ => started(&run),
    }
}

#[test]
fn each_date_is_started_once_and_its_run_is_named() {
    let server =
        Server::start(Script::default().get(was_done).start(|start, _| Ok(by_day(&start))));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-03"];
    let done = ask(&server, &words).run().expect(0);
    plain(&done);
    let lines: Vec<Vec<&str>> =
        done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["date", "run", "decision", "state", "shards"]);
    assert_eq!(lines[1], ["2013-01-01", "flights-2013-01-01-g1", "started", "planning", "-"]);
    assert_eq!(lines[2], ["2013-01-02", "flights-2013-01-02-g1", "joined", "running", "3/8"]);
    assert_eq!(lines[3], ["2013-01-03", "flights-2013-01-03-g1", "done", "succeeded", "8/8"]);
    assert_eq!(done.stderr, "");

    let starts = starts(&server);
    assert_eq!(starts.len(), 3);
    let mut requests: Vec<&str> = starts.iter().map(|start| start.request.as_str()).collect();
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests.len(), 3, "each date is a request of its own");
    for start in &starts {
        assert_eq!(start.spec.yaml, TEXT);
        assert_eq!(start.spec.base, spec.base());
        assert_eq!(start.spec.file_name, spec.path());
        assert_eq!(start.spec.overrides, Default::default());
        assert_eq!(start.forced, None);
        assert!(start.requested_by.as_str().contains(':'), "{}", start.requested_by);
    }
}

#[test]
fn the_result_is_json_for_scripts() {
    let server =
        Server::start(Script::default().get(was_done).start(|start, _| Ok(by_day(&start))));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-03"];
    let done = ask(&server, &words).args(["--output-format", "json"]).run().expect(0);
    let document = json(&done);
    assert_eq!(document["coordinator"], server.url());
    assert_eq!(document["output"], format!("{}/out", spec.base()));
    let decisions: Vec<_> = (0..3).map(|at| document["dates"][at]["decision"].clone()).collect();
    assert_eq!(decisions, ["started", "joined", "done"]);
    assert_eq!(document["dates"][1]["run"], "flights-2013-01-02-g1");
    assert_eq!(done.stderr, "");
}

#[test]
fn flags_travel_as_absolute_places() {
    let server = Server::start(Script::default().start(|start, _| Ok(by_day(&start))));
    let spec = Spec::new();
    let here = std::env::current_dir().unwrap();
    ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"])
        .args(["--input", "in/date={date}/*.csv", "--model", "/models/delay"])
        .args(["--output", "file:///out", "--model-version", "v7"])
        .run()
        .expect(0);
    let overrides = starts(&server).remove(0).spec.overrides;
    assert_eq!(overrides.input, Some(format!("{}/in/date={{date}}/*.csv", here.display())));
    assert_eq!(overrides.model.as_deref(), Some("/models/delay"));
    assert_eq!(overrides.output.as_deref(), Some("file:///out"));
    assert_eq!(overrides.model_version.as_deref(), Some("v7"));
}

#[test]
fn force_says_why() {
    let server = Server::start(Script::default().start(|start, _| Ok(by_day(&start))));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--force"];
    ask(&server, &words).run().expect(0);
    ask(&server, &words).args(["--reason", "new features"]).run().expect(0);
    let reasons: Vec<_> = starts(&server).into_iter().map(|start| start.forced.unwrap()).collect();
    assert!(reasons[0].starts_with("nightshift submit --force by "), "{reasons:?}");
    assert_eq!(reasons[1], "new features");
    let long = "x".repeat(2_001);
    for reason in ["", " ", &long] {
        ask(&server, &words).args(["--reason", reason]).run().expect(64);
    }
    // A reason without --force would be dropped in silence.
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--reason", "x"];
    ask(&server, &words).run().expect(64);
    assert_eq!(starts(&server).len(), 2);
}

#[test]
fn a_start_that_is_repeated_has_the_same_id() {
    let server = Server::start(Script::default().start(|start, n| match n {
        0 => Err(Status::unavailable("the store is away")),
        1 => Err(Status::deadline_exceeded("slow")),
        _ => Ok(by_day(&start)),
    }));
    let spec = Spec::new();
    ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"]).run().expect(0);
    let starts = starts(&server);
    assert_eq!(starts.len(), 3);
    assert!(starts.iter().all(|start| start == &starts[0]), "{starts:#?}");
}

#[test]
fn a_date_without_input_does_not_keep_the_others_back() {
    let server = Server::start(Script::default().get(was_done).start(|start, _| {
        match start.partition.to_string().as_str() {
            "2013-01-02" => Err(Status::not_found("no input at /data/date=2013-01-02")),
            "2013-01-04" => Err(Status::not_found("no input there")),
            _ => Ok(by_day(&start)),
        }
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-05"];
    let done = ask(&server, &words).run().expect(66);
    assert_eq!(starts(&server).len(), 5);
    assert_eq!(done.stdout.matches("started").count(), 2, "{done}");
    assert_eq!(done.stdout.matches("refused").count(), 2, "{done}");
    let errors = done.errors();
    assert_eq!(errors.len(), 2, "{done}");
    // The date is named once, by the coordinator or by the command.
    assert_eq!(errors[0], "error: no input at /data/date=2013-01-02");
    assert_eq!(errors[1], "error: 2013-01-04: no input there");
}

#[test]
fn what_is_wrong_with_the_spec_keeps_every_date_back() {
    let server = Server::start(Script::default().start(|_, _| {
        let text = "spec.yaml:5:3: spec.model: no such model\nspec.yaml:7:3: spec.task: unknown";
        Err(Status::invalid_argument(text))
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-12-31"];
    let done = ask(&server, &words).run().expect(78);
    assert_eq!(done.stdout, "");
    for error in done.errors() {
        assert!(error.contains("no such model; spec.yaml:7:3: spec.task: unknown"), "{done}");
    }
    // Those that were under way with the first one, and none of the other 300.
    assert!(starts(&server).len() <= 8, "{}", starts(&server).len());
}

#[test]
fn a_wrong_spec_is_not_sent() {
    let server = Server::start(Script::default());
    let spec = Spec::new();
    std::fs::write(spec.path(), TEXT.replace("tabular", "tabluar")).unwrap();
    ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"]).run().expect(78);
    let large = format!("{TEXT}# {}\n", "x".repeat(256 << 10));
    std::fs::write(spec.path(), large).unwrap();
    let done = ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"]).run().expect(78);
    assert!(done.errors()[0].contains("262144"), "{done}");
    std::fs::write(spec.path(), TEXT).unwrap();
    ask(&server, &["submit", &spec.path()]).run().expect(64);
    assert!(server.calls().is_empty());
}

#[test]
fn a_dry_run_asks_and_starts_nothing() {
    let server = Server::start(Script::default().plan(|plan, _| {
        let run = of(plan.partition);
        let done = plan.partition.to_string() == "2013-01-01" && !plan.force;
        Ok(PlannedRun {
            decision: if done { Decision::Done } else { Decision::Start },
            run,
            inherits: None,
            shards: 8,
            rows: 800,
            input_files: 1,
            input_bytes: 12_345,
            fingerprint: Digest([1; 32]),
            model_digest: Digest([2; 32]),
            explanation: "never run, and the reason for it takes many more words than fit".into(),
        })
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-02", "--dry-run"];
    let done = ask(&server, &words).run().expect(0);
    fits(&done);
    let actions: Vec<_> =
        done.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(actions, ["skip", "run"]);
    let done = ask(&server, &words).args(["--force", "--output-format", "json"]).run().expect(0);
    let document = json(&done);
    assert_eq!(document[0]["action"], "run");
    assert_eq!(document[0]["rows"], 800);
    assert_eq!(server.count(|call| matches!(call, Call::Plan(_))), 4);
    assert_eq!(server.calls().len(), 4);
    ask(&server, &words).arg("--wait").run().expect(64);
}
