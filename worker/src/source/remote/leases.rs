//! The thread that keeps the leases: one OS thread, one runtime, nothing else on it.

use std::sync::Arc;

use nightshift_core::exit::Exit;
use tokio::runtime::{Builder, Handle};
use tonic::transport::Endpoint;

use super::calls::Calls;
use super::shared::{Ending, Shared};
use super::{acquires, heartbeats, releases, reports, watch};

/// Niceness of the thread: it computes next to nothing, so it should run as soon as it can.
const NICENESS: i32 = -5;

/// Keeps the leases until the worker ends.
pub(super) fn keep(shared: &Arc<Shared>, endpoint: &Endpoint, runtime: &Handle) {
    // On Linux this is about the calling thread. It usually takes a right that workers lack; the
    // scheduler favours threads that sleep, so without it the thread is late by milliseconds.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the leases thread runs at the usual priority");
    }
    let built = Builder::new_current_thread().enable_all().build();
    match built {
        Ok(own) => own.block_on(until_the_end(shared, endpoint, runtime)),
        Err(error) => {
            let text = format!("no runtime for the leases: {error}");
            shared.end(Ending::Refused { exit: Exit::Io, text });
        }
    }
}

async fn until_the_end(shared: &Arc<Shared>, endpoint: &Endpoint, runtime: &Handle) {
    let calls = Calls::over(endpoint);
    let ongoing = async {
        tokio::join!(
            heartbeats::send(shared, &calls),
            acquires::ask(shared, &calls, runtime),
            reports::tell(shared, &calls, runtime),
            releases::give_back(shared, &calls),
        );
    };
    tokio::select! {
        () = ongoing => {}
        () = watch::until_the_end(shared) => {}
    }
    releases::say_goodbye(shared, &calls).await;
}
