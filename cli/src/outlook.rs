//! What a person wants to know of dates that were decided about: facts beside the decision, from
//! the output and the ledger. Writes nothing.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use nightshift_core::backfill::forecast::{Input, rows_to_do};
use nightshift_core::backfill::{DateState, Decided, Evidence, Instruction, Why};
use nightshift_core::conclusion::Final;
use nightshift_core::decide::{Claim, run_id};
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex, SpecName};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Outline, Planned};
use nightshift_ledger::Gap;
use nightshift_ledger::consult::Sources;
use nightshift_storage::standing::{Onlooker, Standing};
use nightshift_storage::{Reader, StoreError};
use nightshift_worker::front::failure::Failure;

use crate::ticking::{Scene, Ticked};

/// Dates whose documents are read at the same time.
const READS_MAX: usize = 16;

/// One date.
#[derive(Debug)]
pub(crate) struct Outlook {
    pub(crate) decided: Decided,
    pub(crate) state: DateState,
    /// The run that the state is about, where there is one.
    pub(crate) run: Option<RunId>,
    /// The verdict of its newest concluded generation.
    pub(crate) verdict: Option<Final>,
    /// The run that is under way.
    pub(crate) under_way: Option<UnderWay>,
    /// Since when its input is missed, if the ledger knows.
    pub(crate) gap: Option<Gap>,
    /// Rows and shards of the run that there would be, that is under way, or that was.
    pub(crate) rows: Option<u64>,
    pub(crate) shards: Option<u64>,
    /// Rows to score before it is current.
    pub(crate) rows_to_do: Option<u64>,
}

/// A run that is claimed and has no verdict.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) claim: Option<Claim>,
    pub(crate) rows: u64,
    pub(crate) shards: u64,
    /// Shards that have a record.
    pub(crate) decided: u64,
    /// Rows of the others; none before there is a plan.
    pub(crate) rows_undecided: Option<u64>,
}

/// Documents of one date that the decision did not need.
#[derive(Default)]
struct Found {
    standing: Option<Standing>,
    made_by: Option<Outline>,
    under_way: Option<UnderWay>,
}

impl Outlook {
    fn new(
        decided: Decided,
        name: &SpecName,
        ticked: &Ticked,
        found: Found,
        gap: Option<Gap>,
    ) -> Self {
        let Found { standing, made_by, under_way } = found;
        let verdict = standing.and_then(|standing| standing.verdict);
        let instruction = &decided.instruction;
        let evidence = Evidence {
            verdict: verdict.as_ref(),
            made_by: made_by.as_ref(),
            model: ticked.model.as_ref(),
            task: ticked.task.as_ref(),
        };
        let state = DateState::of(instruction, evidence);
        let fresh = ticked.inputs.get(&decided.partition);
        let input = fresh.map(|it| Input { rows: it.rows, fingerprint: it.fingerprint });
        let undecided = under_way.as_ref().and_then(|run| run.rows_undecided);
        let rows_to_do = rows_to_do(instruction, input, verdict.as_ref(), undecided);
        let now = fresh.map(|it| (it.rows, it.shards));
        // A date that is run again is as large as it is now.
        let size = match instruction {
            Instruction::Start { .. } => now,
            Instruction::Join { .. } | Instruction::Leave { .. } => {
                let planned = under_way.as_ref().filter(|it| it.shards > 0);
                planned.map(|it| (it.rows, it.shards)).or(now)
            }
            Instruction::NoInput | Instruction::Unreadable(_) => None,
            _ => verdict.as_ref().map(|it| (it.totals.rows_in, it.totals.shards)),
        };
        let about = generation_shown(instruction, verdict.as_ref());
        Self {
            run: about.map(|generation| run_id(name, decided.partition, generation)),
            state,
            verdict,
            under_way,
            gap,
            rows: size.map(|(rows, _)| rows),
            shards: size.map(|(_, shards)| shards),
            rows_to_do,
            decided,
        }
    }

    /// Since when it is so, if anybody has noted that.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        match &self.decided.instruction {
            Instruction::NoInput => self.gap.as_ref().map(|gap| gap.since),
            Instruction::Join { .. } | Instruction::Leave { .. } => {
                Some(self.under_way.as_ref()?.claim.as_ref()?.claimed_at)
            }
            Instruction::Start { why: Why::Missing | Why::Abandoned { .. }, .. }
            | Instruction::Unreadable(_)
            | Instruction::Unavailable(_) => None,
            _ => self.verdict.as_ref().map(|verdict| verdict.decided_at),
        }
    }
}

