//! Write-once documents: created once, read with bounds, listed as a stream.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use nightshift_core::document::{Document, Kind};
use nightshift_core::ids::{AttemptId, Digest, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::record::Record;
use nightshift_core::settle::{AwaitReply, CommitPermit, settle_document, settle_record};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::Serialize;

use crate::error::StoreError;
use crate::root::{Directory, Medium, Probed, Reader, key};
use crate::settling::{Candidate, Settlement, settle};
use crate::staged::Sealed;

mod json;
mod reading;

pub(crate) use json::{digest, parse, parse_hashed, to_bytes};
pub(crate) use reading::Small;
use reading::check_size;

/// Most bytes of an object that is stored as given, such as `_SUCCESS`.
const BYTES_MAX: u64 = 256 << 20;

/// What a create that has been settled found out. Both are success: the thing is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Settled<T> {
    /// The stored object is the one given. It may have been stored by an earlier try, or by
    /// somebody who gave the same bytes.
    Created,
    /// Another was there first; this is it.
    Existing(T),
}

/// How the contest for the record of a shard ended. Both are success: the shard is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Committed<T> {
    /// This attempt's record is the verdict, and its files may be published.
    Won(CommitPermit),
    /// Another attempt's record is the verdict.
    Lost(T),
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The object, if its name is one that the layout makes.
    pub object: Option<Object>,
    /// Its path relative to the root.
    pub path: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

impl Probed {
    /// Creates a document once and settles the outcome. When this returns `Ok`, the stored
    /// document is durable, whoever stored it.
    ///
    /// # Errors
    /// [`StoreError::Unsettled`] if the outcome stayed unknown; nothing was deleted, and the
    /// object may still appear. Denials, a full volume, and an existing object that is no
    /// valid document.
    pub async fn create_once<T: Document + Serialize>(
        &self,
        object: &Object,
        document: &T,
    ) -> Result<Settled<T>, StoreError> {
        match self.settle_document(object, document, settle_document(self.backoff)).await? {
            Settlement::Won(()) => Ok(Settled::Created),
            Settlement::Lost(bytes) => parse(&key(object), &bytes).map(Settled::Existing),
        }
    }

    /// Creates the record that makes a sealed attempt the verdict of its shard.
    ///
    /// `record` must name exactly the files of `sealed`, with their sizes and digests.
    ///
    /// # Errors
    /// As [`Probed::create_once`].
    pub async fn commit<T: Document + Serialize>(
        &self,
        sealed: &Sealed,
        record: &T,
    ) -> Result<Committed<T>, StoreError> {
        let (run, shard, attempt) = (sealed.run(), sealed.shard(), sealed.attempt());
        self.settle_record(run, shard, attempt, record).await
    }

    /// Creates the record of a shard for the worker that made it, from the bytes that the worker
    /// has: tries once, and says whether it did. The worker settles what comes of it.
    ///
    /// # Errors
    /// [`StoreError::InvalidSeal`] if `bytes` are no committed record of that shard, and those of
    /// the store; then it may have been created or not.
    pub async fn create_record_for(
        &self,
        run: &RunId,
        shard: ShardIndex,
        bytes: Bytes,
    ) -> Result<bool, StoreError> {
        let object = Object::Record { run: run.clone(), shard };
        let path = key(&object);
        check_size(&path, Kind::Record.name(), bytes.len() as u64, Kind::Record.size_max_bytes())?;
        let record: Record = parse(&path, &bytes)?;
        if record.run != *run || record.shard != shard || record.committed().is_none() {
            let reason = "what a worker wants to commit is not a committed record of its shard";
            return Err(StoreError::InvalidSeal { reason });
        }
        let options = PutOptions::from(PutMode::Create);
        match self.store().put_opts(&path, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(StoreError::from_store("create", &path, error)),
        }
    }

