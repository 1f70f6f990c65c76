//! Loading a model that has been named.

use std::sync::Arc;

use nightshift_core::plan::ModelIdentity;
use nightshift_storage::location::local_path;

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

/// Loads the model that `identity` names. Blocks.
///
/// # Errors
/// If the model cannot be used, or is no longer the one that was named.
pub(crate) fn load_named(identity: ModelIdentity) -> Result<Loaded, RunError> {
    let engine = engine::load(&local_path(&identity.uri)?)?;
    // Naming and loading are two reads; the model must be the same in both.
    let named = |name: &str| identity.files.iter().find(|file| file.name == name);
    for (name, loaded) in engine.files() {
        if named(name).is_none_or(|file| file.sha256 != *loaded) {
            return Err(RunError::ModelReplaced { uri: identity.uri, file: name });
        }
    }
    Ok(Loaded { identity, engine: engine.into() })
}
