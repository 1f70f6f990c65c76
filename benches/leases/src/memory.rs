//! Memory of a coordinator with one large run: while it opens it, while it holds it, and when
//! the next coordinator takes it over.

use anyhow::{Context, Result, bail};
use nightshift_core::ids::RunId;
use nightshift_proto::wire;
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::args::MemoryArgs;
use crate::fleet;
use crate::records::Records;
use crate::service::Service;
use crate::stand::Stand;
use crate::table::{self, megabytes, thousands};

/// Longest wait for a coordinator to find a run again.
const RECOVERY_MAX: Duration = Duration::from_secs(300);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) shards: u32,
    /// Bytes of the stored plan.
    pub(crate) plan_bytes: u64,
    /// Records that were there for the second coordinator.
    pub(crate) records: u32,
    /// The coordinator that planned the run.
    pub(crate) planned: Held,
    /// The one after it, which found the run in the store.
    pub(crate) recovered: Held,
}

/// Memory of one coordinator.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// Before there was a run.
    pub(crate) idle_bytes: u64,
    /// The most while the run was opened.
    pub(crate) peak_bytes: u64,
    /// With the run open.
    pub(crate) rss_bytes: u64,
    /// How long opening took.
    pub(crate) seconds: f64,
}

/// `nightshift-bench-leases memory`.
pub(crate) async fn memory(args: &MemoryArgs) -> Result<Memory> {
    let stand = Stand::new(&args.common)?;
    measure(&stand, args.shards, args.records).await
}

/// Measures a run of `shards` shards; `records` of them are decided when it is found again.
pub(crate) async fn measure(stand: &Stand, shards: u32, records: u32) -> Result<Memory> {
    let home = stand.scene.home();
    let wish = stand.scene.wish("large", shards)?;
    let first = stand.coordinator_at(&home, None)?;
    let idle_bytes = first.usage()?.rss_bytes;
    let started = Instant::now();
    let run = stand.start(&first, wish).await?;
    let planned = held(&first, idle_bytes, started)?;
    drop(first);
    let (output, spare) = (stand.scene.output("large"), stand.scene.path("spare-large"));
    let id: RunId = run.parse()?;
    let plan = nightshift_core::layout::Object::Plan { run: id.clone() };
    let plan_bytes = std::fs::metadata(output.join(plan.path()))?.len();
    let prepared = Records::prepare(&output, spare, id, records).await?;
    for shard in 0..records {
        prepared.reveal(nightshift_core::ids::ShardIndex(shard))?;
    }
    let started = Instant::now();
    let second = stand.coordinator_at(&home, None)?;
    wait_for_run(&second, &run, shards).await?;
    let recovered = held(&second, idle_bytes, started)?;
    Ok(Memory { shards, plan_bytes, records, planned, recovered })
}

fn held(coordinator: &Service, idle_bytes: u64, started: Instant) -> Result<Held> {
    let seconds = started.elapsed().as_secs_f64();
    let usage = coordinator.usage()?;
    Ok(Held { idle_bytes, peak_bytes: usage.peak_bytes, rss_bytes: usage.rss_bytes, seconds })
}

async fn wait_for_run(coordinator: &Service, run: &str, shards: u32) -> Result<()> {
    let mut operator = fleet::operator(coordinator.address).await?;
    let started = Instant::now();
    loop {
        let wish = wire::GetRequest { run: run.to_owned(), shard: None, open_shards_max: 0 };
        match operator.get(wish).await {
            Ok(answer) => {
                let found = answer.into_inner().run.context("an answer without a run")?;
                if found.shards.is_some_and(|counts| counts.total == shards) {
                    return Ok(());
                }
            }
            Err(status) if started.elapsed() > RECOVERY_MAX => {
                bail!("the run was not found again: {}", status.message())
            }
            Err(_) => {}
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// For people.
pub(crate) fn render(memory: &Memory) -> String {
    let row = |name: &str, held: &Held| {
        vec![
            name.to_owned(),
            megabytes(held.idle_bytes),
            megabytes(held.peak_bytes),
            megabytes(held.rss_bytes),
            format!("{:.1} s", held.seconds),
        ]
    };
    let records = thousands(f64::from(memory.records));
    let rows = [
        row("planned", &memory.planned),
        row(&format!("found again, {records} records"), &memory.recovered),
    ];
    format!(
        "memory of a coordinator with a run of {} shards (its plan: {})\n{}",
        thousands(f64::from(memory.shards)),
        megabytes(memory.plan_bytes),
        table::render(&["", "idle", "peak", "held", "opened in"], &rows)
    )
}
