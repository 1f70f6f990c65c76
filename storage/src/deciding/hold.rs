//! Holding a root: the rules of [`nightshift_core::holder`], against a store and a clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::document::Document;
use nightshift_core::holder::{Holder, Step, decide};
use nightshift_core::layout::Object;
use object_store::{ObjectStore, PutOptions, PutPayload};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Name;
use crate::documents::{Small, parse, to_bytes};
use crate::error::{StoreError, chain};
use crate::root::key;

/// Tries for one look or one word of a process that wants to hold a root.
const TRIES: u32 = 5;

/// The times of a hold. They follow from how long one request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Longest call about the holder.
    call: Duration,
    /// From the own word to the look whether it stays: longer than another's word may take that
    /// was sent before ours was there.
    settles: Duration,
    /// Between two signs of life.
    renews: Duration,
    /// After so long without one that was answered nothing is written any more: what has been
    /// sent until then has been answered or given up when others take over.
    writes_for: Duration,
    /// After so long without one others take over.
    lasts: Duration,
}

/// A root that this process holds, as far as a store without conditions can tell.
#[derive(Debug)]
pub(super) struct Hold {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: String,
    store: Arc<dyn ObjectStore>,
    name: Name,
    since: Timestamp,
    times: Times,
    /// When the last sign of life was sent that was answered.
    renewed: Mutex<Instant>,
    over: AtomicBool,
    lost: watch::Sender<Option<String>>,
}

impl Times {
    /// The longest call about the holder, where requests may take longer.
    const CALL_MAX: Duration = Duration::from_secs(5);

    /// The times where one request takes at most `request`.
    pub(super) fn of(request: Duration) -> Self {
        let call = request.min(Self::CALL_MAX);
        Self {
            call,
            settles: call + call / 4,
            renews: request / 3,
            writes_for: request,
            lasts: (request * 2).min(Holder::LASTS_MAX),
        }
    }
}

impl Hold {
    /// Takes hold of the root at `place`, once nobody else has it.
    ///
    /// # Errors
    /// [`StoreError::Held`] if another process lives that holds it, and those of the store.
    pub(super) async fn take(
        place: &str,
        store: Arc<dyn ObjectStore>,
        name: Name,
        times: Times,
        lost: watch::Sender<Option<String>>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            place: place.to_owned(),
            store,
            name,
            since: Timestamp::now(),
            times,
            renewed: Mutex::new(Instant::now()),
            over: AtomicBool::new(false),
            lost,
        });
        shared.say_first().await?;
        sleep(times.settles).await;
        match shared.patiently("look at", || shared.found()).await? {
            Some(found) if found.token == shared.name.token => {}
            found => return Err(shared.held_by(found)),
        }
        // What may be written from now on is counted from here.
        let sent = Instant::now();
        shared.patiently("take hold of", || shared.say(1, false)).await?;
        shared.renewed_at(sent);
        let renewing = Arc::clone(&shared);
        nightshift_telemetry::spawn("hold", async move { renewing.renew().await });
        Ok(Self { shared })
    }

    /// Whether this process may write now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self) -> Result<(), String> {
        let Shared { place, over, renewed, times, .. } = &*self.shared;
        if over.load(Ordering::Acquire) {
            return Err(format!("this process does not hold {place} any more"));
        }
        let silent = renewed.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if silent > times.writes_for {
            let seconds = silent.as_secs();
            return Err(format!("{place} has not answered for {seconds} s that it is held"));
        }
        Ok(())
    }

    /// Nothing is written from now on.
    pub(super) fn stop(&self) {
        self.shared.over.store(true, Ordering::Release);
    }

    /// Says that this process is done here; best effort.
    pub(super) async fn release(&self) {
        let Shared { times, name, place, .. } = &*self.shared;
        let released = async {
            let ours = self.shared.found().await?.filter(|found| found.token == name.token);
            match ours {
                Some(found) => self.shared.say(found.beat + 1, true).await,
                None => Ok(()),
            }
        };
        match timeout(times.call, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(place, error = chain(&error), "cannot be released"),
            Err(_) => tracing::warn!(place, "cannot be released in time"),
        }
    }
}

