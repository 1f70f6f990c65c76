//! Following one run to its verdict, across broken streams and coordinators that begin again.

use std::time::Duration;

use nightshift_core::ids::RunId;
use nightshift_proto::limits::{WATCH_INTERVAL_MAX_MS, WATCH_INTERVAL_MIN_MS};
use nightshift_proto::runs::status::RunStatus;
use nightshift_proto::runs::watch::{WatchRun, WatchedRun};
use nightshift_proto::wire;
use tonic::{Status, Streaming};

use super::patience::Silence;
use super::refused::{About, Judged, invalid_reply, judge};
use super::{CallError, Coordinator, DEADLINE};

/// How long a run that was known may be unknown: a coordinator that has just begun again reads
/// its runs from the store, which takes seconds.
const UNKNOWN_BOUND: Duration = Duration::from_secs(60);

/// What is seen of a run while it is followed.
#[derive(Debug)]
pub(crate) enum Sight<'a> {
    /// How it goes.
    Run(&'a RunStatus),
    /// Nobody answers, or nobody knows the run; it is asked again.
    Nothing { reason: &'a str },
}

impl Coordinator {
    /// Follows `run` until its verdict and shows each sight of it. A stream that breaks is opened
    /// again, for as long as the bound on silence allows.
    ///
    /// # Errors
    /// If nobody answers within the bound, or the coordinator refuses.
    pub(crate) async fn follow(
        &self,
        run: &RunId,
        interval: Duration,
        mut show: impl FnMut(Sight<'_>),
    ) -> Result<WatchedRun, CallError> {
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(WATCH_INTERVAL_MAX_MS);
        let watch = WatchRun {
            run: run.clone(),
            interval_ms: interval_ms.clamp(WATCH_INTERVAL_MIN_MS, WATCH_INTERVAL_MAX_MS),
        };
        let mut silence = None;
        let mut known = false;
        loop {
            let mut seen = |run: &RunStatus| {
                silence = None;
                known = true;
                show(Sight::Run(run));
            };
            let judged = match self.look(&watch, &mut seen).await {
                Ok(watched) => return Ok(watched),
                Err(judged) => judged,
            };
            let silence = silence.get_or_insert_with(Silence::begins);
            let judged = match judged {
                Judged::Refused(error)
                    if error.is_unknown() && known && silence.lasted() < UNKNOWN_BOUND =>
                {
                    let patience = self.patience.later.min(UNKNOWN_BOUND);
                    show(Sight::Nothing { reason: "it does not know the run any more" });
                    if silence.bear(patience).await {
                        continue;
                    }
                    Judged::Refused(error)
                }
                judged => judged,
            };
            if let Judged::Unable { reason, .. } | Judged::Unanswered { reason } = &judged {
                show(Sight::Nothing { reason });
            }
            self.bear(judged, silence).await?;
        }
    }

    /// Reads one stream to its end; the verdict, or why there is none yet.
    async fn look(
        &self,
        watch: &WatchRun,
        seen: &mut impl FnMut(&RunStatus),
    ) -> Result<WatchedRun, Judged> {
        let judge = |status: Status| judge(&status, About::Run, self.address());
        let late = |_| Judged::no_answer_within(DEADLINE);
        let mut client = self.client.clone();
        let open = client.watch(wire::WatchRequest::from(watch.clone()));
        let mut stream: Streaming<wire::WatchResponse> =
            tokio::time::timeout(DEADLINE, open).await.map_err(late)?.map_err(judge)?.into_inner();
        // How the run goes is known at once; after that a message comes when there is news.
        let first = tokio::time::timeout(DEADLINE, stream.message());
        let mut next = first.await.map_err(late)?.map_err(judge)?;
        while let Some(message) = next {
            let watched = WatchedRun::try_from(message)
                .map_err(|error| Judged::Refused(invalid_reply(&error, self.address())))?;
            self.answered.set(true);
            seen(&watched.run);
            if watched.verdict.is_some() {
                return Ok(watched);
            }
            next = stream.message().await.map_err(judge)?;
        }
        Err(Judged::Unanswered { reason: "the stream ended without a verdict".to_owned() })
    }
}
