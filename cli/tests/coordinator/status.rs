//! `nightshift status`: of an output, of all runs, of one run.

use nightshift_core::record::FailureClass;
use nightshift_proto::names::PageToken;
use nightshift_proto::runs::list::{ListRuns, RunPage};
use nightshift_proto::runs::status::RunState::{Paused, Planning, Running};
use tonic::Status;

use crate::fixtures::{Spec, ask, ended, fits, found, going, id, json, nightshift, only, plain};
use crate::server::{Call, Script, Server};

fn lists(server: &Server) -> Vec<ListRuns> {
    let calls = server.calls().into_iter();
    calls.filter_map(|call| if let Call::List(list) = call { Some(list) } else { None }).collect()
}

fn page(count: usize, next: Option<&str>) -> RunPage {
    let run = |n: usize| going(&id(&format!("flights-2013-01-01-g{}", n + 1)), Running, 1, 4);
    let next = next.map(|token| token.parse::<PageToken>().unwrap());
    RunPage { runs: (0..count).map(run).collect(), next }
}

#[test]
fn runs_are_a_table_newest_first_and_notices_follow() {
    let server = Server::start(Script::default().list(|_, _| {
        let mut paused = going(&id("flights-2013-01-03-g2"), Paused, 120, 1_000);
        paused.notice = "more than half of all attempts in five minutes failed with store_timeout: the store does not answer; look at the store".into();
        paused.rows.out = 12_345_678;
        let planning = going(&id("flights-2013-01-04-g1"), Planning, 0, 0);
        let partial = ended(&id("flights-2013-01-02-g1"), 2, 8).run;
        Ok(RunPage { runs: vec![planning, paused, partial], next: None })
    }));
    let done = ask(&server, &["status"]).run().expect(0);
    plain(&done);
    fits(&done);
    let lines: Vec<Vec<&str>> =
        done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["run", "state", "shards", "rows", "rejects", "workers", "age"]);
    assert_eq!(lines[1], ["flights-2013-01-04-g1", "planning", "0/0", "0", "0", "0", "-"]);
    let paused = ["flights-2013-01-03-g2", "paused", "120/1000", "12.3M", "0", "1", "1m"];
    assert_eq!(lines[2], paused);
    assert_eq!(lines[3], ["flights-2013-01-02-g1", "partial", "8/8", "600", "0", "0", "1m"]);
    assert_eq!(lines[4][0], "flights-2013-01-03-g2:");
    assert!(done.stdout.trim_end().ends_with("look at the store"), "{done}");
    let [list] = &lists(&server)[..] else { panic!("one question") };
    assert_eq!((list.name.as_ref(), list.partition, list.unfinished), (None, None, false));
}

#[test]
fn a_coordinator_without_runs_says_so() {
    let server = Server::start(Script::default().list(|_, _| Ok(page(0, None))));
    let done = ask(&server, &["status"]).run().expect(0);
    assert!(done.stdout.contains("has no runs; nightshift submit starts one"), "{done}");
    let done = ask(&server, &["status", "--unfinished"]).run().expect(0);
    assert!(done.stdout.contains("has no such runs"), "{done}");
    let done = ask(&server, &["status", "--output-format", "json"]).run().expect(0);
    assert_eq!(json(&done), serde_json::json!([]));
}

#[test]
fn questions_are_narrowed_by_flags() {
    let server = Server::start(Script::default().list(|_, _| Ok(page(1, None))));
    let words = ["status", "--unfinished", "--name", "flights", "--date", "2013-01-31"];
    ask(&server, &words).run().expect(0);
    let list = lists(&server).remove(0);
    assert!(list.unfinished);
    assert_eq!(list.name.unwrap().as_str(), "flights");
    assert_eq!(list.partition.unwrap().to_string(), "2013-01-31");
    ask(&server, &["status", "--dates", "2013-01-01..2013-01-02"]).run().expect(64);
}

