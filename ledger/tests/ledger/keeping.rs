//! The keeper when nothing is wrong, and with a ledger in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use nightshift_core::ids::ShardIndex;
use nightshift_ledger::{Keeper, Ledger, LedgerState, MemoryLedger, Progress};
use nightshift_tests::redis::RedisServer;

use crate::stage::{Scene, Stage, caught_up, keep, name, redis_at, run};

#[tokio::test]
async fn a_run_from_its_claim_to_its_final() {
    let scene = Scene::new().await;
    scene.check();
    scene.stage.claim(&run(1, 1)).await;
    scene.decide(&run(1, 1), 0..25).await;
    scene.caught_up().await;
    scene.check();
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    for decided in 24..=25 {
        let hint = Progress { shards: 25, decided, rows: 250, rows_done: 10 * decided, at };
        scene.handle.progress(&run(1, 1), hint);
    }
    scene.caught_up().await;
    let hint = "nightshift:{numbers}:run:numbers-2013-01-01-g1:progress";
    assert_eq!(scene.server.cli(&["HGET", hint, "decided"]).text(), "25");
    scene.conclude(&run(1, 1)).await;
    scene.caught_up().await;
    scene.check();
    // And a second generation.
    scene.decide(&run(1, 2), 0..3).await;
    scene.caught_up().await;
    scene.check();
    scene.conclude(&run(1, 2)).await;
    scene.caught_up().await;
    scene.check();
    let counters = scene.handle.counters();
    assert_eq!((counters.shards(), counters.dates(), counters.rebuilds()), (28, 2, 1));
}

#[tokio::test]
async fn an_output_with_a_past_is_taken_in() {
    let server = RedisServer::start();
    let stage = Stage::new().await;
    for day in 1..=20 {
        stage.claim(&run(day, 1)).await;
        for shard in 0..day {
            stage.decide(&run(day, 1), shard).await;
        }
        if day % 3 != 0 {
            stage.conclude(&run(day, 1)).await;
            stage.claim(&run(day, 2)).await;
            stage.decide(&run(day, 2), 5).await;
        }
    }
    let keeper = keep(redis_at(&server.url()), &stage);
    assert!(!keeper.handle().state().is_current());
    caught_up(&keeper.handle()).await;
    crate::checker::check(&server, stage.path());
    // Another process finds nothing to do.
    let another = keep(redis_at(&server.url()), &stage);
    caught_up(&another.handle()).await;
    crate::checker::check(&server, stage.path());
    assert_eq!(another.handle().counters().batches(), 0);
    // And the first one goes on.
    stage.decide(&run(3, 1), 100).await;
    keeper.handle().shard_decided(&run(3, 1), ShardIndex(100));
    caught_up(&keeper.handle()).await;
    crate::checker::check(&server, stage.path());
    assert_eq!(keeper.handle().counters().rebuilds(), 1);
}

#[tokio::test]
async fn a_keeper_that_is_stopped_has_written_what_it_was_told() {
    let scene = Scene::new().await;
    scene.decide(&run(1, 1), 0..50).await;
    scene.keeper.stop().await;
    crate::checker::check(&scene.server, scene.stage.path());
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_is_gone() {
    let mut scene = Scene::new().await;
    scene.server.kill();
    scene.decide(&run(1, 1), 0..5).await;
    scene.keeper.stop().await;
    // Whoever waits is not left waiting.
    scene.handle.caught_up().await;
}

#[tokio::test]
async fn nobody_is_kept_waiting_and_nothing_served_is_current() {
    // Nobody listens there, ever.
    let keeper = Keeper::start(redis_at("redis://127.0.0.1:1/0"));
    let handle = keeper.handle();
    caught_up(&handle).await;
    assert_eq!(handle.state(), LedgerState::Current);
    let stage = Stage::new().await;
    handle.serve(stage.served());
    for shard in 0..300_000 {
        handle.shard_decided(&run(1, 1), ShardIndex(shard));
    }
    crate::stage::behind(&handle, "refused").await;
    let LedgerState::Behind { reason, why, names, .. } = handle.state() else { panic!() };
    assert!(["refused", "starting"].contains(&reason.as_str()), "{reason}");
    assert_eq!(names, 1, "{why}");
}

#[tokio::test]
async fn the_ledger_in_memory_says_the_same() {
    let stage = Stage::new().await;
    let ledger = Arc::new(MemoryLedger::new());
    let keeper = keep(ledger.clone(), &stage);
    let handle = keeper.handle();
    stage.claim(&run(1, 1)).await;
    stage.claim(&run(2, 1)).await;
    for shard in 0..10 {
        for run in [run(1, 1), run(2, 1)] {
            stage.decide(&run, shard).await;
            handle.shard_decided(&run, ShardIndex(shard));
        }
    }
    handle.run_concluded(&stage.conclude(&run(1, 1)).await);
    caught_up(&handle).await;
    let check = async || {
        let entries = ledger.dates(&name(), &stage.root_id, &[run(1, 1).partition]).await.unwrap();
        let entry = entries.into_values().next();
        assert_eq!(entry.unwrap().run, run(1, 1));
        assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::from([run(2, 1)]));
        assert_eq!(ledger.done(&run(2, 1)).await.unwrap().len(), 10);
    };
    check().await;
    ledger.wipe();
    crate::stage::behind(&handle, "wiped").await;
    caught_up(&handle).await;
    check().await;
}

#[tokio::test]
async fn many_names_share_a_keeper() {
    let server = RedisServer::start();
    let keeper = Keeper::start(redis_at(&server.url()));
    let handle = keeper.handle();
    let stage = Stage::new().await;
    handle.serve(stage.served());
    // The same root, under a name that it does not have: an output of that name without runs.
    let mut other = stage.served();
    other.name = "letters".parse().unwrap();
    handle.serve(other);
    stage.claim(&run(1, 1)).await;
    stage.decide(&run(1, 1), 1).await;
    handle.shard_decided(&run(1, 1), ShardIndex(1));
    // Nobody serves this one.
    handle.shard_decided(&"digits-2013-01-01-g1".parse().unwrap(), ShardIndex(1));
    caught_up(&handle).await;
    let keys = crate::checker::held(&server);
    let of = |name: &str| keys.keys().filter(|key| key.contains(&format!("{{{name}}}"))).count();
    assert_eq!((of("numbers"), of("digits")), (3, 0), "{keys:?}");
    assert!(of("letters") >= 1);
}

#[tokio::test]
async fn many_shards_become_few_transactions() {
    let scene = Scene::new().await;
    let before = scene.handle.counters().batches();
    let connections =
        || -> u64 { scene.server.info("total_connections_received").parse().unwrap() };
    let connected = connections();
    // The store is not asked while nothing goes wrong; nobody else gets to run in this loop.
    for shard in 0..50_000 {
        scene.handle.shard_decided(&run(1, 1), ShardIndex(shard));
    }
    scene.caught_up().await;
    let counters = scene.handle.counters();
    assert_eq!((counters.shards(), counters.batches() - before), (50_000, 13));
    assert_eq!(connections() - connected, 1, "the question itself: the keeper has its own");
}
