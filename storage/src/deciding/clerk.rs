//! Creates of one process, decided by looking first: one at a time for each name.
//!
//! A create that the store did not answer may still happen, and a store that ignores conditions
//! lets it replace whatever is there by then. So a name has one content for this process from
//! the moment at which a write of it is sent:
//!
//! | sent before | the look finds | then |
//! |---|---|---|
//! | nothing | something | it exists |
//! | nothing | nothing | the caller's bytes are written, and stand from now on |
//! | some bytes | something | it exists, and nothing is in doubt any more |
//! | the caller's bytes | nothing | they are written again |
//! | other bytes | nothing | **those** are written again; for the caller it exists |
//!
//! Whatever comes late then comes with the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::hold::Hold;

/// Most names that are being decided or in doubt; each doubtful one keeps its bytes.
const NAMES_MAX: usize = 10_000;

/// The bytes that were sent for a name and may still arrive.
type Doubt = Option<Bytes>;

/// Decides who was first.
#[derive(Debug)]
pub(super) struct Clerk {
    hold: Hold,
    names: Mutex<HashMap<Path, Arc<tokio::sync::Mutex<Doubt>>>>,
}

impl Clerk {
    /// One for a root that is held.
    pub(super) fn new(hold: Hold) -> Self {
        Self { hold, names: Mutex::default() }
    }

    /// Creates `path` in `store` if nothing is there, as its own conditional create would.
    pub(super) async fn create(
        &self,
        store: &dyn ObjectStore,
        path: &Path,
        bytes: Bytes,
    ) -> object_store::Result<()> {
        let name = self.name(path)?;
        let created = {
            let mut doubt = name.lock().await;
            self.decide(store, path, bytes, &mut doubt).await
        };
        self.forget(path, name);
        created
    }

    async fn decide(
        &self,
        store: &dyn ObjectStore,
        path: &Path,
        bytes: Bytes,
        doubt: &mut Doubt,
    ) -> object_store::Result<()> {
        let exists =
            || Error::AlreadyExists { path: path.to_string(), source: "the object exists".into() };
        match store.head(path).await {
            Ok(_) => {
                *doubt = None;
                return Err(exists());
            }
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let (sent, theirs) = match doubt.take() {
            Some(earlier) if earlier != bytes => (earlier, true),
            _ => (bytes, false),
        };
        // Before it is sent: whoever waits for the answer may be cut off.
        *doubt = Some(sent.clone());
        self.hold
            .check()
            .map_err(|reason| Error::Generic { store: "held", source: reason.into() })?;
        // The condition is sent all the same. A store that keeps it makes this as safe as ever.
        let options = PutOptions::from(PutMode::Create);
        store.put_opts(path, PutPayload::from(sent), options).await?;
        *doubt = None;
        if theirs { Err(exists()) } else { Ok(()) }
    }

    /// Gives the root back, unless something may still be under way.
    pub(super) async fn release(&self) {
        self.hold.stop();
        let quiet = {
            let names = self.lock();
            names.values().all(|name| name.try_lock().is_ok_and(|doubt| doubt.is_none()))
        };
        if quiet {
            self.hold.release().await;
        }
    }

    fn name(&self, path: &Path) -> object_store::Result<Arc<tokio::sync::Mutex<Doubt>>> {
        let mut names = self.lock();
        if names.len() >= NAMES_MAX && !names.contains_key(path) {
            // Who was cut off could not tidy up.
            names.retain(|_, name| !is_idle(name));
        }
        if names.len() >= NAMES_MAX && !names.contains_key(path) {
            let source = format!("it is not known of {NAMES_MAX} writes whether they happened");
            return Err(Error::Generic { store: "held", source: source.into() });
        }
        Ok(Arc::clone(names.entry(path.clone()).or_default()))
    }

    fn forget(&self, path: &Path, name: Arc<tokio::sync::Mutex<Doubt>>) {
        let mut names = self.lock();
        drop(name);
        if names.get(path).is_some_and(is_idle) {
            names.remove(path);
        }
    }

    /// The map is whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Path, Arc<tokio::sync::Mutex<Doubt>>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody uses a name and nothing of it is in doubt. To be asked with the map locked.
fn is_idle(name: &Arc<tokio::sync::Mutex<Doubt>>) -> bool {
    Arc::strong_count(name) == 1 && name.try_lock().is_ok_and(|doubt| doubt.is_none())
}
