//! What a coordinator, or something else at its address, may say to a question.

use std::io::{Read, Write};
use std::net::TcpListener;

use nightshift_proto::runs::status::RunState::Running;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::fixtures::{Spec, ask, going, nightshift, only};
use crate::server::{Script, Server, listener};

const RUN: &str = "flights-2013-01-01-g1";

#[test]
fn nobody_at_the_address_is_told_with_the_address() {
    // The port is taken and nobody accepts, or is free and refuses.
    let url = format!("http://{}", listener().local_addr().unwrap());
    let spec = Spec::new();
    let spec = spec.path();
    for words in [
        &["status"][..],
        &["status", RUN],
        &["status", "--watch"],
        &["status", "--watch", RUN],
        &["why", RUN],
        &["cancel", RUN],
        &["retry", RUN],
        &["retry", RUN, "--wait"],
        &["submit", &spec, "--date", "2013-01-01"],
        &["submit", &spec, "--date", "2013-01-01", "--wait"],
        &["submit", &spec, "--date", "2013-01-01", "--dry-run"],
    ] {
        let done = nightshift(words)
            .args(["--coordinator", &url, "--give-up-after", "100ms"])
            .run()
            .expect(69);
        let [error] = done.errors()[..] else { panic!("{done}") };
        assert!(error.contains(&url), "{done}");
        assert!(error.contains("check the address and that nightshift-coordinator runs"), "{done}");
        assert_eq!(done.stdout, "", "{done}");
    }
}

#[test]
fn a_coordinator_that_is_silent_is_given_up() {
    let server = Server::start(Script::default().silent_get());
    let done = ask(&server, &["why", RUN, "--give-up-after", "0s"]).run().expect(69);
    assert!(done.errors()[0].contains(&server.url()), "{done}");
}

#[test]
fn a_coordinator_that_cannot_just_now_is_asked_again() {
    let away = || Status::unavailable("the store is away");
    let server = Server::start(Script::default().get(move |get, n| match n {
        0..3 => Err(away()),
        _ => Ok(only(going(&get.run, Running, 1, 4))),
    }));
    ask(&server, &["status", RUN]).run().expect(0);
    let server = Server::start(Script::default().get(move |_, _| Err(away())));
    let done = ask(&server, &["status", RUN, "--give-up-after", "200ms"]).run().expect(69);
    assert!(done.errors()[0].ends_with("the store is away"), "{done}");
}

#[test]
fn each_refusal_has_its_exit_code() {
    let spec = Spec::new();
    let spec = spec.path();
    let submit = ["submit", &spec, "--date", "2013-01-01"];
    let why = ["why", RUN];
    for (code, exit_of_submit, exit_of_why) in [
        (Code::InvalidArgument, 78, 64),
        (Code::FailedPrecondition, 78, 64),
        (Code::NotFound, 66, 66),
        (Code::PermissionDenied, 77, 77),
        (Code::Internal, 70, 70),
        (Code::Unimplemented, 69, 69),
    ] {
        let refuse = move || Status::new(code, "because");
        let script =
            Script::default().start(move |_, _| Err(refuse())).get(move |_, _| Err(refuse()));
        let server = Server::start(script);
        for (words, exit) in [(&submit[..], exit_of_submit), (&why, exit_of_why)] {
            let done = ask(&server, words).run().expect(exit);
            assert!(done.errors()[0].contains("because"), "{code:?}: {done}");
        }
    }
}

#[test]
fn the_exit_code_that_the_coordinator_names_is_used() {
    let mut metadata = MetadataMap::new();
    metadata.insert("nightshift-exit", "65".parse().unwrap());
    let status = Status::with_metadata(Code::Internal, "data/a.parquet is truncated", metadata);
    let server = Server::start(Script::default().start(move |_, _| Err(status.clone())));
    let spec = Spec::new();
    let done = ask(&server, &["submit", &spec.path(), "--date", "2013-01-01"]).run().expect(65);
    assert!(done.errors()[0].contains("data/a.parquet is truncated"), "{done}");
}

#[test]
fn a_reply_that_contradicts_itself_is_a_bug() {
    let server = Server::start(Script::default().get(|get, _| {
        let mut run = going(&get.run, Running, 1, 4);
        run.shards.total = 7;
        Ok(only(run))
    }));
    let done = ask(&server, &["status", RUN]).run().expect(70);
    assert!(done.errors()[0].contains("the parts add up to 4"), "{done}");
}

#[test]
fn another_server_at_the_address_is_no_coordinator() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test process; the program may connect any number of times.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let words = ["status", "--coordinator", &url, "--give-up-after", "300ms"];
    let done = nightshift(&words).run().expect(69);
    assert!(done.errors()[0].contains(&url), "{done}");
}