#[test]
fn pages_are_read_until_there_are_enough() {
    let server = Server::start(Script::default().list(|list, _| {
        Ok(match list.page.as_ref().map(PageToken::as_str) {
            None => page(200, Some("second")),
            Some("second") => page(list.page_size as usize, Some("third")),
            other => panic!("{other:?}"),
        })
    }));
    let done = ask(&server, &["status", "--limit", "250"]).run().expect(0);
    assert_eq!(done.stdout.lines().count(), 1 + 250 + 1, "{done}");
    assert!(done.stdout.ends_with("the newest 250; --limit shows more\n"), "{done}");
    let sizes: Vec<_> = lists(&server).iter().map(|list| list.page_size).collect();
    assert_eq!(sizes, [200, 50]);

    // One that names page after page without runs is not asked for ever.
    let server = Server::start(Script::default().list(|_, _| Ok(page(0, Some("again")))));
    ask(&server, &["status"]).run().expect(0);
    assert_eq!(lists(&server).len(), 1);
}

#[test]
fn one_run_is_a_table_of_one_and_an_object_for_scripts() {
    let server =
        Server::start(Script::default().get(|get, _| Ok(only(going(&get.run, Running, 3, 8)))));
    let words = ["status", "flights-2013-01-01-g1"];
    let done = ask(&server, &words).run().expect(0);
    assert_eq!(done.stdout.lines().count(), 2, "{done}");
    let done = ask(&server, &words).args(["--output-format", "json"]).run().expect(0);
    let document = json(&done);
    assert_eq!(document["state"], "running");
    assert_eq!(document["shards"]["committed"], 3);
    assert_eq!(document["rows"]["out"], 300);
    assert!(document["planned_at"].is_string());
}

#[test]
fn a_run_that_nobody_knows_is_missing_input() {
    let server = Server::start(Script::default().get(|_, _| Err(Status::not_found("no such run"))));
    for words in [
        &["status", "flights-2013-01-01-g1"][..],
        &["status", "--watch", "flights-2013-01-01-g1"],
        &["why", "flights-2013-01-01-g1"],
        &["cancel", "flights-2013-01-01-g1"],
    ] {
        let done = ask(&server, words).run().expect(66);
        assert_eq!(done.stdout, "");
        let hint = format!("`nightshift status --coordinator {}` lists the runs", server.url());
        assert_eq!(done.errors(), [format!("error: no such run; {hint}")]);
    }
}

#[test]
fn a_spec_is_looked_up_in_its_output_and_nobody_is_asked() {
    let spec = Spec::new();
    let words = ["status", &spec.path(), "--date", "2013-01-01"];
    // Were the coordinator asked, there would be no answer.
    let done =
        nightshift(&words).env("NIGHTSHIFT_COORDINATOR", "http://127.0.0.1:1").run().expect(0);
    assert!(done.stdout.contains("2013-01-01  missing"), "{done}");
    let done = nightshift(&["status", &spec.path()]).run().expect(0);
    assert!(done.stdout.starts_with("nothing has been run in "), "{done}");
}

#[test]
fn flags_that_do_not_fit_are_refused() {
    let spec = Spec::new();
    let spec = spec.path();
    for (words, mark) in [
        (&[spec.as_str(), "--watch"][..], "--watch"),
        (&[&spec, "--unfinished"], "--unfinished"),
        (&[&spec, "--name", "flights"], "--name"),
        (&[&spec, "--coordinator", "http://127.0.0.1:1"], "--coordinator"),
        (&["flights-2013-01-01-g1", "--unfinished"], "--unfinished"),
        (&["--limit", "0"], "--limit"),
        (&["--coordinator", "127.0.0.1:7070"], "--coordinator"),
        (&["--give-up-after", "soon"], "--give-up-after"),
    ] {
        let done = nightshift(&["status"]).args(words).run().expect(64);
        assert!(done.errors()[0].contains(mark), "{words:?}: {done}");
        assert_eq!(done.stdout, "");
    }
    // Neither a run nor a file: it may have been meant as either.
    let done = nightshift(&["status", "flights-2013-01-01-g0"]).run().expect(66);
    assert!(done.errors()[0].contains("neither a spec file nor a run id"), "{done}");
}

#[test]
fn a_verdict_is_no_exit_code_for_one_who_only_looks() {
    let server =
        Server::start(Script::default().get(|get, _| {
            Ok(found(ended(&get.run, 8, 8), FailureClass::Config, "no such column"))
        }));
    ask(&server, &["status", "flights-2013-01-01-g1"]).run().expect(0);
    ask(&server, &["why", "flights-2013-01-01-g1"]).run().expect(0);
}
