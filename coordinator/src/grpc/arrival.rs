//! Requests have to arrive: a call whose message stops on the way is given up.
//!
//! A client that is alive and stalls in the middle of a message would otherwise keep what it
//! has sent in memory for as long as it likes, once for each call that a connection may open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame};
use nightshift_proto::limits::RPC_DEADLINE_MS;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::codegen::{Bytes, Service};
use tonic::server::NamedService;

/// Longest that the message of a call may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_millis(RPC_DEADLINE_MS);

/// A service whose requests have to arrive.
#[derive(Debug, Clone)]
pub(super) struct Arriving<S>(pub(super) S);

/// A request's body with the time by which all of it must be here.
#[derive(Debug)]
struct Awaited {
    body: Body,
    /// Nobody waits for it unless the body lets itself be waited for.
    too_late: Pin<Box<Sleep>>,
}

// === impl Arriving ===

impl<S: Service<Request<Body>>> Service<Request<Body>> for Arriving<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(
            request.map(|body| Body::new(Awaited { body, too_late: Box::pin(sleep(ARRIVAL_MAX)) })),
        )
    }
}

impl<S: NamedService> NamedService for Arriving<S> {
    const NAME: &'static str = S::NAME;
}

// === impl Awaited ===

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.too_late.as_mut().poll(context));
        let text = format!("the message has not arrived within {ARRIVAL_MAX:?}: send it again");
        Poll::Ready(Some(Err(Status::deadline_exceeded(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
