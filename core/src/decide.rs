//! What to do about one partition: facts in, one instruction out.

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use crate::conclusion::{Final, FinalState};
use crate::gates::Judgement;
use crate::ids::{Digest, Generation, Partition, RunId, SpecName};

/// `claims/<partition>/g<n>.json`: who decided to execute this generation, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Layout version of this document.
    pub version: u32,
    /// The run that the claim starts.
    pub run: RunId,
    /// A random id of the request; tells the claimant that the claim is its own.
    pub request: String,
    /// Who asked, for people: host and process.
    pub claimed_by: String,
    /// When, by the claimant's clock.
    pub claimed_at: Timestamp,
    /// Why a generation that was done is executed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    /// The run whose committed shards are taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherits: Option<RunId>,
    /// Which retry of a backfill this generation is, from 1; 0 for the first generation of a
    /// change or a request, and for whatever a person started.
    #[serde(default, skip_serializing_if = "is_no_retry")]
    pub retry: u32,
}

impl Claim {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;
}

/// Claims that are no retry look as they did before there were retries.
fn is_no_retry(retry: &u32) -> bool {
    *retry == 0
}

/// `runs/<run>/epoch/<n>.json`: an incarnation that took over the leases of a run.
///
/// Its number makes the tokens of a later incarnation greater than those of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// Its number, from 1.
    pub number: u64,
    /// Who opened it, for people: host and process.
    pub opened_by: String,
    /// When, by that process's clock.
    pub opened_at: Timestamp,
}

impl Epoch {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;
}

/// What the store says about one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionFacts {
    /// The highest generation that was claimed.
    pub claimed: Option<Generation>,
    /// The highest generation that has a final, and the final's state.
    pub concluded: Option<(Generation, FinalState)>,
    /// Whether the output of that generation may be seen.
    pub release: Release,
}

/// Whether readers may see the output of a generation that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Release {
    /// No gate keeps it.
    #[default]
    Open,
    /// A gate keeps it, and nobody has decided yet.
    Waiting,
    /// A gate kept it, and a person approved it.
    Approved,
    /// A gate kept it, and a person rejected it.
    Rejected,
}

impl Release {
    /// What a final and what a person decided about it come to.
    pub fn of(verdict: &Final, judgement: Option<Judgement>) -> Self {
        match judgement {
            _ if !verdict.waits_for_approval() => Self::Open,
            None => Self::Waiting,
            Some(Judgement::Approved) => Self::Approved,
            Some(Judgement::Rejected) => Self::Rejected,
        }
    }

    /// Whether readers may see it, once it has succeeded.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Open | Self::Approved)
    }
}

/// What to do about one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// This generation succeeded; there is nothing to do.
    Done(Generation),
    /// This generation succeeded, a gate withheld it, and a person is to decide.
    Withheld(Generation),
    /// This generation succeeded, a gate withheld it, and a person rejected it. It is not
    /// executed again by itself: the same rows and the same model would give the same scores.
    Rejected(Generation),
    /// This generation is claimed and undecided; help to finish it.
    Join(Generation),
    /// Claim and execute this generation, taking over what `inherit` committed.
    Start {
        /// The new generation.
        generation: Generation,
        /// The generation to inherit from.
        inherit: Option<Generation>,
    },
}

/// Decides about one partition.
///
/// A succeeded date is never executed again unless `force` asks for it (I7); a claimed one is
/// joined, never doubled; one that ended partial or failed starts the next generation, which
/// inherits the committed shards. What a gate withheld waits for a person. `force` starts a generation that inherits nothing.
pub fn decide(facts: PartitionFacts, force: bool) -> Decision {
    let latest = facts.claimed.max(facts.concluded.map(|(generation, _)| generation));
    let Some(latest) = latest else {
        return Decision::Start { generation: Generation::FIRST, inherit: None };
    };
    if force {
        return Decision::Start { generation: latest.next(), inherit: None };
    }
    match facts.concluded {
        Some((generation, FinalState::Succeeded)) if generation == latest => match facts.release {
            Release::Open | Release::Approved => Decision::Done(latest),
            Release::Waiting => Decision::Withheld(latest),
            Release::Rejected => Decision::Rejected(latest),
        },
        Some((generation, _)) if generation == latest => {
            Decision::Start { generation: latest.next(), inherit: Some(latest) }
        }
        _ => Decision::Join(latest),
    }
}

