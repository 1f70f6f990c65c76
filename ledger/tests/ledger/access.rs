//! The least rights, passwords, and what is said when something is wrong with them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use nightshift_core::ids::ShardIndex;
use nightshift_ledger::redis::{RedisLedger, RedisSettings, RedisUrl};
use nightshift_ledger::{Ledger, LedgerError, LedgerState, Reason, Writer};
use nightshift_tests::binaries::repository;
use nightshift_tests::redis::{RedisServer, Reply};

use crate::stage::{Stage, behind, caught_up, keep, name, redis_at, run};

/// A word that must appear nowhere.
const CANARY: &str = "c4nary-0f-th3-m1ne";

/// The ACL as the manual gives it to people, for the user `nightshift`.
fn documented_acl() -> Vec<String> {
    let manual = std::fs::read_to_string(repository().join("docs/ledger.md")).unwrap();
    let from = manual.find("ACL SETUSER nightshift").expect("docs/ledger.md gives the ACL");
    let (command, _) = manual[from..].split_once("```").unwrap();
    let words = command.replace("\\\n", " ").replace("<password>", CANARY);
    words.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

fn server_with_user() -> RedisServer {
    let server = RedisServer::start();
    let acl = documented_acl();
    let words: Vec<&str> = acl.iter().map(String::as_str).collect();
    assert_eq!(server.cli(&words), Reply::Simple("OK".into()), "{acl:?}");
    server
}

#[tokio::test]
async fn the_documented_acl_is_enough_for_everything() {
    let server = server_with_user();
    let stage = Stage::new().await;
    let url = server.url_for("nightshift", CANARY);
    let ledger = redis_at(&url);
    let keeper = keep(ledger.clone(), &stage);
    let handle = keeper.handle();
    for day in 1..4 {
        stage.claim(&run(day, 1)).await;
        for shard in 0..20 {
            stage.decide(&run(day, 1), shard).await;
            handle.shard_decided(&run(day, 1), ShardIndex(shard));
        }
    }
    handle.run_concluded(&stage.conclude(&run(1, 1)).await);
    caught_up(&handle).await;
    crate::checker::check(&server, stage.path());
    let entries = ledger.dates(&name(), &stage.root_id, &[run(1, 1).partition]).await.unwrap();
    assert_eq!(entries.len(), 1);
    // Every kind of repair: lies, strange keys, strange types, and a wiped server.
    server.cli(&["SADD", "nightshift:{numbers}:run:numbers-2013-01-02-g1:done", "77"]);
    let dates = "nightshift:{numbers}:dates";
    let damages: [&[&str]; 3] =
        [&["DEL", "nightshift:{numbers}:meta"], &["HSET", dates, "x", "y"], &["FLUSHALL"]];
    for damage in damages {
        server.cli(damage);
        handle.reconcile(&name());
        caught_up(&handle).await;
        crate::checker::check(&server, stage.path());
    }
    let refused: Vec<_> =
        handle.counters().errors().filter(|(reason, _)| *reason == Reason::NoPermission).collect();
    assert_eq!(refused, [(Reason::NoPermission, 0)]);
}

#[tokio::test]
async fn the_documented_acl_is_no_more_than_is_needed() {
    let server = server_with_user();
    let mut to = server.connect();
    let login = to.ask(&["AUTH", "nightshift", CANARY]).unwrap();
    assert_eq!(login, Reply::Simple("OK".into()));
    let refused: [&[&str]; 6] = [
        &["FLUSHALL"],
        &["KEYS", "*"],
        &["CONFIG", "GET", "*"],
        &["EVAL", "return 1", "0"],
        &["SET", "nightshift:{numbers}:x", "1"],
        &["SADD", "somebody:else", "1"],
    ];
    for command in refused {
        let answer = to.ask(command).unwrap();
        assert!(matches!(&answer, Reply::Error(why) if why.starts_with("NOPERM")), "{answer:?}");
    }
}

#[tokio::test]
async fn database_and_percent_encoded_password() {
    let server = RedisServer::start();
    let password = "p@ss/w:rd%?#ü";
    server.cli(&["ACL", "SETUSER", "us:er", "on", &format!(">{password}"), "~*", "+@all"]);
    let url =
        format!("redis://us%3Aer:p%40ss%2Fw%3Ard%25%3F%23%C3%BC@127.0.0.1:{}/3", server.port());
    let stage = Stage::new().await;
    let keeper = keep(redis_at(&url), &stage);
    caught_up(&keeper.handle()).await;
    assert_eq!(server.cli(&["DBSIZE"]).number(), 0);
    let mut to = server.connect();
    to.ask(&["SELECT", "3"]).unwrap();
    assert_eq!(to.ask(&["DBSIZE"]).unwrap().number(), 2, "meta and writers");
}

/// Collects what is logged in this process, and what is said otherwise.
#[derive(Default, Clone)]
struct Said(Arc<Mutex<String>>);

impl Said {
    fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// A server that repeats whatever it is sent as an error, as one without `AUTH` does.
fn echo_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut heard = [0; 4096];
            let Ok(read) = stream.read(&mut heard) else { continue };
            let heard = String::from_utf8_lossy(&heard[..read]).replace("\r\n", " ");
            let answer = format!("-ERR unknown command, with args: {heard}\r\n");
            let _ = stream.write_all(answer.repeat(6).as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn the_password_is_never_said() {
    let said = Said::default();
    let log = said.clone();
    nightshift_telemetry::init_to(nightshift_telemetry::LogFormat::Json, "trace", false, {
        move |line| log.add(line)
    })
    .unwrap();
    let server = RedisServer::start();
    let tell = |port: u16| format!("redis://somebody:{CANARY}@127.0.0.1:{port}/0");
    let mut reasons = Vec::new();
    for port in [server.port(), echo_server(), 1] {
        let url: RedisUrl = tell(port).parse().unwrap();
        let settings = RedisSettings::new(url.clone());
        said.add(&format!("{url} {url:?} {url:#?} {settings:?} {settings:#?}"));
        let ledger = Arc::new(RedisLedger::new(settings).unwrap());
        said.add(&format!("{ledger:?} {ledger:#?}"));
        let error = ledger.look(&name(), &Writer::random()).await.unwrap_err();
        said.add(&format!("{error} {error:?}"));
        let LedgerError::Unavailable { reason, .. } = error else { panic!("{error:?}") };
        reasons.push(reason);
        let stage = Stage::new().await;
        let keeper = keep(ledger, &stage);
        behind(&keeper.handle(), reason.as_str()).await;
        let state = keeper.handle().state();
        assert!(matches!(state, LedgerState::Behind { .. }));
        said.add(&format!("{state:?} {keeper:?} {:?}", keeper.handle()));
        keeper.stop().await;
    }
    assert_eq!(reasons, [Reason::Auth, Reason::Auth, Reason::Refused]);
    for bad in [
        format!("redis://somebody:{CANARY}@host:port/0"),
        format!("redis://somebody:{CANARY}@host:1/x"),
        format!("redis://somebody:{CANARY}@host:1/-1"),
        format!("http://somebody:{CANARY}@host"),
        format!("redis://somebody:{CANARY}#@host"),
        format!("redis://{CANARY}"),
    ] {
        match bad.parse::<RedisUrl>() {
            Ok(url) => assert!(bad.ends_with(CANARY), "{url}"),
            Err(error) => said.add(&format!("{error} {error:?}")),
        }
    }
    let said = said.0.lock().unwrap();
    assert!(said.contains("somebody:***@127.0.0.1") && said.contains("the ledger is behind"));
    assert!(!said.contains(CANARY), "{said}");
}