/// Looks at every date that was decided about.
///
/// # Errors
/// If the output does not answer.
pub(crate) fn look(scene: &Scene<'_>, ticked: Ticked) -> Result<Vec<Outlook>, Failure> {
    let (mut found, mut gaps) = scene.runtime.block_on(read(&scene.onlooker(), &ticked))?;
    let name = &scene.workspace.spec.name;
    let outlook = |decided: &Decided| {
        let date = decided.partition;
        let found = found.remove(&date).unwrap_or_default();
        Outlook::new(decided.clone(), name, &ticked, found, gaps.remove(&date))
    };
    Ok(ticked.decided.iter().map(outlook).collect())
}

/// Reads the documents of all dates, and the gaps of those without input.
async fn read(
    onlooker: &Onlooker,
    ticked: &Ticked,
) -> Result<(BTreeMap<Partition, Found>, BTreeMap<Partition, Gap>), StoreError> {
    let Ticked { decided, sources, standings, .. } = ticked;
    // About dates that the ledger calls done the store was not asked.
    let dates = decided.iter().map(|one| one.partition);
    let unasked: Vec<Partition> = dates.filter(|date| !standings.contains_key(date)).collect();
    let answers = sources.standings(&unasked, onlooker).await;
    // One that cannot be read was said to be so, or does not matter to the ledger's word.
    let asked = answers.into_iter().filter_map(|(date, answer)| Some((date, answer.ok()?)));
    let mut standings = standings.clone();
    standings.extend(asked);
    let reads = decided.iter().map(|one| {
        let standing = standings.remove(&one.partition);
        let one = one.clone();
        async move { Ok((one.partition, documents(sources, &one, standing).await?)) }
    });
    let reads: Vec<_> = reads.collect();
    let found = stream::iter(reads).buffer_unordered(READS_MAX).try_collect().await?;
    Ok((found, sources.gaps(&ticked.gaps).await))
}

/// The generation that the state is about; that of a run which there would be is not there yet.
fn generation_shown(instruction: &Instruction, verdict: Option<&Final>) -> Option<Generation> {
    match instruction {
        Instruction::Start { why, .. } => match why {
            Why::Retry { of, .. } | Why::Abandoned { of } => Some(*of),
            Why::ModelChanged { .. } | Why::AnyChanged => verdict.map(|it| it.run.generation),
            Why::Missing | Why::Asked => None,
        },
        other => other.generation(),
    }
}

/// Reads what the words about a date need.
async fn documents(
    sources: &Sources,
    decided: &Decided,
    standing: Option<Standing>,
) -> Result<Found, StoreError> {
    let Some(reader) = sources.output.as_ref().map(|output| &output.reader) else {
        return Ok(Found::default());
    };
    let mut found = Found { standing, ..Found::default() };
    match &decided.instruction {
        Instruction::Start { why: Why::ModelChanged { .. } | Why::AnyChanged, .. } => {
            let verdict = found.standing.as_ref().and_then(|it| it.verdict.as_ref());
            if let Some(verdict) = verdict {
                found.made_by = outline(reader, &verdict.run).await?;
            }
        }
        Instruction::Join { .. } | Instruction::Leave { .. } => {
            if let Some(generation) = decided.instruction.generation() {
                let run = run_id(&sources.name, decided.partition, generation);
                found.under_way = Some(under_way(reader, &run).await?);
            }
        }
        _ => {}
    }
    Ok(found)
}

async fn under_way(reader: &Reader, run: &RunId) -> Result<UnderWay, StoreError> {
    let (partition, generation) = (run.partition, run.generation);
    let claim = reader.read::<Claim>(&Object::Claim { partition, generation }).await?;
    let claim = claim.filter(|claim| claim.run == *run);
    let Some(plan) = outline(reader, run).await? else {
        return Ok(UnderWay { claim, rows: 0, shards: 0, decided: 0, rows_undecided: None });
    };
    let decided = reader.decided_shards(run).await?;
    let undecided = plan.indexes().filter(|shard| !decided.contains(*shard));
    let rows = |shard: ShardIndex| plan.shard_rows(shard).unwrap_or(0);
    Ok(UnderWay {
        claim,
        rows: plan.rows(),
        shards: plan.shard_count().into(),
        decided: decided.len().into(),
        rows_undecided: Some(undecided.map(rows).sum()),
    })
}

/// The plan of a run; one that cannot be read is as good as none, since nothing is done by it.
async fn outline(reader: &Reader, run: &RunId) -> Result<Option<Outline>, StoreError> {
    let found = reader.read_hashed::<Outline>(&Object::Plan { run: run.clone() }).await;
    match found {
        Err(error) if error.exit() == Exit::Unavailable => Err(error),
        found => Ok(found.ok().flatten().map(|(outline, _)| outline)),
    }
}
