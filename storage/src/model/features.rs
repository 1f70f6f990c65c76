//! What planning has to know of a model without an engine: the columns that it reads.

use std::path::Path;

use nightshift_core::model::CONFIG_FILE;

use super::ModelError;

/// Largest configuration of a tabular model; vocabularies are the bulk of it.
const CONFIG_MAX_BYTES: u64 = 64 << 20;

/// Names of the columns that the tabular model in `directory` reads, in the order of its features.
/// Nothing else of the configuration is looked at: the engine checks it.
///
/// # Errors
/// If the configuration cannot be read, or names no features.
pub async fn feature_columns(directory: &Path) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Config {
        features: Vec<Feature>,
    }
    #[derive(serde::Deserialize)]
    struct Feature {
        name: String,
    }
    let path = directory.join(CONFIG_FILE);
    let shown = path.display().to_string();
    let unreadable = |source| ModelError::Unreadable { path: shown.clone(), source };
    let size = tokio::fs::metadata(&path).await.map_err(unreadable)?.len();
    if size > CONFIG_MAX_BYTES {
        return Err(ModelError::NoFeatures { path: shown, problem: "it is too large".to_owned() });
    }
    let bytes = tokio::fs::read(&path).await.map_err(unreadable)?;
    match serde_json::from_slice::<Config>(&bytes) {
        Ok(config) => Ok(config.features.into_iter().map(|feature| feature.name).collect()),
        Err(error) => Err(ModelError::NoFeatures { path: shown, problem: error.to_string() }),
    }
}
