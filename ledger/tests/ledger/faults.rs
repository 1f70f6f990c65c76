//! Everything that can happen to a Redis, in the middle of a run. Afterwards the ledger says
//! exactly what the store says.

use std::time::Instant;

use nightshift_core::ids::ShardIndex;
use nightshift_ledger::redis::RESPONSE_TIMEOUT;
use nightshift_tests::redis::{Connection, RedisServer, Reply, free_port};
use nightshift_tests::waiting::wait_for;

use crate::checker::{check_never_ahead, held};
use crate::stage::{Scene, Stage, behind, caught_up, keep, name, redis_at, run, wait_until};

/// A scene with a concluded run and one in the middle.
async fn in_the_middle() -> Scene {
    in_the_middle_of(RedisServer::start()).await
}

async fn in_the_middle_of(server: RedisServer) -> Scene {
    let scene = Scene::with(server).await;
    scene.caught_up().await;
    scene.decide(&run(1, 1), 0..10).await;
    scene.conclude(&run(1, 1)).await;
    scene.decide(&run(2, 1), 0..30).await;
    scene.caught_up().await;
    scene.check();
    scene
}

impl Scene {
    /// The run goes on, another is concluded, and the ledger notices that it is behind.
    async fn go_on_until_behind(&self, reason: &str) {
        self.decide(&run(2, 1), 30..60).await;
        self.behind(reason).await;
        self.decide(&run(3, 1), 0..20).await;
        self.decide(&run(4, 1), 0..20).await;
        self.conclude(&run(3, 1)).await;
        self.decide(&run(2, 1), 60..90).await;
        assert!(!self.handle.state().is_current(), "{reason}");
    }

    /// The fault is over: the ledger catches up, and then goes on as if nothing had been.
    async fn recover(&self) {
        self.caught_up().await;
        self.check();
        assert!(self.handle.state().is_current());
        self.decide(&run(2, 1), 90..100).await;
        self.conclude(&run(4, 1)).await;
        self.caught_up().await;
        self.check();
    }

    fn set(&self, setting: &str, value: &str) {
        assert_eq!(self.server.cli(&["CONFIG", "SET", setting, value]), Reply::Simple("OK".into()));
    }

    /// Cuts every connection to the server, but the one that says so.
    fn cut(&self) {
        self.server.cli(&["CLIENT", "KILL", "TYPE", "normal"]).number();
    }
}

#[tokio::test]
async fn killed_and_started_empty() {
    let mut scene = in_the_middle().await;
    scene.server.kill();
    scene.go_on_until_behind("refused").await;
    scene.server.restart();
    scene.recover().await;
}

#[tokio::test]
async fn killed_and_started_before_anybody_looked() {
    let mut scene = in_the_middle().await;
    scene.server.restart();
    scene.decide(&run(2, 1), 30..90).await;
    scene.recover().await;
}

#[tokio::test]
async fn wiped_under_an_open_connection() {
    let scene = in_the_middle().await;
    scene.server.cli(&["FLUSHALL"]);
    scene.decide(&run(2, 1), 30..31).await;
    scene.behind("wiped").await;
    scene.decide(&run(2, 1), 31..90).await;
    scene.recover().await;
}

#[tokio::test]
async fn wiped_while_nothing_happens() {
    let scene = in_the_middle().await;
    scene.server.cli(&["FLUSHALL"]);
    scene.behind("wiped").await;
    scene.recover().await;
}

#[tokio::test]
async fn yesterdays_dump() {
    let mut scene = in_the_middle().await;
    scene.server.save_dump();
    scene.decide(&run(2, 1), 30..60).await;
    scene.conclude(&run(2, 1)).await;
    scene.decide(&run(2, 2), 0..40).await;
    scene.caught_up().await;
    scene.server.load_dump();
    let stale = held(&scene.server);
    assert!(stale.keys().any(|key| key.ends_with("2013-01-02-g1:done")), "{stale:?}");
    scene.behind("disconnected").await;
    scene.recover().await;
}

