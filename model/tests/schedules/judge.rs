//! What has to be true, at each step and in the end.

use std::collections::BTreeMap;

use nightshift_core::backfill::Indexed;
use nightshift_core::conclusion::FinalState;
use nightshift_core::ids::Partition;

use crate::store::{Document, Key, Name, Plan, SHARDS};
use crate::world::{World, entry};

/// A call of a model: for one shard of a run, by a process that began its tick at this step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) partition: Partition,
    pub(crate) n: u32,
    pub(crate) shard: u8,
    pub(crate) plan: Plan,
    pub(crate) by: u64,
    pub(crate) began: u64,
}

/// A model is called: for what is neither done nor being done, from the stored plan.
///
/// A holder that was wrongly taken for dead may do what somebody else does too, and one whose
/// model or input was replaced since it planned does what it planned.
pub(crate) fn call(world: &mut World, call: Call) {
    let Call { partition, n, shard, plan, by, began } = call;
    world.sum.calls += 1;
    let is_stored = world.store.plan(partition, n) == Some(plan);
    let other = world.calling.insert((partition, n, shard), by);
    let is_recorded = world.store.was_there((partition, n, Name::Record(shard)), began);
    let is_done = world.store.verdicts(partition).any(|(of, state, plan)| {
        let is_seen = world.store.was_there((partition, of, Name::Final), began);
        is_seen && state == FinalState::Succeeded && world.is_fresh(partition, plan)
    });
    let is_fresh = world.is_fresh(partition, plan);
    let what = || format!("shard {shard} of {partition}, generation {n}");
    if !is_stored {
        world.broke(|| format!("{} is computed from another plan than the stored one", what()));
    }
    if world.misjudges {
        return;
    }
    if let Some(other) = other.filter(|other| *other != by) {
        world.broke(|| format!("{} is computed by {other} and {by}", what()));
    }
    if is_recorded {
        world.broke(|| format!("{} is computed although it has a record", what()));
    }
    if is_done && is_fresh {
        world.broke(|| format!("{} is computed although the date is current", what()));
    }
}

/// A call has led to a committed record.
pub(crate) fn committed(world: &mut World, call: Call) {
    let Call { partition, n, shard, plan, by, .. } = call;
    if world.calling.get(&(partition, n, shard)) == Some(&by) {
        world.calling.remove(&(partition, n, shard));
    }
    let is_first = world.computed.insert((partition, plan.model, plan.input, shard));
    if !is_first && !world.misjudges {
        world.broke(|| format!("shard {shard} of {partition} is computed twice from {plan:?}"));
    }
}

/// A document is about to be created: what it says has to be so already.
pub(crate) fn created(world: &mut World, key: Key, document: Document) {
    let (partition, n, _) = key;
    let Document::Final { state, of } = document else { return };
    let records = (0..SHARDS).map(|shard| world.store.record(partition, n, shard));
    let Some(committed) = records.collect::<Option<Vec<bool>>>() else {
        world.broke(|| format!("{partition}, generation {n}: a final without all records"));
        return;
    };
    if state != verdict(&committed) {
        world.broke(|| format!("{partition}, generation {n}: {state:?} of {committed:?}"));
    }
    if world.store.plan(partition, n) != Some(of) {
        world.broke(|| format!("{partition}, generation {n}: a final of another plan"));
    }
}

/// I4: what the ledger is told is done has such a final.
pub(crate) fn told(world: &mut World, partition: Partition, told: Indexed) {
    let n = told.generation.get();
    let stored = world.store.verdict(partition, n);
    let is_so = stored
        .is_some_and(|(state, plan)| state == FinalState::Succeeded && entry(n, plan) == told);
    if !is_so {
        world.broke(|| format!("the ledger is told that {partition} is done: {stored:?}"));
    }
}

/// The verdict of a run with these records.
pub(crate) fn verdict(committed: &[bool]) -> FinalState {
    match committed.iter().filter(|committed| **committed).count() {
        0 => FinalState::Failed,
        all if all == committed.len() => FinalState::Succeeded,
        _ => FinalState::Partial,
    }
}

/// What has to be true when all is quiet.
pub(crate) fn at_the_end(world: &World) -> Result<(), String> {
    let under = world.reprocess;
    let mut current_of: BTreeMap<Partition, Vec<Indexed>> = BTreeMap::new();
    for partition in world.fed() {
        let succeeded = world.store.verdicts(partition).filter(|(n, state, plan)| {
            let has_record = |shard| world.store.record(partition, *n, shard) == Some(true);
            *state == FinalState::Succeeded
                && (0..SHARDS).all(has_record)
                && world.is_fresh(partition, *plan)
        });
        let current: Vec<Indexed> = succeeded.map(|(n, _, plan)| entry(n, plan)).collect();
        // A run whose holder was wrongly taken for dead, and whose model was replaced, may
        // succeed beside the one that was started instead.
        let is_right = if world.misjudges { !current.is_empty() } else { current.len() == 1 };
        if !is_right {
            return Err(format!("{partition} under {under:?} has {} current", current.len()));
        }
        let newest = world.store.newest(partition, Name::Claim);
        if world.store.newest(partition, Name::Final) < newest && !world.misjudges {
            return Err(format!("generation {newest:?} of {partition} is open"));
        }
        current_of.insert(partition, current);
    }
    if let Some(other) = world.store.dates().iter().find(|date| !current_of.contains_key(date)) {
        return Err(format!("{other} has no input, and a run"));
    }
    let Some(entries) = world.ledger.entries() else {
        return Err("the ledger was not made anew".to_owned());
    };
    for (partition, current) in &current_of {
        let says = entries.get(partition);
        if !says.is_some_and(|says| current.contains(says)) {
            return Err(format!("the ledger says {says:?} of {partition}, for {current:?}"));
        }
    }
    Ok(())
}
