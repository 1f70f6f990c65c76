//! From a grant to what its shards need: the output root, the plan, the model.
//!
//! A run is opened once and kept while it is among the last few; models are shared between runs
//! by their digest. Opening reads and hashes large files, so it happens beside the leases.
//!
//! What cannot be opened fails its lease, with a class that says who is at fault. `config` stops
//! the run for everybody, so it is only for what every worker has alike: a model whose bytes are
//! the planned ones and that the engine refuses. A root, a plan or a model that is missing,
//! unreadable or another one *here* may be right on the next host: `transient`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_core::exit::Exit;
use nightshift_core::ids::{Digest, RunId};
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_core::record::FailureClass;
use nightshift_core::spec;
use nightshift_proto::leases::acquire::Grant;
use nightshift_proto::names::{TraceParent, WorkerName};
use nightshift_storage::model::{ModelError, Models, Resolved};
use nightshift_storage::root::{OutputRoot, Probed, Reader as RootReader};
use nightshift_storage::sync::Durability;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tonic::transport::Endpoint;

use super::Settings;
use super::creates::Creates;
use crate::engine::text::DeviceError;
use crate::engine::{Engine, ErrorClass, LoadError};
use crate::score::Scorer;
use crate::session::{RunError, load_resolved};
use crate::source::{Failure, RunWork, Scope};

/// Runs that are kept open: those that a coordinator shares out at the same time. One that is
/// opened again costs a plan and a probe, and a model if that has gone too.
const RUNS_KEPT: usize = 8;
/// Models that are kept in memory besides those of open runs. They are the large part.
const MODELS_KEPT: usize = 2;
/// Output roots that are kept open; a root is a few words.
const ROOTS_KEPT: usize = 32;

/// What makes one opened run differ from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkKey {
    run: RunId,
    plan_sha256: Digest,
    output_root: String,
    /// Whether the coordinator creates its records.
    coordinator_creates: bool,
    /// The trace of the run, as the grant names it.
    trace: Option<TraceParent>,
}

impl WorkKey {
    /// The work that a grant is for.
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            run: grant.lease.run.clone(),
            plan_sha256: grant.plan_sha256,
            output_root: grant.output_root.clone(),
            coordinator_creates: grant.coordinator_creates_records,
            trace: grant.trace.clone(),
        }
    }

    /// The run.
    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    /// The trace of the run, if it has one.
    pub(super) fn trace(&self) -> Option<&str> {
        self.trace.as_ref().map(TraceParent::as_str)
    }
}

// === which runs are open ===

/// The runs that are open, and those that are being opened.
#[derive(Debug, Default)]
pub(super) struct Works {
    /// The one that was used last comes last.
    open: VecDeque<(WorkKey, Arc<RunWork>)>,
    opening: BTreeSet<WorkKey>,
}

/// What to do for a grant.
#[derive(Debug)]
pub(super) enum Need {
    /// Nothing: the run is open.
    Nothing(Arc<RunWork>),
    /// Wait: somebody is opening it.
    Patience,
    /// Open it.
    Opening,
}

impl Works {
    /// What is needed for shards of `key`. Whoever is told to open it has to call
    /// [`Works::opened`].
    pub(super) fn need(&mut self, key: &WorkKey) -> Need {
        if let Some(at) = self.open.iter().position(|(open, _)| open == key)
            && let Some(found) = self.open.remove(at)
        {
            let work = Arc::clone(&found.1);
            self.open.push_back(found);
            return Need::Nothing(work);
        }
        if self.opening.insert(key.clone()) { Need::Opening } else { Need::Patience }
    }

    /// The opening has ended, well or not.
    pub(super) fn opened(&mut self, key: &WorkKey, work: Option<&Arc<RunWork>>) {
        self.opening.remove(key);
        if let Some(work) = work {
            self.open.push_back((key.clone(), Arc::clone(work)));
            while self.open.len() > RUNS_KEPT {
                self.open.pop_front();
            }
        }
    }
}

// === opening ===