#[tokio::test]
async fn an_older_state_under_an_open_connection() {
    // As behind a proxy, when another server takes over that has not seen the last writes.
    let scene = in_the_middle().await;
    let writers = "nightshift:{numbers}:writers";
    let older = scene.server.cli(&["HGETALL", writers]).texts();
    scene.decide(&run(2, 1), 30..40).await;
    scene.caught_up().await;
    let done = "nightshift:{numbers}:run:numbers-2013-01-02-g1:done";
    assert_eq!(scene.server.cli(&["SREM", done, "33", "34", "39"]).number(), 3);
    let restore: Vec<&str> =
        ["HSET", writers].into_iter().chain(older.iter().map(|w| &**w)).collect();
    scene.server.cli(&restore).number();
    scene.decide(&run(2, 1), 40..90).await;
    scene.behind("stale").await;
    scene.recover().await;
}

#[tokio::test]
async fn yesterdays_dump_for_a_new_process() {
    let mut scene = in_the_middle().await;
    scene.server.save_dump();
    scene.conclude(&run(2, 1)).await;
    scene.caught_up().await;
    let Scene { keeper, stage, .. } = scene;
    keeper.stop().await;
    scene.server.load_dump();
    let keeper = keep(redis_at(&scene.server.url()), &stage);
    caught_up(&keeper.handle()).await;
    crate::checker::check(&scene.server, stage.path());
}

#[tokio::test]
async fn another_output_took_the_name() {
    let scene = in_the_middle().await;
    let other = Stage::new().await;
    other.claim(&run(2, 1)).await;
    for shard in 500..520 {
        other.decide(&run(2, 1), shard).await;
    }
    other.conclude(&run(9, 1)).await;
    let theirs = keep(redis_at(&scene.server.url()), &other);
    caught_up(&theirs.handle()).await;
    // Both take it from each other, again and again; what is there is always one's alone.
    scene.behind("foreign").await;
    behind(&theirs.handle(), "foreign").await;
    scene.decide(&run(2, 1), 30..60).await;
    theirs.stop().await;
    scene.recover().await;
}

#[tokio::test]
async fn a_fight_over_a_name_costs_little() {
    let scene = in_the_middle().await;
    let other = Stage::new().await;
    let theirs = keep(redis_at(&scene.server.url()), &other);
    wait_until("five rebuilds", || scene.handle.counters().rebuilds() >= 5).await;
    // Each pause is twice the last one: 0.1 + 0.2 + 0.4 + 0.8 s lie between five of them.
    assert!(theirs.handle().counters().rebuilds() <= 12);
    theirs.stop().await;
    scene.recover().await;
}

#[tokio::test]
async fn made_a_read_only_replica() {
    let scene = in_the_middle().await;
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    scene.server.cli(&["REPLICAOF", "127.0.0.1", &port]);
    wait_for("the replica is in step", || {
        (scene.server.info("master_link_status") == "up").then_some(())
    });
    scene.go_on_until_behind("read_only").await;
    scene.server.cli(&["REPLICAOF", "NO", "ONE"]);
    scene.recover().await;
}