    /// Creates a record without data, which quarantines the shard.
    ///
    /// # Errors
    /// As [`Probed::create_once`].
    pub async fn quarantine<T: Document + Serialize>(
        &self,
        run: &RunId,
        shard: ShardIndex,
        attempt: &AttemptId,
        record: &T,
    ) -> Result<Settled<T>, StoreError> {
        match self.settle_record(run, shard, attempt, record).await? {
            Committed::Won(_) => Ok(Settled::Created),
            Committed::Lost(winner) => Ok(Settled::Existing(winner)),
        }
    }

    /// Creates the record of a shard whose data an earlier generation has committed.
    ///
    /// # Errors
    /// As [`Probed::create_once`].
    pub async fn take_over(&self, record: &Record) -> Result<Settled<Record>, StoreError> {
        let Record { run, shard, attempt, .. } = record;
        match self.settle_record(run, *shard, attempt, record).await? {
            Committed::Won(_) => Ok(Settled::Created),
            Committed::Lost(winner) => Ok(Settled::Existing(winner)),
        }
    }

    /// Creates an object with the given bytes once, such as `_SUCCESS`.
    ///
    /// # Errors
    /// As [`Probed::create_once`].
    pub async fn put_once(
        &self,
        object: &Object,
        bytes: impl Into<Bytes>,
    ) -> Result<Settled<Bytes>, StoreError> {
        self.put_once_as(object, bytes.into(), "file", BYTES_MAX).await
    }

    /// As [`Probed::create_once`], for bytes that [`to_bytes`] gave.
    pub(crate) async fn put_document_once<T: Document>(
        &self,
        object: &Object,
        bytes: Bytes,
    ) -> Result<Settled<Bytes>, StoreError> {
        self.put_once_as(object, bytes, T::KIND.name(), T::KIND.size_max_bytes()).await
    }

    async fn put_once_as(
        &self,
        object: &Object,
        bytes: Bytes,
        kind: &'static str,
        size_max_bytes: u64,
    ) -> Result<Settled<Bytes>, StoreError> {
        let start = settle_document(self.backoff);
        match self.settle_bytes(object, bytes, kind, size_max_bytes, start).await? {
            Settlement::Won(()) => Ok(Settled::Created),
            Settlement::Lost(bytes) => Ok(Settled::Existing(bytes)),
        }
    }

    async fn settle_record<T: Document + Serialize>(
        &self,
        run: &RunId,
        shard: ShardIndex,
        attempt: &AttemptId,
        record: &T,
    ) -> Result<Committed<T>, StoreError> {
        let object = Object::Record { run: run.clone(), shard };
        let start = settle_record(run.clone(), shard, attempt.clone(), self.backoff);
        match self.settle_document(&object, record, start).await? {
            Settlement::Won(permit) => Ok(Committed::Won(permit)),
            Settlement::Lost(bytes) => parse(&key(&object), &bytes).map(Committed::Lost),
        }
    }

    async fn settle_document<T: Document + Serialize, P>(
        &self,
        object: &Object,
        document: &T,
        start: AwaitReply<P>,
    ) -> Result<Settlement<P>, StoreError> {
        let bytes = to_bytes(object, document)?;
        self.settle_bytes(object, bytes, T::KIND.name(), T::KIND.size_max_bytes(), start).await
    }

    async fn settle_bytes<P>(
        &self,
        object: &Object,
        bytes: Bytes,
        kind: &'static str,
        size_max_bytes: u64,
        start: AwaitReply<P>,
    ) -> Result<Settlement<P>, StoreError> {
        let path = key(object);
        check_size(&path, kind, bytes.len() as u64, size_max_bytes)?;
        let candidate =
            Candidate { store: self.store(), path: &path, bytes: &bytes, kind, size_max_bytes };
        let outcome = settle(candidate, start).await?;
        if outcome.read_back {
            self.make_durable(object).await?;
        }
        Ok(outcome.settlement)
    }
}

impl Reader {
    /// Reads a document; none if it does not exist.
    ///
    /// A document that is read from a [`Probed`] root is durable, unless it is a record: those
    /// are many, and become durable when [`Reader::list`] has listed them.
    ///
    /// # Errors
    /// Beyond the bound of its kind, malformed, of an unknown version, or unreadable.
    pub async fn read<T: Document>(&self, object: &Object) -> Result<Option<T>, StoreError> {
        let (kind, limit) = (T::KIND.name(), T::KIND.size_max_bytes());
        match self.read_bytes(object, kind, limit).await? {
            Some(bytes) => {
                let document = parse(&key(object), &bytes)?;
                if T::KIND != Kind::Record {
                    self.make_durable(object).await?;
                }
                Ok(Some(document))
            }
            None => Ok(None),
        }
    }

