//! A prefix of a bucket as an object store: what the root and the input of a run may lie in. The
//! bucket is one of S3, of Google Cloud Storage, or a container of Azure.
//!
//! Two clients stand behind it. One tries again by itself, which is right for everything that may
//! be repeated: reads, listings, copies, deletes and writes under a name that nobody else has. The
//! other never does, and makes the conditional creates: a client that repeats one may be told that
//! the object exists by its own first try. What such a create comes to is for `settling` to find
//! out.
//!
//! Every error is made plain on its way out: it names what the store answered and which right is
//! missing, and holds no URL, header or body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use nightshift_core::place::BucketPlace;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions,
};
use tokio::runtime::Handle;

use crate::error::StoreError;

mod client;
mod pieces;
mod plain;
mod profile;
mod rights;
pub(crate) mod upload;
mod uploads;

pub(crate) use client::request_max;
pub(crate) use pieces::Pieces;
pub(crate) use plain::is_no_bucket;
use rights::Act;
use uploads::Uploads;

/// Times that a listing is taken up again where it broke off, without an object in between.
const LISTING_TRIES: u32 = 6;
/// Pause before that; it grows with each try.
const LISTING_PAUSE: Duration = Duration::from_millis(100);

/// How long a copy may take that the store makes beside its answer.
const COPY_MAX: Duration = Duration::from_secs(600);
const COPY_PAUSE: Duration = Duration::from_millis(200);

/// A prefix of a bucket. Cheap to share behind an `Arc`.
pub(crate) struct Bucket {
    place: BucketPlace,
    uploads: Uploads,
    patient: Arc<Below>,
    single: Below,
    runtime: Handle,
}

type Below = PrefixStore<Arc<dyn ObjectStore>>;

impl Bucket {
    /// The bucket at `place`, reached as the environment says. Asks nothing yet. What has to be
    /// waited for is done on the runtime that this is called on.
    ///
    /// # Errors
    /// [`StoreError::Settings`] if the variables of its store do not fit together.
    pub(crate) fn open(place: &BucketPlace) -> Result<Arc<Self>, StoreError> {
        let client::Clients { patient, single, uploads } =
            client::connect(place, client::Wait::Whole)?;
        let below = |store| PrefixStore::new(store, ObjectPath::from(place.prefix.as_str()));
        Ok(Arc::new(Self {
            place: place.clone(),
            uploads,
            patient: Arc::new(below(patient)),
            single: below(single),
            runtime: Handle::current(),
        }))
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &BucketPlace {
        &self.place
    }

    /// The error without what the client repeats.
    fn plain(&self, error: Error, act: Act) -> Error {
        plain::plain(error, self.place.kind, act)
    }

    /// Waits until a copy is whole that the store makes beside its answer.
    async fn copied(&self, from: &ObjectPath, to: &ObjectPath) -> object_store::Result<()> {
        let told = |source: &str| Error::Generic { store: "bucket", source: source.into() };
        let whole = async {
            loop {
                match self.patient.head(to).await {
                    Err(error) if plain::is_pending(&error) => tokio::time::sleep(COPY_PAUSE).await,
                    looked => return looked,
                }
            }
        };
        let copy = tokio::time::timeout(COPY_MAX, whole).await;
        let copy = copy.map_err(|_| told("the copy takes longer than 10 minutes"))??;
        match copy.size == self.patient.head(from).await?.size {
            true => Ok(()),
            false => Err(told("the copy ended without all bytes")),
        }
    }

    /// Does what has to be waited for on behalf of a thread that computes. Blocks.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.spawn(async move {
            // Who does not wait any more needs no answer.
            let _ = reply.send(work.await);
        });
        answer.recv().ok()
    }

    /// Does something beside the caller.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let _entered = self.runtime.enter();
        drop(nightshift_telemetry::spawn("bucket", work));
    }
}

impl fmt::Debug for Bucket {
    /// The clients hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let put = match options.mode {
            PutMode::Create => self.single.put_opts(location, payload, options).await,
            _ => self.patient.put_opts(location, payload, options).await,
        };
        put.map_err(|error| self.plain(error, Act::Put))
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let begun = self.patient.put_multipart_opts(location, options).await;
        begun.map_err(|error| self.plain(error, Act::Put))
    }

    async fn get_opts(
        &self,
        location: &ObjectPath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let mut found = self.patient.get_opts(location, options).await;
        if let Ok(found) = &mut found {
            let payload = std::mem::replace(
                &mut found.payload,
                object_store::GetResultPayload::Stream(stream::empty().boxed()),
            );
            found.payload = match payload {
                object_store::GetResultPayload::Stream(bytes) => {
                    let kind = self.place.kind;
                    let bytes = bytes.map_err(move |error| plain::plain(error, kind, Act::Get));
                    object_store::GetResultPayload::Stream(bytes.boxed())
                }
                other => other,
            };
        }
        found.map_err(|error| self.plain(error, Act::Get))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<ObjectPath>>,
    ) -> BoxStream<'static, object_store::Result<ObjectPath>> {
        let deleted = self.patient.delete_stream(locations);
        let kind = self.place.kind;
        deleted.map_err(move |error| plain::plain(error, kind, Act::Delete)).boxed()
    }

    fn list(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let kind = self.place.kind;
        let plain = move |error| plain::plain(error, kind, Act::List);
        resuming(Arc::clone(&self.patient), prefix.cloned(), plain)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> object_store::Result<ListResult> {
        let listed = self.patient.list_with_delimiter(prefix).await;
        listed.map_err(|error| self.plain(error, Act::List))
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        let mut copied = self.patient.copy_opts(from, to, options).await;
        if copied.as_ref().is_err_and(plain::is_pending) {
            copied = self.copied(from, to).await;
        }
        copied.map_err(|error| self.plain(error, Act::Copy))
    }

    async fn rename_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        let renamed = self.patient.rename_opts(from, to, options).await;
        renamed.map_err(|error| self.plain(error, Act::Copy))
    }
}

/// A listing page by page; one that breaks off goes on after the last object that it gave.
fn resuming<S: ObjectStore>(
    store: Arc<S>,
    prefix: Option<ObjectPath>,
    plain: impl Fn(Error) -> Error + Copy + Send + Sync + 'static,
) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    let begin = move |store: &S, after: Option<&ObjectPath>| match after {
        None => store.list(prefix.as_ref()),
        Some(after) => store.list_with_offset(prefix.as_ref(), after),
    };
    let listing = begin(&store, None);
    let state = (store, begin, listing, None::<ObjectPath>, 0_u32);
    stream::try_unfold(state, move |(store, begin, mut listing, mut last, mut failed)| async move {
        loop {
            match listing.next().await {
                None => return Ok(None),
                Some(Ok(meta)) => {
                    last = Some(meta.location.clone());
                    return Ok(Some((meta, (store, begin, listing, last, 0))));
                }
                Some(Err(error)) => {
                    failed += 1;
                    let error = plain(error);
                    let may_pass = matches!(error, Error::Generic { .. }) && !is_no_bucket(&error);
                    if failed >= LISTING_TRIES || !may_pass {
                        return Err(error);
                    }
                    tokio::time::sleep(LISTING_PAUSE * failed).await;
                    listing = begin(&store, last.as_ref());
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;
