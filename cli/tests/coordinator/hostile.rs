//! Texts that want to be more than text.

use nightshift_core::record::FailureClass;
use nightshift_proto::runs::list::RunPage;
use nightshift_proto::runs::status::RunState::Paused;
use nightshift_proto::runs::status::RunStatus;
use tonic::Status;

use crate::fixtures::{
    Spec, ask, ended, fits, found, going, id, of, plain, show, started, verdict,
};
use crate::server::{Script, Server};

const RUN: &str = "flights-2013-01-01-g1";

/// Moves the cursor, changes colours and the title, rings, turns the writing, and is as long as
/// the protocol allows.
fn hostile() -> String {
    let mut text =
        "\x1b[2J\x1b[31mred\x1b]0;title\x07\r\n\u{9b}5A\u{202e}detrevni\u{2028}\0 ".to_owned();
    text.push_str(&"wörd ".repeat(2_000));
    text.chars().take(2_000).collect()
}

fn paused() -> RunStatus {
    let mut run = going(&id(RUN), Paused, 1, 4);
    run.notice = hostile();
    run
}

#[test]
fn nothing_but_text_is_printed() {
    let script = Script::default()
        .start(|start, _| Ok(started(&of(start.partition))))
        .watch(|watch, _| Ok(vec![show(paused()), verdict(&watch.run, 4, 4)]))
        .list(|_, _| Ok(RunPage { runs: vec![paused()], next: None }))
        .get(|get, _| {
            let mut found = found(ended(&get.run, 4, 4), FailureClass::Data, &hostile());
            found.run.notice = hostile();
            for shard in &mut found.quarantined {
                shard.reason = "\x1b[31m\u{9b}5A reason".to_owned();
            }
            Ok(found)
        });
    let server = Server::start(script);
    let spec = Spec::new();
    let spec = spec.path();
    for (words, exit) in [
        (&["status"][..], 0),
        (&["status", RUN], 0),
        (&["why", RUN], 0),
        (&["submit", &spec, "--date", "2013-01-01", "--wait"], 65),
        (&["status", "--watch", RUN], 65),
    ] {
        let done = ask(&server, words).run().expect(exit);
        plain(&done);
        fits(&done);
        let text = ask(&server, words).args(["--output-format", "json"]).run().expect(exit);
        plain(&text);
        serde_json::from_str::<serde_json::Value>(&text.stdout).unwrap();
    }
}

#[test]
fn a_refusal_is_one_line_of_text() {
    // As much as a status may carry: it travels in headers.
    let said: String = hostile().chars().take(1_000).collect();
    let server = Server::start(
        Script::default().list(move |_, _| Err(Status::permission_denied(said.clone()))),
    );
    let done = ask(&server, &["status"]).run().expect(77);
    plain(&done);
    assert_eq!(done.stderr.lines().count(), 1, "{done}");
    assert!(done.stderr.contains("wörd"), "{done}");
}
