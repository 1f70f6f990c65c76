//! Who decides, where a store ignores the condition of a create: one process, by looking first.
//!
//! [`Deciding`] is that of a process. With [`CommitMode::Store`] it changes nothing. With
//! [`CommitMode::Coordinator`] each bucket that the process opens is held (`hold`), and every
//! create in it goes through a `Clerk`, one at a time for each name. Nothing above knows of it:
//! an opened root has a store whose creates are decided here (`creating`), and everything is
//! settled as ever.
//!
//! A worker is not the one: its creates are decided by its coordinator, to whom a [`Decider`]
//! leads.
//!
//! A volume decides by itself, so there the mode means nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use nightshift_core::holder::CommitMode;
use nightshift_core::ids::AttemptId;
use nightshift_core::layout::Object;
use object_store::ObjectStore;
use tokio::sync::{Mutex, watch};

use crate::bucket::request_max;
use crate::error::StoreError;
use crate::location::{Location, locate};

mod clerk;
mod creating;
mod hold;

use clerk::Clerk;
pub(crate) use creating::Creating;
use hold::{Hold, Times};

/// Names of this process in a root that it holds.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    token: AttemptId,
    who: String,
}

/// How one process makes sure that what is created once is created once. Cheap to clone; all
/// clones hold the same roots.
#[derive(Clone)]
pub struct Deciding {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    who: String,
    clerks: Mutex<BTreeMap<String, Arc<Clerk>>>,
    /// Said once: why this process holds a root no more.
    lost: watch::Sender<Option<String>>,
}

/// Somebody else who creates what is to be created once.
pub trait Decider: fmt::Debug + Send + Sync {
    /// Asks for `object` to be created with `bytes`.
    fn create(&self, object: Object, bytes: Vec<u8>) -> BoxFuture<'_, Answer>;
}

/// What a [`Decider`] answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The object is the one that was asked for.
    Created,
    /// There is one.
    Exists,
    /// It may have been created or not.
    Unclear(String),
    /// It will not be created.
    Refused(String),
}

impl Deciding {
    /// The store decides.
    pub fn by_store() -> Self {
        Self { inner: None }
    }

    /// What `mode` says, for the process that people know as `who`.
    pub fn new(mode: CommitMode, who: String) -> Self {
        let inner = match mode {
            CommitMode::Store => None,
            CommitMode::Coordinator => Some(Arc::new(Inner {
                who,
                clerks: Mutex::default(),
                lost: watch::Sender::new(None),
            })),
        };
        Self { inner }
    }

    /// What people should know before something is decided this way, in `output` or wherever this
    /// process will write; nothing if the store decides.
    ///
    /// # Errors
    /// An unusable location.
    pub fn warning(&self, output: Option<&str>) -> Result<Option<String>, StoreError> {
        if self.inner.is_none() {
            return Ok(None);
        }
        Ok(Some(match output.map(locate).transpose()? {
            Some(Location::Volume(_)) => VOLUME.to_owned(),
            Some(Location::Bucket(place)) => format!("{place}: {WARNING}"),
            None => format!("in buckets {WARNING}"),
        }))
    }

    /// Has the process end that waits for [`Deciding::lost`]: it must not write where it would.
    pub fn give_up(&self, why: String) {
        if let Some(inner) = &self.inner {
            inner.lost.send_replace(Some(why));
        }
    }

    /// Ends the hold on every root, so that the next process need not wait. A root in which a
    /// write may still be under way is left to run out.
    pub async fn release(&self) {
        let Some(inner) = &self.inner else { return };
        for clerk in std::mem::take(&mut *inner.clerks.lock().await).into_values() {
            clerk.release().await;
        }
    }

    /// Resolves when this process holds a root no more that it held, and says why; never before.
    pub async fn lost(&self) -> String {
        let Some(inner) = &self.inner else { return std::future::pending().await };
        let mut lost = inner.lost.subscribe();
        match lost.wait_for(Option::is_some).await {
            Ok(text) => text.clone().unwrap_or_default(),
            // The sender lives in `inner`.
            Err(_) => std::future::pending().await,
        }
    }

    /// A store in which this process decides, over the bucket `store` at `place`; the same store
    /// if the store decides. The root is held when this returns.
    ///
    /// # Errors
    /// [`StoreError::Held`] if another process holds it, and those of the store.
    pub(crate) async fn over(
        &self,
        place: &str,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Option<Arc<dyn ObjectStore>>, StoreError> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let mut clerks = inner.clerks.lock().await;
        let clerk = match clerks.get(place) {
            Some(clerk) => Arc::clone(clerk),
            None => {
                let token = ulid::Ulid::generate().to_string().parse();
                let token = token.map_err(|_| StoreError::InvalidUri {
                    uri: place.to_owned(),
                    reason: "no identity of this process could be made",
                })?;
                let name = Name { token, who: inner.who.clone() };
                let times = Times::of(request_max()?);
                let hold =
                    Hold::take(place, Arc::clone(&store), name, times, inner.lost.clone()).await?;
                let clerk = Arc::new(Clerk::new(hold));
                clerks.insert(place.to_owned(), Arc::clone(&clerk));
                clerk
            }
        };
        Ok(Some(Arc::new(Creating::by_clerk(store, clerk))))
    }
}

/// What the mode means where it means nothing.
const VOLUME: &str = "the output is on a volume, which decides what is written once by itself: \
--commit-mode=coordinator changes nothing";

/// What the mode no longer promises.
const WARNING: &str = "this process decides what is written once (--commit-mode=coordinator), \
by looking before it writes. Not promised any more: one winner if two processes write here, one \
of which was stopped, cut off or slow for as long as a request may take, or if the store does \
not show each write to the next read. Start nothing else that writes here; another process with \
this flag is refused while this one lives.";

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.inner.is_some() { CommitMode::Coordinator } else { CommitMode::Store };
        f.debug_tuple("Deciding").field(&mode).finish()
    }
}

#[cfg(test)]
mod tests;
