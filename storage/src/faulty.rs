//! A store that misbehaves as told, for tests.
//!
//! Every fault of a conditional create has two sides: whether the create *happens*, and what
//! the caller *sees*. A [`Fault`] sets both. Faults are taken from a script, one a create; when
//! the script is over the store tells the truth.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};

/// What happens to one create, and what its caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Whether the create reaches the store.
    pub happens: bool,
    /// What the caller sees.
    pub sees: Seen,
}

/// The twelve replies to a conditional create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// The truth: Ok if the create succeeded, the store's own error otherwise. With a create
    /// that does not happen, the truth is an error.
    Truth,
    /// "Already exists".
    AlreadyExists,
    /// A failed precondition.
    Precondition,
    /// HTTP 409.
    Conflict409,
    /// HTTP 412.
    Precondition412,
    /// HTTP 304.
    NotModified304,
    /// HTTP 5xx.
    ServerError,
    /// No answer in time.
    Timeout,
    /// The connection was reset.
    Reset,
    /// HTTP 401.
    Unauthenticated401,
    /// HTTP 403.
    Forbidden403,
    /// The volume is full.
    NoSpace,
}

/// A way in which a whole store breaks its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// A conditional create overwrites.
    Overwrites,
    /// Listings are empty.
    HidesObjects,
    /// Reads give other bytes.
    GarblesReads,
}

/// An [`ObjectStore`] that does what another does, except for the faults it was told.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    creates: Mutex<VecDeque<Fault>>,
    reads: Mutex<VecDeque<bool>>,
    /// Listings that break off after their first object.
    listings: Mutex<u32>,
    lie: Option<Lie>,
}

impl Faulty {
    /// A store in front of `inner` that tells the truth.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            creates: Mutex::default(),
            reads: Mutex::default(),
            listings: Mutex::default(),
            lie: None,
        }
    }

    /// The fault of each of the next creates.
    #[must_use]
    pub fn with_creates(self, script: impl IntoIterator<Item = Fault>) -> Self {
        lock(&self.creates).extend(script);
        self
    }

    /// Whether each of the next reads fails.
    #[must_use]
    pub fn with_failing_reads(self, script: impl IntoIterator<Item = bool>) -> Self {
        lock(&self.reads).extend(script);
        self
    }

    /// How many of the next listings break off after their first object.
    #[must_use]
    pub fn with_broken_listings(self, count: u32) -> Self {
        *lock(&self.listings) = count;
        self
    }

    /// A promise that the store breaks from now on.
    #[must_use]
    pub fn with_lie(mut self, lie: Lie) -> Self {
        self.lie = Some(lie);
        self
    }

    /// How many faults of creates have not been used.
    pub fn creates_left(&self) -> usize {
        lock(&self.creates).len()
    }
}

impl Seen {
    /// The error that the caller sees; none for the truth.
    fn error(self, location: &Path) -> Option<Error> {
        let path = location.to_string();
        let status = |code: u16| -> Box<dyn std::error::Error + Send + Sync> {
            format!("the server answered {code}").into()
        };
        let generic = |source| Some(Error::Generic { store: "faulty", source });
        match self {
            Self::Truth => None,
            Self::AlreadyExists => {
                Some(Error::AlreadyExists { path, source: "the object exists".into() })
            }
            Self::Conflict409 => Some(Error::AlreadyExists { path, source: status(409) }),
            Self::Precondition => {
                Some(Error::Precondition { path, source: "a condition failed".into() })
            }
            Self::Precondition412 => Some(Error::Precondition { path, source: status(412) }),
            Self::NotModified304 => Some(Error::NotModified { path, source: status(304) }),
            Self::Unauthenticated401 => Some(Error::Unauthenticated { path, source: status(401) }),
            Self::Forbidden403 => Some(Error::PermissionDenied { path, source: status(403) }),
            Self::ServerError => generic(status(503)),
            Self::Timeout => generic(Box::new(io::Error::from(io::ErrorKind::TimedOut))),
            Self::Reset => generic(Box::new(io::Error::from(io::ErrorKind::ConnectionReset))),
            Self::NoSpace => generic(Box::new(io::Error::from(io::ErrorKind::StorageFull))),
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if options.mode != PutMode::Create {
            return self.inner.put_opts(location, payload, options).await;
        }
        if self.lie == Some(Lie::Overwrites) {
            options.mode = PutMode::Overwrite;
        }
        let truth = Fault { happens: true, sees: Seen::Truth };
        let Fault { happens, sees } = lock(&self.creates).pop_front().unwrap_or(truth);
        let result = if happens {
            self.inner.put_opts(location, payload, options).await
        } else {
            Err(Error::Generic { store: "faulty", source: "the create did not happen".into() })
        };
        match sees.error(location) {
            None => result,
            Some(error) => Err(error),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        if lock(&self.reads).pop_front() == Some(true) {
            let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
            return Err(Error::Generic { store: "faulty", source });
        }
        let mut found = self.inner.get_opts(location, options).await?;
        if self.lie == Some(Lie::GarblesReads) {
            let garbage = bytes::Bytes::from_static(b"?");
            found.range = 0..garbage.len() as u64;
            found.meta.size = found.range.end;
            let once = futures::stream::once(async move { Ok(garbage) });
            found.payload = object_store::GetResultPayload::Stream(once.boxed());
        }
        Ok(found)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        if self.lie == Some(Lie::HidesObjects) {
            return futures::stream::empty().boxed();
        }
        let mut broken = lock(&self.listings);
        if *broken > 0 {
            *broken -= 1;
            let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
            let error = futures::stream::iter([Err(Error::Generic { store: "faulty", source })]);
            return self.inner.list(prefix).take(1).chain(error).boxed();
        }
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let after = offset.clone();
        let mut broken = lock(&self.listings);
        let listed = self.inner.list_with_offset(prefix, &after);
        if *broken > 0 {
            *broken -= 1;
            let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
            let error = futures::stream::iter([Err(Error::Generic { store: "faulty", source })]);
            return listed.take(1).chain(error).boxed();
        }
        listed
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
