//! The registry of an MLflow server: an alias becomes a version, and that a place of artifacts.
//!
//! Calls of its REST API: `registered-models/alias` and `model-versions/get` name the version,
//! `model-versions/get-download-uri` says where its artifacts are, and `mlflow-artifacts/artifacts`
//! lists and sends them where the server stands before their store. Artifacts may as well be in a
//! folder that this host sees, or in a bucket.

use async_trait::async_trait;
use nightshift_core::model::{
    InvalidModelUri, ModelUri, PinnedModel, RegisteredModel, Selector, is_model_folder,
};
use nightshift_core::place::BucketPlace;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ModelError;
use super::http::{Http, Login};
use super::patience::{Asked, Trouble};
use super::settings::ModelSettings;
use super::source::{ENTRIES_MAX, ModelSource, Opened, Wanted};

const VARIABLE: &str = "MLFLOW_TRACKING_URI";
const PERMISSION: &str = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, of a user who may read this registered model and its artifacts";

/// A version of a registered model.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) place: Place,
    /// As the registry names the place, with the folder that the reference adds.
    pub(super) artifacts: String,
}

/// Where artifacts are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the server, below this path.
    Proxy(String),
    /// In a folder that this host sees.
    Folder(String),
    /// In a bucket.
    Bucket(BucketPlace),
}

/// Artifacts that the server sends.
pub(super) struct ProxySource {
    http: Http,
    path: String,
    asked: Asked,
}

#[derive(Deserialize)]
struct VersionAnswer {
    model_version: VersionBody,
}

#[derive(Deserialize)]
struct VersionBody {
    version: String,
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
struct PlaceAnswer {
    artifact_uri: String,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default)]
    file_size: u64,
}

/// Finds the version that `model` stands for now.
pub(super) async fn find(
    settings: &ModelSettings,
    model: &RegisteredModel,
) -> Result<Version, ModelError> {
    let http = connect(settings)?;
    let shown = ModelUri::Registry(model.clone()).to_string();
    let asked = asked(shown);
    let name = ("name", model.name.as_str());
    let (call, chosen) = match &model.selector {
        Selector::Alias(alias) => (["registered-models", "alias"], ("alias", alias.clone())),
        Selector::Version(version) => (["model-versions", "get"], ("version", version.to_string())),
    };
    let chosen = (chosen.0, chosen.1.as_str());
    let answer: VersionAnswer = call_api(&http, call, &[name, chosen], &asked).await?;
    let wrong = |problem: String| ModelError::Answer { what: asked.what.clone(), problem };
    let VersionBody { version, status } = answer.model_version;
    let number = version.parse().map_err(|_| wrong("the registry names no version".to_owned()))?;
    if !matches!(status.as_str(), "" | "READY") {
        let status: String = status.chars().take(40).collect();
        return Err(wrong(format!("version {number} is {status:?}; wait until it is READY")));
    }
    let query = [name, ("version", version.as_str())];
    let call = ["model-versions", "get-download-uri"];
    let answer: PlaceAnswer = call_api(&http, call, &query, &asked).await?;
    let artifacts = match &model.folder {
        Some(folder) => format!("{}/{folder}", answer.artifact_uri.trim_end_matches('/')),
        None => answer.artifact_uri,
    };
    let place = place(&artifacts).map_err(wrong)?;
    Ok(Version { number, place, artifacts })
}

/// What a plan names, as a place.
pub(super) fn place(artifacts: &str) -> Result<Place, String> {
    if let Some(rest) = artifacts.strip_prefix("mlflow-artifacts:") {
        // With a host it is another server's, which would need another login.
        let path = match rest.strip_prefix("//") {
            Some(rest) if !rest.starts_with('/') => {
                return Err("its artifacts are behind another server; register it with artifacts of this one".to_owned());
            }
            Some(path) => path,
            None => rest,
        };
        let path = path.trim_matches('/');
        if path.is_empty() || path.split('/').any(|step| matches!(step, "" | "." | "..")) {
            return Err("the place of its artifacts is no path".to_owned());
        }
        return Ok(Place::Proxy(path.to_owned()));
    }
    match artifacts.parse() {
        // An URI without `//`, such as `dbfs:/x`, is no path.
        Ok(ModelUri::Folder(path)) if path.starts_with('/') || path.starts_with("file://") => {
            Ok(Place::Folder(path))
        }
        Ok(ModelUri::Bucket(place)) => Ok(Place::Bucket(place)),
        Ok(_) | Err(InvalidModelUri::Scheme { .. }) => Err(
            "its artifacts are in a store that is not supported; use a server with `--serve-artifacts`, a bucket, or a volume".to_owned(),
        ),
        Err(error) => Err(format!("the place of its artifacts cannot be used: {error}")),
    }
}

