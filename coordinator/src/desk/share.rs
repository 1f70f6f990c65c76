//! Which run a request for work goes to.
//!
//! Runs share the workers evenly (max-min fairness: the run with the fewest leases comes first),
//! with one bias: a worker stays with the run of its last lease while that run has no more than
//! its even share, because changing runs means loading another model.

use nightshift_core::ids::RunId;

/// A run that could be granted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) run: RunId,
    /// Free shards.
    pub(super) ready: u64,
    /// Leases that are out.
    pub(super) leased: u64,
}

/// Splits a request for `max` leases over `candidates`: how many to ask of each, in the order of
/// the first grant. Never more than a run has free shards.
pub(super) fn split(
    mut candidates: Vec<Candidate>,
    max: u32,
    last: Option<&RunId>,
) -> Vec<(RunId, u32)> {
    candidates.retain(|candidate| candidate.ready > 0);
    let mut shares: Vec<(RunId, u32)> = Vec::new();
    let runs = candidates.len() as u64;
    for _ in 0..max {
        let leased: u64 = candidates.iter().map(|candidate| candidate.leased).sum();
        let even = (leased + 1).div_ceil(runs.max(1));
        let open = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.ready > 0);
        let stay =
            open().find(|(_, candidate)| Some(&candidate.run) == last && candidate.leased < even);
        let chosen = stay.or_else(|| open().min_by_key(|(_, candidate)| candidate.leased));
        let Some((at, _)) = chosen else { break };
        let Some(candidate) = candidates.get_mut(at) else { break };
        candidate.ready -= 1;
        candidate.leased += 1;
        match shares.iter_mut().find(|(run, _)| *run == candidate.run) {
            Some((_, share)) => *share += 1,
            None => shares.push((candidate.run.clone(), 1)),
        }
    }
    shares
}

#[cfg(test)]
mod tests;
