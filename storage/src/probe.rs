//! Five checks that tell a store that can hold verdicts from one that cannot.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use nightshift_core::layout;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::bucket::is_no_bucket;
use crate::documents::Small;
use crate::error::{StoreError, denial_of};

/// Times that a create is sent again whose outcome is unclear, where that may be.
const TRIES: u32 = 16;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(100);

/// What to do about a store that fails.
const ATOMIC: &str = "use a volume or store with atomic create";
/// What to do about a bucket whose store does not say who was first.
const COORDINATOR: &str = "use a volume or store with atomic create, or --commit-mode=coordinator, \
with which one process decides (see docs/output.md)";

/// Racing creates in the last check: enough to overlap, few enough for a start-up.
const RACERS: usize = 20;

/// What an unclear answer to a create means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The store cannot be used now: a volume answers.
    Refused,
    /// The create may have happened or not, as any other over a network: it is found out.
    Settled,
}

/// Probes `store`, called `uri` in messages. The probe's own objects are deleted whatever the
/// outcome, which is safe because nobody else knows their names; then `remove_directory` is
/// called with the directory, relative to the root, that held them.
pub(crate) async fn check<F>(
    store: &dyn ObjectStore,
    uri: &str,
    doubt: Doubt,
    remove_directory: impl FnOnce(String) -> F,
) -> Result<(), StoreError>
where
    F: Future<Output = io::Result<()>>,
{
    let token = ulid::Ulid::generate().to_string().parse();
    let token = token.map_err(|_| StoreError::ProbeFailed {
        uri: uri.to_owned(),
        check: "name",
        found: "no name could be made".to_owned(),
        remedy: ATOMIC,
    })?;
    let directory = layout::probe_directory(&token);
    let once = Path::from(format!("{directory}/once"));
    let race = Path::from(format!("{directory}/race"));
    let probe = Probe { store, uri, doubt, directory: Path::from(directory.clone()) };
    let outcome = match probe.create_once(&once).await {
        Ok(()) => probe.race(&race).await,
        failed => failed,
    };
    for path in [&once, &race] {
        if let Err(error) = store.delete(path).await {
            tracing::debug!(%path, %error, "a probe object stays behind");
        }
    }
    if let Err(error) = remove_directory(directory).await {
        tracing::debug!(%error, "the probe directory stays behind");
    }
    outcome
}

struct Probe<'a> {
    store: &'a dyn ObjectStore,
    uri: &'a str,
    doubt: Doubt,
    directory: Path,
}

