//! The model of a session's runs: named, loaded once, and kept.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use nightshift_core::model::ModelUri;
use nightshift_core::plan::{ModelIdentity, Plan};
use nightshift_core::spec;
use nightshift_storage::model::Resolved;

use super::{RunError, Session, Task};
use crate::engine::{self, Engine, LoadError};

/// A model in memory.
#[derive(Clone)]
pub struct Loaded {
    /// What it is.
    pub identity: ModelIdentity,
    /// What runs it.
    pub engine: Arc<dyn Engine>,
}

/// The model that a session keeps.
pub(super) struct Kept {
    /// The reference that led to it in this session; none if a stored plan named it.
    uri: Option<ModelUri>,
    /// What its engine was made for.
    task: spec::Task,
    loaded: Loaded,
}

/// Loads a model that is at hand, for `task`. Blocks.
///
/// # Errors
/// If the model cannot be used, or is no longer the one that was named.
pub(crate) fn load_resolved(resolved: Resolved, task: &spec::Task) -> Result<Loaded, RunError> {
    let Resolved { identity, folder } = resolved;
    let engine = engine::load(&folder, task)?;
    // Naming and loading are two reads; the model must be the same in both.
    let named = |name: &str| identity.files.iter().find(|file| file.name == name);
    for (name, loaded) in engine.files() {
        let planned = named(name).map(|file| file.sha256);
        if planned != Some(*loaded) {
            let planned = planned.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            let (uri, found) = (identity.uri, *loaded);
            return Err(RunError::ModelReplaced { uri, file: name.to_string(), planned, found });
        }
    }
    Ok(Loaded { identity, engine: engine.into() })
}

impl Session {
    /// Forgets the model: the next task finds whatever is in its folder then.
    pub fn forget_model(&self) {
        *self.kept() = None;
    }

    /// The model of `task`, resolved and loaded once for all of this session's runs.
    ///
    /// # Errors
    /// If the model is missing, damaged, or not the pinned one.
    pub fn load(&self, task: &Task) -> Result<Loaded, RunError> {
        let mut kept = self.kept();
        if let Some(Kept { uri: Some(uri), task: made_for, loaded }) = &*kept
            && *uri == task.bound.model
            && *made_for == task.spec.task
        {
            return Ok(loaded.clone());
        }
        let version = task.spec.model.version.as_deref();
        let resolved = self.runtime.block_on(self.models.resolve(&task.bound.model, version))?;
        if let Some(pinned) = task.spec.model.sha256
            && pinned != resolved.identity.digest
        {
            let ModelIdentity { uri, digest: found, .. } = resolved.identity;
            return Err(RunError::ModelPin { uri, pinned, found });
        }
        self.keep(&mut kept, Some(task.bound.model.clone()), &task.spec.task, resolved)
    }

    /// The model that `uri` names now, for `task`.
    pub(crate) fn load_at(&self, uri: &ModelUri, task: &spec::Task) -> Result<Loaded, RunError> {
        load_resolved(self.runtime.block_on(self.models.resolve(uri, None))?, task)
    }

    /// `loaded` if it is the model of `plan`, and that model otherwise: another process may have
    /// planned the run in the meantime, with what it found.
    pub(super) fn loaded_for(&self, plan: &Plan, loaded: Loaded) -> Result<Loaded, RunError> {
        if plan.model.digest == loaded.identity.digest && self.keeps(&plan.task.task()) {
            return Ok(loaded);
        }
        self.load_planned(plan)
    }

    /// The model that a stored plan names, whatever its reference leads to now.
    pub(super) fn load_planned(&self, plan: &Plan) -> Result<Loaded, RunError> {
        let (identity, task) = (&plan.model, plan.task.task());
        let mut kept = self.kept();
        if let Some(Kept { loaded, task: made_for, .. }) = &*kept
            && loaded.identity.digest == identity.digest
            && *made_for == task
        {
            return Ok(loaded.clone());
        }
        let folder = self.runtime.block_on(self.models.fetch(identity))?;
        self.keep(&mut kept, None, &task, Resolved { identity: identity.clone(), folder })
    }

    /// Whether the kept engine was made for `task`.
    fn keeps(&self, task: &spec::Task) -> bool {
        self.kept().as_ref().is_some_and(|kept| kept.task == *task)
    }

    /// Loads a model and keeps it instead of the one before.
    fn keep(
        &self,
        kept: &mut Option<Kept>,
        uri: Option<ModelUri>,
        task: &spec::Task,
        resolved: Resolved,
    ) -> Result<Loaded, RunError> {
        let started = Instant::now();
        let loaded = match load_resolved(resolved.clone(), task) {
            Err(RunError::Load(LoadError::Device(_))) if self.only_looks => {
                load_resolved(resolved, &task.on_cpu())?
            }
            loaded => loaded?,
        };
        *self.loading.lock().unwrap_or_else(PoisonError::into_inner) = Some(started.elapsed());
        *kept = Some(Kept { uri, task: task.clone(), loaded: loaded.clone() });
        Ok(loaded)
    }

    /// What is kept is whole between calls, so a panic elsewhere cannot break it.
    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
