//! The output root: where everything that is decided, and everything that is read, lies.
//!
//! [`OutputRoot::open`] finds the directory or the bucket, [`OutputRoot::probe`] proves that it keeps the
//! promises that exactly-once rests on, and only the [`Probed`] that this gives can create,
//! stage and publish. [`Reader`] looks at a root without touching it.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightshift_core::document::Document;
use nightshift_core::ids::SpecName;
use nightshift_core::layout::{self, Object, Prefix};
use nightshift_core::root::Root;
use nightshift_core::settle::Backoff;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use crate::bucket::Bucket;
use crate::deciding::{Creating, Decider, Deciding};
use crate::documents::Settled;
use crate::error::StoreError;
use crate::location::{Location, locate};
use crate::probe::{self, Doubt};
use crate::sync::{Durability, SyncCounters, Syncer, create_directories};
use crate::volume::Volume;

/// An output root that exists and has not been probed yet.
#[derive(Debug)]
pub struct OutputRoot {
    reader: Reader,
}

/// An output root that keeps its promises; the capability to write. Cheap to clone.
///
/// It reads too: everything of [`Reader`] is at hand.
#[derive(Debug, Clone)]
pub struct Probed {
    reader: Reader,
    pub(crate) backoff: Backoff,
}

/// An output root to look at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

struct Inner {
    /// Where it is, as `uri:` would name it.
    place: String,
    medium: Medium,
    store: Arc<dyn ObjectStore>,
    /// Whether this process alone creates what is created once.
    decides: bool,
}

/// What holds an output root: what is done with files is not done with objects.
#[derive(Debug, Clone)]
pub(crate) enum Medium {
    /// A directory of a file system.
    Volume(Directory),
    /// A prefix of a bucket. What it has answered is durable.
    Bucket(Arc<Bucket>),
}

/// The directory of an output root.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    /// Absolute, without symbolic links.
    pub(crate) path: PathBuf,
    pub(crate) syncer: Arc<Syncer>,
}

// === impl OutputRoot ===

impl OutputRoot {
    /// Opens the output root at `uri`: a path or a `file://` URI, whose directory is made if it
    /// is missing, or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// An unusable location, a file in the way, a read-only or full volume, a missing right.
    pub async fn open(uri: &str, durability: Durability) -> Result<Self, StoreError> {
        let wanted = match locate(uri)? {
            Location::Volume(wanted) => wanted,
            Location::Bucket(place) => {
                let reader = Reader::of(Bucket::open(&place)?);
                return Ok(Self { reader });
            }
        };
        blocking(move || {
            let what = "create the output directory";
            let private = wanted.join(layout::private_directory());
            create_directories(&private, durability)
                .map_err(|source| open_error(what, &wanted, source))?;
            let reader = Reader::at(&wanted, durability)?;
            Ok(Self { reader })
        })
        .await
    }

    /// Tests that the root keeps its promises: create, a second create refused, the first
    /// bytes read back, the object listed, and exactly one winner among 20 racing creates.
    /// Takes a few milliseconds and leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError::ProbeFailed`] with the check that failed, or why the store did not answer.
    pub async fn probe(self) -> Result<Probed, StoreError> {
        match self.reader.medium() {
            Medium::Volume(Directory { path, .. }) => {
                // What is probed is who wins, not what survives a power failure.
                let syncer = Syncer::new(path.clone(), Durability::None);
                let volume = Volume::new(path, syncer)
                    .map_err(|error| StoreError::from_store("open", path.display(), error))?;
                probe::check(&volume, self.place(), Doubt::Refused, |probed| {
                    let probed = path.join(probed);
                    async move { tokio::fs::remove_dir(probed).await }
                })
                .await?;
            }
            Medium::Bucket(bucket) => {
                let gone = |_| std::future::ready(Ok(()));
                probe::check(&**bucket, self.place(), Doubt::Settled, gone).await?;
            }
        }
        Ok(Probed { reader: self.reader, backoff: Backoff::DEFAULT })
    }