impl Probe<'_> {
    async fn create_once(&self, path: &Path) -> Result<(), StoreError> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        self.create_first(path, &first).await?;
        let mut tries = TRIES;
        loop {
            match self.create(path, &second).await {
                Ok(()) => {
                    let error = self.failed("a second create is refused", "it was accepted");
                    return Err(self.or_coordinator(error));
                }
                Err(error) if is_refusal(&error) => break,
                Err(error) if tries == 0 || !self.may_pass(&error) => {
                    return Err(self.broken("create a second time", error));
                }
                Err(_) => self.pause(&mut tries).await,
            }
        }
        if self.read(path).await? != first {
            return Err(self.failed("the first bytes are read back", "others were"));
        }
        let mut tries = TRIES;
        loop {
            let listed = self.store.list(Some(&self.directory)).map_ok(|object| object.location);
            // The directory is the probe's own; a store that lists more than it has is cut off.
            let listed: Vec<Path> = listed
                .take(RACERS)
                .try_collect()
                .await
                .map_err(|error| self.broken("list", error))?;
            if listed == [path.clone()] {
                break;
            }
            // A listing over a network may be a moment old.
            if self.doubt == Doubt::Refused || tries == 0 || !listed.is_empty() {
                return Err(self.failed("a listing shows the object", &format!("{listed:?}")));
            }
            self.pause(&mut tries).await;
        }
        Ok(())
    }

    async fn race(&self, path: &Path) -> Result<(), StoreError> {
        let check = "20 racing creates have one winner";
        let racers: Vec<Bytes> =
            (0..RACERS).map(|racer| Bytes::from(format!("racer {racer}"))).collect();
        let ends = join_all(racers.iter().map(|bytes| self.create(path, bytes))).await;
        let mut winners = Vec::new();
        for (end, bytes) in ends.into_iter().zip(&racers) {
            match end {
                Ok(()) => winners.push(bytes),
                Err(error) if is_refusal(&error) || self.may_pass(&error) => {}
                Err(error) => return Err(self.broken("create in a race", error)),
            }
        }
        match *winners.as_slice() {
            [] if self.doubt == Doubt::Settled => self.stored_in_race(path, &racers).await,
            [winner] if *winner == self.read(path).await? => Ok(()),
            [_] => Err(self.failed(check, "a loser's bytes were stored")),
            _ => {
                let error = self.failed(check, &format!("it had {}", winners.len()));
                Err(self.or_coordinator(error))
            }
        }
    }

    /// Nobody was told to have won a race: over a network the winner's answer may have been lost,
    /// and "exists" may be an answer to its second try. What is stored says who won, as it does
    /// for a record; where nothing is, nobody got through, and one create at a time is looked at.
    async fn stored_in_race(&self, path: &Path, racers: &[Bytes]) -> Result<(), StoreError> {
        let (Some(first), check) = (racers.first(), "the first bytes are read back") else {
            return Ok(());
        };
        self.create_first(path, first).await?;
        match racers.contains(&self.read(path).await?) {
            true => Ok(()),
            false => Err(self.failed(check, "others were")),
        }
    }

    /// Creates the first object; after an unclear answer it is read back, as a record would be.
    async fn create_first(&self, path: &Path, bytes: &Bytes) -> Result<(), StoreError> {
        let mut tries = TRIES;
        loop {
            let error = match self.create(path, bytes).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if is_no_bucket(&error) {
                return Err(StoreError::NoBucket { place: self.uri.to_owned() });
            }
            let settles = is_refusal(&error) || self.may_pass(&error);
            if self.doubt == Doubt::Refused || !settles || tries == 0 {
                return Err(self.broken("create", error));
            }
            match self.store.get(path).await {
                Ok(_) => return Ok(()),
                Err(Error::NotFound { .. }) => self.pause(&mut tries).await,
                Err(error) => return Err(self.broken("read back", error)),
            }
        }
    }

    /// Whether an error says nothing about the store.
    fn may_pass(&self, error: &Error) -> bool {
        self.doubt == Doubt::Settled && denial_of(error).is_none()
    }

    async fn pause(&self, tries: &mut u32) {
        *tries = tries.saturating_sub(1);
        tokio::time::sleep(PAUSE).await;
    }

    async fn create(&self, path: &Path, bytes: &Bytes) -> Result<(), Error> {
        let payload = PutPayload::from(bytes.clone());
        self.store.put_opts(path, payload, PutOptions::from(PutMode::Create)).await.map(drop)
    }

    async fn read(&self, path: &Path) -> Result<Bytes, StoreError> {
        let (store, place, size_max_bytes) = (self.store, self.uri, 64 << 10);
        let small = Small { store, place, path, kind: "probe object", size_max_bytes };
        let found = small.read().await?;
        found.ok_or_else(|| self.failed("the first bytes are read back", "nothing was"))
    }

    fn failed(&self, check: &'static str, found: &str) -> StoreError {
        let (uri, found) = (self.uri.to_owned(), found.to_owned());
        StoreError::ProbeFailed { uri, check, found, remedy: ATOMIC }
    }

    /// A bucket whose store does not say who was first may still be used by one process.
    fn or_coordinator(&self, mut error: StoreError) -> StoreError {
        if let (StoreError::ProbeFailed { remedy, .. }, Doubt::Settled) = (&mut error, self.doubt) {
            *remedy = COORDINATOR;
        }
        error
    }

    fn broken(&self, what: &'static str, error: Error) -> StoreError {
        StoreError::from_store(what, format!("a probe object in {}", self.uri), error)
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. })
}

#[cfg(test)]
mod tests;