/// The run of `generation`.
pub fn run_id(name: &SpecName, partition: Partition, generation: Generation) -> RunId {
    RunId { name: name.clone(), partition, generation }
}

/// What a fingerprint is made of; any change makes a date stale.
#[derive(Debug, Serialize)]
pub struct FingerprintParts<'a> {
    /// Input files with their pins.
    pub inputs: &'a [crate::plan::InputFile],
    /// Digest of the model.
    pub model: Digest,
    /// Task settings.
    pub task: &'a crate::plan::TaskSettings,
}

impl FingerprintParts<'_> {
    /// SHA-256 of the parts as canonical JSON (struct order, no white space).
    ///
    /// # Errors
    /// When a part cannot be written as JSON, which only a non-finite number can cause.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        use sha2::Digest as _;
        let bytes = serde_json::to_vec(self)?;
        Ok(Digest(sha2::Sha256::digest(bytes).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(n: u32) -> Generation {
        Generation::new(n).unwrap()
    }

    fn facts(claimed: u32, concluded: Option<(u32, FinalState)>) -> PartitionFacts {
        PartitionFacts {
            claimed: Generation::new(claimed),
            concluded: concluded.map(|(n, state)| (generation(n), state)),
            release: Release::Open,
        }
    }

    #[test]
    fn every_row_of_the_table() {
        use FinalState::{Failed, Partial, Succeeded};
        let start = |n, inherit: Option<u32>| Decision::Start {
            generation: generation(n),
            inherit: inherit.map(generation),
        };
        let cases = [
            (facts(0, None), false, start(1, None)),
            (facts(0, None), true, start(1, None)),
            (facts(1, None), false, Decision::Join(generation(1))),
            (facts(1, None), true, start(2, None)),
            (facts(1, Some((1, Succeeded))), false, Decision::Done(generation(1))),
            (facts(1, Some((1, Succeeded))), true, start(2, None)),
            (facts(1, Some((1, Partial))), false, start(2, Some(1))),
            (facts(1, Some((1, Failed))), false, start(2, Some(1))),
            (facts(2, Some((1, Succeeded))), false, Decision::Join(generation(2))),
            (facts(2, Some((1, Partial))), false, Decision::Join(generation(2))),
            // A claim that a person deleted by hand: the final still counts.
            (facts(0, Some((3, Succeeded))), false, Decision::Done(generation(3))),
        ];
        for (facts, force, expected) in cases {
            assert_eq!(decide(facts, force), expected, "{facts:?} force={force}");
        }
    }

    #[test]
    fn what_a_gate_withheld_waits_for_a_person() {
        let (now, next) = (generation(2), generation(3));
        let again = Decision::Start { generation: next, inherit: None };
        let cases = [
            (Release::Open, Decision::Done(now)),
            (Release::Waiting, Decision::Withheld(now)),
            (Release::Approved, Decision::Done(now)),
            (Release::Rejected, Decision::Rejected(now)),
        ];
        for (release, expected) in cases {
            let facts = PartitionFacts { release, ..facts(2, Some((2, FinalState::Succeeded))) };
            assert_eq!(decide(facts, false), expected);
            assert_eq!(decide(facts, true), again);
            let claimed = PartitionFacts { claimed: Some(next), ..facts };
            assert_eq!(decide(claimed, false), Decision::Join(next), "a later claim goes on");
        }
    }
}
