//! What a reference was resolved to, once per run.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::uri::write_folder;
use crate::place::{BucketKind, BucketPlace};

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
    S3(PinnedObjects),
    /// Objects of a bucket of Google Cloud Storage.
    Gcs(PinnedObjects),
    /// Objects of a container of Azure.
    Azure(PinnedObjects),
}

/// Objects of a bucket whose keys begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedObjects {
    /// The bucket.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: String,
    /// Which version of each.
    pub objects: Vec<ObjectVersion>,
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

// === impl PinnedModel ===

impl PinnedModel {
    /// These versions of the objects below `place`.
    pub fn in_bucket(place: BucketPlace, objects: Vec<ObjectVersion>) -> Self {
        let BucketPlace { kind, bucket, prefix } = place;
        let pinned = PinnedObjects { bucket, prefix, objects };
        match kind {
            BucketKind::S3 => Self::S3(pinned),
            BucketKind::Gcs => Self::Gcs(pinned),
            BucketKind::Azure => Self::Azure(pinned),
        }
    }
}

impl PinnedObjects {
    /// Where they lie in a store of this kind.
    pub fn place(&self, kind: BucketKind) -> BucketPlace {
        BucketPlace { kind, bucket: self.bucket.clone(), prefix: self.prefix.clone() }
    }
}

impl fmt::Display for PinnedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_bucket = |f: &mut fmt::Formatter<'_>, kind, pinned: &PinnedObjects| {
            write!(f, "{} objects of {}", pinned.objects.len(), pinned.place(kind))
        };
        match self {
            Self::Folder { path } => f.write_str(path),
            Self::Hub { repository, commit, folder } => {
                write!(f, "hf://{repository}@{commit}")?;
                write_folder(f, folder.as_deref())
            }
            Self::Registry { name, version, .. } => write!(f, "models:/{name}/{version}"),
            Self::S3(pinned) => in_bucket(f, BucketKind::S3, pinned),
            Self::Gcs(pinned) => in_bucket(f, BucketKind::Gcs, pinned),
            Self::Azure(pinned) => in_bucket(f, BucketKind::Azure, pinned),
        }
    }
}
