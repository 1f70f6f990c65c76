//! The model checker over the model, whole and with each rule broken. Both searches are
//! exhaustive: every state within the bounds is judged.

#![allow(clippy::panic)]

use std::collections::BTreeSet;

use nightshift_model::mutant::CAUGHT_BY;
use nightshift_model::{Bounds, Mutant, Run, judge};
use stateright::{Checker, HasDiscoveries, Model};

/// Any two faults, at any place, around one shard: two workers, two coordinators.
const TWO_FAULTS: Bounds =
    Bounds { workers: 2, shards: 1, epochs: 2, ticks: 2, faults: 2, attempts: 6 };
/// Any one fault around two shards, so that one can be done while the other is in trouble.
const TWO_SHARDS: Bounds =
    Bounds { workers: 2, shards: 2, epochs: 2, ticks: 1, faults: 1, attempts: 6 };
/// The cores of a small machine.
const THREADS: usize = 2;

/// Judges every state within the bounds and returns how many there are.
fn explore(bounds: Bounds, must_happen: &[&'static str]) -> usize {
    let checker = Run::new(bounds, None).checker().threads(THREADS).spawn_bfs().join();
    let states = checker.unique_state_count();
    eprintln!("{states} states, {} steps deep, within {bounds:?}", checker.max_depth());
    for property in judge::MUST_HOLD {
        if let Some(path) = checker.discovery(property) {
            panic!("{property} does not hold after\n{}", judge::told(&path.into_actions()));
        }
    }
    for property in must_happen {
        assert!(checker.discovery(property).is_some(), "never: {property}");
    }
    states
}

#[test]
fn two_faults_around_one_shard_break_nothing() {
    let states = explore(TWO_FAULTS, &[judge::ENDS, judge::RACED, judge::ADOPTED]);
    assert!(states >= 1_000_000, "the model has become too small to mean much: {states} states");
}

#[test]
fn one_fault_around_two_shards_breaks_nothing() {
    let states = explore(TWO_SHARDS, &[judge::ENDS, judge::RACED, judge::PARTIAL]);
    assert!(states >= 500_000, "the model has become too small to mean much: {states} states");
}

#[test]
fn every_broken_rule_is_noticed() {
    let mut missed = Vec::new();
    let mut broken: Vec<Mutant> = Vec::new();
    for (mutant, property) in CAUGHT_BY {
        let until = HasDiscoveries::AnyOf(BTreeSet::from([property]));
        let run = Run::new(TWO_FAULTS, Some(mutant));
        let checker = run.checker().threads(THREADS).finish_when(until).spawn_bfs().join();
        match checker.discovery(property) {
            Some(path) => {
                let steps = judge::told(&path.into_actions());
                eprintln!("{mutant:?} breaks \"{property}\":\n{steps}");
            }
            None => missed.push((mutant, property)),
        }
        assert!(!broken.contains(&mutant), "{mutant:?} is listed twice");
        broken.push(mutant);
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(broken.len() >= 10);
}
