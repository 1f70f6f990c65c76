//! `nightshift retry`: run again what a run gave up.

use std::time::Instant;

use nightshift_core::exit::Exit;
use nightshift_proto::runs::retry::RetryRun;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, RetryArgs};
use crate::coordinator::{Coordinator, new_request, requester, say};
use crate::view::RunView;
use crate::waiting::{self, Awaited, Part};

/// The new run, for scripts.
#[derive(Debug, Serialize)]
struct Retried {
    retries: nightshift_core::ids::RunId,
    #[serde(flatten)]
    run: RunView,
}

pub(crate) fn perform(runtime: &Handle, args: &RetryArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let address = args.coordinator.address()?;
    let format = args.format.output_format;
    let json = format == OutputFormatArg::Json;
    runtime.block_on(async {
        let coordinator = Coordinator::connect(
            &address,
            &args.coordinator.tls,
            args.coordinator.patience(args.wait),
        )?;
        let (request, requested_by) = (new_request()?, requester()?);
        let retry = RetryRun { request, run: args.run.clone(), requested_by };
        let retried = coordinator.retry(retry).await?;
        let run = retried.run;
        let told = format!("{} runs again what {} gave up", run.run, args.run);
        if !args.wait {
            if json {
                print_json(&Retried { retries: args.run.clone(), run: RunView::from(&run) })?;
            } else {
                let follow =
                    format!("nightshift status --coordinator {address} --watch {}", run.run);
                print(&format!("{told}\nfollow it with: {follow}\n"))?;
            }
            return Ok(Exit::Done);
        }
        if !json {
            say(&told);
        }
        let mut interrupt = Signals::listen()?;
        let parts = vec![Part::Awaited(Box::new(Awaited { run, wish: None }))];
        let waited = waiting::wait(&coordinator, parts, &mut interrupt, json).await;
        waiting::conclude(waited, &address, None, None, format, begun)
    })
}
