//! Looking again and again: when, and what to do where nobody answers.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_core::ids::RunId;
use nightshift_proto::runs::get::FoundRun;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use tokio::sync::{Notify, mpsc};

use super::lines;
use super::model::{Look, Model};
use super::source::{Blind, Source};
use crate::command::print_while_read;
use crate::command::status::runs::Wanted;

/// Longest pause after looks without an answer: nobody waits longer once somebody answers.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How it is looked.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) wanted: Wanted,
    pub(super) interval: Duration,
    /// How long nobody may answer; for ever if absent.
    pub(super) give_up_after: Option<Duration>,
}

/// What came of a look.
#[derive(Debug)]
pub(super) enum News {
    Look(Look),
    Closely(Option<Box<FoundRun>>),
    Silence { reason: String, pause: Duration },
}

/// What the watcher wants to see; read before each look.
#[derive(Debug, Default)]
pub(super) struct Focus {
    pub(super) run: std::cell::RefCell<Option<RunId>>,
    pub(super) paused: std::cell::Cell<bool>,
    /// Told when one of the two has changed.
    pub(super) changed: Notify,
}

/// How long nobody has answered, and when it is asked again.
#[derive(Debug, Default)]
struct Silent {
    since: Option<Instant>,
    pause: Duration,
    /// Whether anybody has ever answered.
    answered: bool,
}

impl Silent {
    /// The pause before the next look, or the failure that ends it all.
    fn bear(&mut self, blind: Blind, watch: &Watch) -> Result<(String, Duration), Failure> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let over = watch.give_up_after.is_some_and(|bound| since.elapsed() >= bound);
        if over || (blind.for_good && !self.answered) {
            return Err(blind.failure);
        }
        self.pause = (self.pause * 2).clamp(watch.interval.min(PAUSE_MAX), PAUSE_MAX);
        Ok((blind.reason, self.pause))
    }

    fn is_over(&mut self) {
        *self = Self { answered: true, ..Self::default() };
    }
}

impl Watch {
    /// Looks until nobody takes the news any more.
    ///
    /// # Errors
    /// If nobody answers for too long, or what is asked is refused from the start.
    pub(super) async fn look_on(
        &self,
        mut source: Source,
        focus: &Focus,
        news: mpsc::Sender<News>,
    ) -> Result<(), Failure> {
        let mut silent = Silent::default();
        let mut next = tokio::time::Instant::now();
        loop {
            if focus.paused.get() {
                focus.changed.notified().await;
                continue;
            }
            let is_due = tokio::time::Instant::now() >= next;
            // What was selected anew is looked at now, and all runs when it is their time.
            let found = self.look_once(&mut source, focus, is_due, &news).await;
            match found {
                Ok(true) => silent.is_over(),
                Ok(false) => return Ok(()),
                Err(blind) => {
                    let (reason, pause) = silent.bear(blind, self)?;
                    next = tokio::time::Instant::now() + pause;
                    if news.send(News::Silence { reason, pause }).await.is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep_until(next).await;
                    continue;
                }
            }
            if is_due {
                next = tokio::time::Instant::now() + self.interval;
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = focus.changed.notified() => {}
            }
        }
    }

    /// Looks at the runs, if it is time, and closely at the selected one; false if nobody takes
    /// the news.
    async fn look_once(
        &self,
        source: &mut Source,
        focus: &Focus,
        is_due: bool,
        news: &mpsc::Sender<News>,
    ) -> Result<bool, Blind> {
        if is_due && news.send(News::Look(source.look(&self.wanted).await?)).await.is_err() {
            return Ok(false);
        }
        let run = focus.run.borrow().clone();
        let Some(run) = run else { return Ok(true) };
        let found = source.look_closely(&run).await?;
        Ok(news.send(News::Closely(found.map(Box::new))).await.is_ok())
    }

    /// Prints each look, or one, until nobody reads or a signal comes.
    pub(super) async fn print(
        &self,
        mut source: Source,
        json: bool,
        once: bool,
    ) -> Result<Exit, Failure> {
        let mut interrupt = Signals::listen()?;
        let begun = Instant::now();
        let mut model = Model::new(source.name(), Timestamp::now());
        let mut silent = Silent::default();
        let looking = async {
            loop {
                let pause = match source.look(&self.wanted).await {
                    Ok(look) => {
                        model.looked(begun.elapsed(), Timestamp::now(), look);
                        silent.is_over();
                        self.interval
                    }
                    Err(blind) if once => return Err(blind.failure),
                    Err(blind) => {
                        let (reason, pause) = silent.bear(blind, self)?;
                        let now = Timestamp::now();
                        model.failed(now, reason, now.saturating_add(pause).unwrap_or(now));
                        pause
                    }
                };
                let text = if json { lines::json(&model)? } else { lines::block(&model) };
                if !print_while_read(&text)? || once {
                    return Ok(Exit::Done);
                }
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            ended = looking => ended,
            () = interrupt.received() => Ok(Exit::Done),
        }
    }
}
