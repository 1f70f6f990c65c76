//! Workers as processes on this machine.
//!
//! A worker is started as `nightshift-worker --coordinator URL --run RUN`. It holds on to its end
//! of a pipe (its standard input): when the coordinator dies, however it dies, the pipe ends and
//! the worker drains, so that no process stays behind without its coordinator.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nightshift_core::ids::RunId;
use nightshift_core::record::FailureClass;
use nightshift_manifests::names::{LABEL_MAX, shortened};
use tokio::sync::{mpsc, watch};

use super::{LaunchError, Launcher, Leftover, Sighting, Wanted};

mod child;

use child::Ended;

/// How long workers may take to drain when the coordinator ends; then they are killed.
pub const DRAIN: Duration = Duration::from_secs(12);
/// How often the worker of a slot may crash in a row before the slot is given up, as
/// `backoffLimitPerIndex` of the job template.
const CRASHES_MAX: u32 = 6;
/// First pause before a worker that ended is replaced; it doubles with each that
/// did not live long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A worker that lived this long begins a new row.
const LIVED: Duration = Duration::from_secs(300);
/// How soon to look again at workers that are told to end.
const LOOK: Duration = Duration::from_secs(1);

/// What a launcher of processes is told.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The program `nightshift-worker`.
    pub program: PathBuf,
    /// Where the workers find their coordinator.
    pub advertise: String,
    /// Cores of this machine, which bound the workers of a run.
    pub cores: NonZeroU32,
}

/// Starts workers as processes.
#[derive(Debug)]
pub struct LocalLauncher {
    settings: LocalSettings,
    runs: Mutex<BTreeMap<RunId, Slots>>,
    sightings: mpsc::Sender<Sighting>,
    /// Tells every worker to end.
    ending: watch::Sender<bool>,
}

/// The slots of one run, each with the task that keeps a worker in it.
type Slots = BTreeMap<u32, Slot>;

