//! Coordinators: the real lease table, and what the shell around it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{
    BackupRules, BreakerRules, Effect, Event, LeaseSettings, LeaseTable, Moment, RetryRules,
};
use nightshift_core::settle::CommitPermit;

use crate::documents::{attempt_id, final_body};
use crate::settling::create_and_look;
use crate::store::{Body, Fate, Key};
use crate::world::{COORDINATORS, World, fates};
use crate::{Mutant, Run, Step};

/// Small numbers, so that everything that can happen happens within a few ticks.
const SETTINGS: LeaseSettings = LeaseSettings {
    ttl_ms: 2,
    retry: RetryRules { crash_budget: 0, transient_budget: 1, pause_ms: 1, pause_max_ms: 1 },
    backup: Some(BackupRules { medians: 2, decided_min: 1, age_min_ms: 1 }),
    breaker: Some(BreakerRules { window_ms: 4, ended_min: 2, pause_ms: 1 }),
};

/// A coordinator that lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// Its epoch.
    pub epoch: u8,
    /// Whose plan it works from.
    pub plan: u8,
    /// Shared between states until it changes.
    pub table: Arc<LeaseTable>,
    /// Shards to be given up, and the attempt in whose name.
    pub giving_up: BTreeMap<u8, u8>,
}

impl Run {
    pub(crate) fn coordinator_steps(&self, world: &World, coordinator: u8, steps: &mut Vec<Step>) {
        let Some(state) = world.coordinator(coordinator) else {
            // A second one beside the first is a fault; one after the other is not.
            let alone = (0..COORDINATORS).all(|slot| world.coordinator(slot).is_none());
            if world.epochs < self.bounds.epochs && (alone || world.faults > 0) {
                steps.push(Step::Start { coordinator });
            }
            return;
        };
        if world.faults > 0 {
            steps.push(Step::CrashCoordinator { coordinator });
        }
        for shard in (0..self.bounds.shards).filter(|shard| needs_repair(world, state, *shard)) {
            steps.push(Step::Repair { coordinator, shard });
        }
        for fate in fates(world) {
            for shard in state.giving_up.keys() {
                steps.push(Step::Quarantine { coordinator, shard: *shard, fate: *fate });
            }
            if self.may_finalise(world, state) {
                steps.push(Step::Finalise { coordinator, fate: *fate });
            }
        }
    }

    pub(crate) fn coordinator_step(&self, world: &mut World, step: Step) {
        match step {
            Step::Start { coordinator } => self.start(world, coordinator),
            Step::CrashCoordinator { coordinator } => {
                world.spend();
                if let Some(slot) = world.coordinators.get_mut(usize::from(coordinator)) {
                    *slot = None;
                }
            }
            Step::Repair { coordinator, shard } => self.repair(world, coordinator, shard),
            Step::Quarantine { coordinator, shard, fate } => {
                self.quarantine(world, coordinator, shard, fate);
            }
            Step::Finalise { coordinator, fate } => self.finalise(world, coordinator, fate),
            _ => {}
        }
    }

    /// Recovery from the store alone: epoch, plan, records.
    fn start(&self, world: &mut World, slot: u8) {
        if (0..COORDINATORS).any(|slot| world.coordinator(slot).is_some()) {
            world.spend();
        }
        world.epochs += 1;
        let epoch = world.epochs;
        let mine = Body::Plan { epoch };
        let overwrite = self.breaks(Mutant::OwnPlan);
        create_and_look(&mut world.store, Key::Plan, mine, Fate::Clean, overwrite);
        let Some(Body::Plan { epoch: plan }) = world.store.objects.get(&Key::Plan).copied() else {
            return;
        };
        let known = |shard: &u8| {
            let staged = world.store.staged.iter().any(|(of, _)| of == shard);
            world.store.record(*shard).is_some() || self.breaks(Mutant::StagedIsDecided) && staged
        };
        let decided: BTreeSet<ShardIndex> =
            (0..self.bounds.shards).filter(known).map(|shard| ShardIndex(shard.into())).collect();
        let shards = u32::from(self.bounds.shards);
        let order = self.documents.plan.indexes();
        let mut table = LeaseTable::new(SETTINGS, epoch.into(), shards, &decided, order);
        if epoch > 1 {
            let for_ever = self.breaks(Mutant::AdoptionForEver);
            let from = if for_ever { Moment(u64::MAX / 2) } else { world.moment() };
            table = table.awaiting_adoption(from);
        }
        if let Some(slot) = world.coordinators.get_mut(usize::from(slot)) {
            let (table, giving_up) = (Arc::new(table), BTreeMap::new());
            *slot = Some(Coordinator { epoch, plan, table, giving_up });
        }
    }

