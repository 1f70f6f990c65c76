//! Many backfills at once, and backfills beside the dead.

use std::time::{Duration, Instant};

use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Running};
use nightshift_tests::redis::RedisServer;
use nightshift_tests::{log, store};
use rustix::process::Signal;

use crate::scene::{ROWS, backfill_of, bench_at, long_bench, results};

const DATE: &str = "2013-01-01";
/// Processes that are started in the same second.
const PROCESSES: usize = 10;

/// Ten backfills with the same missing date, started in the same second, as people start them: one
/// computes it, nine say who does or that it is done, all end with 0, and nothing is scored twice.
fn ten_at_once(place: &Place, redis: Option<&RedisServer>) {
    let bench = bench_at(place, &[DATE]);
    let start = |_| {
        let flags = ["--date", DATE, "--workers", "1"];
        let process = bench.command("backfill").args(flags).logged();
        match redis {
            Some(redis) => process.env("REDIS_URL", redis.url()).start(),
            None => process.start(),
        }
    };
    let began = Instant::now();
    let running: Vec<Running> = (0..PROCESSES).map(start).collect();
    assert!(began.elapsed() < Duration::from_secs(1), "they were not started in one second");
    let ended: Vec<Finished> =
        running.into_iter().map(|process| process.finish().expect(0)).collect();
    let (workers, others): (Vec<_>, Vec<_>) =
        ended.iter().partition(|one| !log::started(&one.stderr).is_empty());
    assert_eq!(workers.len(), 1, "one does the work");
    let shards: log::Shards = (0..ROWS.div_ceil(200) as u32).map(|shard| (shard, 1)).collect();
    assert_eq!(log::started(&workers[0].stderr), shards, "each shard once");
    assert!(workers[0].stdout.contains(&format!("{DATE}  succeeded")), "{}", workers[0]);
    for other in others {
        // It came while the other was at work, at the same moment, or after it.
        let leaves = other.stdout.contains(&format!("{DATE}  running  leave"))
            && other.stdout.contains("works on g1");
        let was_slower = other.stderr.contains("another process was faster and does it");
        let is_late = other.stdout.contains("1 of 1 date is done");
        assert!(leaves || was_slower || is_late, "it does not say why it does nothing: {other}");
        assert!(!other.stdout.contains("succeeded"), "{other}");
    }
    assert_eq!(store::finals(&bench.output(), DATE), 1);
    let audit = bench.auditor().runs(1);
    let counts = match redis {
        Some(redis) => audit.redis(redis.port()).redis_complete().passes(),
        None => audit.passes(),
    };
    assert_eq!(counts["rows_out"], ROWS);
}

fn of_ten_that_start_together_one_works_without_redis(place: &Place) {
    ten_at_once(place, None);
}

fn of_ten_that_start_together_one_works_with_redis(place: &Place) {
    ten_at_once(place, Some(&RedisServer::start()));
}

fn a_run_whose_process_was_killed_is_gone_on_with_by_the_next_tick(place: &Place) {
    let bench = long_bench(place, DATE);
    let mut first = backfill_of(&bench, DATE).logged().start();
    first.wait_until_said("the first commit", |said| log::count(said, "shard committed") > 0);
    first.kill();
    let next = backfill_of(&bench, DATE).logged().run().expect(0);
    assert_eq!(results(&next), [format!("{DATE} succeeded")]);
    assert_eq!(store::finals(&bench.output(), DATE), 1);
    assert_eq!(store::runs(&bench.output()).len(), 1, "the run was joined, not doubled");
    bench.audit(1);
}

fn a_run_that_somebody_works_on_is_left_to_them_or_waited_for(place: &Place) {
    let bench = long_bench(place, DATE);
    let mut first = backfill_of(&bench, DATE).logged().start();
    first.wait_until_said("the first shard", |said| log::count(said, "inference started") > 0);
    first.signal(Signal::STOP);
    let other = backfill_of(&bench, DATE).run().expect(0);
    assert_eq!(results(&other), [format!("{DATE} running")]);
    let mut waiting = backfill_of(&bench, DATE).arg("--wait").start();
    waiting.wait_until_said("that it waits", |said| said.contains("waiting for"));
    first.signal(Signal::CONT);
    first.finish().expect(0);
    assert_eq!(results(&waiting.finish().expect(0)), [format!("{DATE} succeeded")]);
    bench.audit(1);
}

fn a_run_of_another_host_is_joined_when_it_gives_no_sign_of_life(place: &Place) {
    let bench = long_bench(place, DATE);
    let mut first = backfill_of(&bench, DATE).env("POD_NAME", "elsewhere").logged().start();
    first.wait_until_said("the first commit", |said| log::count(said, "shard committed") > 0);
    first.kill();
    let soon = backfill_of(&bench, DATE).run().expect(0);
    assert_eq!(results(&soon), [format!("{DATE} running")], "it may be alive");
    let later = backfill_of(&bench, DATE).args(["--join-after", "1ms"]).run().expect(0);
    assert_eq!(results(&later), [format!("{DATE} succeeded")]);
    bench.audit(1);
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    of_ten_that_start_together_one_works_without_redis,
    of_ten_that_start_together_one_works_with_redis,
    a_run_whose_process_was_killed_is_gone_on_with_by_the_next_tick,
    a_run_that_somebody_works_on_is_left_to_them_or_waited_for,
    a_run_of_another_host_is_joined_when_it_gives_no_sign_of_life,
}

nightshift_tests::through_faults! {
    a_run_whose_process_was_killed_is_gone_on_with_by_the_next_tick,
}
