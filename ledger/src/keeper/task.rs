//! The task of a keeper: rounds over the names, with pauses while the ledger is unavailable.
//!
//! It ends when it is told to stop, after a last round, or when it is aborted: every write is
//! a transaction, and whatever is cut off is made up for by the rebuild of the next keeper.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::ids::SpecName;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::keeper::inbox::Letter;
use crate::keeper::state::LedgerState;
use crate::keeper::upkeep::{Tools, Upkeep, UpkeepError};
use crate::{LedgerError, Lost, Reason, Writer};

/// Time between two looks at a ledger that nothing is written to.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two rounds, so that many small reports become few transactions.
const ROUND_GAP: Duration = Duration::from_millis(3);
/// Pause after the first failure; each further one doubles it.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The task.
pub(super) struct Task {
    tools: Tools,
    writer: Writer,
    names: BTreeMap<SpecName, Name>,
    /// The server as a whole is left in peace until then.
    pause: Pause,
    state: Arc<watch::Sender<LedgerState>>,
    settled: watch::Sender<u64>,
}

struct Name {
    upkeep: Upkeep,
    behind: Option<Behind>,
    pause: Pause,
    /// When to look, if nothing is written before.
    look_at: Instant,
    /// The loss that was said last, so that two deployments that fight over a name do not
    /// fill the log.
    said: Option<Lost>,
}

#[derive(Debug, Clone)]
struct Behind {
    reason: Reason,
    why: String,
    since: Timestamp,
}

/// Whether the ledger was asked anything.
enum Done {
    Nothing,
    Something,
}

/// A pause that doubles with every failure in a row.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    last: Duration,
}

impl Pause {
    fn lengthen(&mut self) {
        self.last = (self.last * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
        self.until = Some(Instant::now() + self.last);
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }
}

impl Task {
    pub(super) fn new(
        tools: Tools,
        state: Arc<watch::Sender<LedgerState>>,
        settled: watch::Sender<u64>,
    ) -> Self {
        let (writer, names, pause) = (Writer::random(), BTreeMap::new(), Pause::default());
        Self { tools, writer, names, pause, state, settled }
    }

    pub(super) async fn run(mut self) {
        loop {
            let is_last = self.tools.inbox.is_stopping();
            self.round().await;
            self.publish();
            if is_last {
                return;
            }
            tokio::time::sleep(ROUND_GAP).await;
            let inbox = Arc::clone(&self.tools.inbox);
            tokio::select! {
                () = inbox.rung() => {}
                () = self.due() => {}
            }
        }
    }

