//! The Hugging Face Hub: a branch or tag becomes a commit, whose files never change.
//!
//! Three calls of its API, which mirrors speak too:
//! `GET /api/models/{repository}/revision/{revision}` names the commit,
//! `GET /api/models/{repository}/tree/{commit}/{folder}?recursive=true` lists its files page by
//! page, with the SHA-256 of those in large file storage, and
//! `GET /{repository}/resolve/{commit}/{path}` is a file, or a redirect to one.

use async_trait::async_trait;
use nightshift_core::ids::Digest;
use nightshift_core::model::{HubModel, ModelUri, PinnedModel};
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::ModelError;
use super::http::{Http, Login};
use super::patience::{Asked, Trouble};
use super::settings::ModelSettings;
use super::source::{ENTRIES_MAX, Found, ModelSource, Opened, Wanted, model_files};

/// Where the Hub is, if `HF_ENDPOINT` does not name a mirror.
const ENDPOINT: &str = "https://huggingface.co";
/// What a reference without a revision means.
const DEFAULT_REVISION: &str = "main";
const PERMISSION: &str =
    "set HF_TOKEN to a token that may read this repository, and accept its terms if it is gated";

/// A commit of a repository.
pub(super) struct HubSource {
    http: Http,
    repository: String,
    commit: String,
    folder: Option<String>,
    asked: Asked,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// One line of a listing.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    oid: String,
    size: u64,
}

/// Finds the commit that `model` stands for now, and its files.
pub(super) async fn find(settings: &ModelSettings, model: &HubModel) -> Result<Found, ModelError> {
    let http = connect(settings)?;
    let asked = asked(ModelUri::Hub(model.clone()).to_string());
    let revision = model.revision.as_deref().unwrap_or(DEFAULT_REVISION);
    let steps = repository_steps(&model.repository);
    let url = http.url(&[&["api", "models"], &steps[..], &["revision", revision]].concat(), &[]);
    let (Revision { sha: commit }, _) = http.ask(&url, &asked).await?;
    if !is_commit(&commit) {
        let (what, problem) = (asked.what, "its revision is no commit; check HF_ENDPOINT".into());
        return Err(ModelError::Answer { what, problem });
    }
    let HubModel { repository, folder, .. } = model.clone();
    let source = HubSource { http, repository, commit, folder, asked };
    let files = model_files(&source.asked.what, source.list().await?)?;
    Ok(Found {
        pinned: PinnedModel::Hub {
            repository: source.repository.clone(),
            commit: source.commit.clone(),
            folder: source.folder.clone(),
        },
        version: Some(source.commit.clone()),
        files,
        source: Box::new(source),
    })
}

/// The files of a commit that a plan names.
pub(super) fn pinned(
    settings: &ModelSettings,
    repository: &str,
    commit: &str,
    folder: Option<&str>,
) -> Result<HubSource, ModelError> {
    let (repository, commit, folder) =
        (repository.to_owned(), commit.to_owned(), folder.map(str::to_owned));
    let asked = asked(format!("hf://{repository}@{commit}"));
    Ok(HubSource { http: connect(settings)?, repository, commit, folder, asked })
}

fn connect(settings: &ModelSettings) -> Result<Http, ModelError> {
    let endpoint = settings.hub_endpoint.as_deref().unwrap_or(ENDPOINT);
    let login = settings.hub_token.clone().map(Login::Bearer);
    Http::new("HF_ENDPOINT", endpoint, login, settings.patience)
}

fn asked(what: String) -> Asked {
    Asked {
        what,
        permission: PERMISSION,
        hint: ", and whether HF_TOKEN may see the repository".to_owned(),
    }
}

/// A commit's name: SHA-1, or SHA-256 in newer repositories of git.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn repository_steps(repository: &str) -> Vec<&str> {
    repository.split('/').collect()
}

impl HubSource {
    async fn list(&self) -> Result<Vec<Wanted>, ModelError> {
        let repository = repository_steps(&self.repository);
        let folder: Vec<&str> = self.folder.iter().flat_map(|folder| folder.split('/')).collect();
        let steps = [&["api", "models"], &repository[..], &["tree", &self.commit], &folder[..]];
        let mut next = Some(self.http.url(&steps.concat(), &[("recursive", "true")]));
        let (mut files, mut seen) = (Vec::new(), 0);
        while let Some(url) = next {
            let (entries, headers): (Vec<Entry>, _) = self.http.ask(&url, &self.asked).await?;
            seen += entries.len();
            if seen > ENTRIES_MAX {
                let (path, what) = (self.asked.what.clone(), "entries");
                return Err(ModelError::TooMany { path, what, limit: ENTRIES_MAX });
            }
            // A page without entries would lead on for ever.
            next = next_page(&headers)
                .filter(|_| !entries.is_empty())
                .and_then(|link| self.http.own_link(&url, &link));
            files.extend(entries.into_iter().filter_map(|entry| self.wanted(entry)));
        }
        Ok(files)
    }

    fn wanted(&self, entry: Entry) -> Option<Wanted> {
        if entry.kind != "file" {
            return None;
        }
        let name = match &self.folder {
            Some(folder) => entry.path.strip_prefix(folder.as_str())?.strip_prefix('/')?,
            None => &entry.path,
        };
        let name = name.to_owned();
        Some(match entry.lfs {
            Some(LargeFile { oid, size }) => {
                let sha256: Option<Digest> = oid.trim_start_matches("sha256:").parse().ok();
                Wanted { name, size_bytes: size, sha256 }
            }
            None => Wanted { name, size_bytes: entry.size, sha256: None },
        })
    }
}

#[async_trait]
impl ModelSource for HubSource {
    async fn open(&self, name: &str, from: u64) -> Result<Opened, Trouble> {
        let repository = repository_steps(&self.repository);
        let path: Vec<&str> = self
            .folder
            .iter()
            .flat_map(|folder| folder.split('/'))
            .chain(name.split('/'))
            .collect();
        let steps = [&repository[..], &["resolve", &self.commit], &path[..]].concat();
        self.http.file(self.http.url(&steps, &[]), from).await
    }

    fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// The target of `Link: <…>; rel="next"` (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.replace(['"', ' '], "").contains("rel=next").then(|| target.to_owned())
    })
}