/// What `version` of `name` is pinned to.
pub(super) fn pinned(name: &str, version: &Version) -> PinnedModel {
    PinnedModel::Registry {
        name: name.to_owned(),
        version: version.number,
        artifacts: version.artifacts.clone(),
    }
}

/// The artifacts below `path` of the server; `shown` is for messages.
pub(super) fn proxy(
    settings: &ModelSettings,
    path: &str,
    shown: String,
) -> Result<ProxySource, ModelError> {
    Ok(ProxySource { http: connect(settings)?, path: path.to_owned(), asked: asked(shown) })
}

fn connect(settings: &ModelSettings) -> Result<Http, ModelError> {
    let endpoint = settings.tracking_uri.as_deref().ok_or_else(|| {
        let problem = "is not set; name the MLflow server, as in http://mlflow:5000".to_owned();
        ModelError::Setting { variable: VARIABLE, problem }
    })?;
    let token = settings.tracking_token.clone().map(Login::Bearer);
    let user = settings.tracking_user.clone();
    let login = token.or_else(|| user.map(|(user, password)| Login::Basic(user, password)));
    Http::new(VARIABLE, endpoint, login, settings.patience)
}

fn asked(what: String) -> Asked {
    Asked { what, permission: PERMISSION, hint: ", and MLFLOW_TRACKING_URI".to_owned() }
}

async fn call_api<T: DeserializeOwned>(
    http: &Http,
    call: [&str; 2],
    query: &[(&str, &str)],
    asked: &Asked,
) -> Result<T, ModelError> {
    let url = http.url(&[&["api", "2.0", "mlflow"], &call[..]].concat(), query);
    Ok(http.ask(&url, asked).await?.0)
}

impl ProxySource {
    /// Every file of the model's folder and of its module folders.
    pub(super) async fn list(&self) -> Result<Vec<Wanted>, ModelError> {
        let (mut files, mut seen) = (Vec::new(), 0);
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = self.below(&folder);
            let steps = ["api", "2.0", "mlflow-artifacts", "artifacts"];
            let url = self.http.url(&steps, &[("path", path.as_str())]);
            let (Listing { files: entries }, _) = self.http.ask(&url, &self.asked).await?;
            seen += entries.len();
            if seen > ENTRIES_MAX {
                let (path, what) = (self.asked.what.clone(), "entries");
                return Err(ModelError::TooMany { path, what, limit: ENTRIES_MAX });
            }
            for entry in entries {
                // Servers have listed names below the path, and whole paths.
                let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
                if !entry.is_dir {
                    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    files.push(Wanted { name, size_bytes: entry.file_size, sha256: None });
                } else if folder.is_empty() && is_model_folder(&name) {
                    folders.push(name);
                }
            }
        }
        Ok(files)
    }

    fn below(&self, name: &str) -> String {
        if name.is_empty() { self.path.clone() } else { format!("{}/{name}", self.path) }
    }
}

#[async_trait]
impl ModelSource for ProxySource {
    async fn open(&self, name: &str, from: u64) -> Result<Opened, Trouble> {
        let path = self.below(name);
        let path: Vec<&str> = path.split('/').collect();
        let steps = [&["api", "2.0", "mlflow-artifacts", "artifacts"], &path[..]].concat();
        self.http.file(self.http.url(&steps, &[]), from).await
    }

    fn asked(&self) -> &Asked {
        &self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_artifacts_are_understood_or_refused() {
        assert_eq!(place("mlflow-artifacts:/1/a/b"), Ok(Place::Proxy("1/a/b".to_owned())));
        assert_eq!(place("mlflow-artifacts:///1/a"), Ok(Place::Proxy("1/a".to_owned())));
        assert_eq!(place("/mlruns/1/a"), Ok(Place::Folder("/mlruns/1/a".to_owned())));
        assert!(matches!(place("s3://bkt/1/a"), Ok(Place::Bucket(_))));
        for (artifacts, says) in [
            ("mlflow-artifacts://other:5000/1/a", "another server"),
            ("mlflow-artifacts:/1/../../etc", "no path"),
            ("dbfs:/databricks/x", "not supported"),
            ("wasbs://lake@account/x", "not supported"),
            ("gs://lake", "gs://"),
            ("models:/m/3", "not supported"),
        ] {
            let told = place(artifacts).map(|_| ()).unwrap_err();
            assert!(told.contains(says), "{artifacts}: {told}");
        }
    }
}
