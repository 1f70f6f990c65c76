//! `Runs`: messages in, typed values through, messages out.

use std::sync::Arc;
use std::time::Duration;

use nightshift_proto::refusal::invalid_request;
use nightshift_proto::runs::backfill::BackfillRuns;
use nightshift_proto::runs::cancel::{CancelRun, CancelledRun};
use nightshift_proto::runs::get::GetRun;
use nightshift_proto::runs::judge::JudgeRun;
use nightshift_proto::runs::list::ListRuns;
use nightshift_proto::runs::plan::PlanRun;
use nightshift_proto::runs::retry::{RetriedRun, RetryRun};
use nightshift_proto::runs::start::StartRun;
use nightshift_proto::runs::watch::{WatchRun, WatchedRun};
use nightshift_proto::wire;
use nightshift_proto::wire::runs_server;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::coordinator::Coordinator;
use crate::refusal::Refusal;

/// Watches that are open at a time; each is a task that looks at its run now and then.
const WATCHES_MAX: usize = 1_000;
/// Decisions of people that are carried out at a time; each may publish a whole output, sixteen
/// files at once.
const JUDGEMENTS_MAX: usize = 64;

/// The service for operators.
#[derive(Debug)]
pub(super) struct Runs {
    coordinator: Arc<Coordinator>,
    watches: Arc<Semaphore>,
    judgements: Arc<Semaphore>,
}

impl Runs {
    pub(super) fn new(coordinator: Arc<Coordinator>) -> Self {
        let (watches, judgements) = (Semaphore::new(WATCHES_MAX), Semaphore::new(JUDGEMENTS_MAX));
        Self { coordinator, watches: Arc::new(watches), judgements: Arc::new(judgements) }
    }
}

type Looks = ReceiverStream<Result<wire::WatchResponse, Status>>;

#[tonic::async_trait]
impl runs_server::Runs for Runs {
    async fn plan(
        &self,
        request: Request<wire::PlanRequest>,
    ) -> Result<Response<wire::PlanResponse>, Status> {
        let plan = PlanRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.plan(&plan).await?.into()))
    }

    async fn start(
        &self,
        request: Request<wire::StartRequest>,
    ) -> Result<Response<wire::StartResponse>, Status> {
        let start = StartRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let coordinator = Arc::clone(&self.coordinator);
        // Planning may take longer than the caller waits. It goes on without the caller, who
        // asks again and finds the run.
        let started =
            nightshift_telemetry::spawn("start", async move { coordinator.start(&start).await });
        let started = started.await.map_err(|_| Refusal::Bug { what: "Start" })?;
        Ok(Response::new(started?.into()))
    }

    async fn get(
        &self,
        request: Request<wire::GetRequest>,
    ) -> Result<Response<wire::GetResponse>, Status> {
        let get = GetRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.get(&get).await?.into()))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListResponse>, Status> {
        let list = ListRuns::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        Ok(Response::new(self.coordinator.list(&list).await?.into()))
    }

    type WatchStream = Looks;

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Looks>, Status> {
        let watch = WatchRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let Ok(permit) = Arc::clone(&self.watches).try_acquire_owned() else {
            return Err(Refusal::TooMany { what: "Watch", max: WATCHES_MAX }.into());
        };
        // A run that is not known is refused at once, not in the stream.
        self.coordinator.status(&watch.run).await?;
        // One look waits for its reader; a slow reader gets fewer looks, never older ones.
        let (looks, stream) = mpsc::channel(1);
        let coordinator = Arc::clone(&self.coordinator);
        nightshift_telemetry::spawn("watch", async move {
            follow(&coordinator, &watch, &looks).await;
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelResponse>, Status> {
        let cancel = CancelRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let run = self.coordinator.cancel(&cancel).await?;
        Ok(Response::new(CancelledRun { run }.into()))
    }

    async fn retry(
        &self,
        request: Request<wire::RetryRequest>,
    ) -> Result<Response<wire::RetryResponse>, Status> {
        let retry = RetryRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let coordinator = Arc::clone(&self.coordinator);
        let retried =
            nightshift_telemetry::spawn("retry", async move { coordinator.retry(&retry).await });
        let run = retried.await.map_err(|_| Refusal::Bug { what: "Retry" })??;
        Ok(Response::new(RetriedRun { run }.into()))
    }

    async fn judge(
        &self,
        request: Request<wire::JudgeRequest>,
    ) -> Result<Response<wire::JudgeResponse>, Status> {
        let judge = JudgeRun::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let Ok(permit) = Arc::clone(&self.judgements).try_acquire_owned() else {
            return Err(Refusal::TooMany { what: "Judge", max: JUDGEMENTS_MAX }.into());
        };
        let coordinator = Arc::clone(&self.coordinator);
        // Publishing may take longer than the caller waits. It goes on without the caller, who
        // asks again and is told what was decided.
        let judged = nightshift_telemetry::spawn("judge", async move {
            let judged = coordinator.judge(&judge).await;
            drop(permit);
            judged
        });
        let judged = judged.await.map_err(|_| Refusal::Bug { what: "Judge" })?;
        Ok(Response::new(judged?.into()))
    }

    async fn backfill(
        &self,
        request: Request<wire::BackfillRequest>,
    ) -> Result<Response<wire::BackfillResponse>, Status> {
        let wish = BackfillRuns::try_from(request.into_inner()).map_err(|e| invalid_request(&e))?;
        let coordinator = Arc::clone(&self.coordinator);
        let done =
            nightshift_telemetry::spawn(
                "backfill",
                async move { coordinator.backfill(&wish).await },
            );
        let done = done.await.map_err(|_| Refusal::Bug { what: "Backfill" })?;
        Ok(Response::new(done?.into()))
    }
}

/// Sends a look whenever the run has changed, until its verdict has been sent.
async fn follow(
    coordinator: &Coordinator,
    watch: &WatchRun,
    looks: &mpsc::Sender<Result<wire::WatchResponse, Status>>,
) {
    let mut last = None;
    loop {
        let Ok(room) = looks.reserve().await else { return };
        match coordinator.glance(&watch.run).await {
            Ok((run, verdict)) => {
                let over = verdict.is_some();
                if last.as_ref() != Some(&run) {
                    last = Some(run.clone());
                    room.send(Ok(WatchedRun { run, verdict }.into()));
                }
                if over {
                    return;
                }
            }
            Err(refusal) => {
                room.send(Err(refusal.into()));
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(watch.interval_ms.into())) => {}
            () = looks.closed() => return,
        }
    }
}
