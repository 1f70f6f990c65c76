//! A lean S3 server for `benches/buckets.py`: `nightshift-bench-store PORT`.
//!
//! The server of the tests is Python and takes milliseconds for a request on one core, so that a
//! benchmark over it measures it. This one has what an output and an input need: objects with
//! ETags, conditions, ranges, copies, parts and listings. Objects are in memory, signatures are
//! not looked at, and it listens on loopback alone.

mod answer;
mod bucket;

use std::sync::{Arc, Mutex};

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;

use bucket::Objects;

/// All objects, by bucket and key. What a request does is done under its lock, in microseconds.
type Store = Arc<Mutex<Objects>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).context("which port? nightshift-bench-store PORT")?;
    let port: u16 = port.parse().context("the port is a number")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
    axum::serve(listener, app()).await.context("serve")
}

fn app() -> Router {
    Router::new().fallback(answer::answer).with_state(Store::default())
}