/// Opens runs, and keeps what several runs can share.
#[derive(Debug)]
pub(super) struct Opener {
    durability: Durability,
    coordinator: Endpoint,
    worker: WorkerName,
    stores: Models,
    /// By their place, and whether the coordinator creates what is created once.
    roots: Mutex<VecDeque<((String, bool), Probed)>>,
    /// Held while a model is loaded, so that two runs of one model load it once.
    models: Mutex<VecDeque<((Digest, spec::Task), Shared)>>,
}

/// A loaded model, without a face for logs.
#[derive(Clone)]
struct Shared(Arc<dyn Engine>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Opener {
    /// An opener that has opened nothing.
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { durability, coordinator, worker, .. } = settings;
        let (coordinator, worker) = (coordinator.clone(), worker.clone());
        let (roots, models) = (Mutex::default(), Mutex::default());
        let stores = Models::from_env();
        Self { durability: *durability, coordinator, worker, stores, roots, models }
    }

    /// Opens the run of `key`.
    pub(super) async fn open(&self, key: &WorkKey) -> Result<RunWork, Failure> {
        let plan = plan(key).await?;
        let root = self.root(&key.output_root, key.coordinator_creates).await?;
        let (engine, loading) = self.model(&plan).await?;
        nightshift_telemetry::story::run_opened(&*plan, &key.output_root);
        let work = RunWork::new(root, Scorer::for_plan(plan, engine), loading);
        Ok(work.traced(key.trace().map(ToOwned::to_owned)))
    }

    /// The output root at `uri`, probed once; by the coordinator if that creates what is created
    /// once there.
    async fn root(&self, uri: &str, coordinator_creates: bool) -> Result<Probed, Failure> {
        let mut roots = self.roots.lock().await;
        let wanted = (uri.to_owned(), coordinator_creates);
        if let Some((_, root)) = roots.iter().find(|(known, _)| *known == wanted) {
            return Ok(root.clone());
        }
        let opened = async {
            let root = OutputRoot::open(uri, self.durability).await?;
            if coordinator_creates {
                let creates = Creates::at(&self.coordinator, self.worker.clone());
                return Ok(root.decided_by(Arc::new(creates)));
            }
            root.probe().await
        };
        let root = opened.await.map_err(|error| here("output_unusable", &error))?;
        roots.push_back((wanted, root.clone()));
        while roots.len() > ROOTS_KEPT {
            roots.pop_front();
        }
        Ok(root)
    }

    /// The model of `plan`, checked against it, and how long it took to load unless it was there.
    async fn model(&self, plan: &Plan) -> Result<(Arc<dyn Engine>, Option<Duration>), Failure> {
        let mut models = self.models.lock().await;
        let wanted = (plan.model.digest, plan.task.task());
        if let Some((_, engine)) = models.iter().find(|(made_for, _)| *made_for == wanted) {
            return Ok((Arc::clone(&engine.0), None));
        }
        let started = Instant::now();
        let folder = self.stores.fetch(&plan.model).await.map_err(|error| match error {
            ModelError::Changed { .. } | ModelError::FileChanged { .. } => {
                here("model_changed", &error)
            }
            _ => here("model_unreadable", &error),
        })?;
        let resolved = Resolved { identity: plan.model.clone(), folder };
        let task = wanted.1.clone();
        let loaded = tokio::task::spawn_blocking(move || load_resolved(resolved, &task)).await;
        let loaded = loaded.map_err(|error| here("model_unreadable", &error))?;
        let engine = loaded.map_err(|error| unloadable(&error))?.engine;
        models.push_back((wanted, Shared(Arc::clone(&engine))));
        while models.len() > MODELS_KEPT {
            models.pop_front();
        }
        Ok((engine, Some(started.elapsed())))
    }
}

