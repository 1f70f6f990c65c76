use super::*;
use crate::latency::Latencies;
use crate::memory::Held;

fn seen() -> Seen {
    let mut some = Latencies::default();
    some.add(Duration::from_micros(123_456));
    let elapsed = Duration::from_secs(6);
    Seen { pairs: 60_000, elapsed, acquire: some.clone(), report: some }
}

#[test]
fn the_tables_fit_a_terminal() {
    let usage =
        |cpu, rss_bytes| Usage { cpu: Duration::from_secs(cpu), rss_bytes, peak_bytes: rss_bytes };
    let usages = [usage(0, 9_000_000), usage(1, 10_000_000), usage(4, 123_000_000)];
    let one = |peer, connections, rate| measurement(peer, connections, rate, seen(), usages);
    let held =
        || Held { idle_bytes: 8 << 20, peak_bytes: 150 << 20, rss_bytes: 32 << 20, seconds: 1.2 };
    let load = Load {
        cores: 2,
        workers: 1_000,
        measurements: vec![
            one(Peer::MemoryLedger, 1_000, None),
            one(Peer::RedisLedger, 8, Some(2_000)),
            one(Peer::RedisList, 1_000, None),
        ],
        redis_bytes_per_shard: Some(71.3),
        memory: Some(Memory {
            shards: 1_000_000,
            plan_bytes: 98_000_000,
            records: 100_000,
            planned: held(),
            recovered: held(),
        }),
    };
    let text = render(&load);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // 60,000 pairs in 6 s, for 3 s of the processor.
    assert!(text.contains("10,000") && text.contains("  50\n"), "{text}");
    let json = serde_json::to_value(&load).unwrap();
    assert_eq!(json["measurements"][2]["peer"], "redis_list");
    assert_eq!(json["measurements"][0]["pairs_per_s"], 10_000.0);
}

#[tokio::test]
async fn a_list_queue_hands_out_every_item_once() {
    let redis = Service::redis(None).unwrap();
    let seen = queue::perform(redis.address, 20, 3_000, Duration::from_secs(600)).await.unwrap();
    assert_eq!(seen.pairs, 3_000);
    let mut left = Redis::connect(redis.address).await.unwrap();
    assert_eq!(left.call(&[b"DBSIZE"]).await.unwrap(), Reply::Integer(0));
    assert!(left.used_memory().await.unwrap() > 0);
    assert!(redis.usage().unwrap().rss_bytes > 0);
}
