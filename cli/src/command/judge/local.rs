//! Deciding with the output at hand.

use nightshift_core::decide::run_id;
use nightshift_core::gates::Judgement;
use nightshift_core::ids::RunId;
use nightshift_storage::releasing::{Asked, Judged, judge};
use nightshift_storage::root::{OutputRoot, Reader};
use nightshift_storage::sync::Durability;
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::identity::Identity;
use tokio::runtime::Handle;

use super::{Target, Told, no_spec, nothing_finished};
use crate::args::JudgeArgs;
use crate::command::place;

pub(super) fn decide(
    runtime: &Handle,
    args: &JudgeArgs,
    judgement: Judgement,
) -> Result<Told, Failure> {
    let output = args.output();
    let workspace = args.spec.as_ref().map(|spec| {
        let (spec, output) = (spec.clone(), output.clone());
        Workspace::open(&SpecArgs { spec, input: None, model: None, output, model_version: None })
    });
    let workspace = workspace.transpose()?;
    let output = match &workspace {
        Some(workspace) => workspace.output()?,
        None => place(output.as_deref().unwrap_or_default())?,
    };
    let who = Identity::of_this_process();
    let deciding = args.commit.deciding(who.to_string(), &output)?;
    let judged = runtime.block_on(async {
        // Looked at first: a wrong folder must not become an output.
        let run = named(&Reader::open(&output).await?, workspace.as_ref(), &args.target).await?;
        let root = OutputRoot::open(&output, Durability::Full).await?;
        let root = root.probe_for(&deciding).await?;
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
    });
    runtime.block_on(deciding.release());
    let Judged { approval, first, report } = judged?;
    let is_visible = approval.judgement == Judgement::Approved;
    let folder = is_visible.then(|| format!("{output}/{}", report.output));
    Ok(Told { approval, first, output: folder })
}

/// The run that `target` names.
async fn named(
    root: &Reader,
    workspace: Option<&Workspace>,
    target: &str,
) -> Result<RunId, Failure> {
    let partition = match Target::of(target)? {
        Target::Run(run) => return Ok(run),
        Target::Partition(partition) => partition,
    };
    let workspace = workspace.ok_or_else(|| no_spec(partition))?;
    match root.partition_facts(partition).await?.concluded {
        Some((generation, _)) => Ok(run_id(&workspace.spec.name, partition, generation)),
        None => Err(nothing_finished(partition)),
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
