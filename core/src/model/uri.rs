//! `spec.model.uri` as a type.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::place::{BucketKind, BucketPlace, InvalidPlace, Place};

/// Longest reference in bytes; Linux's `PATH_MAX`.
const URI_MAX_BYTES: usize = 4096;

/// Longest name of a registered model or alias in bytes, as in MLflow's database.
const REGISTERED_NAME_MAX_BYTES: usize = 256;

/// Where a model comes from, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModelUri {
    /// A folder on a volume: a path, or a `file://` URI.
    Folder(String),
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    Bucket(BucketPlace),
    /// `hf://org/name[@revision][/folder]`.
    Hub(HubModel),
    /// `models:/name@alias[/folder]` or `models:/name/version[/folder]`.
    Registry(RegisteredModel),
}

/// A model repository of the Hugging Face Hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubModel {
    /// `org/name`.
    pub repository: String,
    /// Branch, tag or commit; `None` means `main`.
    pub revision: Option<String>,
    /// Folder within the repository.
    pub folder: Option<String>,
}

/// A model of an MLflow registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegisteredModel {
    /// Its registered name.
    pub name: String,
    /// Which of its versions.
    pub selector: Selector,
    /// Folder within the artifacts of the version.
    pub folder: Option<String>,
}

/// How a version of a registered model is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// By its number.
    Version(u64),
    /// By a name that can be moved.
    Alias(String),
}

/// Why text names no model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidModelUri {
    /// Nothing at all.
    #[error("it is empty; name the folder of a model")]
    Empty,
    /// More than a path may have.
    #[error("it has more than {URI_MAX_BYTES} bytes; shorten it")]
    TooLong,
    /// A store that is not known.
    #[error(
        "`{scheme}:` is not supported; use a path, file://, s3://, gs://, az://, hf:// or models:/"
    )]
    Scheme {
        /// Its scheme.
        scheme: String,
    },
    /// The text holds a name and a password or a signature. It is not repeated.
    #[error(
        "it holds credentials, which would be stored in every plan; remove them, and set {instead} for the process"
    )]
    Credentials {
        /// Environment variables to use instead.
        instead: &'static str,
    },
    /// The text names no prefix of a bucket.
    #[error("{problem}; {}", .problem.remedy())]
    Bucket {
        /// Why not.
        problem: InvalidPlace,
    },
    /// The text does not have the shape of its scheme.
    #[error("it does not read {shape}")]
    Shape {
        /// The shape, and an example.
        shape: &'static str,
    },
    /// A part of the text has characters that it cannot have.
    #[error("{part} `{text}` is not possible; {remedy}")]
    Part {
        /// Which part.
        part: &'static str,
        /// The part.
        text: String,
        /// What to do.
        remedy: &'static str,
    },
}

const BUCKET_SHAPE: &str = "s3://bucket/prefix (or gs://, az://), as in s3://models/delay/v3";
const HUB_SHAPE: &str = "hf://org/name@revision, as in hf://BAAI/bge-small-en-v1.5@main";
const REGISTRY_SHAPE: &str =
    "models:/name@alias or models:/name/version, as in models:/delay@champion";

/// Whether `text` says by itself where something is: an absolute path or a URI, and no path that
/// depends on a folder. `text` may hold placeholders.
pub fn is_location(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("models:/") || text.contains("://")
}

// === impl ModelUri ===

impl ModelUri {
    /// Whether it is a folder on a volume.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

impl FromStr for ModelUri {
    type Err = InvalidModelUri;

    fn from_str(text: &str) -> Result<Self, InvalidModelUri> {
        if text.trim().is_empty() {
            return Err(InvalidModelUri::Empty);
        }
        if text.len() > URI_MAX_BYTES {
            return Err(InvalidModelUri::TooLong);
        }
        if let Some(rest) = text.strip_prefix("models:") {
            return registered(rest).map(Self::Registry);
        }
        match text.split_once("://") {
            Some((scheme, _)) if BucketKind::of_scheme(scheme).is_some() => {
                in_bucket(text).map(Self::Bucket)
            }
            Some(("hf", rest)) => hub(rest).map(Self::Hub),
            Some(("file", _)) | None => Ok(Self::Folder(text.to_owned())),
            Some((scheme, _)) => Err(InvalidModelUri::Scheme { scheme: clip(scheme) }),
        }
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => f.write_str(path),
            Self::Bucket(place) => place.fmt(f),
            Self::Hub(HubModel { repository, revision, folder }) => {
                write!(f, "hf://{repository}")?;
                if let Some(revision) = revision {
                    write!(f, "@{}", revision.replace('/', "%2F"))?;
                }
                write_folder(f, folder.as_deref())
            }
            Self::Registry(RegisteredModel { name, selector, folder }) => {
                match selector {
                    Selector::Version(version) => write!(f, "models:/{name}/{version}")?,
                    Selector::Alias(alias) => write!(f, "models:/{name}@{alias}")?,
                }
                write_folder(f, folder.as_deref())
            }
        }
    }
}

