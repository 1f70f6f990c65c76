//! `nightshift cancel` where there is no terminal.

use nightshift_core::record::FailureClass;
use nightshift_proto::runs::cancel::{CancelRun, CancelledRun};
use nightshift_proto::runs::status::RunState::{Concluding, Running};

use crate::fixtures::{ask, ended, found, going, json, only, plain};
use crate::server::{Call, Script, Server};

const RUN: &str = "flights-2013-01-01-g1";

fn cancels(server: &Server) -> Vec<CancelRun> {
    let calls = server.calls().into_iter();
    calls.filter_map(|call| if let Call::Cancel(one) = call { Some(one) } else { None }).collect()
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let server = Server::start(
        Script::default().get(|get, _| Ok(only(going(&get.run, Running, 3, 8)))).cancel(
            |cancel, n| {
                Ok(CancelledRun {
                    run: match n {
                        0 => going(&cancel.run, Concluding, 3, 8),
                        _ => ended(&cancel.run, 5, 8).run,
                    },
                })
            },
        ),
    );
    let done = ask(&server, &["cancel", RUN]).run().expect(0);
    plain(&done);
    assert!(done.stdout.starts_with("flights-2013-01-01-g1 is being cancelled"), "{done}");
    let done = ask(&server, &["cancel", RUN, "--yes", "--reason", "wrong model"]).run().expect(0);
    assert_eq!(done.stdout, "flights-2013-01-01-g1 is cancelled: partial\n");
    let words = ["cancel", RUN, "--yes", "--output-format", "json"];
    assert_eq!(json(&ask(&server, &words).run().expect(0))["state"], "partial");
    let reasons: Vec<_> = cancels(&server).into_iter().map(|cancel| cancel.reason).collect();
    assert!(reasons[0].starts_with("cancelled by "), "{reasons:?}");
    assert_eq!(reasons[1], "wrong model");
    ask(&server, &["cancel", RUN, "--reason", &"x".repeat(2_001)]).run().expect(64);
}

#[test]
fn a_run_with_a_verdict_is_left_as_it_is() {
    let server = Server::start(
        Script::default()
            .get(|get, _| Ok(found(ended(&get.run, 0, 8), FailureClass::Data, "")))
            .cancel(|cancel, _| Ok(CancelledRun { run: ended(&cancel.run, 0, 8).run })),
    );
    let done = ask(&server, &["cancel", RUN]).run().expect(0);
    let text = "flights-2013-01-01-g1 had ended before: succeeded; nothing was changed\n";
    assert_eq!(done.stdout, text);
}