    /// Tells a coordinator's table something, and does what it wants done.
    pub(crate) fn tell(&self, world: &mut World, slot: u8, event: Event) -> Vec<Effect> {
        let now = world.moment();
        let Some(Some(state)) = world.coordinators.get_mut(usize::from(slot)) else {
            return Vec::new();
        };
        let effects = Arc::make_mut(&mut state.table).apply(now, event);
        for effect in &effects {
            if let Effect::WriteQuarantine { shard, .. } = effect
                && let Ok(shard) = u8::try_from(shard.0)
                && !self.breaks(Mutant::QuarantineDropped)
            {
                state.giving_up.insert(shard, world.attempts);
                world.attempts += 1;
            }
        }
        effects
    }

    pub(crate) fn time_passed(&self, world: &mut World, slot: u8) {
        if !self.breaks(Mutant::NoExpiry) {
            self.tell(world, slot, Event::TimePassed);
        }
    }

    /// Catches up with a record: table, visible file, ledger.
    fn repair(&self, world: &mut World, slot: u8, shard: u8) {
        if world.store.record(shard).is_none() {
            return;
        }
        self.decided(world, slot, shard);
        if let Some(attempt) = world.store.committed(shard) {
            let (run, index) = (self.documents.plan.run.clone(), ShardIndex(shard.into()));
            let permit = CommitPermit::from_stored_record(run, index, attempt_id(attempt));
            if let Ok(attempt) = permit.attempt().as_str().parse() {
                world.store.visible.insert((shard, attempt));
            }
        }
        world.mark_done(shard);
    }

    fn decided(&self, world: &mut World, slot: u8, shard: u8) {
        let index = ShardIndex(shard.into());
        self.tell(world, slot, Event::ShardDecided { shard: index, by: None });
        if let Some(Some(state)) = world.coordinators.get_mut(usize::from(slot)) {
            state.giving_up.remove(&shard);
        }
    }

    fn quarantine(&self, world: &mut World, slot: u8, shard: u8, fate: Fate) {
        let Some(attempt) = world.coordinator(slot).and_then(|c| c.giving_up.get(&shard).copied())
        else {
            return;
        };
        if fate != Fate::Clean {
            world.spend();
        }
        let (key, body) = (Key::Record(shard), Body::Quarantined { attempt });
        let overwrite = self.breaks(Mutant::CreatesOverwrite);
        if create_and_look(&mut world.store, key, body, fate, overwrite) {
            self.decided(world, slot, shard);
            world.mark_done(shard);
            return;
        }
        if let Some(Some(state)) = world.coordinators.get_mut(usize::from(slot)) {
            state.giving_up.remove(&shard);
        }
        if !self.breaks(Mutant::QuarantineNotRepeated) {
            let index = ShardIndex(shard.into());
            self.tell(world, slot, Event::QuarantineFailed { shard: index });
        }
    }

    fn may_finalise(&self, world: &World, state: &Coordinator) -> bool {
        if self.breaks(Mutant::FinalWithoutRecords) && state.table.leased() == 0 {
            return !world.ledger.finished && state.table.ready() == 0;
        }
        let published = |shard: u8| {
            let committed = world.store.committed(shard);
            committed.is_none_or(|attempt| world.store.visible.contains(&(shard, attempt)))
        };
        let verified =
            self.breaks(Mutant::FinalBeforePublish) || (0..self.bounds.shards).all(published);
        state.table.undecided() == 0 && verified && !world.ledger.finished
    }

    fn finalise(&self, world: &mut World, slot: u8, fate: Fate) {
        let Some(state) = world.coordinator(slot) else { return };
        let epoch = state.epoch;
        let mut body = match self.documents.conclude(&world.store) {
            Ok(verdict) => final_body(&verdict),
            Err(_) if self.breaks(Mutant::FinalWithoutRecords) => Body::Final { digest: 0 },
            Err(_) => return,
        };
        if self.breaks(Mutant::ImpureFinal) {
            body = Body::Final { digest: epoch.into() };
        }
        if fate != Fate::Clean {
            world.spend();
        }
        let overwrite = self.breaks(Mutant::CreatesOverwrite);
        let exists = create_and_look(&mut world.store, Key::Final, body, fate, overwrite);
        if exists || self.breaks(Mutant::LedgerBeforeFinal) {
            world.mark_finished();
        }
    }
}

/// Whether a record tells this coordinator something new.
fn needs_repair(world: &World, state: &Coordinator, shard: u8) -> bool {
    if world.store.record(shard).is_none() {
        return false;
    }
    let committed = world.store.committed(shard);
    let hidden = committed.is_some_and(|attempt| !world.store.visible.contains(&(shard, attempt)));
    let unknown = state.table.undecided_shards().any(|open| open.0 == u32::from(shard));
    hidden || unknown || !world.ledger.done.contains(&shard)
}
