//! Loading a model that has been named.

use std::sync::Arc;

use nightshift_core::plan::ModelIdentity;
use nightshift_storage::model::Resolved;

use super::RunError;
use crate::engine::{self, Engine};

/// A model in memory.
#[derive(Clone)]
pub struct Loaded {
    /// What it is.
    pub identity: ModelIdentity,
    /// What runs it.
    pub engine: Arc<dyn Engine>,
}

/// Loads a model that is at hand. Blocks.
///
/// # Errors
/// If the model cannot be used, or is no longer the one that was named.
pub(crate) fn load_resolved(resolved: Resolved) -> Result<Loaded, RunError> {
    let Resolved { identity, folder } = resolved;
    let engine = engine::load(&folder)?;
    // Naming and loading are two reads; the model must be the same in both.
    let named = |name: &str| identity.files.iter().find(|file| file.name == name);
    for (name, loaded) in engine.files() {
        let planned = named(name).map(|file| file.sha256);
        if planned != Some(*loaded) {
            let planned = planned.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            let (uri, found) = (identity.uri, *loaded);
            return Err(RunError::ModelReplaced { uri, file: name, planned, found });
        }
    }
    Ok(Loaded { identity, engine: engine.into() })
}
