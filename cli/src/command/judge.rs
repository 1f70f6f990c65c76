//! `nightshift approve` and `nightshift reject`: a person decides about a withheld output.

use nightshift_core::decide::run_id;
use nightshift_core::exit::Exit;
use nightshift_core::gates::{Approval, Judgement};
use nightshift_core::ids::{Partition, RunId};
use nightshift_storage::releasing::{Asked, Judged, judge};
use nightshift_storage::root::{OutputRoot, Reader};
use nightshift_storage::sync::Durability;
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::identity::Identity;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{JudgeArgs, OutputFormatArg};

/// What was decided, for scripts.
#[derive(Debug, Serialize)]
struct Told<'a> {
    approval: &'a Approval,
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
    let workspace = args.spec.as_ref().map(|spec| {
        let output = args.output.clone();
        let spec = spec.clone();
        Workspace::open(&SpecArgs { spec, input: None, model: None, output, model_version: None })
    });
    let workspace = workspace.transpose()?;
    let output = match &workspace {
        Some(workspace) => workspace.output()?,
        None => super::place(args.output.as_deref().unwrap_or_default())?,
    };
    let judged = runtime.block_on(async {
        // Looked at first: a wrong folder must not become an output.
        let run = named(&Reader::open(&output).await?, workspace.as_ref(), &args.target).await?;
        let root = OutputRoot::open(&output, Durability::Full).await?.probe().await?;
        let who = Identity::of_this_process();
        let asked = Asked {
            run,
            judgement,
            who: signature(&who),
            now: who.now(),
            reason: args.reason.clone(),
        };
        judge(&root, asked)
            .await
            .map_err(|error| Failure::new(error.exit(), nightshift_worker::describe(&error)))
    })?;
    tell(&judged, &output, args.format.output_format)
}

/// The run that `target` names.
async fn named(
    root: &Reader,
    workspace: Option<&Workspace>,
    target: &str,
) -> Result<RunId, Failure> {
    let usage = |text: std::fmt::Arguments<'_>| Failure::new(Exit::Usage, text);
    if let Ok(run) = target.parse::<RunId>() {
        return Ok(run);
    }
    let shown: String = target.chars().take(80).collect();
    let partition = target.parse::<Partition>().map_err(|_| {
        usage(format_args!(
            "`{shown}` is neither a run, as in flights-2013-01-01-g1, nor a date, as in 2013-01-01"
        ))
    })?;
    let Some(workspace) = workspace else {
        return Err(usage(format_args!("{shown} is no run: name the spec too, or the whole run")));
    };
    match root.partition_facts(partition).await?.concluded {
        Some((generation, _)) => Ok(run_id(&workspace.spec.name, partition, generation)),
        None => {
            let text = format_args!("{partition} has no finished run to decide about");
            Err(Failure::new(Exit::Data, text))
        }
    }
}

/// Who decides: the user where the system says, and the process.
fn signature(who: &Identity) -> String {
    /// Longest name that is kept.
    const NAME_MAX_CHARS: usize = 64;
    match std::env::var("USER") {
        Ok(user) if !user.is_empty() => {
            let user: String = user.chars().take(NAME_MAX_CHARS).collect();
            format!("{user} on {who}")
        }
        _ => who.to_string(),
    }
}

fn tell(judged: &Judged, output: &str, format: OutputFormatArg) -> Result<Exit, Failure> {
    let Judged { approval, first, report } = judged;
    let visible = approval.judgement == Judgement::Approved;
    let folder = visible.then(|| format!("{output}/{}", report.output));
    if format == OutputFormatArg::Json {
        print_json(&Told { approval, first: *first, output: folder })?;
        return Ok(Exit::Done);
    }
    let Approval { run, judgement, decided_by, decided_at, .. } = approval;
    let mut text = match first {
        true => format!("{run} is {judgement}\n"),
        false => format!("{run} was {judgement} already, at {decided_at} by {decided_by}\n"),
    };
    text.push_str(&match folder {
        Some(folder) => format!("visible now: {folder}/\n"),
        None => {
            "its output stays out of sight, and the date is not run again by itself\n".to_owned()
        }
    });
    print(&text)?;
    Ok(Exit::Done)
}