pub(super) fn write_folder(f: &mut fmt::Formatter<'_>, folder: Option<&str>) -> fmt::Result {
    folder.map_or(Ok(()), |folder| write!(f, "/{folder}"))
}

// === parsing ===

fn in_bucket(text: &str) -> Result<BucketPlace, InvalidModelUri> {
    let place = text.parse::<Place>().map_err(|problem| InvalidModelUri::Bucket { problem })?;
    let Place::Bucket(place) = place else {
        return Err(InvalidModelUri::Shape { shape: BUCKET_SHAPE });
    };
    if place.prefix.is_empty() {
        return Err(InvalidModelUri::Shape { shape: BUCKET_SHAPE });
    }
    if place.prefix.contains('?') {
        let problem = InvalidPlace::Credentials { kind: place.kind };
        return Err(InvalidModelUri::Bucket { problem });
    }
    Ok(place)
}

fn hub(rest: &str) -> Result<HubModel, InvalidModelUri> {
    let shape = || InvalidModelUri::Shape { shape: HUB_SHAPE };
    if rest.contains('?') {
        return Err(InvalidModelUri::Credentials { instead: "HF_TOKEN" });
    }
    let (org, rest) = rest.split_once('/').ok_or_else(shape)?;
    if org.contains('@') {
        // `hf://user:token@host/…` has the shape of a URI with credentials.
        return Err(InvalidModelUri::Credentials { instead: "HF_TOKEN" });
    }
    if matches!(org, "datasets" | "spaces") {
        return Err(part("the organisation", org, "a model repository reads hf://org/name"));
    }
    let (head, folder) = match rest.split_once('/') {
        Some((head, folder)) => (head, folder.trim_matches('/')),
        None => (rest, ""),
    };
    let (name, revision) = match head.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (head, None),
    };
    for (what, text) in [("the organisation", org), ("the repository", name)] {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if text.is_empty() {
            return Err(shape());
        }
        // The limit of the Hub, and never `.` or `..`.
        if text.len() > 96 || !text.chars().all(plain) || text.starts_with('.') {
            return Err(part(what, text, "use letters, digits, `-`, `_` and dots"));
        }
    }
    let revision = match revision {
        Some(revision) => {
            let revision = revision.replace("%2F", "/").replace("%2f", "/");
            Some(steps("the revision", &revision)?)
        }
        None => None,
    };
    let folder = folder_of(folder)?;
    Ok(HubModel { repository: format!("{org}/{name}"), revision, folder })
}

fn registered(rest: &str) -> Result<RegisteredModel, InvalidModelUri> {
    let shape = || InvalidModelUri::Shape { shape: REGISTRY_SHAPE };
    let rest = rest.strip_prefix('/').filter(|rest| !rest.starts_with('/')).ok_or_else(shape)?;
    let (head, tail) = match rest.split_once('/') {
        Some((head, tail)) => (head, tail.trim_matches('/')),
        None => (rest, ""),
    };
    let (name, selector, folder) = match head.split_once('@') {
        Some((name, alias)) => (name, Selector::Alias(alias.to_owned()), tail),
        None => {
            let (version, folder) = tail.split_once('/').unwrap_or((tail, ""));
            if version.is_empty() {
                return Err(shape());
            }
            let number = version.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                let remedy = "a version is a number such as 3; stages are gone from MLflow, use an alias as in models:/name@champion";
                part("the version", version, remedy)
            })?;
            (head, Selector::Version(number), folder)
        }
    };
    let mut named = vec![("the name", name)];
    if let Selector::Alias(alias) = &selector {
        named.push(("the alias", alias));
    }
    for (what, text) in named {
        if text.is_empty() {
            return Err(shape());
        }
        if text.len() > REGISTERED_NAME_MAX_BYTES
            || text.contains(|c: char| c.is_control() || ":@?#%".contains(c))
        {
            return Err(part(what, text, "use the name as the registry shows it"));
        }
    }
    Ok(RegisteredModel { name: name.to_owned(), selector, folder: folder_of(folder)? })
}

fn folder_of(text: &str) -> Result<Option<String>, InvalidModelUri> {
    if text.is_empty() { Ok(None) } else { steps("the folder", text).map(Some) }
}

/// Steps of a path that stay below where they begin.
fn steps(what: &'static str, text: &str) -> Result<String, InvalidModelUri> {
    let odd = |step: &str| matches!(step, "" | "." | "..");
    let character = |c: char| c.is_control() || "?#\\".contains(c);
    if text.split('/').any(odd) || text.contains(character) {
        return Err(part(what, text, "write it without empty steps, `.`, `..`, `?` and `#`"));
    }
    Ok(text.to_owned())
}

fn part(part: &'static str, text: &str, remedy: &'static str) -> InvalidModelUri {
    InvalidModelUri::Part { part, text: clip(text), remedy }
}

/// Text for a message: its beginning, on one line.
fn clip(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
