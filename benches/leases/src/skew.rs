//! Work of uneven length: how far dynamic leases are from the ideal, next to static shards.
//!
//! Workers sleep instead of computing, and do everything else in earnest: they lease from a
//! real coordinator, stage a file, create the record, publish and report, and the run ends with
//! its final. All runs go on at the same time, since sleeping takes no processor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::{join_all, try_join_all};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::args::SkewArgs;
use crate::service::Service;
use crate::stand::Stand;
use crate::table::{self, thousands};

mod commit;
mod lengths;
mod sleeper;

use lengths::{Assignment, Lengths};
use sleeper::{Crew, Sleeper};

/// What was measured; all times in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Skew {
    pub(crate) workers: usize,
    pub(crate) shards: u32,
    pub(crate) long: u32,
    pub(crate) times: u32,
    pub(crate) horizon_ms: u64,
    pub(crate) short_s: f64,
    /// No assignment can be faster: the sum over the workers, or the longest shard.
    pub(crate) ideal_s: f64,
    /// Leases, where long shards have more rows.
    pub(crate) dynamic_s: f64,
    /// Leases, where all shards have as many rows and nobody knows which are long.
    pub(crate) dynamic_unknown_s: f64,
    /// Computed: the same without any cost of leasing.
    pub(crate) in_turn_s: f64,
    /// Shard index modulo number of workers.
    pub(crate) static_modulo_s: f64,
    /// As many neighbouring shards for each worker.
    pub(crate) static_blocks_s: f64,
    pub(crate) slow: Slow,
}

/// One slow worker among others, with shards of one length.
#[derive(Debug, Serialize)]
pub(crate) struct Slow {
    /// How many times slower it is.
    pub(crate) slower: u32,
    pub(crate) with_it_s: f64,
    /// The other workers alone.
    pub(crate) without_it_s: f64,
    /// All workers, none slow.
    pub(crate) none_slow_s: f64,
}

/// Measures everything.
pub(crate) async fn skew(args: &SkewArgs) -> Result<Skew> {
    ensure!(args.workers > 1 && args.shards >= args.long, "too few workers or shards");
    let stand = Stand::new(&args.common)?;
    let coordinator = stand.coordinator(None)?;
    let skewed = Arc::new(Lengths::skewed(args));
    let even = Arc::new(Lengths::even(args));
    let healthy = vec![1; args.workers];
    let mut one_slow = healthy.clone();
    one_slow[0] = args.slower;
    let horizon = Duration::from_millis(args.horizon);
    let dynamic = async |name: &str, rows: Rows, lengths: &Arc<Lengths>, slowness: &[u32]| {
        let wish = match rows {
            Rows::AsLong => stand.scene.wish_of_files(name, lengths.units())?,
            Rows::One => stand.scene.wish(name, lengths.shards())?,
        };
        let run = stand.start(&coordinator, wish).await?;
        let output = stand.scene.output(name);
        let crew = Arc::new(Crew::new(&output, &run, Arc::clone(lengths)).await?);
        share(&coordinator, &crew, slowness, horizon).await
    };
    let fixed = |assignment| stay(&skewed, assignment, args.workers);
    let leased = async {
        futures::try_join!(
            dynamic("skewed", Rows::AsLong, &skewed, &healthy),
            dynamic("unknown", Rows::One, &skewed, &healthy),
            dynamic("slow", Rows::One, &even, &one_slow),
            dynamic("without", Rows::One, &even, &healthy[1..]),
            dynamic("even", Rows::One, &even, &healthy),
        )
    };
    let (leased, static_modulo, static_blocks) =
        futures::join!(leased, fixed(Assignment::Modulo), fixed(Assignment::Blocks));
    let (dynamic_s, dynamic_unknown_s, with_it_s, without_it_s, none_slow_s) = leased?;
    Ok(Skew {
        workers: args.workers,
        shards: args.shards,
        long: args.long,
        times: args.times,
        horizon_ms: args.horizon,
        short_s: skewed.unit().as_secs_f64(),
        ideal_s: skewed.ideal(args.workers).as_secs_f64(),
        dynamic_s,
        dynamic_unknown_s,
        in_turn_s: skewed.in_turn(args.workers).as_secs_f64(),
        static_modulo_s: static_modulo.as_secs_f64(),
        static_blocks_s: static_blocks.as_secs_f64(),
        slow: Slow { slower: args.slower, with_it_s, without_it_s, none_slow_s },
    })
}

