//! `nightshift top`: runs, workers and rates, again and again, until somebody presses `q`.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;
use tokio::runtime::Handle;

use super::place;
use super::status::runs::Wanted;
use crate::args::{OutputFormatArg, TopArgs};
use crate::coordinator::{Coordinator, Patience};

mod meter;
mod model;
mod words;
mod view;
mod lines;
mod source;
mod watch;
mod screen;

use source::{Output, Source};
use watch::Watch;

/// Shortest time between two looks: a look reads every run that is shown.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Whether the command takes the terminal over, so that nothing else may write to it.
pub(crate) fn is_drawn(args: &TopArgs) -> bool {
    let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    !args.once
        && args.format.output_format == OutputFormatArg::Text
        && able
        && stdin().is_terminal()
        && stdout().is_terminal()
}

pub(crate) fn perform(runtime: &Handle, args: &TopArgs) -> Result<Exit, Failure> {
    if args.interval.0 < INTERVAL_MIN {
        let text = "--interval is at least 100ms: a look reads every run that is shown";
        return Err(Failure::new(Exit::Usage, text));
    }
    let wanted = Wanted {
        name: args.name.clone(),
        partition: None,
        unfinished: args.unfinished,
        limit: args.limit,
    };
    let give_up_after = args.coordinator.give_up_after.map(|span| span.0);
    runtime.block_on(async {
        let source = match &args.output {
            Some(output) => Source::Output(Output::new(place(output)?)),
            None => {
                // A look ends at once where nobody answers: who looks on is told, and it is tried
                // again. One look alone waits as other commands do.
                let patience =
                    if args.once { args.coordinator.patience(false) } else { Patience::NONE };
                let address = args.coordinator.address()?;
                let coordinator = Coordinator::connect(&address, &args.coordinator.tls, patience)?;
                coordinator.be_quiet();
                Source::Coordinator(Box::new(coordinator))
            }
        };
        let watch = Watch { wanted, interval: args.interval.0, give_up_after };
        if is_drawn(args) {
            screen::perform(source, &watch).await
        } else {
            let json = args.format.output_format == OutputFormatArg::Json;
            watch.print(source, json, args.once).await
        }
    })
}

#[cfg(test)]
mod tests;
