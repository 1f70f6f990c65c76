//! `nightshift cancel`: give up what is undecided of a run.

use std::io::{BufRead, IsTerminal, Write};

use nightshift_core::exit::Exit;
use nightshift_proto::limits::MESSAGE_MAX_CHARS;
use nightshift_proto::runs::cancel::CancelRun;
use nightshift_proto::runs::get::GetRun;
use nightshift_proto::runs::status::RunStatus;
use nightshift_worker::front::failure::Failure;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{CancelArgs, OutputFormatArg};
use crate::coordinator::{Coordinator, requester};
use crate::table::thousands;
use crate::view::{RunView, decided, state_name};

pub(crate) fn perform(runtime: &Handle, args: &CancelArgs) -> Result<Exit, Failure> {
    let address = args.coordinator.address()?;
    let requested_by = requester()?;
    let reason = match &args.reason {
        Some(reason) if reason.chars().count() > MESSAGE_MAX_CHARS => {
            let text = format_args!("--reason takes at most {MESSAGE_MAX_CHARS} characters");
            return Err(Failure::new(Exit::Usage, text));
        }
        Some(reason) => reason.clone(),
        None => format!("cancelled by {requested_by}"),
    };
    let _context = runtime.enter();
    let coordinator =
        Coordinator::connect(&address, &args.coordinator.tls, args.coordinator.patience(false))?;
    let run = args.run.clone();
    let before = runtime.block_on(coordinator.get(GetRun::of(run.clone())))?.run;
    if before.state.verdict().is_none() && !args.yes && !agreed(&before)? {
        return Err(Failure::new(Exit::Temporary, "not cancelled; nothing was changed"));
    }
    let cancel = CancelRun { run, reason, requested_by };
    let after = runtime.block_on(coordinator.cancel(cancel))?.run;
    if args.format.output_format == OutputFormatArg::Json {
        print_json(&RunView::from(&after))?;
        return Ok(Exit::Done);
    }
    let text = match (before.state.verdict(), after.state.verdict()) {
        (Some(state), _) => {
            format!("{} had ended before: {}; nothing was changed\n", args.run, state.as_str())
        }
        (None, Some(state)) => format!("{} is cancelled: {}\n", args.run, state.as_str()),
        (None, None) => {
            let state = state_name(after.state);
            format!("{} is being cancelled ({state}); its workers stop by themselves\n", args.run)
        }
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// Asks whoever sits at the terminal. Where there is none the command line has said enough.
fn agreed(run: &RunStatus) -> Result<bool, Failure> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !(stdin.is_terminal() && stderr.is_terminal()) {
        return Ok(true);
    }
    let undecided = run.shards.total.saturating_sub(decided(run));
    let question = format!(
        "Cancel {}? {} of its {} shards are undecided and would be given up. [y/N] ",
        run.run,
        thousands(undecided.into()),
        thousands(run.shards.total.into())
    );
    let mut answer = String::new();
    let asked = stderr
        .write_all(question.as_bytes())
        .and_then(|()| stderr.flush())
        .and_then(|()| stdin.lock().read_line(&mut answer));
    asked
        .map_err(|error| Failure::new(Exit::Io, format_args!("cannot ask: {error}; use --yes")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
