//! A prefix of a bucket for who reads large objects with patience of its own.

use futures::{StreamExt, TryStreamExt};
use nightshift_core::place::{BucketKind, BucketPlace};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{Error, GetOptions, GetResult, ObjectMeta, ObjectStore};

use super::rights::Act;
use super::{Below, client, plain};
use crate::error::StoreError;

/// Nothing is tried again here, and an object may take as long as it keeps coming.
pub(crate) struct Pieces {
    kind: BucketKind,
    store: Below,
}

impl Pieces {
    /// The objects at `place`, reached as the environment says. Asks nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Settings`] if the variables of its store do not fit together.
    pub(crate) fn open(place: &BucketPlace) -> Result<Self, StoreError> {
        let clients = client::connect(place, client::Wait::Silence)?;
        let store = PrefixStore::new(clients.single, ObjectPath::from(place.prefix.as_str()));
        Ok(Self { kind: place.kind, store })
    }

    /// At most `most` objects, under their names below the prefix.
    ///
    /// # Errors
    /// What the store answered, without what is secret.
    pub(crate) async fn list(&self, most: usize) -> Result<Vec<ObjectMeta>, Error> {
        let listed = self.store.list(None).take(most).try_collect().await;
        listed.map_err(|error| plain::plain(error, self.kind, Act::List))
    }

    /// The object called `name`.
    ///
    /// # Errors
    /// What the store answered, without what is secret.
    pub(crate) async fn get(&self, name: &str, options: GetOptions) -> Result<GetResult, Error> {
        let got = self.store.get_opts(&ObjectPath::from(name), options).await;
        got.map_err(|error| plain::plain(error, self.kind, Act::Get))
    }

    /// What an error means that comes after the first bytes of an object.
    pub(crate) fn broken(&self) -> impl Fn(Error) -> Error + Send + Sync + 'static {
        let kind = self.kind;
        move |error| plain::plain(error, kind, Act::Get)
    }
}
