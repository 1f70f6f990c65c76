use jiff::Timestamp;

use super::*;
use crate::backfill::instruction::Dead;
use crate::conclusion::Totals;
use crate::ids::{Digest, Generation};
use crate::plan::Plan;

const FIRST: Generation = Generation::FIRST;

fn verdict(state: FinalState) -> Final {
    Final {
        version: Final::VERSION,
        run: "flights-2013-01-01-g1".parse().unwrap(),
        state,
        fingerprint: Digest([1; 32]),
        model_digest: Digest([1; 32]),
        planned_at: Timestamp::UNIX_EPOCH,
        decided_at: Timestamp::UNIX_EPOCH,
        totals: Totals { shards: 12, quarantined: 2, ..Totals::default() },
        quarantined: Vec::new(),
        scores: None,
        gate: None,
    }
}

fn retry(state: FinalState) -> Instruction {
    start(Why::Retry { of: FIRST, state })
}

fn start(why: Why) -> Instruction {
    Instruction::Start { generation: FIRST.next(), inherit: None, retry: 0, instead_of: None, why }
}

#[test]
fn every_state_has_its_words() {
    let holder = || "node:7".to_owned();
    let run = Dead { generation: FIRST, epoch: 1 };
    let partial = verdict(FinalState::Partial);
    let failed = verdict(FinalState::Failed);
    let known = |verdict| Evidence { verdict: Some(verdict), ..Evidence::default() };
    let none = Evidence::default();
    let gave_up = Instruction::GiveUp { generation: FIRST, state: FinalState::Failed };
    let cases = [
        (Instruction::Skip { generation: FIRST, write_back: false }, none, "done"),
        (Instruction::Keep { generation: FIRST }, none, "stale: its input is gone"),
        (start(Why::Missing), none, "missing"),
        (start(Why::Asked), none, "forced"),
        (start(Why::Abandoned { of: FIRST }), none, "unfinished"),
        (retry(FinalState::Partial), known(&partial), "partial: 2 of 12 shards"),
        (retry(FinalState::Failed), known(&failed), "failed: 2 of 12 shards"),
        // The verdict at hand is another.
        (retry(FinalState::Failed), known(&partial), "failed"),
        (gave_up, none, "failed"),
        (
            Instruction::Leave { generation: FIRST, holder: holder() },
            none,
            "running (held by node:7)",
        ),
        (Instruction::Join { run, holder: holder() }, none, "unfinished (left by node:7)"),
        (Instruction::NoInput, none, "no input"),
        (Instruction::Unreadable("torn".into()), none, "unreadable input"),
        (Instruction::Held { generation: FIRST, rejected: false }, none, "withheld"),
        (Instruction::Held { generation: FIRST, rejected: true }, none, "rejected"),
        (Instruction::Unavailable("away".into()), none, "unknown"),
    ];
    for (instruction, evidence, expected) in cases {
        let state = DateState::of(&instruction, evidence);
        assert_eq!(state.to_string(), expected, "{instruction:?}");
        // People who know the words of a backfill find them here.
        let word = instruction.state();
        assert!(expected.starts_with(word), "{expected}: {word}");
    }
}

#[test]
fn what_has_changed_is_named() {
    let version = |version: Option<&str>, digest: u8| {
        let model = crate::rehearsal::plan(10, 1).model;
        let version = version.map(str::to_owned);
        ModelIdentity { version, digest: Digest([digest; 32]), ..model }
    };
    let plan = Plan {
        run: "flights-2013-01-01-g1".parse().unwrap(),
        model: version(Some("v2"), 1),
        ..crate::rehearsal::plan(10, 1)
    };
    let (made_by, done) = (Outline::of(&plan), verdict(FinalState::Succeeded));
    let other_task = TaskSettings { rejects_min: 99, ..plan.task.clone() };
    let model_changed = Why::ModelChanged { from: Digest([1; 32]), to: Digest([2; 32]) };
    let (v2, v3) = (version(Some("v2"), 1), version(Some("v3"), 2));
    let (same_name, nameless) = (version(Some("v2"), 2), version(None, 2));
    let (task, other) = (Some(&plan.task), Some(&other_task));
    let digests = "stale: model changed 01010101 -> 02020202";
    let any = "stale: input, model or settings changed";
    let cases = [
        (model_changed, Some(&made_by), Some(&v3), None, "stale: model changed v2 -> v3"),
        (model_changed, Some(&made_by), Some(&same_name), None, digests),
        (model_changed, Some(&made_by), Some(&nameless), None, digests),
        (model_changed, None, Some(&v3), None, digests),
        (Why::AnyChanged, Some(&made_by), Some(&v3), task, "stale: model changed v2 -> v3"),
        (Why::AnyChanged, Some(&made_by), Some(&v2), other, "stale: settings changed"),
        (Why::AnyChanged, Some(&made_by), Some(&v2), task, "stale: input changed"),
        (Why::AnyChanged, None, Some(&v2), task, any),
        (Why::AnyChanged, Some(&made_by), Some(&v2), None, any),
    ];
    for (why, made_by, model, task, expected) in cases {
        let evidence = Evidence { verdict: Some(&done), made_by, model, task };
        let state = DateState::of(&start(why), evidence);
        assert_eq!(state.to_string(), expected, "{why:?} {model:?}");
    }
    // The plan of another generation says nothing about what was done.
    let other = Plan { run: "flights-2013-01-01-g2".parse().unwrap(), ..plan.clone() };
    let other = Outline::of(&other);
    let evidence = Evidence { verdict: Some(&done), made_by: Some(&other), model: Some(&v3), task };
    assert_eq!(DateState::of(&start(Why::AnyChanged), evidence).to_string(), any);
}
