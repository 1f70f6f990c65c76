//! From the facts about one date to an instruction, or to the next question.
//!
//! | the ledger says | the store says | do |
//! |---|---|---|
//! | done, current | not asked | skip |
//! | anything else | succeeded, withheld by a gate or rejected | leave it to a person |
//! | anything else | succeeded, current | skip, write back to the ledger |
//! | anything else | succeeded, stale | next generation, if there is input |
//! | anything else | partial or failed, retries left | next generation, which inherits |
//! | anything else | partial or failed, none left | give up |
//! | anything else | claimed, no final, holder alive | leave it |
//! | anything else | claimed, no final, holder dead | join; the next generation if its model is gone |
//! | anything else | the same, but an earlier generation succeeded and is current | skip |
//! | anything else | nothing | generation 1, if there is input |
//! | anything else | no answer | nothing |
//!
//! What is stale depends on [`Reprocess`]: nothing, what another model made, or what a run that
//! started now would not make from the same input with the same model and settings.

use crate::backfill::RETRIES;
use crate::backfill::facts::{Concluded, Index, Indexed, Input, Known, Open, Store, Stored};
use crate::backfill::instruction::{Dead, Instruction, Why};
use crate::conclusion::FinalState;
use crate::decide::Release;
use crate::ids::{Digest, Generation};
use crate::spec::Reprocess;

/// What a tick is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether a date that is done is ever done again.
    pub reprocess: Reprocess,
    /// Do it again, whatever is there: a recorded request (I7).
    pub force: bool,
}

/// What follows from what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Not enough is known yet.
    Need(Need),
    /// This, if there is input; [`Known::input`] is not known yet.
    IfInput(Instruction),
    /// This.
    Do(Instruction),
}

/// A fact that a judgement depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What the store says about the date.
    Store,
    /// The digest of the model, which is one for all dates.
    Model,
    /// What the fingerprint of a run would be that started now.
    Fingerprint,
}

/// Whether what was done is what would be done now.
enum Freshness {
    Current,
    Stale(Why),
    /// There is no input to do it again with, or none that can be read.
    NothingToCompare,
}

/// Judges one date.
pub fn judge(known: &Known, rules: Rules, model: Option<Digest>) -> Judgement {
    if !rules.force
        && let Index::Done(done) = &known.index
    {
        match freshness(rules.reprocess, done.model, done.fingerprint, known, model) {
            Ok(Freshness::Current) => return skip(done, false),
            Ok(Freshness::NothingToCompare) => return keep(done.generation),
            Err(need) => return Judgement::Need(need),
            // The store says what to do; the ledger may lag behind it.
            Ok(Freshness::Stale(_)) => {}
        }
    }
    match &known.store {
        None => Judgement::Need(Need::Store),
        Some(Store::Unavailable(why)) => Judgement::Do(Instruction::Unavailable(why.clone())),
        Some(Store::Says(stored)) if rules.force => {
            let generation = stored.newest().map_or(Generation::FIRST, Generation::next);
            start(known, generation, None, 0, Why::Asked)
        }
        Some(Store::Says(stored)) => match stored {
            Stored { open: Some(open), concluded } => match concluded {
                // Somebody began to do it again for a reason that has gone away.
                Some(done) if is_needless(open, done) => {
                    match freshness(
                        rules.reprocess,
                        Some(done.model),
                        done.fingerprint,
                        known,
                        model,
                    ) {
                        Ok(Freshness::Current) => {
                            held(done).unwrap_or_else(|| told(done.generation, known))
                        }
                        Ok(_) => unfinished(open, known, model),
                        Err(need) => Judgement::Need(need),
                    }
                }
                _ => unfinished(open, known, model),
            },
            Stored { concluded: Some(concluded), .. } => {
                finished(concluded, known, rules.reprocess, model)
            }
            Stored { open: None, concluded: None } => {
                start(known, Generation::FIRST, None, 0, Why::Missing)
            }
        },
    }
}

fn skip(done: &Indexed, write_back: bool) -> Judgement {
    Judgement::Do(Instruction::Skip { generation: done.generation, write_back })
}

fn keep(generation: Generation) -> Judgement {
    Judgement::Do(Instruction::Keep { generation })
}

/// A date that the store calls done; the ledger is told unless it knows.
fn told(generation: Generation, known: &Known) -> Judgement {
    let knows = |done: &Indexed| done.generation == generation;
    let write_back = !matches!(&known.index, Index::Done(done) if knows(done));
    Judgement::Do(Instruction::Skip { generation, write_back })
}

