//! One object of a bucket as input: ranged reads of one version, few requests, bounded memory.
//!
//! Decoders ask for a few bytes here and there. What they get is cut from spans that were fetched
//! in one request each: a small object whole, a large one in pieces that grow while it is read
//! front to back, with the next piece on its way before it is asked for. Spans are shared by all
//! threads that read the object, and each is fetched once.
//!
//! Every request names the version that was planned, so that an object which is replaced while it
//! is read gives an error and never a mixture of rows.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nightshift_core::place::BucketKind;
use nightshift_core::plan::Pin;
use object_store::path::Path as ObjectPath;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::InputError;
use super::stores::Shared;
use crate::bucket::{Bucket, is_no_bucket};
use crate::error::chain;

mod budget;

pub(super) use budget::Budget;
pub(crate) use budget::HELD_BYTES_MAX;
use budget::{Kept, SPANS_MIN};

/// An object of at most this many bytes is fetched whole.
const WHOLE_MAX_BYTES: u64 = 4 << 20;
/// Spans begin at multiples of this.
const BLOCK_BYTES: u64 = 64 << 10;
/// The first span of a place that is read.
const SPAN_BYTES: u64 = 512 << 10;
/// The longest span, after some that followed one another.
const SPAN_MAX_BYTES: u64 = 4 << 20;
/// Bytes of one object that are kept: enough for the columns of a wide table side by side.
const KEPT_BYTES_MAX: u64 = 32 << 20;
/// The end of a Parquet file that is fetched with its version: most footers fit.
const TAIL_BYTES: u64 = 64 << 10;
/// Tries of one fetch beyond those of the client: for answers that it does not try again after.
const FETCH_TRIES: u32 = 5;
const FETCH_PAUSE: Duration = Duration::from_millis(100);

/// An object of one version.
pub(super) struct RemoteObject {
    fetcher: Arc<Fetcher>,
    pin: Pin,
    size_bytes: u64,
    kept: Arc<Kept>,
    /// The version that was found in the place of this one.
    changed: Arc<Mutex<Option<Pin>>>,
    /// Keeps the runtime that fetches, and has the budget of all objects.
    shared: Arc<Shared>,
}

struct Fetcher {
    bucket: Arc<Bucket>,
    key: ObjectPath,
    etag: Option<String>,
}

/// Why a fetch was given up, and the version that was found instead.
struct Refused {
    error: Error,
    found: Option<Pin>,
}

/// Bytes that are at hand or on their way.
struct Span {
    start: u64,
    end: u64,
    /// Whether the place before it was read before it: then the next span follows it.
    in_sequence: bool,
    /// Whether the next span has been asked for.
    followed: Mutex<bool>,
    state: Mutex<State>,
    arrived: Condvar,
}

enum State {
    Coming,
    Here(Bytes),
    Failed(io::ErrorKind, String),
}

/// The version of an object as it is now.
pub(super) fn look(bucket: &Arc<Bucket>, uri: &str, key: &str) -> Result<Pin, InputError> {
    let key = key_of(uri, key)?;
    let store = Arc::clone(bucket);
    let looked = bucket.wait(async move { store.head(&key).await });
    looked.unwrap_or_else(ended).map(|meta| pin_of(&meta)).map_err(|error| failed(uri, error))
}

impl RemoteObject {
    pub(super) fn open(
        bucket: Arc<Bucket>,
        uri: &str,
        key: &str,
        shared: Arc<Shared>,
    ) -> Result<Self, InputError> {
        let key = key_of(uri, key)?;
        let (store, at) = (Arc::clone(&bucket), key.clone());
        let with_tail = uri.ends_with(".parquet") || uri.ends_with(".pq");
        let opened = bucket.wait(async move {
            if with_tail && let Ok(opened) = tail(&store, &at).await {
                return Ok(opened);
            }
            // An empty object has no end, and not every store knows how to give one.
            store.head(&at).await.map(|meta| (meta, None))
        });
        let (meta, tail) = opened.unwrap_or_else(ended).map_err(|error| failed(uri, error))?;
        let spans = tail.map(|(start, bytes)| {
            let end = start + bytes.len() as u64;
            Arc::new(Span::new(start, end, false, State::Here(bytes)))
        });
        let fetcher = Fetcher { bucket, key, etag: meta.e_tag.clone() };
        Ok(Self {
            fetcher: Arc::new(fetcher),
            pin: pin_of(&meta),
            size_bytes: meta.size,
            kept: Arc::new(Kept::of(spans)),
            changed: Arc::default(),
            shared,
        })
    }