impl Shared {
    /// Says that this process holds the root, right after a look that found nobody: somebody who
    /// has looked at the same time must not come later than others wait for.
    async fn say_first(&self) -> Result<(), StoreError> {
        let mut last = None;
        for _ in 0..TRIES {
            self.wait_until_free().await?;
            let looked = Instant::now();
            match timeout(self.times.call, self.say(0, false)).await {
                Ok(Ok(())) if looked.elapsed() <= self.times.call => return Ok(()),
                Ok(Err(error @ StoreError::Failed { .. })) => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(())) | Err(_) => {}
            }
        }
        Err(last.unwrap_or_else(|| self.silent("take hold of")))
    }

    /// Waits until nobody holds the root, or who did is taken for dead.
    async fn wait_until_free(&self) -> Result<(), StoreError> {
        let mut first = None;
        let mut since = Instant::now();
        loop {
            let found = self.patiently("look at", || self.found()).await?;
            let found = found.filter(|found| found.token != self.name.token);
            match decide(found.as_ref(), first.as_ref(), since.elapsed()) {
                Step::Take => return Ok(()),
                Step::Refuse => return Err(self.held_by(found)),
                Step::Watch => {}
            }
            if first.is_none() {
                let who = found.as_ref().map(|found| found.who.as_str());
                let seconds = found.as_ref().map(|found| found.lasts().as_secs());
                tracing::warn!(
                    place = self.place,
                    who,
                    seconds,
                    "waiting to see whether the holder lives"
                );
                // Counted from after the look: it was seen alive until then.
                since = Instant::now();
                first = found;
            }
            sleep(self.times.renews.min(Duration::from_secs(1))).await;
        }
    }

    /// Gives signs of life until the hold is over.
    async fn renew(&self) {
        let mut beat = 2;
        loop {
            sleep(self.times.renews).await;
            if self.over.load(Ordering::Acquire) {
                return;
            }
            let sent = Instant::now();
            let renewed = async {
                match self.found().await? {
                    Some(found) if found.token == self.name.token => {
                        self.say(beat, false).await.map(|()| None)
                    }
                    found => Ok(Some(self.held_by(found))),
                }
            };
            match timeout(self.times.call, renewed).await {
                Ok(Ok(None)) => {
                    self.renewed_at(sent);
                    beat += 1;
                }
                Ok(Ok(Some(_))) if self.over.load(Ordering::Acquire) => return,
                Ok(Ok(Some(taken))) => {
                    self.over.store(true, Ordering::Release);
                    let text = format!("{taken}; this process writes nothing more there");
                    tracing::error!("{text}");
                    self.lost.send_replace(Some(text));
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(place = self.place, error = chain(&error), "no sign of life");
                }
                Err(_) => tracing::warn!(place = self.place, "no sign of life: no answer in time"),
            }
        }
    }

    /// A sign of life that was sent at `sent` has been answered.
    fn renewed_at(&self, sent: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
    }

    async fn found(&self) -> Result<Option<Holder>, StoreError> {
        let path = key(&Object::Holder);
        let (kind, size_max_bytes) = (Holder::KIND.name(), Holder::KIND.size_max_bytes());
        let (store, place) = (&*self.store, self.place.as_str());
        let small = Small { store, place, path: &path, kind, size_max_bytes };
        let Some(bytes) = small.read().await? else { return Ok(None) };
        parse(&path, &bytes).map(Some)
    }

    async fn say(&self, beat: u64, released: bool) -> Result<(), StoreError> {
        let holder = Holder {
            version: Holder::VERSION,
            token: self.name.token.clone(),
            who: self.name.who.clone(),
            since: self.since,
            beat,
            lasts_ms: u64::try_from(self.times.lasts.as_millis()).unwrap_or(u64::MAX),
            released,
        };
        let bytes = to_bytes(&Object::Holder, &holder)?;
        let path = key(&Object::Holder);
        let said = self.store.put_opts(&path, PutPayload::from(bytes), PutOptions::default()).await;
        said.map(drop).map_err(|error| StoreError::from_store("write", &path, error))
    }

    /// Does `call` again while the store does not answer.
    async fn patiently<T, F>(
        &self,
        what: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut last = None;
        for _ in 0..TRIES {
            match timeout(self.times.call, call()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error @ StoreError::Failed { .. })) => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
            sleep(self.times.renews.min(Duration::from_millis(200))).await;
        }
        Err(last.unwrap_or_else(|| self.silent(what)))
    }

    fn silent(&self, what: &'static str) -> StoreError {
        let source = "the store gave no answer in time".into();
        StoreError::Failed { what, path: self.place.clone(), source }
    }

    fn held_by(&self, found: Option<Holder>) -> StoreError {
        let (who, since) = match found {
            Some(found) => (found.who, found.since.to_string()),
            None => {
                ("nobody, though it was held a moment ago".to_owned(), "an unknown time".to_owned())
            }
        };
        StoreError::Held { place: self.place.clone(), who, since }
    }
}