    /// As [`OutputRoot::probe`], where `deciding` says who decides in a bucket: if that is this
    /// process, it holds the root from now on, and what is proven is that it decides.
    ///
    /// # Errors
    /// [`StoreError::Held`] if another process does, and those of [`OutputRoot::probe`].
    pub async fn probe_for(self, deciding: &Deciding) -> Result<Probed, StoreError> {
        let Medium::Bucket(bucket) = self.reader.medium() else { return self.probe().await };
        let bucket = Arc::clone(bucket) as Arc<dyn ObjectStore>;
        let Some(store) = deciding.over(self.place(), bucket).await? else {
            return self.probe().await;
        };
        let gone = |_| std::future::ready(Ok(()));
        probe::check(&*store, self.place(), Doubt::Settled, gone).await?;
        Ok(Probed { reader: self.reader.with(store, true), backoff: Backoff::DEFAULT })
    }

    /// The root of a bucket in which `decider` creates what is created once, and has proven that
    /// it does.
    pub fn decided_by(self, decider: Arc<dyn Decider>) -> Probed {
        let store = Arc::clone(&self.reader.inner.store);
        let store = Arc::new(Creating::by_decider(store, decider));
        Probed { reader: self.reader.with(store, false), backoff: Backoff::DEFAULT }
    }

    /// Where it is, as `uri:` would name it.
    pub fn place(&self) -> &str {
        self.reader.place()
    }
}

// === impl Probed ===

impl Probed {
    /// Makes sure that the root belongs to the spec `name`, and returns its identity; the first
    /// spec that comes gets it.
    ///
    /// # Errors
    /// [`StoreError::ForeignRoot`] if another spec was first, and those of
    /// [`Probed::create_once`].
    pub async fn identify(&self, name: &SpecName) -> Result<Root, StoreError> {
        let root = match self.read::<Root>(&Object::Root).await? {
            Some(root) => root,
            None => {
                let root_id = ulid::Ulid::generate().to_string().parse();
                let root_id = root_id.map_err(|_| StoreError::InvalidUri {
                    uri: self.place().to_owned(),
                    reason: "no identity could be made for it",
                })?;
                let root = Root { version: Root::VERSION, root_id, name: name.clone() };
                match self.create_once(&Object::Root, &root).await? {
                    Settled::Created => root,
                    Settled::Existing(root) => root,
                }
            }
        };
        self.owned(root, name)
    }

    /// The same root, to look at only.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether this process alone creates what is created once: nobody else must.
    pub fn decides(&self) -> bool {
        self.reader.inner.decides
    }

    /// What syncing has cost so far; a bucket needs none.
    pub fn sync_counters(&self) -> SyncCounters {
        match self.medium() {
            Medium::Volume(directory) => directory.syncer.counters(),
            Medium::Bucket(_) => SyncCounters::default(),
        }
    }

    /// Whether data is made durable before it is named.
    pub fn durability(&self) -> Durability {
        match self.medium() {
            Medium::Volume(directory) => directory.syncer.durability(),
            Medium::Bucket(_) => Durability::Full,
        }
    }

    /// The same root with other bounds for settling.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The same root with its documents behind another store, for tests that inject faults.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_store(
        self,
        wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        let store = wrap(Arc::clone(&self.reader.inner.store));
        Self { reader: self.reader.with(store, self.decides()), backoff: self.backoff }
    }
}

impl Deref for Probed {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

// === impl Reader ===

impl Reader {
    /// Opens an output root that exists, to look at it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is nothing at `uri`, and the errors of an unusable
    /// location.
    pub async fn open(uri: &str) -> Result<Self, StoreError> {
        match locate(uri)? {
            Location::Volume(wanted) => blocking(move || Self::at(&wanted, Durability::None)).await,
            Location::Bucket(place) => {
                let reader = Self::of(Bucket::open(&place)?);
                // Whoever has written here has begun with its identity.
                match reader.read::<Root>(&Object::Root).await? {
                    Some(_) => Ok(reader),
                    None => Err(StoreError::Missing { path: reader.place().to_owned() }),
                }
            }
        }
    }

