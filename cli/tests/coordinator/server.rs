//! A coordinator that follows a script and remembers what it was asked.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightshift_proto::runs::cancel::{CancelRun, CancelledRun};
use nightshift_proto::runs::get::{FoundRun, GetRun};
use nightshift_proto::runs::judge::{JudgeRun, JudgedRun};
use nightshift_proto::runs::list::{ListRuns, RunPage};
use nightshift_proto::runs::plan::{PlanRun, PlannedRun};
use nightshift_proto::runs::retry::{RetriedRun, RetryRun};
use nightshift_proto::runs::start::{StartRun, StartedRun};
use nightshift_proto::runs::watch::{WatchRun, WatchedRun};
use nightshift_proto::wire;
use nightshift_proto::wire::runs_server::{Runs, RunsServer};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// What is said to the n-th question of a kind, counted from 0. None is no answer at all.
type Answer<Q, A> = Box<dyn Fn(Q, usize) -> Option<Result<A, Status>> + Send + Sync>;

/// What to say. A question that the script does not foresee is not implemented.
pub(crate) struct Script {
    plan: Answer<PlanRun, PlannedRun>,
    start: Answer<StartRun, StartedRun>,
    get: Answer<GetRun, FoundRun>,
    list: Answer<ListRuns, RunPage>,
    watch: Answer<WatchRun, Vec<Frame>>,
    cancel: Answer<CancelRun, CancelledRun>,
    retry: Answer<RetryRun, RetriedRun>,
    judge: Answer<JudgeRun, JudgedRun>,
}

/// A part of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    Show(Box<WatchedRun>),
    Fail(Status),
    /// Nothing more comes, and the stream does not end.
    Hang,
}

/// A question that was asked.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "what no test looks into is shown when one fails")]
pub(crate) enum Call {
    Plan(PlanRun),
    Start(StartRun),
    Get(GetRun),
    List(ListRuns),
    Watch(WatchRun),
    Cancel(CancelRun),
    Retry(RetryRun),
    Judge(JudgeRun),
}

/// A coordinator that runs until it is dropped.
pub(crate) struct Server {
    runtime: Option<Runtime>,
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

struct Scripted {
    script: Script,
    calls: Arc<Mutex<Vec<Call>>>,
}

fn unforeseen<Q, A>() -> Answer<Q, A> {
    Box::new(|_, _| Some(Err(Status::unimplemented("not in the script"))))
}

impl Default for Script {
    fn default() -> Self {
        Self {
            plan: unforeseen(),
            start: unforeseen(),
            get: unforeseen(),
            list: unforeseen(),
            watch: unforeseen(),
            cancel: unforeseen(),
            retry: unforeseen(),
            judge: unforeseen(),
        }
    }
}

/// Setters that take what is said and wrap it.
macro_rules! setters {
    ($($name:ident: $question:ty => $answer:ty),* $(,)?) => {
        impl Script {
            $(
                pub(crate) fn $name(
                    mut self,
                    answer: impl Fn($question, usize) -> Result<$answer, Status>
                        + Send + Sync + 'static,
                ) -> Self {
                    self.$name = Box::new(move |question, n| Some(answer(question, n)));
                    self
                }
            )*
        }
    };
}

setters! {
    plan: PlanRun => PlannedRun,
    start: StartRun => StartedRun,
    get: GetRun => FoundRun,
    list: ListRuns => RunPage,
    watch: WatchRun => Vec<Frame>,
    cancel: CancelRun => CancelledRun,
    retry: RetryRun => RetriedRun,
    judge: JudgeRun => JudgedRun,
}

impl Script {
    /// Never answers a `Get`.
    pub(crate) fn silent_get(mut self) -> Self {
        self.get = Box::new(|_, _| None);
        self
    }
}

/// A listener on a free port, which can outlive a server.
pub(crate) fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_on(listener(), script)
    }

    pub(crate) fn start_on(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().unwrap();
        let calls = Arc::default();
        let scripted = Scripted { script, calls: Arc::clone(&calls) };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let serving = tonic::transport::Server::builder()
                .add_service(RunsServer::new(scripted))
                .serve_with_incoming(TcpListenerStream::new(listener));
            nightshift_telemetry::spawn("scripted", async move { serving.await.unwrap() });
        });
        Self { runtime: Some(runtime), address, calls }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How many of the calls so far are `wanted`.
    pub(crate) fn count(&self, wanted: fn(&Call) -> bool) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| wanted(call)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

