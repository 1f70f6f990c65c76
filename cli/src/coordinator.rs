//! The connection to a coordinator: every call with its deadline, asked again while nobody
//! answers, and every refusal with its exit code.

use std::cell::Cell;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use nightshift_core::exit::Exit;
use nightshift_proto::limits::{
    ID_MAX_BYTES, KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS, REPLY_MAX_BYTES, RPC_DEADLINE_MS,
};
use nightshift_proto::names::{RequestId, Requester};
use nightshift_proto::runs::backfill::{BackfillRuns, BackfilledRuns};
use nightshift_proto::runs::cancel::{CancelRun, CancelledRun};
use nightshift_proto::runs::get::{FoundRun, GetRun};
use nightshift_proto::runs::judge::{JudgeRun, JudgedRun};
use nightshift_proto::runs::list::{ListRuns, RunPage};
use nightshift_proto::runs::plan::{PlanRun, PlannedRun};
use nightshift_proto::runs::retry::{RetriedRun, RetryRun};
use nightshift_proto::runs::start::{StartRun, StartedRun};
use nightshift_proto::wire;
use nightshift_proto::wire::runs_client::RunsClient;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::tls::TlsArgs;
use nightshift_worker::identity::Identity;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

mod follow;
mod patience;
mod refused;

pub(crate) use follow::Sight;
pub(crate) use nightshift_worker::front::address::Address;
pub(crate) use patience::Patience;
pub(crate) use refused::{About, CallError};

use patience::Silence;
use refused::{Judged, invalid_reply, judge};

/// How long a connection may take: within one data centre it takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call may take.
const DEADLINE: Duration = Duration::from_millis(RPC_DEADLINE_MS);
/// How long planning may take: the coordinator lists all inputs before it answers.
const PLAN_DEADLINE: Duration = Duration::from_secs(60);

/// Name of the service by which its health is asked for.
const RUNS_SERVICE: &str = "nightshift.v1.Runs";

/// A coordinator at the other end of a connection that heals itself.
#[derive(Debug)]
pub(crate) struct Coordinator {
    client: RunsClient<Channel>,
    health: HealthClient<Channel>,
    address: Address,
    patience: Patience,
    /// Whether it has ever answered.
    answered: Cell<bool>,
    /// Whether silence is told on standard error; it is not where something is drawn there.
    tells: Cell<bool>,
}

