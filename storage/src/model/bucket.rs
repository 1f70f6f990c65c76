//! Models in a bucket: of S3 and stores that speak its protocol, of Google Cloud Storage, or in a
//! container of Azure.
//!
//! The usual variables of each store say where and who, as for input and output. A download that
//! breaks in the middle goes on where it was.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use nightshift_core::model::{ObjectVersion, PinnedModel};
use nightshift_core::place::{BucketKind, BucketPlace};
use object_store::{Error, GetOptions, GetRange, ObjectMeta};

use super::ModelError;
use super::patience::{Asked, Tries, Trouble};
use super::settings::ModelSettings;
use super::source::{ENTRIES_MAX, Found, ModelSource, Opened, Wanted, model_files};
use crate::bucket::Pieces;
use crate::error::Cause;

/// Objects of one model.
pub(super) struct BucketSource {
    pieces: Pieces,
    objects: Vec<ObjectVersion>,
    asked: Asked,
}

/// Finds which objects there are now.
pub(super) async fn find(
    settings: &ModelSettings,
    place: &BucketPlace,
) -> Result<Found, ModelError> {
    let mut source = pinned(place, Vec::new())?;
    let mut tries: Tries = settings.patience.begin();
    let metas = loop {
        match source.list().await {
            Ok(metas) => break metas,
            Err(trouble) => tries.after(trouble, &source.asked).await?,
        }
    };
    let listed = metas.iter().map(|meta| {
        let name = meta.location.to_string();
        Wanted { name, size_bytes: meta.size, sha256: None }
    });
    let files = model_files(&source.asked.what, listed)?;
    let objects = metas.into_iter().map(|meta| {
        let name = meta.location.to_string();
        ObjectVersion { name, etag: meta.e_tag, version: meta.version }
    });
    let mut objects: Vec<ObjectVersion> =
        objects.filter(|object| files.iter().any(|file| file.name == object.name)).collect();
    objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    source.objects.clone_from(&objects);
    let pinned = PinnedModel::in_bucket(place.clone(), objects);
    Ok(Found { pinned, version: None, files, source: Box::new(source) })
}

/// The objects that a plan names.
pub(super) fn pinned(
    place: &BucketPlace,
    objects: Vec<ObjectVersion>,
) -> Result<BucketSource, ModelError> {
    let pieces =
        Pieces::open(place).map_err(|source| ModelError::Location { source: Box::new(source) })?;
    let asked = Asked {
        what: place.to_string(),
        permission: permission(place.kind),
        hint: format!(", {}", place.kind.whereabouts()),
    };
    Ok(BucketSource { pieces, objects, asked })
}

/// The rights that reading a model needs.
fn permission(kind: BucketKind) -> &'static str {
    match kind {
        BucketKind::S3 => {
            "the AWS credentials need s3:ListBucket of the bucket and s3:GetObject of the prefix (s3:GetObjectVersion where it keeps versions)"
        }
        BucketKind::Gcs => {
            "the credentials need storage.objects.list and storage.objects.get of the bucket"
        }
        BucketKind::Azure => {
            "the credentials need Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read (`rl` of a SAS)"
        }
    }
}

impl BucketSource {
    async fn list(&self) -> Result<Vec<ObjectMeta>, Trouble> {
        let metas = self.pieces.list(ENTRIES_MAX + 1).await.map_err(trouble)?;
        match metas.len() {
            0 => Err(Trouble::Missing),
            found if found > ENTRIES_MAX => Err(Trouble::useless(format!(
                "there are more than {ENTRIES_MAX} objects; name the prefix of one model"
            ))),
            _ => Ok(metas),
        }
    }
}

#[async_trait]
impl ModelSource for BucketSource {
    async fn open(&self, name: &str, from: u64) -> Result<Opened, Trouble> {
        let known = self.objects.iter().find(|object| object.name == name);
        let options = GetOptions {
            if_match: known.and_then(|object| object.etag.clone()),
            version: known.and_then(|object| object.version.clone()),
            range: (from > 0).then_some(GetRange::Offset(from)),
            ..GetOptions::default()
        };
        let got = self.pieces.get(name, options).await.map_err(trouble)?;
        let from = got.range.start;
        let chunks = got.into_stream().map_err(self.pieces.broken()).map_err(Cause::from).boxed();
        Ok(Opened { from, chunks })
    }

    fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// What it means that the client gave up.
fn trouble(error: Error) -> Trouble {
    match error {
        Error::NotFound { .. } => Trouble::Missing,
        Error::PermissionDenied { .. } => Trouble::Denied { status: 403 },
        Error::Unauthenticated { .. } => Trouble::Denied { status: 401 },
        Error::Precondition { .. } => Trouble::useless(
            "an object was replaced since the run was planned; restore it, or start a new generation with --force",
        ),
        Error::Generic { .. } => Trouble::again(error),
        other => Trouble::useless(other.to_string()),
    }
}
