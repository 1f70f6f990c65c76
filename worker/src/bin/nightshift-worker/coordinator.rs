//! `nightshift-worker --coordinator`: shards of any run, as long as there are any.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use nightshift_core::exit::Exit;
use nightshift_core::ids::RunId;
use nightshift_storage::sync::Durability;
use nightshift_telemetry::meter::Meter;
use nightshift_worker::describe;
use nightshift_worker::forced::Forced;
use nightshift_worker::front::address::Address;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::tls::TlsArgs;
use nightshift_worker::front::{default_threads, runtime};
use nightshift_worker::identity::Identity;
use nightshift_worker::member::{Means, work};
use nightshift_worker::memory::Guard;
use nightshift_worker::pace::Pace;
use nightshift_worker::source::Drain;
use nightshift_worker::source::remote::{Ending, Settings, StartError, Tally};

/// What these flags stand under in the help.
const HEADING: &str = "As a worker of a coordinator";

/// Shortest bound on the silence of a coordinator: a restart has to fit in.
const GIVE_UP_MIN: Duration = Duration::from_secs(1);
/// Longest such bound.
const GIVE_UP_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How to work for a coordinator.
#[derive(Debug, Args)]
pub(crate) struct CoordinatorArgs {
    /// Take shards from this coordinator, as in http://host:7070 or https://host:7070, until it
    /// says that there are no more
    #[arg(long, help_heading = HEADING, env = "NIGHTSHIFT_COORDINATOR", value_name = "URL")]
    pub(crate) coordinator: Option<Address>,

    /// Take shards of this run alone
    #[arg(long, help_heading = HEADING, value_name = "RUN", requires = "coordinator")]
    run: Option<RunId>,

    /// End when no run is under way, instead of waiting for the next one
    #[arg(long, help_heading = HEADING, requires = "coordinator")]
    exit_when_idle: bool,

    /// How long the coordinator may be silent before the worker gives up, as in 90s or 10m; until
    /// then the work goes on
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "10m", value_parser = give_up_after)]
    give_up_after: Duration,

    /// Score at most this many rows a second, all threads together, to spare a shared store
    #[arg(long, help_heading = HEADING, value_name = "N", requires = "coordinator")]
    max_rows_per_second: Option<NonZeroU64>,

    #[command(flatten)]
    tls: TlsArgs,
}

fn give_up_after(text: &str) -> Result<Duration, String> {
    let invalid = "write a time from 1s to 7d, as in 90s or 10m";
    let time: SignedDuration = text.parse().map_err(|_| invalid.to_owned())?;
    let time = Duration::try_from(time).map_err(|_| invalid.to_owned())?;
    if (GIVE_UP_MIN..=GIVE_UP_MAX).contains(&time) { Ok(time) } else { Err(invalid.to_owned()) }
}

impl CoordinatorArgs {
    /// Works until there is a reason to end.
    pub(crate) fn work(
        &self,
        coordinator: &Address,
        workers: Option<u16>,
        drain: Drain,
        forced: Forced,
        memory: Guard,
        meter: &Arc<Meter>,
    ) -> Result<Exit, Failure> {
        let who = Identity::of_this_process();
        let worker =
            who.worker_name().map_err(|error| Failure::new(Exit::Software, describe(&error)))?;
        let settings = Settings {
            coordinator: self.tls.endpoint(coordinator)?,
            worker,
            run: self.run.clone(),
            threads: workers.map_or_else(default_threads, usize::from),
            exit_when_idle: self.exit_when_idle,
            give_up_after: self.give_up_after,
            durability: Durability::Full,
        };
        let runtime = runtime()?;
        let pace = self.max_rows_per_second.map(Pace::new);
        let (memory, meter) = (Arc::new(memory), Arc::clone(meter));
        let means = Means { pace, forced, memory, meter };
        let ended = work(settings, who, means, drain, runtime.handle().clone());
        // An opening that still waits for a slow volume must not keep the process.
        runtime.shutdown_background();
        let (ending, tally) =
            ended.map_err(|error: StartError| Failure::new(Exit::Io, describe(&error)))?;
        self.said(coordinator, &ending, tally)
    }

    fn said(&self, coordinator: &Address, ending: &Ending, tally: Tally) -> Result<Exit, Failure> {
        let Tally { shards, rows, heartbeat_gap_max, .. } = tally;
        let gap_ms = heartbeat_gap_max.as_millis();
        super::println_err(&format!(
            "{shards} shards with {rows} rows committed; longest gap between heartbeats {gap_ms} ms"
        ));
        let exit = ending.exit();
        let named = |failure: Failure| match &self.run {
            Some(run) => failure.of(run, None),
            None => failure,
        };
        let ended = match ending {
            Ending::Retired | Ending::Idle => Ok(exit),
            Ending::Drained => {
                Err(Failure::new(exit, "drained: run the same command again to continue"))
            }
            Ending::Unavailable { error } => Err(Failure::new(
                exit,
                format_args!(
                    "the coordinator at {coordinator} has not answered for {} s: {error}; see that it runs there, or give it longer with --give-up-after",
                    self.give_up_after.as_secs()
                ),
            )),
            Ending::Refused { text, .. } => Err(Failure::new(
                exit,
                format_args!(
                    "the coordinator at {coordinator} and this worker cannot go on: {text}"
                ),
            )),
        };
        ended.map_err(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(give_up_after("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(give_up_after("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "10", "-1m", "0s", "30d", "soon", "999999999999999999999h"] {
            assert!(give_up_after(bad).is_err(), "{bad}");
        }
    }
}
