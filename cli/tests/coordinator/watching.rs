//! `nightshift status --watch`: of all runs, and of one until its verdict.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nightshift_core::record::FailureClass;
use nightshift_proto::runs::list::RunPage;
use nightshift_proto::runs::status::RunState::{Planning, Running};
use nightshift_tests::waiting::wait_for;
use rustix::process::Signal;
use serde_json::Value;

use crate::fixtures::{ask, ended, fits, found, going, id, only, plain, show, verdict};
use crate::server::{Call, Frame, Script, Server};

const OLD: &str = "flights-2013-01-01-g1";
const NEW: &str = "flights-2013-01-02-g1";

/// A coordinator whose runs change with each look, until they do not any more.
fn changing() -> Script {
    Script::default()
        .list(|list, n| {
            let new = match n {
                0 => going(&id(NEW), Planning, 0, 0),
                1 => going(&id(NEW), Running, 1, 4),
                _ => going(&id(NEW), Running, 3, 4),
            };
            let mut runs = vec![new, going(&id(OLD), Running, 1, 4)];
            if n > 2 {
                runs[1] = ended(&id(OLD), 0, 4).run;
                runs.retain(|run| !list.unfinished || run.state.verdict().is_none());
            }
            Ok(RunPage { runs, next: None })
        })
        .get(|get, _| Ok(found(ended(&get.run, 0, 4), FailureClass::Data, "")))
}

fn looks(server: &Server) -> usize {
    server.count(|call| matches!(call, Call::List(_)))
}

#[test]
fn each_change_is_a_line() {
    for narrowed in [&[][..], &["--unfinished"]] {
        let server = Server::start(changing());
        let mut running = ask(&server, &["status", "--watch"]).args(narrowed).start();
        wait_for("looks after the last change", || (looks(&server) > 5).then_some(()));
        running.signal(Signal::INT);
        let done = running.finish().expect(0);
        plain(&done);
        fits(&done);
        let lines: Vec<&str> = done.stdout.lines().collect();
        let expected = [
            format!("{OLD}  running  1/4 shards, 100 rows, 1 worker"),
            format!("{NEW}  planning"),
            format!("{NEW}  running  1/4 shards, 100 rows, 1 worker"),
            format!("{NEW}  running  3/4 shards, 300 rows, 1 worker"),
            // Even where a run with a verdict is not listed any more.
            format!("{OLD}  succeeded  4/4 shards, 400 rows"),
        ];
        assert_eq!(lines, expected, "{done}");
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn each_change_is_an_object_for_scripts() {
    let server = Server::start(changing());
    let words = ["status", "--watch", "--output-format", "json"];
    let mut running = ask(&server, &words).start();
    wait_for("looks after the last change", || (looks(&server) > 5).then_some(()));
    running.signal(Signal::TERM);
    let done = running.finish().expect(0);
    let states: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["running", "planning", "running", "running", "succeeded"]);
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let server = Server::start(Script::default().list(|_, n| {
        let done = u32::try_from(n % 2).unwrap();
        Ok(RunPage { runs: vec![going(&id(OLD), Running, done, 4)], next: None })
    }));
    let mut child = Command::new(env!("CARGO_BIN_EXE_nightshift"))
        .args(["status", "--watch", "--coordinator", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains(OLD), "{first}");
    let ended = wait_for("its end", || child.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn one_run_is_followed_to_its_verdict() {
    for (quarantined, exit) in [(0, 0), (1, 65), (4, 65)] {
        let server = Server::start(
            Script::default()
                .get(move |get, n| {
                    Ok(match n {
                        0 => only(going(&get.run, Running, 1, 4)),
                        _ => found(ended(&get.run, quarantined, 4), FailureClass::Data, "bad rows"),
                    })
                })
                .watch(move |watch, _| {
                    let run = &watch.run;
                    Ok(vec![show(going(run, Running, 2, 4)), verdict(run, quarantined, 4)])
                }),
        );
        let done = ask(&server, &["status", "--watch", OLD]).run().expect(exit);
        plain(&done);
        fits(&done);
        assert!(done.stdout.starts_with("date "), "{done}");
        assert!(done.stderr.contains("running  2/4 shards"), "{done}");
        let troubles = usize::try_from(quarantined.min(3)).unwrap();
        assert_eq!(done.errors().len(), troubles, "{done}");
    }
}

#[test]
fn whoever_stops_looking_at_one_run_is_content() {
    let server = Server::start(
        Script::default()
            .get(|get, _| Ok(only(going(&get.run, Running, 1, 4))))
            .watch(|watch, _| Ok(vec![show(going(&watch.run, Running, 2, 4)), Frame::Hang])),
    );
    let mut running = ask(&server, &["status", "--watch", OLD]).start();
    running.wait_until_said("a sight", |said| said.contains("2/4 shards"));
    running.signal(Signal::INT);
    let done = running.finish().expect(0);
    assert_eq!(done.errors(), Vec::<&str>::new(), "{done}");
}

#[test]
fn a_coordinator_that_goes_away_is_given_up() {
    let server = Server::start(changing());
    let words = ["status", "--watch", "--give-up-after", "1s"];
    let running = ask(&server, &words).start();
    wait_for("a look", || (looks(&server) > 1).then_some(()));
    let url = server.url();
    drop(server);
    let done = running.finish().expect(69);
    assert!(done.errors()[0].contains(&url), "{done}");
}
