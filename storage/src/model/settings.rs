//! What the environment says about model stores.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::patience::Patience;

/// How model stores are reached. Read once, by whoever makes a [`Models`](super::Models).
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// Folder of fetched models; `NIGHTSHIFT_MODEL_CACHE`, or one below the user's cache.
    pub cache: PathBuf,
    /// The Hugging Face Hub: `HF_ENDPOINT`.
    pub hub_endpoint: Option<String>,
    /// `HF_TOKEN`.
    pub hub_token: Option<Secret>,
    /// The MLflow server: `MLFLOW_TRACKING_URI`.
    pub tracking_uri: Option<String>,
    /// `MLFLOW_TRACKING_TOKEN`.
    pub tracking_token: Option<Secret>,
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
    pub tracking_user: Option<(String, Secret)>,
    /// How often a store is asked.
    pub patience: Patience,
}

/// A text that no log and no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl ModelSettings {
    /// The settings of this process.
    pub fn from_env() -> Self {
        Self::from(|name| std::env::var_os(name))
    }

    /// The settings in `variables`. An empty variable counts as none.
    fn from(variables: impl Fn(&str) -> Option<OsString>) -> Self {
        let raw = |name: &str| variables(name).filter(|value| !value.is_empty());
        let text = |name: &str| raw(name).and_then(|value| value.into_string().ok());
        let secret = |name: &str| text(name).map(Secret);
        let path = |name: &str| raw(name).map(PathBuf::from);
        let cache = path("NIGHTSHIFT_MODEL_CACHE").unwrap_or_else(|| {
            path("XDG_CACHE_HOME")
                .or_else(|| path("HOME").map(|home| home.join(".cache")))
                .unwrap_or_else(std::env::temp_dir)
                .join("nightshift/models")
        });
        let user = text("MLFLOW_TRACKING_USERNAME");
        Self {
            cache,
            hub_endpoint: text("HF_ENDPOINT"),
            hub_token: secret("HF_TOKEN"),
            tracking_uri: text("MLFLOW_TRACKING_URI"),
            tracking_token: secret("MLFLOW_TRACKING_TOKEN"),
            tracking_user: user.zip(secret("MLFLOW_TRACKING_PASSWORD")),
            patience: Patience::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_and_secrets_are_not_shown() {
        let settings = ModelSettings::from(|name| match name {
            "HOME" => Some("/home/ada".into()),
            "HF_TOKEN" | "MLFLOW_TRACKING_PASSWORD" => Some("canary".into()),
            "MLFLOW_TRACKING_USERNAME" => Some("ada".into()),
            "XDG_CACHE_HOME" => Some("".into()),
            _ => None,
        });
        assert_eq!(settings.cache, PathBuf::from("/home/ada/.cache/nightshift/models"));
        assert_eq!(settings.hub_token.as_ref().unwrap().reveal(), "canary");
        let shown = format!("{settings:?}");
        assert!(shown.contains("ada") && !shown.contains("canary"), "{shown}");
    }
}