    pub(super) fn pin(&self) -> &Pin {
        &self.pin
    }

    /// Most bytes of it that are held.
    pub(super) fn held_bytes_max(&self) -> u64 {
        self.size_bytes.min(KEPT_BYTES_MAX)
    }

    /// The version that was found instead of this one, if one was.
    pub(super) fn changed(&self) -> Option<Pin> {
        lock(&self.changed).clone()
    }

    /// Reads bytes from `offset` on; 0 at the end. Blocks.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size_bytes || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = (buffer.len() as u64).min(self.size_bytes - offset);
        let span = self.span_at(offset, wanted);
        let bytes = match span.wait() {
            Ok(bytes) => bytes,
            Err(error) => {
                // Whoever comes next tries again.
                lock(&self.kept.spans).retain(|known| !Arc::ptr_eq(known, &span));
                return Err(error);
            }
        };
        let from = usize::try_from(offset - span.start).unwrap_or(usize::MAX);
        let at_hand = bytes.get(from..).unwrap_or_default();
        let read = at_hand.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), at_hand.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    /// The span with the byte at `offset`, asked for now if need be.
    fn span_at(&self, offset: u64, wanted: u64) -> Arc<Span> {
        let mut spans = lock(&self.kept.spans);
        let mut fetched = false;
        let at = spans.iter().position(|span| (span.start..span.end).contains(&offset));
        let span = match at.and_then(|at| spans.remove(at)) {
            Some(span) => span,
            None => {
                let start = offset - offset % BLOCK_BYTES;
                let before = spans.iter().find(|span| span.end == start || span.end == offset);
                let grown = before.map(|span| (span.end - span.start) * 2);
                let length = grown.unwrap_or(SPAN_BYTES).clamp(SPAN_BYTES, SPAN_MAX_BYTES);
                let in_sequence = before.is_some();
                fetched = true;
                self.ask(start, length.max(offset - start + wanted), in_sequence)
            }
        };
        // The one used last is kept longest.
        spans.push_back(Arc::clone(&span));
        let mut followed = lock(&span.followed);
        if span.in_sequence && !*followed && span.end < self.size_bytes {
            *followed = true;
            if !spans.iter().any(|known| (known.start..known.end).contains(&span.end)) {
                let length = ((span.end - span.start) * 2).clamp(SPAN_BYTES, SPAN_MAX_BYTES);
                let next = self.ask(span.end, length, true);
                fetched = true;
                let last = spans.len() - 1;
                spans.insert(last, next);
            }
        }
        drop(followed);
        if fetched {
            // Never the one that is about to be read, nor the one that follows it.
            self.kept.trim(&mut spans, KEPT_BYTES_MAX, SPANS_MIN);
            drop(spans);
            self.shared.budget.fetched(&self.kept);
        }
        span
    }

    /// Begins to fetch `length` bytes from `start` on, or all of a small object.
    fn ask(&self, start: u64, length: u64, in_sequence: bool) -> Arc<Span> {
        let whole = self.size_bytes <= WHOLE_MAX_BYTES;
        let (start, end) = match whole {
            true => (0, self.size_bytes),
            false => (start, self.size_bytes.min(start.saturating_add(length))),
        };
        let span = Arc::new(Span::new(start, end, in_sequence, State::Coming));
        let (fetcher, coming) = (Arc::clone(&self.fetcher), Arc::clone(&span));
        let changed = Arc::clone(&self.changed);
        self.fetcher.bucket.spawn(async move {
            // Also when the runtime ends in the middle: nobody may wait for ever.
            let coming = Coming(coming);
            let state = match fetcher.fetch(start, end).await {
                Ok(bytes) => State::Here(bytes),
                Err(Refused { error, found }) => {
                    if let Some(found) = found {
                        *lock(&changed) = Some(found);
                    }
                    State::Failed(kind_of(&error), chain(&error))
                }
            };
            coming.0.settle(state);
        });
        span
    }
}

