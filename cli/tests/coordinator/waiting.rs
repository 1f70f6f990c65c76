//! `nightshift submit --wait`: verdicts, broken streams, and a coordinator that begins again.

use nightshift_core::record::FailureClass;
use nightshift_proto::runs::Decision;
use nightshift_proto::runs::start::StartedRun;
use nightshift_proto::runs::status::RunState::{Paused, Planning, Recovering, Running};
use rustix::process::Signal;
use tonic::Status;

use crate::fixtures::{
    Spec, ask, ended, fits, found, going, json, nightshift, of, plain, show, started, verdict,
    was_done,
};
use crate::server::{Call, Frame, Script, Server, listener};

fn is_watch(call: &Call) -> bool {
    matches!(call, Call::Watch(_))
}

fn is_start(call: &Call) -> bool {
    matches!(call, Call::Start(_))
}

/// A coordinator that starts whatever is asked.
fn starting() -> Script {
    Script::default().start(|start, _| Ok(started(&of(start.partition))))
}

#[test]
fn the_end_is_the_table_of_a_run_on_this_machine() {
    let script = starting()
        .get(was_done)
        .start(|start, _| {
            let run = of(start.partition);
            match start.partition.to_string().as_str() {
                "2013-01-01" => {
                    Ok(StartedRun { decision: Decision::Done, run: ended(&run, 0, 8).run })
                }
                _ => Ok(started(&run)),
            }
        })
        .watch(|watch, _| {
            let (run, steps) = (&watch.run, [0, 1, 4, 8]);
            let mut frames = vec![show(going(run, Planning, 0, 0))];
            frames.extend(steps.map(|done| show(going(run, Running, done, 8))));
            frames.push(verdict(run, 0, 8));
            Ok(frames)
        });
    let server = Server::start(script);
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-03", "--wait"];
    let done = ask(&server, &words).run().expect(0);
    plain(&done);
    let lines: Vec<Vec<&str>> =
        done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let header =
        ["date", "state", "rows", "in", "rows", "out", "rejects", "shards", "seconds", "rows/s"];
    assert_eq!(lines[0], header);
    assert_eq!(lines[1], ["2013-01-01", "done", "800", "800", "0", "8", "0.00", "-"]);
    assert_eq!(lines[2], ["2013-01-02", "succeeded", "800", "800", "0", "8", "60.0", "13"]);
    assert_eq!(lines[3][..2], ["2013-01-03", "succeeded"]);
    assert_eq!(lines[4][..2], ["total", "2,400"]);
    assert!(done.stdout.contains("1 of 3 dates were done already"), "{done}");
    assert!(done.stdout.contains("last folder: date=2013-01-03/gen=1/"), "{done}");
    // Elsewhere than on a terminal each change is a line, and each step is said once.
    let said = |text: &str| done.stderr.matches(text).count();
    assert_eq!(said("flights-2013-01-02-g1  started"), 1, "{done}");
    assert_eq!(said("flights-2013-01-02-g1  planning"), 1, "{done}");
    assert_eq!(said("flights-2013-01-02-g1  running  4/8 shards, 400 rows"), 1, "{done}");
    assert_eq!(said("flights-2013-01-02-g1  succeeded  800 rows in 60.0 s"), 1, "{done}");
    assert_eq!(server.count(is_watch), 2, "what is done is not watched");
}

#[test]
fn more_dates_than_are_followed_at_a_time_all_end() {
    let server = Server::start(starting().watch(|watch, _| Ok(vec![verdict(&watch.run, 0, 2)])));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-02-09", "--wait"];
    let done = ask(&server, &words).args(["--output-format", "json"]).run().expect(0);
    let document = json(&done);
    let dates = document["dates"].as_array().unwrap();
    assert_eq!(dates.len(), 40);
    assert!(dates.iter().all(|date| date["state"] == "succeeded"), "{done}");
    let partitions: Vec<_> = dates.iter().map(|date| date["partition"].as_str().unwrap()).collect();
    assert!(partitions.is_sorted(), "{partitions:?}");
    assert_eq!(done.stderr, "");
}

