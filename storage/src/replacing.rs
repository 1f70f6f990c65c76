//! Objects outside of output roots, which nobody decides about: reports.

use bytes::Bytes;
use nightshift_core::place::BucketPlace;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, PutPayload};

use crate::bucket::Bucket;
use crate::error::StoreError;

/// Puts these objects below `place`, each in one step: whoever reads one gets all of it, or what
/// was there before.
///
/// # Errors
/// Settings that do not fit together, a missing right, a store that does not answer.
pub async fn replace_objects(
    place: &BucketPlace,
    objects: impl IntoIterator<Item = (String, Bytes)>,
) -> Result<(), StoreError> {
    let bucket = Bucket::open(place)?;
    for (name, bytes) in objects {
        let put = bucket.put(&ObjectPath::from(name.as_str()), PutPayload::from(bytes)).await;
        let at = || format!("{place}/{name}");
        put.map_err(|error| StoreError::from_store("write", at(), error))?;
    }
    Ok(())
}
