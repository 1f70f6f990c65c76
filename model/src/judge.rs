//! What must be so in every state, by the invariants of the design.

use stateright::Property;

use crate::documents::final_body;
use crate::store::{Body, Key};
use crate::world::World;
use crate::{Run, Step};

/// Every row is committed, or in a quarantined shard that the final names.
pub const I1: &str = "I1 every planned row is accounted for by the final";
/// Committed data exists.
pub const I2: &str = "I2 a committed record names complete data";
/// Nothing acknowledged is lost or changes.
pub const I3: &str = "I3 what is acknowledged or stored stays as it is";
/// The ledger is never ahead.
pub const I4: &str = "I4 the ledger is never ahead of the store";
/// One plan, and one final that follows from the records.
pub const I5: &str = "I5 one plan, and the final is a function of plan and records";
/// Visible files are those of the committed attempts.
pub const I6: &str = "I6 visible files are the committed ones, and none appears after the final";
/// The run can always end.
pub const I8: &str = "I8 one worker, one coordinator and the store bring the run to its end";
/// The model is not empty: runs end.
pub const ENDS: &str = "a run ends with a final";
/// One shard is committed and another given up.
pub const PARTIAL: &str = "a run ends in part";
/// Attempts compete.
pub const RACED: &str = "two attempts of one shard are staged and one of them is committed";

/// A lease of an earlier coordinator goes on under the next.
pub const ADOPTED: &str = "a lease is adopted";

/// The properties that hold in every state.
pub const MUST_HOLD: [&str; 7] = [I1, I2, I3, I4, I5, I6, I8];

/// All properties.
pub fn properties() -> Vec<Property<Run>> {
    vec![
        Property::always(I1, rows_are_accounted_for),
        Property::always(I2, |run, world| committed(run, world).all(|one| is_staged(world, one))),
        Property::always(I3, |_, world| nothing_is_lost(world)),
        Property::always(I4, |_, world| ledger_is_behind(world)),
        Property::always(I5, plan_and_final_agree),
        Property::always(I6, visible_is_committed),
        Property::always(I8, |run, world| run.ends(world)),
        Property::sometimes(ENDS, |_: &Run, world: &World| world.ledger.finished),
        Property::sometimes(PARTIAL, |run: &Run, world: &World| {
            world.ledger.finished && {
                let shards = committed(run, world).count();
                shards > 0 && shards < usize::from(run.bounds.shards)
            }
        }),
        Property::sometimes(ADOPTED, |_: &Run, world: &World| {
            let later = world.coordinators.iter().flatten().filter(|one| one.epoch > 1);
            // The new coordinator has granted nothing yet, so what is out was adopted.
            world.now == 0 && later.into_iter().any(|one| one.table.leased() > 0)
        }),
        Property::sometimes(RACED, |run: &Run, world: &World| {
            committed(run, world).any(|(shard, _)| {
                world.store.staged.iter().filter(|one| one.0 == shard).count() > 1
            })
        }),
    ]
}

/// A step for the reader of a counterexample.
pub fn told(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("  {step:?}\n")).collect()
}

fn committed(run: &Run, world: &World) -> impl Iterator<Item = (u8, u8)> {
    (0..run.bounds.shards).filter_map(|shard| Some((shard, world.store.committed(shard)?)))
}

fn is_staged(world: &World, one: (u8, u8)) -> bool {
    world.store.staged.contains(&one)
}

fn rows_are_accounted_for(run: &Run, world: &World) -> bool {
    if !world.store.objects.contains_key(&Key::Final) {
        return true;
    }
    run.documents.conclude(&world.store).is_ok_and(|verdict| {
        let totals = &verdict.totals;
        let placed = totals.rows_out + totals.rows_rejected + totals.rows_quarantined;
        placed == run.documents.plan.rows
    })
}

fn nothing_is_lost(world: &World) -> bool {
    let acknowledged = world
        .acknowledged
        .iter()
        .all(|(shard, seen)| seen.is_some() && *seen == world.store.record(*shard));
    // Of the plan, I5 speaks.
    let documents = world.store.first.iter().filter(|(key, _)| **key != Key::Plan);
    acknowledged
        && documents.into_iter().all(|(key, body)| world.store.objects.get(key) == Some(body))
}

fn ledger_is_behind(world: &World) -> bool {
    let shards = world.ledger.done.iter().all(|shard| world.store.record(*shard).is_some());
    shards && (!world.ledger.finished || world.store.objects.contains_key(&Key::Final))
}

fn plan_and_final_agree(run: &Run, world: &World) -> bool {
    let plan = world.store.objects.get(&Key::Plan);
    let same = world.store.first.get(&Key::Plan) == plan
        && world.coordinators.iter().flatten().all(|c| plan == Some(&Body::Plan { epoch: c.plan }));
    let Some(stored) = world.store.objects.get(&Key::Final) else { return same };
    // That records are missing is for I1 to say.
    same && run.documents.conclude(&world.store).map_or(true, |v| final_body(&v) == *stored)
}

fn visible_is_committed(run: &Run, world: &World) -> bool {
    let store = &world.store;
    let right =
        store.visible.iter().all(|(shard, attempt)| store.committed(*shard) == Some(*attempt));
    let complete = !store.objects.contains_key(&Key::Final)
        || committed(run, world).all(|one| store.visible.contains(&one));
    right && complete && store.visible_at_final.as_ref().is_none_or(|then| *then == store.visible)
}