#[derive(Debug)]
struct Slot {
    /// Dropped or set, the worker of the slot is told to end.
    end: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl LocalLauncher {
    /// A launcher without workers, and the receiver of what it sees.
    pub fn start(settings: LocalSettings) -> (Arc<Self>, mpsc::Receiver<Sighting>) {
        let (sightings, seen) = mpsc::channel(super::SIGHTINGS_MAX);
        let (ending, _) = watch::channel(false);
        let runs = Mutex::default();
        (Arc::new(Self { settings, runs, sightings, ending }), seen)
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Slots>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins or ends workers; how many slots there are then, and whether all of them are given up.
    fn adjust(&self, wanted: &Wanted) -> (u32, bool) {
        let run = wanted.run();
        let mut runs = self.runs();
        let slots = runs.entry(run.clone()).or_insert_with(|| {
            say_what_is_ignored(wanted);
            Slots::new()
        });
        let mut load = wanted.load(|host| slot_of(run, host));
        load.parallelism = load.parallelism.min(self.settings.cores.get());
        let now = slots.keys().next_back().map(|index| index + 1);
        let want = if wanted.rests() { 0 } else { load.slots(now) };
        let threads = (self.settings.cores.get() / load.parallelism.max(1)).max(1);
        for index in now.unwrap_or(0)..want {
            let slot = self.keep(run, index, threads);
            slots.insert(index, slot);
        }
        // A dropped slot tells its worker to end.
        let surplus = slots.split_off(&want);
        drop(surplus);
        // A task that has ended has given its slot up.
        let lost = !slots.is_empty() && slots.values().all(|slot| slot.task.is_finished());
        (want, lost)
    }

    fn keep(&self, run: &RunId, index: u32, threads: u32) -> Slot {
        let (end, ended) = watch::channel(false);
        let keeping = Keeping {
            settings: self.settings.clone(),
            run: run.clone(),
            host: host(run, index),
            threads,
            sightings: self.sightings.clone(),
            end: ended,
        };
        Slot { end, task: nightshift_telemetry::spawn("local-worker", keeping.keep()) }
    }
}

#[async_trait]
impl Launcher for LocalLauncher {
    async fn converge(&self, wanted: &Wanted) -> Result<u32, LaunchError> {
        let run = wanted.run();
        if *self.ending.borrow() {
            return Ok(0);
        }
        if let Err(error) = std::fs::metadata(&self.settings.program) {
            let program = self.settings.program.display().to_string();
            return Err(LaunchError::Program { program, error });
        }
        let (want, lost) = self.adjust(wanted);
        if lost {
            let sighting = Sighting::CannotGoOn {
                run: run.clone(),
                class: FailureClass::Lost,
                reason: "backoff_limit".to_owned(),
                message: format!(
                    "every worker on this machine has crashed more than {CRASHES_MAX} times in a row; `nightshift retry` goes on"
                ),
            };
            // Nobody listens only while the process ends.
            let _ = self.sightings.send(sighting).await;
        }
        Ok(want)
    }

    async fn over(&self, run: &RunId) -> Result<Leftover, LaunchError> {
        let mut runs = self.runs();
        let Some(slots) = runs.get_mut(run) else { return Ok(Leftover::None) };
        for slot in slots.values() {
            slot.end.send_replace(true);
        }
        if slots.values().all(|slot| slot.task.is_finished()) {
            runs.remove(run);
            return Ok(Leftover::None);
        }
        Ok(Leftover::LookAgain(LOOK))
    }

    async fn present(&self) -> Result<Vec<RunId>, LaunchError> {
        Ok(self.runs().keys().cloned().collect())
    }

    async fn end(&self) {
        self.ending.send_replace(true);
        let all = std::mem::take(&mut *self.runs());
        let slots: Vec<Slot> = all.into_values().flat_map(|run| run.into_values()).collect();
        for slot in &slots {
            slot.end.send_replace(true);
        }
        // Each kills its worker at the end of the time to drain.
        for slot in slots {
            let _ = slot.task.await;
        }
    }
}

/// Keeps a worker in one slot.
struct Keeping {
    settings: LocalSettings,
    run: RunId,
    host: String,
    threads: u32,
    sightings: mpsc::Sender<Sighting>,
    end: watch::Receiver<bool>,
}

impl Keeping {
    async fn keep(mut self) {
        let (mut crashes, mut short) = (0, 0);
        while crashes <= CRASHES_MAX {
            if *self.end.borrow() {
                return;
            }
            let order = child::Order {
                program: &self.settings.program,
                coordinator: &self.settings.advertise,
                run: &self.run,
                host: &self.host,
                threads: self.threads,
            };
            let began = std::time::Instant::now();
            let ended = child::work(&order, &mut self.end).await;
            let lived = began.elapsed() >= LIVED;
            crashes = match ended.class {
                FailureClass::Preempted => 0,
                _ if lived => 1,
                _ => crashes + 1,
            };
            // Also who drains at once, again and again, is replaced ever more slowly.
            short = if lived { 0 } else { short + 1 };
            let over = self.tell(ended).await;
            if over || self.pause(short).await {
                return;
            }
        }
        tracing::warn!(run = %self.run, host = self.host, "crashed too often; no more workers here");
    }

    /// Says how a worker ended; whether no other can do better.
    async fn tell(&self, ended: Ended) -> bool {
        let Ended { class, reason, message } = ended;
        let run = || self.run.clone();
        let gone = Sighting::WorkerGone {
            run: run(),
            host: self.host.clone(),
            class,
            reason: reason.clone(),
            message: message.clone(),
        };
        // Nobody listens only while the process ends.
        let _ = self.sightings.send(gone).await;
        let over = class == FailureClass::Config;
        if over {
            let cannot = Sighting::CannotGoOn { run: run(), class, reason, message };
            let _ = self.sightings.send(cannot).await;
        } else if class == FailureClass::Lost {
            let _ = self.sightings.send(Sighting::Noticed { run: run(), text: message }).await;
        }
        over
    }

    /// Waits before the next worker; whether there shall be none.
    async fn pause(&mut self, short: u32) -> bool {
        let pause = PAUSE_MIN.saturating_mul(1 << short.min(16)).min(PAUSE_MAX);
        // An error means that the slot was dropped.
        tokio::time::timeout(pause, self.end.wait_for(|end| *end)).await.is_ok()
    }
}

/// Says once for a run what its spec wants of pods, which there are none of.
fn say_what_is_ignored(wanted: &Wanted) {
    let Some(workers) = &wanted.facts.outline.workers else { return };
    let said = [
        ("image", workers.image.is_some()),
        ("resources", workers.resources.is_some()),
        ("podTemplate", workers.pod_template.is_some()),
    ];
    let said: Vec<&str> =
        said.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect();
    if !said.is_empty() {
        let (run, ignored) = (wanted.run(), said.join(", "));
        tracing::warn!(%run, ignored, "spec.workers has settings for pods, which --launch local does not use");
    }
}

/// What the worker of a slot is called.
fn host(run: &RunId, index: u32) -> String {
    format!("{}-{index}", shortened(&format!("local-{run}"), LABEL_MAX - "-9999".len()))
}

fn slot_of(run: &RunId, host: &str) -> Option<u32> {
    let index = host.rsplit('-').next()?.parse().ok()?;
    (self::host(run, index) == host).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_name_says_its_slot() {
        let run: RunId = "flights-2013-01-01-g1".parse().unwrap();
        assert_eq!(host(&run, 3), "local-flights-2013-01-01-g1-3");
        assert_eq!(slot_of(&run, "local-flights-2013-01-01-g1-3"), Some(3));
        assert_eq!(slot_of(&run, "local-flights-2013-01-02-g1-3"), None);
        assert_eq!(slot_of(&run, "my-host-3"), None);
    }
}
