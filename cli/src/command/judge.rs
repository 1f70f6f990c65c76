//! `nightshift approve` and `nightshift reject`: a person decides about a withheld output.
//!
//! With the output at hand (`local`) or through a coordinator (`remote`). Both write the same
//! document, of which there is one, so it does not matter who is asked.

use nightshift_core::exit::Exit;
use nightshift_core::gates::{Approval, Judgement};
use nightshift_core::ids::{Partition, RunId};
use nightshift_worker::front::failure::Failure;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{JudgeArgs, OutputFormatArg};
use crate::prose;

mod local;
mod remote;

/// What was decided, for scripts.
#[derive(Debug, Serialize)]
struct Told {
    approval: Approval,
    /// Whether this call decided it; an earlier one said the same otherwise.
    first: bool,
    /// Folder of the visible files, where the output is visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

pub(crate) fn perform(
    runtime: &Handle,
    args: &JudgeArgs,
    judgement: Judgement,
) -> Result<Exit, Failure> {
    let told = match args.address()? {
        Some(address) => runtime.block_on(remote::decide(args, judgement, &address))?,
        None => local::decide(runtime, args, judgement)?,
    };
    tell(&told, args.format.output_format)
}

/// What the user named.
enum Target {
    Run(RunId),
    /// A partition of a spec, whose newest finished generation it then is.
    Partition(Partition),
}

impl Target {
    fn of(text: &str) -> Result<Self, Failure> {
        if let Ok(run) = text.parse() {
            return Ok(Self::Run(run));
        }
        text.parse().map(Self::Partition).map_err(|_| {
            let shown: String = text.chars().take(80).collect();
            usage(format_args!(
                "`{shown}` is neither a run, as in flights-2013-01-01-g1, nor a date, as in 2013-01-01"
            ))
        })
    }
}

fn usage(text: std::fmt::Arguments<'_>) -> Failure {
    Failure::new(Exit::Usage, text)
}

fn no_spec(partition: Partition) -> Failure {
    usage(format_args!("{partition} is no run: name the spec too, or the whole run"))
}

fn nothing_finished(partition: Partition) -> Failure {
    Failure::new(Exit::Data, format_args!("{partition} has no finished run to decide about"))
}

fn tell(told: &Told, format: OutputFormatArg) -> Result<Exit, Failure> {
    if format == OutputFormatArg::Json {
        print_json(told)?;
        return Ok(Exit::Done);
    }
    let Told { approval, first, output } = told;
    let Approval { run, judgement, decided_by, decided_at, .. } = approval;
    let mut text = match first {
        true => format!("{run} is {judgement}\n"),
        false => {
            let by = prose::one_line(decided_by);
            let said = format!("{run} was {judgement} already, at {decided_at} by {by}");
            prose::wrap(&said, prose::WIDTH)
        }
    };
    text.push_str(&match output {
        Some(folder) => format!("visible now: {}/\n", prose::one_line(folder)),
        None => {
            "its output stays out of sight, and the date is not run again by itself\n".to_owned()
        }
    });
    print(&text)?;
    Ok(Exit::Done)
}
