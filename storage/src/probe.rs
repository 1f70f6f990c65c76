//! Five checks that tell a store that can hold verdicts from one that cannot.

use std::future::Future;
use std::io;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use nightshift_core::layout;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::StoreError;

/// Racing creates in the last check: enough to overlap, few enough for a start-up.
const RACERS: usize = 20;

/// Probes `store`, called `uri` in messages. The probe's own objects are deleted whatever the
/// outcome, which is safe because nobody else knows their names; then `remove_directory` is
/// called with the directory, relative to the root, that held them.
pub(crate) async fn check<F>(
    store: &dyn ObjectStore,
    uri: &str,
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
    })?;
    let directory = layout::probe_directory(&token);
    let once = Path::from(format!("{directory}/once"));
    let race = Path::from(format!("{directory}/race"));
    let probe = Probe { store, uri, directory: Path::from(directory.clone()) };
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
    directory: Path,
}

impl Probe<'_> {
    async fn create_once(&self, path: &Path) -> Result<(), StoreError> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        self.create(path, &first).await.map_err(|error| self.broken("create", error))?;
        match self.create(path, &second).await {
            Ok(()) => return Err(self.failed("a second create is refused", "it was accepted")),
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(self.broken("create a second time", error)),
        }
        if self.read(path).await? != first {
            return Err(self.failed("the first bytes are read back", "others were"));
        }
        let listed = self.store.list(Some(&self.directory)).map_ok(|object| object.location);
        // The directory is the probe's own; a store that lists more than it has is cut off.
        let listed: Vec<Path> =
            listed.take(RACERS).try_collect().await.map_err(|error| self.broken("list", error))?;
        if listed != [path.clone()] {
            return Err(self.failed("a listing shows the object", &format!("{listed:?}")));
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
                Err(error) if is_refusal(&error) => {}
                Err(error) => return Err(self.broken("create in a race", error)),
            }
        }
        match *winners.as_slice() {
            [winner] if *winner == self.read(path).await? => Ok(()),
            [_] => Err(self.failed(check, "a loser's bytes were stored")),
            _ => Err(self.failed(check, &format!("it had {}", winners.len()))),
        }
    }

    async fn create(&self, path: &Path, bytes: &Bytes) -> Result<(), Error> {
        let payload = PutPayload::from(bytes.clone());
        self.store.put_opts(path, payload, PutOptions::from(PutMode::Create)).await.map(drop)
    }

    async fn read(&self, path: &Path) -> Result<Bytes, StoreError> {
        let read = async { self.store.get(path).await?.bytes().await };
        read.await.map_err(|error| self.broken("read back", error))
    }

    fn failed(&self, check: &'static str, found: &str) -> StoreError {
        StoreError::ProbeFailed { uri: self.uri.to_owned(), check, found: found.to_owned() }
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
