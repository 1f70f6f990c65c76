//! Where input comes from: files of volumes, and objects of buckets.
//!
//! Reading is done by threads that compute, and buckets are reached asynchronously. So the first
//! object of a bucket starts a small runtime of its own; who waits for bytes blocks a thread that
//! may be blocked, and never one of a runtime.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::place::{BucketPlace, Place};
use nightshift_core::plan::InputFile;
use tokio::runtime::{Builder, Runtime};

use super::remote::{Budget, HELD_BYTES_MAX, RemoteObject};
use super::{InputError, InputObject};
use crate::bucket::Bucket;
use crate::error::chain;

/// Threads that move bytes; decoding is done elsewhere.
const THREADS: usize = 1;

/// Opens input. Cheap to clone; clones share connections and credentials.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    shared: Arc<Shared>,
}

/// The runtime and the buckets that were asked for.
#[derive(Default)]
pub(super) struct Shared {
    remote: Mutex<Option<Remote>>,
    /// What objects hold of their bytes.
    pub(super) budget: Budget,
}

struct Remote {
    runtime: Runtime,
    buckets: BTreeMap<BucketPlace, Arc<Bucket>>,
}

impl Inputs {
    /// Most bytes that all open objects of buckets hold together; files hold none.
    pub const HELD_BYTES_MAX: u64 = HELD_BYTES_MAX;

    /// Opens the file or object `uri` and takes its version.
    ///
    /// # Errors
    /// [`InputError::Missing`] if nothing is there, [`InputError::NotAFile`] for anything but a
    /// regular file (a pipe would block for ever), [`InputError::Io`] for the rest.
    pub fn open(&self, uri: &str) -> Result<InputObject, InputError> {
        match uri.parse() {
            Ok(Place::Bucket(place)) => {
                let (bucket, key) = (self.bucket(uri, &place)?, &place.prefix);
                let keep = Arc::clone(&self.shared);
                let remote = RemoteObject::open(bucket, uri, key, keep)?;
                Ok(InputObject::of_bucket(uri.to_owned(), remote))
            }
            _ => InputObject::of_volume(uri),
        }
    }

    /// Checks that the file at the place of `file` still is the version that was planned.
    ///
    /// # Errors
    /// [`InputError::Changed`] naming both versions, or why the file cannot be looked at.
    pub fn verify_pin(&self, file: &InputFile) -> Result<(), InputError> {
        match file.uri.parse() {
            Ok(Place::Bucket(place)) => {
                let bucket = self.bucket(&file.uri, &place)?;
                let found = super::remote::look(&bucket, &file.uri, &place.prefix)?;
                if found == file.pin {
                    return Ok(());
                }
                Err(InputError::changed(&file.uri, &file.pin, &found))
            }
            _ => super::object::verify_file(file),
        }
    }

    /// A client of the whole bucket of `place`.
    pub(super) fn bucket(&self, uri: &str, place: &BucketPlace) -> Result<Arc<Bucket>, InputError> {
        let mut remote = self.shared.remote.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| InputError::Io { uri: uri.to_owned(), source };
        let remote = match &mut *remote {
            Some(remote) => remote,
            none => {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(THREADS)
                    .thread_name("input")
                    .enable_all()
                    .build()
                    .map_err(failed)?;
                none.insert(Remote { runtime, buckets: BTreeMap::new() })
            }
        };
        let whole = BucketPlace { prefix: String::new(), ..place.clone() };
        if let Some(bucket) = remote.buckets.get(&whole) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = {
            let _entered = remote.runtime.enter();
            Bucket::open(&whole).map_err(|error| {
                failed(io::Error::new(io::ErrorKind::InvalidInput, chain(&error)))
            })?
        };
        remote.buckets.insert(whole, Arc::clone(&bucket));
        Ok(bucket)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let remote = self.remote.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Remote { runtime, .. }) = remote {
            // Whoever drops the last of it may be a thread that must not block.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
