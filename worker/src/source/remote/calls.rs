//! The calls to the coordinator, with their deadlines, and what a refusal means.

use std::future::Future;
use std::time::{Duration, Instant};

use nightshift_core::exit::Exit;
use nightshift_proto::leases::acquire::{Acquire, Acquired};
use nightshift_proto::leases::heartbeat::{Heartbeat, HeartbeatAnswered};
use nightshift_proto::leases::release::{Release, Released};
use nightshift_proto::leases::report::{Report, Reported};
use nightshift_proto::limits::{
    KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS, REPLY_MAX_BYTES, RPC_DEADLINE_MS,
};
use nightshift_proto::runs::list::{ListRuns, RunPage};
use nightshift_proto::wire;
use nightshift_proto::wire::runs_client::RunsClient;
use nightshift_proto::wire::shard_leases_client::ShardLeasesClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::shared::Shared;

/// How long a call may take that waits for nothing.
pub(super) const DEADLINE: Duration = Duration::from_millis(RPC_DEADLINE_MS);

/// A connection to the coordinator, made when it is needed and again when it breaks.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    leases: ShardLeasesClient<Channel>,
    runs: RunsClient<Channel>,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// There was no answer, or one that says to come back: the call is worth repeating.
    Away {
        /// What was seen.
        text: String,
    },
    /// The coordinator understood and refused, or the two do not speak the same protocol:
    /// repeating cannot help.
    Refused {
        /// The exit code of a process that this ends.
        exit: Exit,
        /// Its words.
        text: String,
    },
}

impl Calls {
    /// Calls over `endpoint`; connects on the first call. To be called within a runtime.
    pub(super) fn over(endpoint: &Endpoint) -> Self {
        let endpoint = endpoint
            .clone()
            .connect_timeout(DEADLINE)
            .http2_keep_alive_interval(Duration::from_millis(KEEPALIVE_INTERVAL_MS))
            .keep_alive_timeout(Duration::from_millis(KEEPALIVE_TIMEOUT_MS))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_lazy();
        let leases = ShardLeasesClient::new(channel.clone());
        let runs = RunsClient::new(channel);
        Self {
            leases: leases.max_decoding_message_size(REPLY_MAX_BYTES),
            runs: runs.max_decoding_message_size(REPLY_MAX_BYTES),
        }
    }

    /// Asks for shards.
    pub(super) async fn acquire(
        &self,
        shared: &Shared,
        acquire: Acquire,
    ) -> Result<Acquired, CallError> {
        let mut client = self.leases.clone();
        let deadline = DEADLINE + Duration::from_millis(acquire.wait_ms.into());
        let request = with_deadline(wire::AcquireRequest::from(acquire), deadline);
        answer(shared, deadline, client.acquire(request)).await
    }

    /// Renews leases.
    pub(super) async fn heartbeat(
        &self,
        shared: &Shared,
        heartbeat: Heartbeat,
    ) -> Result<HeartbeatAnswered, CallError> {
        let mut client = self.leases.clone();
        let request = with_deadline(wire::HeartbeatRequest::from(heartbeat), DEADLINE);
        let started = Instant::now();
        let answered = answer(shared, DEADLINE, client.heartbeat(request)).await?;
        shared.lock().contact.measured(started.elapsed());
        Ok(answered)
    }

    /// Gives leases back.
    pub(super) async fn release(
        &self,
        shared: &Shared,
        release: Release,
    ) -> Result<Released, CallError> {
        let mut client = self.leases.clone();
        let request = with_deadline(wire::ReleaseRequest::from(release), DEADLINE);
        answer(shared, DEADLINE, client.release(request)).await
    }

    /// Says how an attempt ended.
    pub(super) async fn report(
        &self,
        shared: &Shared,
        report: Report,
    ) -> Result<Reported, CallError> {
        let mut client = self.leases.clone();
        let request = with_deadline(wire::ReportRequest::from(report), DEADLINE);
        let started = Instant::now();
        let answered = answer(shared, DEADLINE, client.report(request)).await?;
        shared.lock().contact.measured(started.elapsed());
        Ok(answered)
    }

    /// Asks which runs there are.
    pub(super) async fn list(&self, shared: &Shared, list: ListRuns) -> Result<RunPage, CallError> {
        let mut client = self.runs.clone();
        let request = with_deadline(wire::ListRequest::from(list), DEADLINE);
        answer(shared, DEADLINE, client.list(request)).await
    }
}

/// A request with a deadline that its receiver is told.
pub(super) fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Waits for an answer until the deadline, notes whether there was one, and understands it.
async fn answer<W, D>(
    shared: &Shared,
    deadline: Duration,
    call: impl Future<Output = Result<Response<W>, Status>>,
) -> Result<D, CallError>
where
    D: TryFrom<W>,
    D::Error: std::error::Error + 'static,
{
    let started = Instant::now();
    let result = match tokio::time::timeout(deadline, call).await {
        Ok(Ok(response)) => D::try_from(response.into_inner()).map_err(|error| {
            let text = crate::describe(&error);
            let text = format!("the coordinator does not keep to the protocol: {text}");
            CallError::Refused { exit: Exit::Software, text }
        }),
        Ok(Err(status)) => Err(CallError::of(&status)),
        Err(_) => {
            let text = format!("no answer within {} s", deadline.as_secs());
            Err(CallError::Away { text })
        }
    };
    match &result {
        Err(CallError::Away { text }) => shared.silent(started, text),
        Ok(_) | Err(CallError::Refused { .. }) => shared.heard(),
    }
    result
}

impl CallError {
    /// What a status says about trying again.
    pub(super) fn of(status: &Status) -> Self {
        let exit = match status.code() {
            // The request was wrong, which is this program's fault.
            Code::InvalidArgument | Code::OutOfRange => Exit::Software,
            // Something else listens at the address, or an older coordinator.
            Code::Unimplemented => Exit::Config,
            Code::NotFound => Exit::NoInput,
            Code::Unauthenticated | Code::PermissionDenied => Exit::Permission,
            _ => return Self::Away { text: words(status) },
        };
        Self::Refused { exit, text: words(status) }
    }
}

/// The status in one line, with what the transport says below it.
fn words(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waiting_can_mend_is_waited_for() {
        for code in (0..=16).map(Code::from_i32).filter(|code| *code != Code::Ok) {
            let refused = match CallError::of(&Status::new(code, "no")) {
                CallError::Away { .. } => None,
                CallError::Refused { exit, text } => {
                    assert!(text.ends_with(": no"), "{text}");
                    Some(exit)
                }
            };
            let wanted = match code {
                Code::InvalidArgument | Code::OutOfRange => Some(Exit::Software),
                Code::Unimplemented => Some(Exit::Config),
                Code::NotFound => Some(Exit::NoInput),
                Code::Unauthenticated | Code::PermissionDenied => Some(Exit::Permission),
                _ => None,
            };
            assert_eq!(refused, wanted, "{code:?}");
        }
    }
}