/// The stored plan, if it is the one that the grant names. Nothing is made on the way: where the
/// output root is not mounted there must not be a folder in its place afterwards.
async fn plan(key: &WorkKey) -> Result<Arc<Plan>, Failure> {
    let read = async {
        let root = RootReader::open(&key.output_root).await?;
        root.get(&Object::Plan { run: key.run.clone() }).await
    };
    let stored = read.await.map_err(|error| here("plan_unreadable", &error))?;
    let stored = stored.ok_or_else(|| {
        let text = format!("{} has no plan of {} on this host", key.output_root, key.run);
        failure(FailureClass::Transient, "plan_unreadable", text, Exit::NoInput, Scope::Host)
    })?;
    let found = Digest(Sha256::digest(&stored).into());
    if found != key.plan_sha256 {
        let text = format!(
            "{} holds another plan of {} on this host: {found} instead of {}; see that every worker mounts the same output",
            key.output_root, key.run, key.plan_sha256
        );
        let (class, exit) = (FailureClass::Transient, Exit::Config);
        return Err(failure(class, "plan_differs", text, exit, Scope::Host));
    }
    // These are the planned bytes, so what is wrong with them is wrong everywhere.
    let config =
        |text| failure(FailureClass::Config, "plan_invalid", text, Exit::Config, Scope::Everywhere);
    let plan: Plan = serde_json::from_slice(&stored)
        .map_err(|error| config(format!("this worker cannot read the plan: {error}")))?;
    if plan.version != Plan::VERSION || plan.run != key.run {
        let (run, version, known) = (&plan.run, plan.version, Plan::VERSION);
        return Err(config(format!(
            "the plan of {} is of {run} and version {version}; this worker knows version {known}",
            key.run
        )));
    }
    Ok(Arc::new(plan))
}

/// What it means that a model does not load although it has the planned digest.
fn unloadable(error: &RunError) -> Failure {
    match error {
        // Another host may have a GPU.
        RunError::Load(LoadError::Device(DeviceError::Absent { .. })) => here("no_gpu", error),
        // Read, and refused: so it is on every host.
        RunError::Load(refused) if refused.class() == ErrorClass::Configuration => {
            let (class, scope) = (FailureClass::Config, Scope::Everywhere);
            failure(class, "model_refused", crate::describe(error), Exit::Config, scope)
        }
        RunError::ModelReplaced { .. } | RunError::Load(LoadError::Changed { .. }) => {
            here("model_changed", error)
        }
        _ => here("model_unreadable", error),
    }
}

/// Something that another host may see differently.
fn here(reason: &'static str, error: &dyn std::error::Error) -> Failure {
    let text = format!("{} (on this host)", crate::describe(error));
    failure(FailureClass::Transient, reason, text, Exit::Unavailable, Scope::Host)
}

fn failure(
    class: FailureClass,
    reason: &'static str,
    message: String,
    exit: Exit,
    scope: Scope,
) -> Failure {
    Failure { class, reason: reason.to_owned(), message, exit, scope }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{grant, works};
    use super::*;

    fn key(number: usize) -> WorkKey {
        let [work, ..] = &works()[..] else { panic!() };
        let mut grant = grant(work, 0);
        grant.output_root = format!("/out/{number}");
        WorkKey::of(&grant)
    }

    #[test]
    fn a_run_is_opened_once_however_many_leases_wait_for_it() {
        let (mut runs, work) = (Works::default(), works().remove(0));
        assert!(matches!(runs.need(&key(0)), Need::Opening));
        assert!(matches!(runs.need(&key(0)), Need::Patience));
        assert!(matches!(runs.need(&key(1)), Need::Opening), "another root is another run");
        runs.opened(&key(0), Some(&work));
        assert!(matches!(runs.need(&key(0)), Need::Nothing(_)));
        runs.opened(&key(1), None);
        assert!(matches!(runs.need(&key(1)), Need::Opening), "it failed, and is tried again");
    }

    #[test]
    fn the_runs_that_were_used_last_are_kept() {
        let (mut runs, work) = (Works::default(), works().remove(0));
        for number in 0..RUNS_KEPT {
            runs.opened(&key(number), Some(&work));
        }
        assert!(matches!(runs.need(&key(0)), Need::Nothing(_)), "used again");
        runs.opened(&key(RUNS_KEPT), Some(&work));
        assert!(matches!(runs.need(&key(0)), Need::Nothing(_)));
        assert!(matches!(runs.need(&key(1)), Need::Opening), "the one that was not");
        assert_eq!(runs.open.len(), RUNS_KEPT);
    }
}