impl Fetcher {
    /// Bytes of the version that was opened.
    async fn fetch(&self, start: u64, end: u64) -> Result<Bytes, Refused> {
        let mut failed = 0;
        loop {
            let options = GetOptions {
                if_match: self.etag.clone(),
                range: Some(GetRange::Bounded(start..end)),
                ..GetOptions::default()
            };
            let got = async {
                let found = self.bucket.get_opts(&self.key, options).await?;
                self.check_version(&found.meta)?;
                found.bytes().await
            };
            let error = match got.await {
                Ok(bytes) if bytes.len() as u64 == end - start => return Ok(bytes),
                Ok(bytes) => Error::Generic {
                    store: "bucket",
                    source: format!("{} bytes came instead of {}", bytes.len(), end - start).into(),
                },
                Err(error) => error,
            };
            failed += 1;
            let may_pass = match &error {
                Error::Generic { .. } => true,
                // Unless the object is what it was: then the answer was not about it.
                Error::Precondition { .. } => match self.bucket.head(&self.key).await {
                    Ok(meta) if meta.e_tag == self.etag => true,
                    Ok(meta) => return Err(Refused { error, found: Some(pin_of(&meta)) }),
                    Err(_) => false,
                },
                _ => false,
            };
            if !may_pass || failed >= FETCH_TRIES {
                return Err(Refused { error, found: None });
            }
            tokio::time::sleep(FETCH_PAUSE * failed).await;
        }
    }

    /// Not every store minds the condition of a read: what came must be of the version that was
    /// opened.
    fn check_version(&self, found: &ObjectMeta) -> object_store::Result<()> {
        match (&self.etag, &found.e_tag) {
            (Some(wanted), Some(other)) if wanted != other => Err(Error::Precondition {
                path: self.key.to_string(),
                source: "the store gave bytes of another version".into(),
            }),
            _ => Ok(()),
        }
    }
}

impl Span {
    fn new(start: u64, end: u64, in_sequence: bool, state: State) -> Self {
        let followed = Mutex::new(false);
        Self {
            start,
            end,
            in_sequence,
            followed,
            state: Mutex::new(state),
            arrived: Condvar::new(),
        }
    }

    fn wait(&self) -> io::Result<Bytes> {
        let mut state = lock(&self.state);
        loop {
            match &*state {
                State::Here(bytes) => return Ok(bytes.clone()),
                State::Failed(kind, text) => return Err(io::Error::new(*kind, text.clone())),
                State::Coming => {
                    state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn settle(&self, settled: State) {
        let mut state = lock(&self.state);
        if matches!(*state, State::Coming) {
            *state = settled;
            self.arrived.notify_all();
        }
    }
}

/// A span whose bytes are being fetched.
struct Coming(Arc<Span>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.settle(State::Failed(io::ErrorKind::Interrupted, "nobody reads any more".into()));
    }
}

type Opened = (ObjectMeta, Option<(u64, Bytes)>);

/// The version and the end of an object in one request.
async fn tail(bucket: &Bucket, key: &ObjectPath) -> object_store::Result<Opened> {
    let range = Some(GetRange::Suffix(TAIL_BYTES));
    let found = bucket.get_opts(key, GetOptions { range, ..GetOptions::default() }).await?;
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let bytes = found.bytes().await?;
    if bytes.len() as u64 != range.end - range.start || range.end != meta.size {
        return Ok((meta, None));
    }
    Ok((meta, Some((range.start, bytes))))
}

fn key_of(uri: &str, key: &str) -> Result<ObjectPath, InputError> {
    ObjectPath::parse(key).map_err(|error| InputError::Io {
        uri: uri.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, error.to_string()),
    })
}

/// What a store tells about a version.
fn pin_of(meta: &ObjectMeta) -> Pin {
    let version = match &meta.e_tag {
        Some(etag) => format!("etag:{}", etag.trim_matches('"')),
        None => format!("modified:{}", meta.last_modified.to_rfc3339()),
    };
    Pin { size_bytes: meta.size, version }
}

pub(super) fn failed(uri: &str, error: Error) -> InputError {
    let missing =
        |nearby: &str| InputError::Missing { pattern: uri.to_owned(), nearby: nearby.to_owned() };
    match &error {
        error if is_no_bucket(error) => {
            let kind = BucketKind::of(uri).unwrap_or(BucketKind::S3);
            let (bucket, whereabouts) = (kind.bucket(), kind.whereabouts());
            missing(&format!("there is no such {bucket}; check its name, {whereabouts}"))
        }
        Error::NotFound { .. } => missing("there is no such object; check the key"),
        _ => {
            let source = io::Error::new(kind_of(&error), chain(&error));
            InputError::Io { uri: uri.to_owned(), source }
        }
    }
}

fn kind_of(error: &Error) -> io::ErrorKind {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    }
}

pub(super) fn ended<T>() -> object_store::Result<T> {
    Err(Error::Generic { store: "bucket", source: "the process ends".into() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for RemoteObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.fetcher.key;
        f.debug_struct("RemoteObject").field("key", key).field("pin", &self.pin).finish()
    }
}
