//! What a reference was resolved to, once per run.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::uri::write_folder;

/// An immutable reference to a model: what a plan stores beside the reference that the user wrote,
/// and what workers load. It holds no endpoint, since each host may reach a store by another way,
/// and no credentials; the digest says whether what it leads to is the planned model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "snake_case", deny_unknown_fields)]
pub enum PinnedModel {
    /// A folder that was reached through a link: the folder itself.
    Folder {
        /// Absolute path without links.
        path: String,
    },
    /// A commit of a repository of the Hugging Face Hub.
    Hub {
        /// `org/name`.
        repository: String,
        /// The commit, in hexadecimal digits.
        commit: String,
        /// Folder within the repository.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// A version of a model of an MLflow registry.
    Registry {
        /// Its registered name.
        name: String,
        /// Its version.
        version: u64,
        /// Where the registry says that its artifacts are, `folder` included.
        artifacts: String,
    },
    /// Objects of an S3 bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What their keys begin with.
        prefix: String,
        /// Which version of each.
        objects: Vec<ObjectVersion>,
    },
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectVersion {
    /// Name below the prefix.
    pub name: String,
    /// The store's tag of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl fmt::Display for PinnedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path } => f.write_str(path),
            Self::Hub { repository, commit, folder } => {
                write!(f, "hf://{repository}@{commit}")?;
                write_folder(f, folder.as_deref())
            }
            Self::Registry { name, version, .. } => write!(f, "models:/{name}/{version}"),
            Self::S3 { bucket, prefix, objects } => {
                write!(f, "{} objects of s3://{bucket}/{prefix}", objects.len())
            }
        }
    }
}
