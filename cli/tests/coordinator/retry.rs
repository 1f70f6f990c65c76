//! `nightshift retry`, with and without waiting.

use nightshift_proto::runs::retry::RetriedRun;
use nightshift_proto::runs::status::RunState::{Planning, Running};
use tonic::Status;

use crate::fixtures::{ask, going, id, json, plain, show, verdict};
use crate::server::{Call, Script, Server};

const RUN: &str = "flights-2013-01-01-g1";
const NEXT: &str = "flights-2013-01-01-g2";

fn retrying() -> Script {
    Script::default().retry(|_, n| match n {
        0 => Err(Status::unavailable("recovering")),
        _ => Ok(RetriedRun { run: going(&id(NEXT), Planning, 0, 0) }),
    })
}

#[test]
fn the_new_run_is_named() {
    let server = Server::start(retrying());
    let done = ask(&server, &["retry", RUN]).run().expect(0);
    plain(&done);
    let told = format!(
        "{NEXT} runs again what {RUN} gave up\nfollow it with: nightshift status --coordinator {} --watch {NEXT}\n",
        server.url()
    );
    assert_eq!(done.stdout, told);
    let calls = server.calls();
    let [Call::Retry(first), Call::Retry(second)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(first, second, "a wish that is repeated has the same id");
    let done = ask(&server, &["retry", RUN, "--output-format", "json"]).run().expect(0);
    assert_eq!(json(&done)["retries"], RUN);
    assert_eq!(json(&done)["run"], NEXT);
}

#[test]
fn it_may_be_waited_for() {
    for (quarantined, exit) in [(0, 0), (8, 65)] {
        let script = retrying().watch(move |watch, _| {
            let run = &watch.run;
            Ok(vec![show(going(run, Running, 2, 8)), verdict(run, quarantined, 8)])
        });
        let server = Server::start(script);
        let done = ask(&server, &["retry", RUN, "--wait"]).run().expect(exit);
        assert!(done.stderr.contains(&format!("{NEXT}  running  2/8 shards")), "{done}");
        assert_eq!(done.stdout.lines().nth(1).unwrap().split_whitespace().count(), 8, "{done}");
    }
}

#[test]
fn a_run_that_cannot_be_retried_is_a_usage_error() {
    let server = Server::start(Script::default().retry(|_, _| {
        Err(Status::failed_precondition("flights-2013-01-01-g1 has succeeded; use submit --force"))
    }));
    let done = ask(&server, &["retry", RUN]).run().expect(64);
    let text = "error: flights-2013-01-01-g1 has succeeded; use submit --force";
    assert_eq!(done.errors(), [text]);
}