    /// Reads a document that may be large, apart from the runtime's threads, with the SHA-256 of
    /// its stored bytes; none if it does not exist. It is durable as by [`Reader::read`].
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn read_hashed<T: Document>(
        &self,
        object: &Object,
    ) -> Result<Option<(T, Digest)>, StoreError> {
        let (kind, limit) = (T::KIND.name(), T::KIND.size_max_bytes());
        let Some(bytes) = self.read_bytes(object, kind, limit).await? else { return Ok(None) };
        let found = parse_hashed(object, bytes).await?;
        self.make_durable(object).await?;
        Ok(Some(found))
    }

    /// Reads an object that is no document, such as `_SUCCESS`; none if it does not exist.
    ///
    /// # Errors
    /// Beyond the bound, or unreadable.
    pub async fn get(&self, object: &Object) -> Result<Option<Bytes>, StoreError> {
        self.read_bytes(object, "file", BYTES_MAX).await
    }

    /// Whether an object exists.
    ///
    /// # Errors
    /// If the store does not say.
    pub async fn exists(&self, object: &Object) -> Result<bool, StoreError> {
        let path = key(object);
        match self.store().head(&path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StoreError::from_store("look for", &path, error)),
        }
    }

    /// Lists what lies under a prefix, in no order and with bounded memory; a prefix that does
    /// not exist is empty. Temporary names are left out.
    ///
    /// A flat prefix is synced when the listing has ended: when the stream ends without an
    /// error, every name that it gave is durable, so that a verdict may rest on it.
    pub fn list(&self, prefix: &Prefix) -> BoxStream<'static, Result<Listed, StoreError>> {
        let path = Path::from(prefix.path());
        let objects = self.store().list(Some(&path)).map(move |listed| match listed {
            Ok(meta) => {
                let path = meta.location.to_string();
                let object = Object::parse(&path);
                let modified = Timestamp::from_second(meta.last_modified.timestamp());
                // A store whose clock is off the calendar gives no sign of life.
                let modified = modified.unwrap_or(Timestamp::MIN);
                Ok(Listed { object, path, size_bytes: meta.size, modified })
            }
            Err(error) => Err(StoreError::from_store("list", &path, error)),
        });
        let Medium::Volume(Directory { path, syncer }) = self.medium() else {
            return objects.boxed();
        };
        if !prefix.is_flat() {
            return objects.boxed();
        }
        let (syncer, directory) = (syncer.clone(), path.join(prefix.path()));
        let sync = stream::once(async move {
            match syncer.sync_entries(&directory).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => Some(Err(StoreError::from_io("sync", &directory, error))),
                Ok(()) => None,
            }
        });
        objects.chain(sync.filter_map(std::future::ready)).boxed()
    }

    /// Syncs the directory of an object that exists on a volume: another process may have created
    /// it, and not have synced it yet. What is built on an object must not outlive it. What a
    /// bucket gives is durable.
    ///
    /// # Errors
    /// If the directory cannot be synced.
    pub async fn make_durable(&self, object: &Object) -> Result<(), StoreError> {
        let Medium::Volume(Directory { path, syncer }) = self.medium() else { return Ok(()) };
        let path = path.join(object.path());
        let Some(directory) = path.parent() else { return Ok(()) };
        let synced = syncer.sync_entries(directory).await;
        synced.map_err(|source| StoreError::from_io("sync", directory, source))
    }

    async fn read_bytes(
        &self,
        object: &Object,
        kind: &'static str,
        size_max_bytes: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let (store, place, path) = (self.store(), self.place(), &key(object));
        Small { store, place, path, kind, size_max_bytes }.read().await
    }
}

#[cfg(test)]
mod tests;