    fn of(bucket: Arc<Bucket>) -> Self {
        let place = bucket.place().to_string();
        let store = Arc::clone(&bucket) as Arc<dyn ObjectStore>;
        let medium = Medium::Bucket(bucket);
        Self { inner: Arc::new(Inner { place, medium, store, decides: false }) }
    }

    /// Blocks.
    fn at(wanted: &Path, durability: Durability) -> Result<Self, StoreError> {
        let error = |source| open_error("open", wanted, source);
        let directory = wanted.canonicalize().map_err(error)?;
        if !directory.is_dir() {
            return Err(StoreError::NotADirectory { path: directory.display().to_string() });
        }
        let syncer = Syncer::new(directory.clone(), durability);
        let volume = Volume::new(&directory, Arc::clone(&syncer))
            .map_err(|error| StoreError::from_store("open", directory.display(), error))?;
        let place = directory.display().to_string();
        let medium = Medium::Volume(Directory { path: directory, syncer });
        let store = Arc::new(volume);
        Ok(Self { inner: Arc::new(Inner { place, medium, store, decides: false }) })
    }

    /// The same root with its documents behind another store.
    fn with(&self, store: Arc<dyn ObjectStore>, decides: bool) -> Self {
        let Inner { place, medium, .. } = &*self.inner;
        let (place, medium) = (place.clone(), medium.clone());
        Self { inner: Arc::new(Inner { place, medium, store, decides }) }
    }

    /// Makes sure that the root does not belong to another spec than `name`; one that nobody has
    /// written to belongs to nobody.
    ///
    /// # Errors
    /// [`StoreError::ForeignRoot`], and those of [`Reader::read`].
    pub async fn check_owner(&self, name: &SpecName) -> Result<(), StoreError> {
        match self.read::<Root>(&Object::Root).await? {
            Some(root) => self.owned(root, name).map(drop),
            None => Ok(()),
        }
    }

    fn owned(&self, root: Root, name: &SpecName) -> Result<Root, StoreError> {
        if root.name == *name {
            return Ok(root);
        }
        Err(StoreError::ForeignRoot {
            root: self.place().to_owned(),
            found: root.name,
            wanted: name.clone(),
        })
    }

    /// Where it is, as `uri:` would name it: an absolute path, or `s3://bucket/prefix`.
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// Where an object is, as the `uri:` of an input would name it.
    pub fn uri_of(&self, object: &Object) -> String {
        format!("{}/{object}", self.inner.place.trim_end_matches('/'))
    }

    /// Where an object is in the file system, if the root is on a volume.
    pub fn path_of(&self, object: &Object) -> PathBuf {
        Path::new(&self.inner.place).join(object.path())
    }

    /// Where a listed directory is in the file system, if the root is on a volume.
    pub fn path_of_prefix(&self, prefix: &Prefix) -> PathBuf {
        Path::new(&self.inner.place).join(prefix.path())
    }

    /// Whether it is a bucket, where every look is a request.
    pub fn is_bucket(&self) -> bool {
        matches!(self.inner.medium, Medium::Bucket(_))
    }

    pub(crate) fn medium(&self) -> &Medium {
        &self.inner.medium
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        self.inner.store.as_ref()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The store's name for an object.
pub(crate) fn key(object: &Object) -> ObjectPath {
    // The layout makes only names that the store takes as they are.
    ObjectPath::from(object.path())
}

/// Runs blocking work apart from the runtime's threads.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(StoreError::Failed {
            what: "finish",
            path: "blocking work".to_owned(),
            source: Box::new(source),
        }),
    }
}

/// Says what is in the way when a directory cannot be opened or made.
fn open_error(what: &'static str, wanted: &Path, source: std::io::Error) -> StoreError {
    let file_in_the_way = wanted
        .ancestors()
        .find(|path| path.symlink_metadata().is_ok())
        .filter(|path| !path.is_dir());
    match (file_in_the_way, source.kind()) {
        (Some(path), _) => StoreError::NotADirectory { path: path.display().to_string() },
        (None, std::io::ErrorKind::NotFound) => {
            StoreError::Missing { path: wanted.display().to_string() }
        }
        (None, _) => StoreError::from_io(what, wanted, source),
    }
}

#[cfg(test)]
mod tests;
