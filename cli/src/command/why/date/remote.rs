//! How a date stands by the word of a coordinator.

use nightshift_core::backfill::instruction::{NO_INPUT, UNKNOWN, UNREADABLE};
use nightshift_core::decide::run_id;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition, RunId};
use nightshift_proto::limits::BACKFILL_DATES_MAX;
use nightshift_proto::runs::backfill::BackfillRuns;
use nightshift_proto::runs::get::{FoundRun, GetRun};
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;

use super::{Question, Told, exit_code, next};
use crate::args::WhyArgs;
use crate::command::backfill::shown::Decision;
use crate::command::submit::source;
use crate::command::why::{paragraph, run};
use crate::coordinator::{Address, Coordinator, new_request, requester};
use crate::prose;
use crate::view::RunView;

/// Asks the coordinator at `address` what it would decide, and tells. Starts nothing.
pub(super) async fn tell(
    args: &WhyArgs,
    spec: &SpecArgs,
    question: &Question<'_>,
    address: &Address,
) -> Result<Told, Failure> {
    let Question { workspace, partition, window, now } = question;
    let backfill = &workspace.spec.backfill;
    let patience = args.coordinator.patience(false);
    let coordinator = Coordinator::connect(address, &args.coordinator.tls, patience)?;
    let spec = source::read(spec)?;
    let decide = async |dates: &[Partition]| {
        let wish = BackfillRuns {
            request: new_request()?,
            spec: spec.clone(),
            partitions: dates.to_vec(),
            dates_max: 1,
            order: backfill.order,
            reprocess: args.reprocess.map_or(backfill.reprocess, Into::into),
            forced: None,
            dry_run: true,
            requested_by: requester()?,
        };
        let decided = coordinator.backfill(wish).await?.dates;
        Ok::<Vec<Decision>, Failure>(decided.iter().map(Decision::from).collect())
    };
    let Some(decision) = decide(std::slice::from_ref(partition)).await?.into_iter().next() else {
        let text = format_args!("the coordinator at {address} says nothing about {partition}");
        return Err(Failure::new(Exit::Unavailable, text));
    };
    let is_small = window.len() <= BACKFILL_DATES_MAX as usize;
    let chosen = match decision.action != "skip" && is_small && window.contains(partition) {
        true => decide(window).await?.into_iter().find(is_now).map(|one| one.partition),
        false => None,
    };
    let run = run_shown(&decision).map(|of| run_id(&workspace.spec.name, *partition, of));
    let found = match &run {
        Some(run) => get(&coordinator, run).await?,
        None => None,
    };
    let turn = question.turn(&decision, chosen);
    let exit = match decision.state.as_str() {
        NO_INPUT => Some(Exit::NoInput),
        UNREADABLE | "partial" | "failed" | "withheld" => Some(Exit::Data),
        UNKNOWN => Some(Exit::Unavailable),
        _ => None,
    };
    let (subject, state) = (question.subject(), &decision.state);
    let mut sentences = vec![match &found {
        Some(_) => format!("{subject} is `{state}` for the coordinator"),
        None => {
            let reason = prose::one_line(&decision.reason);
            format!("{subject} is `{state}` for the coordinator: {reason}")
        }
    }];
    sentences.extend(found.as_ref().map(|found| {
        let again = format!("nightshift retry --coordinator {address} {}", found.run.run);
        run::describe(found, *now, &again)
    }));
    let was_run = matches!(decision.state.as_str(), "partial" | "failed" | "withheld");
    sentences.extend(exit.map(|exit| exit_code(exit, was_run)));
    sentences.push(next::describe(question, &decision, turn));
    Ok(Told {
        text: paragraph(&sentences),
        detail: None,
        turn: turn.word(),
        since: found.as_ref().and_then(|found| found.run.decided_at.or(found.run.planned_at)),
        run,
        exit_code: exit.map(Exit::code),
        rows: found.as_ref().map(|found| found.run.rows.planned),
        shards: found.as_ref().map(|found| found.run.shards.total.into()),
        claim: None,
        verdict: None,
        status: found.as_ref().map(|found| RunView::from(&found.run)),
        decision,
    })
}

/// Whether the next backfill does something about the date.
fn is_now(decision: &Decision) -> bool {
    !matches!(decision.action.as_str(), "skip" | "later")
}

/// The generation that the state is about; a run that there would be is not there yet.
fn run_shown(decision: &Decision) -> Option<Generation> {
    let generation = decision.generation?;
    let starts = matches!(decision.action.as_str(), "run" | "retry" | "later");
    Generation::new(if starts { generation.checked_sub(1)? } else { generation })
}

/// The run, unless the coordinator does not know it: a look serves no output.
async fn get(coordinator: &Coordinator, run: &RunId) -> Result<Option<FoundRun>, Failure> {
    match coordinator.get(GetRun::of(run.clone())).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_unknown() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
