//! Reads small objects whole.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::bucket::is_no_bucket;
use crate::error::StoreError;

/// Further tries to read an object whose bytes broke off. A client tries again by itself only
/// until the first of them is there.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// An object to read.
pub(crate) struct Small<'a> {
    pub(crate) store: &'a dyn ObjectStore,
    /// Where the store is, for messages.
    pub(crate) place: &'a str,
    pub(crate) path: &'a Path,
    /// The word for messages.
    pub(crate) kind: &'static str,
    /// Most bytes that it may have.
    pub(crate) size_max_bytes: u64,
}

impl Small<'_> {
    /// Its bytes; none if it does not exist.
    ///
    /// # Errors
    /// Beyond its bound, or unreadable.
    pub(crate) async fn read(&self) -> Result<Option<Bytes>, StoreError> {
        let Self { store, place, path, kind, size_max_bytes } = *self;
        let failed = |error| StoreError::from_store("read", path, error);
        let mut tries = TRIES;
        loop {
            let found = match store.get(path).await {
                Err(error) if is_no_bucket(&error) => {
                    return Err(StoreError::NoBucket { place: place.to_owned() });
                }
                Err(Error::NotFound { .. }) => return Ok(None),
                found => found.map_err(failed)?,
            };
            check_size(path, kind, found.meta.size, size_max_bytes)?;
            match found.bytes().await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error @ Error::Generic { .. }) if tries > 0 => {
                    tries -= 1;
                    tracing::debug!(%path, %error, "reading again what broke off");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// Refuses an object beyond the bound of its kind.
pub(super) fn check_size(
    path: &Path,
    kind: &'static str,
    size_bytes: u64,
    limit_bytes: u64,
) -> Result<(), StoreError> {
    if size_bytes <= limit_bytes {
        return Ok(());
    }
    Err(StoreError::TooLarge { path: path.to_string(), kind, size_bytes, limit_bytes })
}