#[test]
fn shards_that_were_given_up_are_told_and_are_the_exit_code() {
    let script = starting().watch(|watch, _| Ok(vec![verdict(&watch.run, 5, 8)])).get(|get, _| {
        let message = "3 of 100 rows were rejected, 1 are allowed; mend them";
        Ok(found(ended(&get.run, 5, 8), FailureClass::Data, message))
    });
    let server = Server::start(script);
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let done = ask(&server, &words).run().expect(65);
    plain(&done);
    assert!(done.stdout.contains("2013-01-01  partial"), "{done}");
    let errors = done.errors();
    assert_eq!(errors.len(), 3, "the first of them: {done}");
    let first = "error: shard 3 of flights-2013-01-01-g1: rejects_over_budget: 3 of 100 rows were rejected, 1 are allowed; mend them";
    assert_eq!(errors[0], first);
}

#[test]
fn a_verdict_stands_though_nobody_says_why() {
    let script = starting()
        .watch(|watch, _| Ok(vec![verdict(&watch.run, 8, 8)]))
        .get(|_, _| Err(Status::internal("a bug")));
    let server = Server::start(script);
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let done = ask(&server, &words).run().expect(65);
    assert!(done.stdout.contains("2013-01-01  failed"), "{done}");
    assert!(done.errors()[0].contains("a bug"), "{done}");
}