#[tokio::test]
async fn a_replica_that_lost_its_master() {
    let scene = in_the_middle().await;
    scene.set("replica-serve-stale-data", "no");
    scene.server.cli(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    scene.go_on_until_behind("master_down").await;
    scene.server.cli(&["REPLICAOF", "NO", "ONE"]);
    scene.recover().await;
}

#[tokio::test]
async fn out_of_memory() {
    let scene = in_the_middle().await;
    scene.set("maxmemory", "1");
    scene.go_on_until_behind("out_of_memory").await;
    scene.set("maxmemory", "0");
    scene.recover().await;
}

#[tokio::test]
async fn a_disk_that_takes_no_dump() {
    let scene = in_the_middle().await;
    // A directory where the dump should be.
    let obstacle = scene.server.folder().join("dump.rdb");
    std::fs::create_dir(&obstacle).unwrap();
    std::fs::write(obstacle.join("file"), "").unwrap();
    scene.set("save", "3600 1");
    scene.server.cli(&["BGSAVE"]);
    wait_for("the dump fails", || {
        (scene.server.info("rdb_last_bgsave_status") == "err").then_some(())
    });
    scene.go_on_until_behind("misconfigured").await;
    scene.set("stop-writes-on-bgsave-error", "no");
    scene.recover().await;
}

#[tokio::test]
async fn stopped_for_longer_than_the_timeout() {
    let scene = in_the_middle().await;
    scene.server.stop_answering();
    scene.go_on_until_behind("timeout").await;
    scene.server.go_on();
    scene.recover().await;
}

#[tokio::test]
async fn stopped_for_less_than_the_timeout() {
    let scene = in_the_middle().await;
    let started = Instant::now();
    scene.server.stop_answering();
    scene.decide(&run(2, 1), 30..33).await;
    scene.server.go_on();
    let stopped = started.elapsed();
    scene.decide(&run(2, 1), 33..90).await;
    scene.recover().await;
    // On a machine that is busy enough it was longer.
    if stopped < RESPONSE_TIMEOUT / 2 {
        let errors: u64 = scene.handle.counters().errors().map(|(_, count)| count).sum();
        assert_eq!(errors, 0, "a slow answer is no fault: {:?}", scene.handle.counters());
    }
}

#[tokio::test]
async fn connections_that_are_cut() {
    let scene = in_the_middle().await;
    for round in 0..10 {
        scene.cut();
        scene.decide(&run(2, 1), 30 + round * 5..35 + round * 5).await;
    }
    scene.behind("disconnected").await;
    scene.decide(&run(2, 1), 80..90).await;
    scene.recover().await;
}

#[tokio::test]
async fn a_password_that_was_not_there_before() {
    let scene = in_the_middle().await;
    let mut admin = scene.server.connect();
    scene.set("requirepass", "not-told");
    // From a connection that is kept, which has its login already.
    let own = admin.ask(&["CLIENT", "ID"]).unwrap().number();
    assert!(own > 0);
    admin.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
    scene.go_on_until_behind("auth").await;
    admin.ask(&["CONFIG", "SET", "requirepass", ""]).unwrap();
    scene.recover().await;
}

#[tokio::test]
async fn a_right_that_was_taken_away() {
    let scene = in_the_middle().await;
    scene.server.cli(&["ACL", "SETUSER", "default", "-hset"]);
    scene.go_on_until_behind("no_permission").await;
    scene.server.cli(&["ACL", "SETUSER", "default", "+hset"]);
    scene.recover().await;
}

#[tokio::test]
async fn busy_with_somebody_elses_script() {
    let scene = in_the_middle().await;
    scene.set("busy-reply-threshold", "50");
    let port = scene.server.port();
    let script = std::thread::spawn(move || {
        // It ends when it is killed.
        Connection::open(port).unwrap().ask(&["EVAL", "while true do end", "0"])
    });
    scene.go_on_until_behind("busy").await;
    assert_eq!(scene.server.cli(&["SCRIPT", "KILL"]), Reply::Simple("OK".into()));
    let _ = script.join().unwrap();
    scene.recover().await;
}

#[tokio::test]
async fn loading_a_large_dump() {
    let mut scene = in_the_middle_of(RedisServer::start_with(&[
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]))
    .await;
    // Somebody else's data, in another database.
    let mut to = scene.server.connect();
    to.ask(&["SELECT", "1"]).unwrap();
    let value = "x".repeat(500);
    for key in 0..3000 {
        to.ask(&["SET", &key.to_string(), &value]).unwrap();
    }
    scene.server.save_dump();
    scene.decide(&run(2, 1), 30..35).await;
    scene.caught_up().await;
    scene.server.load_dump();
    scene.decide(&run(2, 1), 35..60).await;
    scene.behind("loading").await;
    scene.recover().await;
}

#[tokio::test]
async fn keys_that_hold_something_else() {
    let key = |rest: &str| format!("nightshift:{{numbers}}:{rest}");
    let done = key("run:numbers-2013-01-02-g1:done");
    let damages: [&[&[&str]]; 9] = [
        &[&["DEL", &key("meta")], &["SET", &key("meta"), "x"]],
        &[&["HSET", &key("meta"), "root_id", "?", "version", "x"]],
        &[&["HSET", &key("meta"), "version", "2"]],
        &[&["DEL", &key("dates")], &["LPUSH", &key("dates"), "x"]],
        &[&["HSET", &key("dates"), "2013-01-01", "{}"]],
        &[&["HSET", &key("dates"), "x", "y"]],
        &[&["SADD", &key("runs"), "x"]],
        &[&["SADD", &done, "07"]],
        &[&["DEL", &done], &["SET", &done, "x"]],
    ];
    let scene = in_the_middle().await;
    for (round, commands) in damages.into_iter().enumerate() {
        for command in commands {
            let answer = scene.server.cli(command);
            assert!(!matches!(answer, Reply::Error(_)), "{command:?}: {answer:?}");
        }
        scene.handle.reconcile(&name());
        let shard = 30 + u32::try_from(round).unwrap();
        scene.decide(&run(2, 1), shard..shard + 1).await;
        scene.caught_up().await;
        scene.check();
    }
}

#[tokio::test]
async fn lies_are_removed() {
    let scene = in_the_middle().await;
    let key = |rest: &str| format!("nightshift:{{numbers}}:{rest}");
    let dates = key("dates");
    let truth = scene.server.cli(&["HGET", &dates, "2013-01-01"]).text();
    // A date that is not done, one that is done later than it is, shards without a record, and
    // shards of a run that nobody claimed.
    let lie = truth.replace("2013-01-01-g1", "2013-01-20-g1");
    scene.server.cli(&["HSET", &dates, "2013-01-20", &lie]);
    let lie = truth.replace("-g1", "-g7").replace("\"generation\":1", "\"generation\":7");
    scene.server.cli(&["HSET", &dates, "2013-01-01", &lie]);
    scene.server.cli(&["SADD", &key("run:numbers-2013-01-02-g1:done"), "5000", "6000"]);
    scene.server.cli(&["SADD", &key("run:numbers-2013-01-25-g1:done"), "1"]);
    scene.server.cli(&["SADD", &key("runs"), "numbers-2013-01-25-g1"]);
    scene.handle.reconcile(&name());
    scene.caught_up().await;
    scene.check();
}

#[tokio::test]
async fn never_ahead_while_it_is_wiped_again_and_again() {
    let scene = in_the_middle().await;
    let mut wipes = 0;
    for shard in 30..230 {
        scene.decide(&run(2, 1), shard..shard + 1).await;
        if shard % 20 == 0 {
            scene.server.cli(&["FLUSHALL"]);
            wipes += 1;
        }
        check_never_ahead(&scene.server, scene.stage.path());
    }
    assert_eq!(wipes, 10);
    scene.recover().await;
}

#[tokio::test]
async fn what_was_told_while_the_ledger_was_being_rebuilt_is_not_forgotten() {
    let scene = Scene::with(RedisServer::start()).await;
    scene.stage.claim(&run(1, 1)).await;
    for shard in 0..300 {
        scene.stage.decide(&run(1, 1), shard).await;
        scene.handle.shard_decided(&run(1, 1), ShardIndex(shard));
        if shard % 10 == 0 {
            scene.handle.reconcile(&name());
        }
    }
    scene.caught_up().await;
    scene.check();
}