/// A date whose output a person decides about, or has rejected.
fn held(done: &Concluded) -> Option<Judgement> {
    let rejected = match done.release {
        Release::Open | Release::Approved => return None,
        Release::Waiting => false,
        Release::Rejected => true,
    };
    Some(Judgement::Do(Instruction::Held { generation: done.generation, rejected }))
}

/// Whether nobody works on a run that nobody asked for, of a date that has succeeded before.
fn is_needless(open: &Open, done: &Concluded) -> bool {
    !open.is_alive && !open.is_forced && done.state == FinalState::Succeeded
}

/// A date whose newest generation has its verdict.
fn finished(
    concluded: &Concluded,
    known: &Known,
    reprocess: Reprocess,
    model: Option<Digest>,
) -> Judgement {
    let Concluded { generation, state, retries, .. } = *concluded;
    if state != FinalState::Succeeded {
        if retries >= RETRIES {
            return Judgement::Do(Instruction::GiveUp { generation, state });
        }
        let why = Why::Retry { of: generation, state };
        return start(known, generation.next(), Some(generation), retries + 1, why);
    }
    if let Some(held) = held(concluded) {
        return held;
    }
    let found = freshness(reprocess, Some(concluded.model), concluded.fingerprint, known, model);
    match found {
        Ok(Freshness::Current) => told(generation, known),
        Ok(Freshness::NothingToCompare) => keep(generation),
        Ok(Freshness::Stale(why)) => match start(known, generation.next(), None, 0, why) {
            // What is there stays as good as it was.
            Judgement::Do(Instruction::NoInput | Instruction::Unreadable(_)) => keep(generation),
            judgement => judgement,
        },
        Err(need) => Judgement::Need(need),
    }
}

/// A date whose newest generation is claimed and has no verdict.
fn unfinished(open: &Open, known: &Known, model: Option<Digest>) -> Judgement {
    let Open { generation, planned, epoch, holder, is_alive, .. } = open;
    let (generation, holder) = (*generation, holder.clone());
    if *is_alive {
        return Judgement::Do(Instruction::Leave { generation, holder });
    }
    let run = Dead { generation, epoch: *epoch };
    let join = Instruction::Join { run, holder };
    match (planned, model) {
        // It was not planned, so it is planned now.
        (None, _) => if_input(known, join),
        (Some(_), None) => Judgement::Need(Need::Model),
        (Some(planned), Some(model)) if *planned == model => Judgement::Do(join),
        // Nobody can finish it any more. It never succeeded, so another generation may.
        (Some(_), Some(_)) => {
            let why = Why::Abandoned { of: generation };
            let (inherit, retry, instead_of) = (None, 0, Some(run));
            let generation = generation.next();
            if_input(known, Instruction::Start { generation, inherit, retry, instead_of, why })
        }
    }
}

fn start(
    known: &Known,
    generation: Generation,
    inherit: Option<Generation>,
    retry: u32,
    why: Why,
) -> Judgement {
    if_input(known, Instruction::Start { generation, inherit, retry, instead_of: None, why })
}

fn if_input(known: &Known, instruction: Instruction) -> Judgement {
    match &known.input {
        None => Judgement::IfInput(instruction),
        Some(Input::Present { .. }) => Judgement::Do(instruction),
        Some(Input::Missing) => Judgement::Do(Instruction::NoInput),
        Some(Input::Unreadable(why)) => Judgement::Do(Instruction::Unreadable(why.clone())),
    }
}

/// Compares what was done with what would be done now.
fn freshness(
    reprocess: Reprocess,
    done_with: Option<Digest>,
    fingerprint: Digest,
    known: &Known,
    model: Option<Digest>,
) -> Result<Freshness, Need> {
    match reprocess {
        Reprocess::Never => Ok(Freshness::Current),
        Reprocess::OnModelChange => match (done_with, model) {
            // An entry of an earlier version: the store knows the model.
            (None, _) => Ok(Freshness::Stale(Why::AnyChanged)),
            (Some(_), None) => Err(Need::Model),
            (Some(from), Some(to)) if from == to => Ok(Freshness::Current),
            (Some(from), Some(to)) => Ok(Freshness::Stale(Why::ModelChanged { from, to })),
        },
        Reprocess::OnAnyChange => match &known.input {
            None => Err(Need::Fingerprint),
            Some(Input::Present { fingerprint: now }) if *now == fingerprint => {
                Ok(Freshness::Current)
            }
            Some(Input::Present { .. }) => Ok(Freshness::Stale(Why::AnyChanged)),
            Some(Input::Missing | Input::Unreadable(_)) => Ok(Freshness::NothingToCompare),
        },
    }
}