#[test]
fn a_stream_that_breaks_is_opened_again() {
    let server = Server::start(starting().watch(|watch, n| {
        let run = &watch.run;
        match n {
            0 => Ok(vec![
                show(going(run, Running, 1, 4)),
                Frame::Fail(Status::unavailable("going away")),
            ]),
            1 => Ok(vec![show(going(run, Recovering, 2, 4))]),
            2 => Err(Status::unavailable("not ready")),
            3 => Ok(Vec::new()),
            _ => Ok(vec![show(going(run, Running, 3, 4)), verdict(run, 0, 4)]),
        }
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let done = ask(&server, &words).run().expect(0);
    assert_eq!(server.count(is_watch), 5);
    assert_eq!(server.count(is_start), 1);
    for text in [
        "running  1/4 shards",
        "no answer from the coordinator: going away; asking on",
        "the coordinator answers again",
        "recovering  2/4 shards",
        "succeeded  400 rows",
    ] {
        assert!(done.stderr.contains(text), "{text}: {done}");
    }
}

#[test]
fn an_answer_ends_a_silence() {
    // The pauses of one silence would add up to more than the bound; those of nine do not count
    // together.
    let server = Server::start(starting().watch(|watch, n| {
        let run = &watch.run;
        Ok(match n {
            0..9 => vec![show(going(run, Running, 1, 4))],
            _ => vec![verdict(run, 0, 4)],
        })
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    ask(&server, &words).args(["--give-up-after", "3s"]).run().expect(0);
}

#[test]
fn a_coordinator_that_begins_again_is_found_again() {
    let listener = listener();
    let first = Server::start_on(
        listener.try_clone().unwrap(),
        starting().watch(|watch, _| Ok(vec![show(going(&watch.run, Running, 1, 4)), Frame::Hang])),
    );
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let mut running = ask(&first, &words).start();
    running.wait_until_said("the first sight", |said| said.contains("1/4 shards"));
    drop(first);
    running.wait_until_said("the silence", |said| said.contains("no answer"));
    let second = Server::start_on(
        listener,
        Script::default().watch(|watch, _| {
            Ok(vec![show(going(&watch.run, Running, 3, 4)), verdict(&watch.run, 0, 4)])
        }),
    );
    let done = running.finish().expect(0);
    assert!(done.stdout.contains("succeeded"), "{done}");
    assert!(second.count(is_watch) >= 1);
    assert_eq!(second.count(is_start), 0, "a run that is known is not wished for again");
}

#[test]
fn a_coordinator_that_stays_away_is_given_up() {
    let server = Server::start(
        starting().watch(|watch, _| Ok(vec![show(going(&watch.run, Running, 1, 4)), Frame::Hang])),
    );
    let url = server.url();
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-02", "--wait"];
    let mut running = ask(&server, &words).args(["--give-up-after", "1s"]).start();
    running.wait_until_said("both runs", |said| said.matches("1/4 shards").count() == 2);
    drop(server);
    let done = running.finish().expect(69);
    plain(&done);
    assert_eq!(done.stdout.matches("open").count(), 2, "{done}");
    let [error] = done.errors()[..] else { panic!("{done}") };
    assert!(error.contains(&url), "{done}");
    let again = format!("look again with: nightshift status --coordinator {url} --watch");
    assert!(error.ends_with(&again), "{done}");
}

#[test]
fn a_run_that_a_new_coordinator_does_not_know_is_wished_for_again() {
    let server = Server::start(starting().watch(|watch, n| match n {
        0 => Ok(vec![show(going(&watch.run, Planning, 0, 0))]),
        _ => Err(Status::not_found("no such run")),
    }));
    // It knows the run again as soon as it is asked to start it.
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let done = ask(&server, &words).args(["--give-up-after", "300ms"]).run().expect(66);
    assert!(done.stdout.contains("no input"), "{done}");
    let starts: Vec<_> = server.calls().into_iter().filter(is_start).collect();
    assert_eq!(starts.len(), 4, "the wish and three repetitions");
    let requests = starts.iter().map(|call| match call {
        Call::Start(start) => start.request.clone(),
        other => panic!("{other:?}"),
    });
    let requests: std::collections::BTreeSet<_> = requests.collect();
    assert_eq!(requests.len(), 1, "they are the same wish");
}

#[test]
fn a_silence_while_starting_is_told() {
    let server = Server::start(Script::default().start(|start, n| match n {
        0..6 => Err(Status::unavailable("the runs are being read from the store")),
        _ => Ok(started(&of(start.partition))),
    }));
    let spec = Spec::new();
    let done = ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"]).run().expect(0);
    let told = "the runs are being read from the store; asking on";
    assert_eq!(done.stderr.matches(told).count(), 1, "{done}");
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_runs() {
    let server = Server::start(
        starting().watch(|watch, _| Ok(vec![show(going(&watch.run, Running, 1, 4)), Frame::Hang])),
    );
    let spec = Spec::new();
    for signal in [Signal::INT, Signal::TERM] {
        let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
        let mut running = ask(&server, &words).start();
        running.wait_until_said("the first sight", |said| said.contains("1/4 shards"));
        running.signal(signal);
        let done = running.finish().expect(75);
        // As for `run`, the shards of an open date are the undecided ones.
        let line: Vec<_> = done.stdout.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line[..6], ["2013-01-01", "open", "400", "100", "0", "3"], "{done}");
        let [error] = done.errors()[..] else { panic!("{done}") };
        let again = format!(
            "nightshift status --coordinator {} --watch flights-2013-01-01-g1",
            server.url()
        );
        assert!(error.ends_with(&again), "{done}");
    }
    assert_eq!(server.count(|call| matches!(call, Call::Cancel(_))), 0);
}

#[test]
fn a_date_that_is_refused_does_not_end_the_wait_for_the_others() {
    let script = Script::default()
        .start(|start, _| match start.partition.to_string().as_str() {
            "2013-01-01" => Err(Status::not_found("no input at /data/date=2013-01-01")),
            _ => Ok(started(&of(start.partition))),
        })
        .watch(|watch, _| match watch.run.partition.to_string().as_str() {
            "2013-01-02" => Err(Status::permission_denied("the store said no")),
            _ => Ok(vec![verdict(&watch.run, 0, 4)]),
        });
    let server = Server::start(script);
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-03", "--wait"];
    let done = ask(&server, &words).run().expect(66);
    let states: Vec<_> =
        done.stdout.lines().skip(1).take(3).map(|line| line.split("  ").nth(1).unwrap()).collect();
    assert_eq!(states, ["no input", "refused", "succeeded"], "{done}");
    assert_eq!(done.errors().len(), 2, "{done}");
}

#[test]
fn a_pause_is_told_with_its_reason() {
    let notice = "more than half of all attempts fail with store_timeout";
    let server = Server::start(starting().watch(move |watch, _| {
        let mut paused = going(&watch.run, Paused, 1, 4);
        paused.notice = notice.to_owned();
        Ok(vec![show(going(&watch.run, Running, 1, 4)), show(paused), verdict(&watch.run, 0, 4)])
    }));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let done = ask(&server, &words).run().expect(0);
    assert!(
        done.stderr.contains(&format!("paused  1/4 shards, 100 rows, 1 worker  {notice}")),
        "{done}"
    );
    fits(&done);
}

#[test]
fn the_address_may_come_from_the_environment() {
    let server = Server::start(starting().watch(|watch, _| Ok(vec![verdict(&watch.run, 0, 1)])));
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    nightshift(&words).env("NIGHTSHIFT_COORDINATOR", server.url()).run().expect(0);
    let done = nightshift(&words).env("NIGHTSHIFT_COORDINATOR", "nowhere").run().expect(64);
    assert!(done.errors()[0].contains("NIGHTSHIFT_COORDINATOR"), "{done}");
}