impl Coordinator {
    /// A connection to `address`, made when it is first used. Needs a runtime around it.
    pub(crate) fn connect(
        address: &Address,
        tls: &TlsArgs,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let channel = tls
            .endpoint(address)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_millis(KEEPALIVE_INTERVAL_MS))
            .keep_alive_timeout(Duration::from_millis(KEEPALIVE_TIMEOUT_MS))
            .keep_alive_while_idle(true)
            .connect_lazy();
        let health = HealthClient::new(channel.clone());
        let client = RunsClient::new(channel).max_decoding_message_size(REPLY_MAX_BYTES);
        Ok(Self {
            client,
            health,
            address: address.clone(),
            patience,
            answered: Cell::new(false),
            tells: Cell::new(true),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// From now on somebody else tells of silence.
    pub(crate) fn be_quiet(&self) {
        self.tells.set(false);
    }

    /// What [`start`](Self::start) would do.
    pub(crate) async fn plan(&self, plan: PlanRun) -> Result<PlannedRun, CallError> {
        let plan = wire::PlanRequest::from(plan);
        self.call(About::Spec, PLAN_DEADLINE, async |mut client| {
            client.plan(with_deadline(plan.clone(), PLAN_DEADLINE)).await
        })
        .await
    }

    /// Starts or joins a run. It is repeated with the same id until there is an answer, so that
    /// one wish starts one run.
    pub(crate) async fn start(&self, start: StartRun) -> Result<StartedRun, CallError> {
        let start = wire::StartRequest::from(start);
        self.call(About::Spec, DEADLINE, async |mut client| {
            client.start(with_deadline(start.clone(), DEADLINE)).await
        })
        .await
    }

    /// One run, and one of its shards if asked.
    pub(crate) async fn get(&self, get: GetRun) -> Result<FoundRun, CallError> {
        let get = wire::GetRequest::from(get);
        self.call(About::Run, DEADLINE, async |mut client| {
            client.get(with_deadline(get.clone(), DEADLINE)).await
        })
        .await
    }

    /// Whether the coordinator has read all its runs, as it tells health checks; none if it does
    /// not say.
    pub(crate) async fn is_ready(&self) -> Option<bool> {
        let check = HealthCheckRequest { service: RUNS_SERVICE.to_owned() };
        let mut health = self.health.clone();
        let asked = health.check(with_deadline(check, DEADLINE));
        let answer = tokio::time::timeout(DEADLINE, asked).await.ok()?.ok()?;
        Some(answer.into_inner().status == ServingStatus::Serving as i32)
    }

    /// One page of runs.
    pub(crate) async fn list(&self, list: ListRuns) -> Result<RunPage, CallError> {
        let list = wire::ListRequest::from(list);
        self.call(About::Run, DEADLINE, async |mut client| {
            client.list(with_deadline(list.clone(), DEADLINE)).await
        })
        .await
    }

    /// Gives up what is undecided of a run.
    pub(crate) async fn cancel(&self, cancel: CancelRun) -> Result<CancelledRun, CallError> {
        let cancel = wire::CancelRequest::from(cancel);
        self.call(About::Run, DEADLINE, async |mut client| {
            client.cancel(with_deadline(cancel.clone(), DEADLINE)).await
        })
        .await
    }

    /// Starts the next generation of a run that did not succeed; repeated like a start.
    pub(crate) async fn retry(&self, retry: RetryRun) -> Result<RetriedRun, CallError> {
        let retry = wire::RetryRequest::from(retry);
        self.call(About::Run, DEADLINE, async |mut client| {
            client.retry(with_deadline(retry.clone(), DEADLINE)).await
        })
        .await
    }

    /// Decides about a withheld run; it may be repeated.
    pub(crate) async fn judge(&self, judge: JudgeRun) -> Result<JudgedRun, CallError> {
        let judge = wire::JudgeRequest::from(judge);
        self.call(About::Run, PLAN_DEADLINE, async |mut client| {
            client.judge(with_deadline(judge.clone(), PLAN_DEADLINE)).await
        })
        .await
    }

    /// Decides about many dates, and starts what is next; it may be repeated.
    pub(crate) async fn backfill(&self, wish: BackfillRuns) -> Result<BackfilledRuns, CallError> {
        let wish = wire::BackfillRequest::from(wish);
        self.call(About::Spec, PLAN_DEADLINE, async |mut client| {
            client.backfill(with_deadline(wish.clone(), PLAN_DEADLINE)).await
        })
        .await
    }

    /// Asks until there is an answer or the bound has passed. Every call here may be repeated.
    async fn call<W, D>(
        &self,
        about: About,
        deadline: Duration,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<Response<W>, Status>,
    ) -> Result<D, CallError>
    where
        D: TryFrom<W, Error: Error + 'static>,
    {
        let mut silence = Silence::begins();
        loop {
            let judged = match tokio::time::timeout(deadline, ask(self.client.clone())).await {
                Ok(Ok(reply)) => {
                    self.answered.set(true);
                    return D::try_from(reply.into_inner())
                        .map_err(|error| invalid_reply(&error, &self.address));
                }
                Ok(Err(status)) => judge(&status, about, &self.address),
                Err(_) => Judged::no_answer_within(deadline),
            };
            self.bear(judged, &mut silence).await?;
        }
    }

    /// Waits before the next try, or says why there is none.
    async fn bear(&self, judged: Judged, silence: &mut Silence) -> Result<(), CallError> {
        let address = self.address.clone();
        if !matches!(judged, Judged::Unanswered { .. }) {
            self.answered.set(true);
        }
        if let Judged::Refused(error) = judged {
            return Err(error);
        }
        let bound = if self.answered.get() { self.patience.later } else { self.patience.first };
        if let Judged::Unable { reason, .. } | Judged::Unanswered { reason } = &judged
            && silence.lasted() < bound
            && self.tells.get()
            && silence.is_news()
        {
            say(&format!("no answer from the coordinator at {address}: {reason}; asking on"));
        }
        if silence.bear(bound).await {
            return Ok(());
        }
        let waited = silence.lasted();
        Err(match judged {
            Judged::Unable { reason, exit } => {
                CallError::StillUnable { address, waited, reason, exit }
            }
            Judged::Unanswered { reason } => CallError::NoAnswer { address, waited, reason },
            Judged::Refused(error) => error,
        })
    }
}

/// Says something beside the result. A closed standard error stops nothing.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The request with the deadline that the coordinator is told.
fn with_deadline<M>(message: M, deadline: Duration) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// A fresh id for a request.
pub(crate) fn new_request() -> Result<RequestId, Failure> {
    ulid::Ulid::generate()
        .to_string()
        .parse()
        .map_err(|error| Failure::new(Exit::Software, format_args!("no request id: {error}")))
}

/// Who asks: user, host and process, in the characters that the protocol allows.
pub(crate) fn requester() -> Result<Requester, Failure> {
    let process = Identity::of_this_process();
    let name = match std::env::var("USER") {
        Ok(user) if !user.is_empty() => format!("{user}@{process}"),
        _ => process.to_string(),
    };
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let name: String = name.chars().map(visible).take(ID_MAX_BYTES).collect();
    name.parse().map_err(|error| Failure::new(Exit::Software, format_args!("no name: {error}")))
}
