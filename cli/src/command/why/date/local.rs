//! How a date stands by output and ledger, without a coordinator.

use nightshift_core::backfill::life::JOIN_AFTER;
use nightshift_core::backfill::{DateState, Instruction, Rules, Turn};
use nightshift_core::exit::Exit;
use nightshift_core::gates::Approval;
use nightshift_core::ids::{Partition, RunId};
use nightshift_core::layout::Object;
use nightshift_storage::Reader;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::session::{RunError, Session};
use tokio::runtime::Handle;

use super::next;
use super::{Question, Told, exit_code};
use crate::args::WhyArgs;
use crate::command::backfill::ledger;
use crate::command::backfill::shown::{Decision, tell_index};
use crate::command::why::{count, gate, paragraph, run, stored};
use crate::outlook::{self, Outlook};
use crate::prose;
use crate::table::thousands;
use crate::ticking::{Ask, Scene};

/// Looks, decides as a backfill does, and tells. Writes nothing.
pub(super) fn tell(
    runtime: &Handle,
    args: &WhyArgs,
    question: &Question<'_>,
) -> Result<Told, Failure> {
    let Question { workspace, partition, window, .. } = question;
    let backfill = &workspace.spec.backfill;
    let session = Session::looking(runtime.clone());
    let scene = Scene {
        runtime,
        session: &session,
        workspace,
        ledger: ledger(&args.redis)?,
        join_after: JOIN_AFTER,
    };
    let reprocess = args.reprocess.map_or(backfill.reprocess, Into::into);
    let rules = Rules { reprocess, force: false };
    let order = backfill.order;
    let ask = |dates| Ask { dates, rules, order, dates_max: 1 };
    let ticked = scene.tick(&ask(std::slice::from_ref(partition)))?;
    tell_index(&ticked.index, scene.ledger.as_deref());
    let reader = ticked.sources.output.as_ref().map(|output| output.reader.clone());
    let found = outlook::look(&scene, ticked)?.into_iter().next();
    let Some(found) = found else {
        let text = format_args!("nothing was decided about {partition}");
        return Err(Failure::new(Exit::Software, text));
    };
    let chosen = match found.decided.instruction.is_work() && window.contains(partition) {
        true => chosen(&scene, &ask(window))?,
        false => None,
    };
    let approval = match (&reader, &found.verdict) {
        (Some(reader), Some(verdict)) => runtime.block_on(approval(reader, &verdict.run))?,
        _ => None,
    };
    let decision = Decision::from(&found.decided);
    let turn = question.turn(&decision, chosen);
    let exit = exit(&found);
    let mut sentences = vec![opening(question, &found)];
    sentences.extend(details(question, &found, approval.as_ref())?);
    let was_run = matches!(found.state, DateState::Ended { .. } | DateState::Withheld);
    sentences.extend(exit.map(|exit| exit_code(exit, was_run)));
    sentences.push(next::describe(question, &decision, turn));
    Ok(Told {
        text: paragraph(&sentences),
        detail: found.state.detail(),
        turn: turn.word(),
        since: found.since(),
        exit_code: exit.map(Exit::code),
        decision,
        run: found.run,
        rows: found.rows,
        shards: found.shards,
        claim: found.under_way.and_then(|run| run.claim),
        verdict: found.verdict,
        status: None,
    })
}

/// The date of the window that the next backfill does.
fn chosen(scene: &Scene<'_>, ask: &Ask<'_>) -> Result<Option<Partition>, Failure> {
    let decided = scene.tick(ask)?.decided;
    Ok(decided.iter().find(|one| one.turn == Turn::Now).map(|one| one.partition))
}

async fn approval(reader: &Reader, run: &RunId) -> Result<Option<Approval>, RunError> {
    let (partition, generation) = (run.partition, run.generation);
    Ok(reader.read(&Object::Approval { partition, generation }).await?)
}

/// The exit code of a command that finds the date so.
fn exit(found: &Outlook) -> Option<Exit> {
    match found.state {
        DateState::NoInput => Some(Exit::NoInput),
        DateState::Unreadable | DateState::Ended { .. } | DateState::Withheld => Some(Exit::Data),
        DateState::Unknown => Some(Exit::Unavailable),
        _ => None,
    }
}

/// The state in one sentence.
fn opening(question: &Question<'_>, found: &Outlook) -> String {
    let subject = question.subject();
    match &found.state {
        DateState::NoInput => format!("{subject} has no input"),
        DateState::Unreadable => format!("{subject} has input that cannot be read"),
        DateState::Missing => format!("{subject} was never run"),
        DateState::Unknown => format!("How {subject} stands nobody can tell"),
        DateState::Ended { state, .. } => format!("{subject} has ended {}", state.as_str()),
        state => format!("{subject} is {}", prose::one_line(&state.to_string())),
    }
}

/// What is known beside that.
fn details(
    question: &Question<'_>,
    found: &Outlook,
    approval: Option<&Approval>,
) -> Result<Vec<String>, Failure> {
    let mut sentences = Vec::new();
    match &found.decided.instruction {
        Instruction::NoInput => {
            let task = question.workspace.task(question.partition)?;
            sentences.push(format!("Nothing is at {}", prose::one_line(&task.bound.input)));
            sentences.extend(found.gap.as_ref().map(|gap| {
                format!(
                    "A backfill missed it first {}, at {:.0}, and last at {:.0}",
                    question.ago(gap.since),
                    gap.since,
                    gap.looked_at
                )
            }));
            sentences.push("Put it there, or correct spec.input.uri".to_owned());
        }
        Instruction::Unreadable(why) | Instruction::Unavailable(why) => {
            sentences.push(prose::one_line(why));
        }
        Instruction::Join { .. } | Instruction::Leave { .. } => {
            let Some(run) = &found.under_way else { return Ok(sentences) };
            sentences.extend(run.claim.as_ref().map(stored::claimed));
            sentences.push(match run.shards {
                0 => "It has no plan yet".to_owned(),
                shards => format!(
                    "{} of its {} have a record",
                    thousands(run.decided),
                    count(shards, "shard", "shards")
                ),
            });
        }
        instruction => {
            let is_done = matches!(found.state, DateState::Stale(_) | DateState::Kept);
            if let Some(verdict) = found.verdict.as_ref().filter(|_| is_done) {
                let at = verdict.decided_at;
                sentences.push(format!("What is there was made by {} at {at:.0}", verdict.run));
            } else if let Some(verdict) = &found.verdict {
                let again = question.command("run");
                sentences.push(run::describe(&stored::concluded(verdict), question.now, &again));
                sentences.push(gate::describe(verdict, approval).trim().to_owned());
            }
            if matches!(instruction, Instruction::Start { .. })
                && let (Some(rows), Some(shards)) = (found.rows, found.shards)
            {
                let (rows, shards) = (count(rows, "row", "rows"), count(shards, "shard", "shards"));
                sentences.push(format!("Its input has {rows} now, in {shards}"));
            }
        }
    }
    Ok(sentences)
}