impl Scripted {
    /// Notes the call, asks the script, and gives the answer.
    async fn answer<Q: Clone, A>(
        &self,
        question: Q,
        note: fn(Q) -> Call,
        answer: &Answer<Q, A>,
    ) -> Result<A, Status> {
        let n = {
            let mut calls = self.calls.lock().unwrap();
            let call = note(question.clone());
            let kind = std::mem::discriminant(&call);
            let n = calls.iter().filter(|call| std::mem::discriminant(*call) == kind).count();
            calls.push(call);
            n
        };
        match answer(question, n) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// Reads the request, so that a test fails if the program sends one that the protocol refuses.
fn read<W, Q>(request: Request<W>) -> Result<Q, Status>
where
    Q: TryFrom<W, Error: std::error::Error + 'static>,
{
    Q::try_from(request.into_inner())
        .map_err(|error| nightshift_proto::refusal::invalid_request(&error))
}

#[tonic::async_trait]
impl Runs for Scripted {
    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send + 'static>>;

    async fn plan(
        &self,
        request: Request<wire::PlanRequest>,
    ) -> Result<Response<wire::PlanResponse>, Status> {
        let planned = self.answer(read(request)?, Call::Plan, &self.script.plan).await?;
        Ok(Response::new(planned.into()))
    }

    async fn start(
        &self,
        request: Request<wire::StartRequest>,
    ) -> Result<Response<wire::StartResponse>, Status> {
        let started = self.answer(read(request)?, Call::Start, &self.script.start).await?;
        Ok(Response::new(started.into()))
    }

    async fn backfill(
        &self,
        _request: Request<wire::BackfillRequest>,
    ) -> Result<Response<wire::BackfillResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn judge(
        &self,
        request: Request<wire::JudgeRequest>,
    ) -> Result<Response<wire::JudgeResponse>, Status> {
        let judged = self.answer(read(request)?, Call::Judge, &self.script.judge).await?;
        Ok(Response::new(judged.into()))
    }

    async fn get(
        &self,
        request: Request<wire::GetRequest>,
    ) -> Result<Response<wire::GetResponse>, Status> {
        let found = self.answer(read(request)?, Call::Get, &self.script.get).await?;
        Ok(Response::new(found.into()))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListResponse>, Status> {
        let page = self.answer(read(request)?, Call::List, &self.script.list).await?;
        Ok(Response::new(page.into()))
    }

    async fn watch(
        &self,
        request: Request<wire::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let frames = self.answer(read(request)?, Call::Watch, &self.script.watch).await?;
        let hangs = frames.iter().any(|frame| matches!(frame, Frame::Hang));
        let shown = frames.into_iter().filter_map(|frame| match frame {
            Frame::Show(watched) => Some(Ok(wire::WatchResponse::from(*watched))),
            Frame::Fail(status) => Some(Err(status)),
            Frame::Hang => None,
        });
        let shown = tokio_stream::iter(shown.collect::<Vec<_>>());
        Ok(Response::new(if hangs {
            Box::pin(shown.chain(tokio_stream::pending()))
        } else {
            Box::pin(shown)
        }))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelResponse>, Status> {
        let cancelled = self.answer(read(request)?, Call::Cancel, &self.script.cancel).await?;
        Ok(Response::new(cancelled.into()))
    }

    async fn retry(
        &self,
        request: Request<wire::RetryRequest>,
    ) -> Result<Response<wire::RetryResponse>, Status> {
        let retried = self.answer(read(request)?, Call::Retry, &self.script.retry).await?;
        Ok(Response::new(retried.into()))
    }
}
