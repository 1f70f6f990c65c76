//! What a finished shard costs.

use std::sync::Arc;
use std::time::Instant;

use nightshift_core::ids::ShardIndex;
use nightshift_ledger::{Changes, Ledger, Stamp, Writer};
use nightshift_tests::redis::RedisServer;

use crate::stage::{name, redis_at, run};

/// Shards that are written; enough that what a server needs anyway does not count.
const SHARDS: u32 = 100_000;
/// Bytes of Redis that one finished shard may cost.
const BYTES_PER_SHARD_MAX: u64 = 100;

#[tokio::test]
async fn a_shard_costs_less_than_a_hundred_bytes_of_redis() {
    let server = RedisServer::start();
    let ledger: Arc<dyn Ledger> = redis_at(&server.url());
    let root = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let writer = Writer::random();
    let mut stamp = Stamp { root, writer, expected: None, sequence: 1 };
    ledger.begin(&name(), &stamp).await.unwrap();
    ledger.finish(&name(), &stamp).await.unwrap();
    let used = || -> u64 { server.info("used_memory").parse().unwrap() };
    let before = used();
    let mut changes = Changes::default();
    changes.done.insert(run(1, 1), (0..SHARDS).map(ShardIndex).collect());
    let started = Instant::now();
    for piece in changes.pieces(4096, 512) {
        stamp = Stamp { expected: Some(stamp.sequence), sequence: stamp.sequence + 1, ..stamp };
        ledger.apply(&name(), &stamp, &piece).await.unwrap();
    }
    let took = started.elapsed();
    let key = "nightshift:{numbers}:run:numbers-2013-01-01-g1:done";
    assert_eq!(server.cli(&["SCARD", key]).number(), i64::from(SHARDS));
    let of_key = server.cli(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).number() as u64;
    let of_server = used() - before;
    let shards = u64::from(SHARDS);
    eprintln!(
        "{SHARDS} shards: MEMORY USAGE {} bytes a shard, used_memory {} bytes a shard, written in {took:?}",
        of_key / shards,
        of_server / shards
    );
    assert!(of_key < shards * BYTES_PER_SHARD_MAX && of_server < shards * BYTES_PER_SHARD_MAX);
}
