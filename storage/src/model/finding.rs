//! From a reference, as a user or a plan has it, to where its files are.

use std::path::PathBuf;

use nightshift_core::model::{ModelUri, PinnedModel, PinnedObjects};
use nightshift_core::place::BucketKind;

use super::ModelError;
use super::registry::{self, Place};
use super::settings::ModelSettings;
use super::source::{Found, ModelSource, model_files};
use super::{bucket, hub};
use crate::location::local_path;

/// What a user's reference names now.
pub(super) enum Target {
    /// A folder of this host.
    Folder { folder: PathBuf, pinned: Option<PinnedModel>, version: Option<String> },
    /// Files of a store.
    Store(Found),
}

/// Where the files of a pinned reference are.
pub(super) enum PinnedSource {
    /// In a folder of this host.
    Folder(PathBuf),
    /// In a store.
    Store(Box<dyn ModelSource>),
}

/// Asks the store of `uri` what it names.
pub(super) async fn find(settings: &ModelSettings, uri: &ModelUri) -> Result<Target, ModelError> {
    match uri {
        ModelUri::Folder(path) => {
            let (written, folder) = real_folder(path)?;
            let real = folder.to_str().filter(|_| written != folder);
            let pinned = real.map(|path| PinnedModel::Folder { path: path.to_owned() });
            Ok(Target::Folder { folder, pinned, version: None })
        }
        ModelUri::Bucket(place) => Ok(Target::Store(bucket::find(settings, place).await?)),
        ModelUri::Hub(model) => Ok(Target::Store(hub::find(settings, model).await?)),
        ModelUri::Registry(model) => {
            let found = registry::find(settings, model).await?;
            let pinned = registry::pinned(&model.name, &found);
            let (version, shown) = (Some(found.number.to_string()), uri.to_string());
            match found.place {
                Place::Proxy(path) => {
                    let source = registry::proxy(settings, &path, shown.clone())?;
                    let files = model_files(&shown, source.list().await?)?;
                    let source = Box::new(source);
                    Ok(Target::Store(Found { pinned, version, files, source }))
                }
                Place::Bucket(place) => {
                    let found = bucket::find(settings, &place).await?;
                    Ok(Target::Store(Found { pinned, version, ..found }))
                }
                Place::Folder(path) => {
                    let (_, folder) = real_folder(&path)?;
                    Ok(Target::Folder { folder, pinned: Some(pinned), version })
                }
            }
        }
    }
}

/// Where to read what a plan names.
pub(super) fn source_of(
    settings: &ModelSettings,
    pinned: &PinnedModel,
) -> Result<PinnedSource, ModelError> {
    let in_bucket = |kind, pinned: &PinnedObjects| {
        let source = bucket::pinned(&pinned.place(kind), pinned.objects.clone())?;
        Ok::<Box<dyn ModelSource>, ModelError>(Box::new(source))
    };
    let source: Box<dyn ModelSource> = match pinned {
        PinnedModel::Folder { path } => return Ok(PinnedSource::Folder(PathBuf::from(path))),
        PinnedModel::Hub { repository, commit, folder } => {
            Box::new(hub::pinned(settings, repository, commit, folder.as_deref())?)
        }
        PinnedModel::S3(pinned) => in_bucket(BucketKind::S3, pinned)?,
        PinnedModel::Gcs(pinned) => in_bucket(BucketKind::Gcs, pinned)?,
        PinnedModel::Azure(pinned) => in_bucket(BucketKind::Azure, pinned)?,
        PinnedModel::Registry { artifacts, .. } => {
            let what = pinned.to_string();
            match registry::place(artifacts) {
                Ok(Place::Proxy(path)) => Box::new(registry::proxy(settings, &path, what)?),
                Ok(Place::Bucket(place)) => Box::new(bucket::pinned(&place, Vec::new())?),
                Ok(Place::Folder(path)) => {
                    return Ok(PinnedSource::Folder(real_folder(&path)?.1));
                }
                Err(problem) => return Err(ModelError::Answer { what, problem }),
            }
        }
    };
    Ok(PinnedSource::Store(source))
}

/// The folder that `uri` names: as it is written, and without links, so that a link that moves
/// between two reads changes nothing.
pub(super) fn real_folder(uri: &str) -> Result<(PathBuf, PathBuf), ModelError> {
    let written =
        local_path(uri).map_err(|source| ModelError::Location { source: Box::new(source) })?;
    match written.canonicalize() {
        Ok(real) => Ok((written, real)),
        // Whoever reads it says what is wrong with it.
        Err(_) => Ok((written.clone(), written)),
    }
}