    /// Waits for the next pause that ends, or the next look.
    async fn due(&self) {
        let of_name = |name: &Name| match &name.behind {
            Some(_) => name.pause.until.unwrap_or_else(Instant::now),
            None => name.look_at,
        };
        match self.names.values().map(of_name).min() {
            Some(due) => {
                tokio::time::sleep_until(self.pause.until.map_or(due, |end| end.max(due))).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Gives every name what it needs, up to a failure that the others would meet too.
    async fn round(&mut self) {
        for name in self.tools.inbox.names() {
            let Some(served) = self.tools.inbox.served(&name) else { continue };
            let kept = match self.names.remove(&name) {
                Some(kept) if kept.upkeep.served().root_id == served.root_id => kept,
                _ => Name::new(Upkeep::new(served, self.writer.clone())),
            };
            let kept = self.names.entry(name.clone()).or_insert(kept);
            if !self.pause.is_over() || !kept.pause.is_over() {
                // What waits goes on waiting, up to the bound of the inbox.
                continue;
            }
            match kept.tend(&self.tools, self.tools.inbox.take(&name)).await {
                Ok(Done::Nothing) => {}
                Ok(Done::Something) => self.pause = Pause::default(),
                Err(error) => {
                    self.tools.inbox.shut(&name);
                    if error.reason().is_of_the_server() {
                        self.pause.lengthen();
                    }
                    kept.fail(&error);
                    // Whoever sees the count sees the state too.
                    self.publish();
                    self.tools.counters.failed(error.reason());
                }
            }
        }
    }

    fn publish(&self) {
        let behind = self.names.values().filter_map(|name| name.behind.as_ref());
        let names = behind.clone().count();
        let state = match behind.min_by_key(|behind| behind.since) {
            None => LedgerState::Current,
            Some(Behind { reason, why, since }) => {
                LedgerState::Behind { reason: *reason, why: why.clone(), since: *since, names }
            }
        };
        let advance = self.tools.inbox.advance();
        if state.is_current() && !advance.is_calm {
            // The next round takes it up; until then the handle's own words stand.
            return;
        }
        if state.is_current()
            && let Some(taken) = advance.taken
        {
            self.settled.send_replace(taken);
        }
        self.state.send_if_modified(|held| {
            let is_news = *held != state;
            *held = state;
            is_news
        });
    }
}

impl Name {
    fn new(upkeep: Upkeep) -> Self {
        let behind = Behind {
            reason: Reason::Starting,
            why: "the ledger was not compared with the output yet".to_owned(),
            since: Timestamp::now(),
        };
        let (look_at, said) = (Instant::now(), None);
        Self { upkeep, behind: Some(behind), pause: Pause::default(), look_at, said }
    }

    /// Does what is due for the name.
    async fn tend(&mut self, tools: &Tools, letter: Letter) -> Result<Done, UpkeepError> {
        match letter {
            Letter::Overflowed => {
                let why = "more was decided than could be written".to_owned();
                self.fall_behind(Reason::Overflow, why);
                tools.counters.failed(Reason::Overflow);
                self.rebuild(tools).await?;
            }
            Letter::Rebuild => self.rebuild(tools).await?,
            Letter::Write(_) if self.behind.is_some() => self.rebuild(tools).await?,
            Letter::Write(changes) if !changes.is_empty() => {
                self.upkeep.write(tools, changes).await?;
                self.pause = Pause::default();
            }
            Letter::Write(_) if self.look_at <= Instant::now() => {
                self.upkeep.check(tools).await?;
                self.pause = Pause::default();
            }
            Letter::Write(_) => return Ok(Done::Nothing),
        }
        self.look_at = Instant::now() + LOOK_EVERY;
        Ok(Done::Something)
    }

    async fn rebuild(&mut self, tools: &Tools) -> Result<(), UpkeepError> {
        if let Some(lost) = self.upkeep.rebuild(tools).await? {
            self.say(&lost);
        }
        // The length of the pause stays: two deployments that take the ledger from each other
        // both succeed each time.
        self.pause.until = None;
        self.said.take_if(|said| !matches!(said, Lost::Foreign { .. }));
        let name = &self.upkeep.served().name;
        match self.behind.take() {
            Some(behind) if behind.reason != Reason::Starting => {
                let since = behind.since;
                tracing::info!(%name, reason = %behind.reason, %since, "the ledger has caught up");
            }
            _ => tracing::debug!(%name, "the ledger says what the output says"),
        }
        Ok(())
    }

    fn fail(&mut self, error: &UpkeepError) {
        let reason = error.reason();
        match error {
            UpkeepError::Ledger(LedgerError::Lost(lost)) => {
                self.say(lost);
                if reason == Reason::Foreign {
                    self.pause.lengthen();
                }
            }
            _ if reason.is_of_the_server() => {}
            _ => self.pause.lengthen(),
        }
        self.fall_behind(reason, error.words());
    }

    fn fall_behind(&mut self, reason: Reason, why: String) {
        let name = &self.upkeep.served().name;
        let since = self.behind.as_ref().map(|behind| behind.since);
        let is_news = self.behind.as_ref().is_none_or(|behind| behind.reason != reason);
        let is_lost =
            matches!(reason, Reason::Wiped | Reason::Foreign | Reason::Stale | Reason::Version);
        if is_news && !is_lost {
            tracing::warn!(%name, %reason, why, "the ledger is behind; runs go on");
        }
        let since = since.unwrap_or_else(Timestamp::now);
        self.behind = Some(Behind { reason, why, since });
    }

    /// Says a loss, unless it was the last one that was said.
    fn say(&mut self, lost: &Lost) {
        let name = &self.upkeep.served().name;
        if self.said.as_ref() == Some(lost) {
            return;
        }
        match lost {
            Lost::Foreign { .. } => {
                tracing::warn!(%name, "the ledger is made anew: {lost}");
            }
            _ => tracing::info!(%name, "the ledger is made anew: {lost}"),
        }
        self.said = Some(lost.clone());
    }
}
