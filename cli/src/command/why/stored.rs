//! `nightshift why --output`: what the stored documents say, without a coordinator.

use jiff::Timestamp;
use nightshift_core::conclusion::Final;
use nightshift_core::decide::Claim;
use nightshift_core::exit::Exit;
use nightshift_core::gates::Approval;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_core::record::{Record, Verdict};
use nightshift_proto::runs::get::FoundRun;
use nightshift_proto::runs::status::RunStatus;
use nightshift_proto::runs::verdict::RunVerdict;
use nightshift_storage::root::Reader;
use nightshift_worker::front::failure::Failure;
use serde::Serialize;

use super::{count, gate, paragraph, run};
use crate::command::place;
use crate::prose;
use crate::table::thousands;

/// What is stored, with the paragraph that people get.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) text: String,
    run: RunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Final>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

/// Reads and tells. Changes nothing.
pub(super) async fn tell(
    output: &str,
    run: &RunId,
    shard: Option<ShardIndex>,
) -> Result<Told, Failure> {
    let place = place(output)?;
    let root = Reader::open(&place).await?;
    let (partition, generation) = (run.partition, run.generation);
    let claim = root.read::<Claim>(&Object::Claim { partition, generation }).await?;
    let claim = claim.filter(|claim| claim.run == *run);
    let plan = root.read::<Plan>(&Object::Plan { run: run.clone() }).await?;
    let Some(plan) = plan else {
        let Some(claim) = claim else {
            return Err(Failure::new(
                Exit::NoInput,
                format_args!(
                    "{place} knows nothing of {run}; nightshift status SPEC shows its dates"
                ),
            ));
        };
        let text = paragraph(&[claimed(&claim), "It has no plan yet".to_owned(), next(run)]);
        return Ok(Told {
            text,
            run: run.clone(),
            claim: Some(claim),
            verdict: None,
            record: None,
        });
    };
    let verdict = root.read::<Final>(&Object::Final { partition, generation }).await?;
    let verdict = verdict.filter(|verdict| verdict.run == *run);
    let (text, record) = match shard {
        Some(shard) => {
            if shard.0 >= plan.shard_count() {
                let text = format_args!(
                    "{run} has {} shards, from 0; there is no shard {shard}",
                    plan.shard_count()
                );
                return Err(Failure::new(Exit::Usage, text));
            }
            let record = root.read::<Record>(&Object::Record { run: run.clone(), shard }).await?;
            (describe_shard(run, shard, record.as_ref()), record)
        }
        None => match &verdict {
            Some(verdict) => {
                let approval: Option<Approval> =
                    root.read(&Object::Approval { partition, generation }).await?;
                let mut text = run::describe(&concluded(verdict), Timestamp::now(), &again(run));
                text.push_str(&gate::describe(verdict, approval.as_ref()));
                (text, None)
            }
            None => {
                let decided = root.decided_shards(run).await?.len() as u64;
                (undecided(run, claim.as_ref(), &plan, decided), None)
            }
        },
    };
    Ok(Told { text, run: run.clone(), claim, verdict, record })
}

pub(super) fn claimed(claim: &Claim) -> String {
    let mut text = format!(
        "{} was claimed at {} by {}",
        claim.run,
        claim.claimed_at,
        prose::one_line(&claim.claimed_by)
    );
    if let Some(forced) = &claim.forced {
        text.push_str(&format!(", although the date was done: {}", prose::one_line(forced)));
    }
    if let Some(from) = &claim.inherits {
        text.push_str(&format!(", to take over what {from} has committed"));
    }
    text
}

fn undecided(run: &RunId, claim: Option<&Claim>, plan: &Plan, decided: u64) -> String {
    paragraph(&[
        claim.map(claimed).unwrap_or_default(),
        format!(
            "It has no verdict: {} of its {} have a record",
            thousands(decided),
            count(plan.shard_count().into(), "shard", "shards")
        ),
        "Who works on the others, if anybody, is not stored; a coordinator knows".to_owned(),
        next(run),
    ])
}

fn next(run: &RunId) -> String {
    format!("Next: {} goes on with it", again(run))
}

/// The command that goes on without a coordinator.
fn again(run: &RunId) -> String {
    match run.partition {
        nightshift_core::ids::Partition::Date(date) => format!("nightshift run SPEC --date {date}"),
        nightshift_core::ids::Partition::All => "nightshift run SPEC".to_owned(),
    }
}

fn describe_shard(run: &RunId, shard: ShardIndex, record: Option<&Record>) -> String {
    let Some(record) = record else {
        return paragraph(&[
            format!("Shard {shard} of {run} has no record, so it is undecided"),
            "Who works on it, if anybody, is not stored; a coordinator knows".to_owned(),
            next(run),
        ]);
    };
    let decided = format!(
        "decided at {} by attempt {} of worker {}",
        record.decided_at,
        record.attempt,
        prose::one_line(&record.worker)
    );
    let mut sentences = match &record.verdict {
        Verdict::Committed(committed) => vec![
            format!("Shard {shard} of {run} is committed, {decided}"),
            format!(
                "It read {}, wrote {} to {} and rejected {}",
                count(committed.rows_in, "row", "rows"),
                thousands(committed.rows_out),
                committed.output.visible,
                thousands(committed.rows_rejected)
            ),
        ],
        Verdict::Quarantined(given_up) => vec![
            format!("Shard {shard} of {run} was given up, {decided}"),
            prose::one_line(&format!(
                "After {} ({}): {}: {}",
                count(given_up.attempts.into(), "attempt", "attempts"),
                given_up.class.as_str(),
                given_up.reason,
                given_up.message
            )),
            format!("Mend the cause, and then run it again with: {}", again(run)),
        ],
    };
    if let Some(from) = &record.inherited_from {
        sentences.insert(1, format!("Its data was taken over from {from}"));
    }
    paragraph(&sentences)
}

/// A verdict as a coordinator would show it.
pub(super) fn concluded(verdict: &Final) -> FoundRun {
    let (short, quarantined) = RunVerdict::of(verdict, None);
    let run = RunStatus::concluded(verdict);
    FoundRun { run, verdict: Some(short), quarantined, shard: None, open_shards: Vec::new() }
}
