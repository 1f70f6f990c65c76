//! What the table knows of each shard, and the two queues that shards wait in.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Moment, ShardPlace, Standing};
use crate::ids::ShardIndex;

/// Every shard of a run: 8 bytes each, and 4 for each entry of the queue.
///
/// Shards leave the queue lazily: an entry whose shard is not [`Place::Ready`] is dropped when
/// it comes up. A shard has at most one entry, so the queue is never longer than the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shards {
    slots: Vec<Slot>,
    undecided: u64,
    ready: u64,
    queue: VecDeque<ShardIndex>,
    /// Shards that wait after a failure, and each one's place in that order.
    paused: BTreeSet<(Moment, ShardIndex)>,
    paused_until: BTreeMap<ShardIndex, Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Slot {
    standing: Standing,
    place: Place,
    /// Whether the queue has an entry for it, in force or not.
    in_queue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Place {
    /// Leased.
    #[default]
    Out,
    Ready,
    Paused,
    /// A quarantine record is being written.
    GivingUp,
    Decided,
}

impl Shards {
    pub(super) fn new(
        shards: u32,
        decided: impl IntoIterator<Item: Borrow<ShardIndex>>,
        order: impl IntoIterator<Item = ShardIndex>,
    ) -> Self {
        let mut all = Self {
            slots: vec![Slot::default(); shards as usize],
            undecided: u64::from(shards),
            ready: 0,
            queue: VecDeque::with_capacity(shards as usize),
            paused: BTreeSet::new(),
            paused_until: BTreeMap::new(),
        };
        for shard in decided {
            all.decide(*shard.borrow());
        }
        for shard in order.into_iter().chain((0..shards).map(ShardIndex)) {
            if all.get(shard).is_some_and(|slot| slot.place == Place::Out) {
                all.enqueue(shard);
            }
        }
        all
    }

    pub(super) fn undecided(&self) -> u64 {
        self.undecided
    }

    pub(super) fn ready(&self) -> u64 {
        self.ready
    }

    pub(super) fn delayed(&self) -> u64 {
        self.paused.len() as u64
    }

    pub(super) fn place(&self, shard: ShardIndex) -> Option<ShardPlace> {
        Some(match self.get(shard)?.place {
            Place::Ready => ShardPlace::Ready,
            Place::Paused => ShardPlace::Delayed,
            Place::Out | Place::GivingUp => ShardPlace::Out,
            Place::Decided => ShardPlace::Decided,
        })
    }

    pub(super) fn undecided_shards(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        let indexes = (0_u32..).map(ShardIndex);
        let open = indexes.zip(&self.slots).filter(|(_, slot)| slot.place != Place::Decided);
        open.map(|(shard, _)| shard)
    }

    fn get(&self, shard: ShardIndex) -> Option<&Slot> {
        self.slots.get(shard.as_usize())
    }

    pub(super) fn exists(&self, shard: ShardIndex) -> bool {
        shard.as_usize() < self.slots.len()
    }

    /// Whether an attempt at it makes sense: neither decided nor being given up.
    pub(super) fn is_open(&self, shard: ShardIndex) -> bool {
        self.get(shard).is_some_and(|slot| !matches!(slot.place, Place::GivingUp | Place::Decided))
    }

    pub(super) fn attempts(&self, shard: ShardIndex) -> u32 {
        self.get(shard).map_or(0, |slot| slot.standing.attempts())
    }

    pub(super) fn preempted(&self, shard: ShardIndex) -> u32 {
        self.get(shard).map_or(0, |slot| slot.standing.preempted())
    }

    /// Shards that wait out a pause, those that wake first before the others.
    pub(super) fn pausing(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.paused.iter().map(|(_, shard)| *shard)
    }

    pub(super) fn standing_mut(&mut self, shard: ShardIndex) -> Option<&mut Standing> {
        self.slots.get_mut(shard.as_usize()).map(|slot| &mut slot.standing)
    }

    /// Takes the next shard out of the queue.
    pub(super) fn take_next(&mut self) -> Option<ShardIndex> {
        while let Some(shard) = self.queue.pop_front() {
            let Some(slot) = self.slots.get_mut(shard.as_usize()) else { continue };
            slot.in_queue = false;
            if slot.place == Place::Ready {
                self.set(shard, Place::Out);
                return Some(shard);
            }
        }
        None
    }

    /// Takes one shard out of the queue, if it waits there.
    pub(super) fn take_ready(&mut self, shard: ShardIndex) -> Option<ShardIndex> {
        let ready = self.get(shard).is_some_and(|slot| slot.place == Place::Ready);
        ready.then(|| {
            self.set(shard, Place::Out);
            shard
        })
    }

    /// Takes a shard out of wherever it waits, because somebody works on it already.
    pub(super) fn take(&mut self, shard: ShardIndex) {
        if self.is_open(shard) {
            self.set(shard, Place::Out);
        }
    }

    /// Puts an open shard at the end of the queue.
    pub(super) fn enqueue(&mut self, shard: ShardIndex) {
        if !self.is_open(shard) {
            return;
        }
        self.set(shard, Place::Ready);
        if let Some(slot) = self.slots.get_mut(shard.as_usize())
            && !std::mem::replace(&mut slot.in_queue, true)
        {
            self.queue.push_back(shard);
        }
    }

    /// Lets an open shard wait until `until`.
    pub(super) fn pause(&mut self, shard: ShardIndex, until: Moment) {
        if self.is_open(shard) {
            self.set(shard, Place::Paused);
            self.paused.insert((until, shard));
            self.paused_until.insert(shard, until);
        }
    }

    /// Moves shards whose pause is over to the queue.
    pub(super) fn wake(&mut self, now: Moment) {
        while let Some(&(until, shard)) = self.paused.first()
            && until <= now
        {
            self.enqueue(shard);
        }
    }

    pub(super) fn first_wake(&self) -> Option<Moment> {
        self.paused.first().map(|(until, _)| *until)
    }

    pub(super) fn give_up(&mut self, shard: ShardIndex) {
        if self.is_open(shard) {
            self.set(shard, Place::GivingUp);
        }
    }

    /// Takes back [`Shards::give_up`]: the shard waits for another attempt.
    pub(super) fn keep_trying(&mut self, shard: ShardIndex, until: Moment) {
        if self.get(shard).is_some_and(|slot| slot.place == Place::GivingUp) {
            self.set(shard, Place::Out);
            self.pause(shard, until);
        }
    }

    /// Marks a shard as decided; false if it was, or if there is no such shard.
    pub(super) fn decide(&mut self, shard: ShardIndex) -> bool {
        if self.get(shard).is_none_or(|slot| slot.place == Place::Decided) {
            return false;
        }
        self.set(shard, Place::Decided);
        self.undecided = self.undecided.saturating_sub(1);
        true
    }

    /// The one place that changes a place, so that the queues never disagree with it.
    fn set(&mut self, shard: ShardIndex, place: Place) {
        let Some(slot) = self.slots.get_mut(shard.as_usize()) else { return };
        let before = std::mem::replace(&mut slot.place, place);
        if before == Place::Paused
            && let Some(until) = self.paused_until.remove(&shard)
        {
            self.paused.remove(&(until, shard));
        }
        self.ready =
            self.ready + u64::from(place == Place::Ready) - u64::from(before == Place::Ready);
    }

    /// Bytes on the heap, without those of the pauses.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.queue.capacity() * size_of::<ShardIndex>()
    }
}