/// Rows of the shards of a run.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// As many as the shard is long, in a file of its own: the plan says which are long.
    AsLong,
    /// One: the plan says nothing.
    One,
}

/// Lets one worker for each entry of `slowness` share a run; the seconds until its last shard is
/// decided.
async fn share(
    coordinator: &Service,
    crew: &Arc<Crew>,
    slowness: &[u32],
    horizon: Duration,
) -> Result<f64> {
    let sleepers = slowness.iter().enumerate().map(|(number, slowness)| {
        let name = format!("sleeper-{number}-{}", ulid::Ulid::generate());
        Sleeper::new(coordinator.address, Arc::clone(crew), name, *slowness, horizon)
    });
    let sleepers = try_join_all(sleepers).await?;
    let started = Instant::now();
    let work =
        sleepers.into_iter().map(|sleeper| nightshift_telemetry::spawn("sleeper", sleeper.work()));
    // A slow worker sleeps on after its last shard was decided by another: not waited for.
    let mut work: futures::stream::FuturesUnordered<_> = work.collect();
    let last = loop {
        tokio::select! {
            last = crew.last_decided() => break last,
            Some(ended) = futures::StreamExt::next(&mut work) => ended??,
        }
    };
    crew.wait_for_final().await?;
    work.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(last.duration_since(started).as_secs_f64())
}

/// Sleeps through a fixed assignment; the time until the last worker has ended.
async fn stay(lengths: &Lengths, assignment: Assignment, workers: usize) -> Duration {
    let started = Instant::now();
    join_all((0..workers).map(async |worker| {
        for length in lengths.of_worker(assignment, worker, workers) {
            sleep(length).await;
        }
    }))
    .await;
    started.elapsed()
}

/// For people.
pub(crate) fn render(skew: &Skew) -> String {
    let against = |seconds: f64, other: f64| {
        vec![format!("{seconds:.2} s"), format!("{:.2}x", seconds / other)]
    };
    let row = |name: &str, cells: Vec<String>| {
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let ideal = skew.ideal_s;
    let rows = [
        row("ideal: sum / workers, or the longest shard", against(ideal, ideal)),
        row("leases, long shards have more rows", against(skew.dynamic_s, ideal)),
        row("leases, nobody knows which are long", against(skew.dynamic_unknown_s, ideal)),
        row("  computed, in turn and free of cost", against(skew.in_turn_s, ideal)),
        row("static: index modulo workers", against(skew.static_modulo_s, ideal)),
        row("static: blocks of neighbours", against(skew.static_blocks_s, ideal)),
    ];
    let Slow { slower, with_it_s, without_it_s, none_slow_s } = skew.slow;
    let slow_rows = [
        row("without it", against(without_it_s, without_it_s)),
        row("with it", against(with_it_s, without_it_s)),
        row("all workers, none slow", against(none_slow_s, without_it_s)),
    ];
    format!(
        "{} workers, {} shards of {:.3} s, {} of them {} times longer\n\n{}\n\
         one worker {slower} times slower, shards of one length\n\n{}",
        skew.workers,
        thousands(f64::from(skew.shards)),
        skew.short_s,
        skew.long,
        skew.times,
        table::render(&["", "makespan", "to ideal"], &rows),
        table::render(&["", "makespan", "ratio"], &slow_rows),
    )
}

#[cfg(test)]
mod tests;
