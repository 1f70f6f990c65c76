//! The store: documents that are created once, and answers that hide what happened.

use std::collections::BTreeMap;

use nightshift_core::conclusion::FinalState;
use nightshift_core::ids::Partition;
use nightshift_core::settle::{CreateReply, Denial, Refusal, Unclear};

use crate::random::Random;

/// Shards of each run.
pub(crate) const SHARDS: u8 = 3;
/// Creates that are on their way at a time.
const LATE_MAX: usize = 4;

/// The name of a document: its date, generation, and which of that run's.
pub(crate) type Key = (Partition, u32, Name);

/// Which document of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Claim,
    Epoch(u64),
    Plan,
    Record(u8),
    Final,
}

/// A document. Two that are equal have the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    Claim { by: u64, retry: u32, inherits: Option<u32> },
    Epoch { by: u64 },
    Plan(Plan),
    Record { attempt: u64, committed: bool },
    Final { state: FinalState, of: Plan },
}

/// What a run computes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plan {
    pub(crate) model: u8,
    pub(crate) input: u8,
    /// The shards that are taken over, as bits, with the generation that has them.
    pub(crate) inherits: Option<(u32, u8)>,
}

impl Plan {
    /// Whether both compute the same.
    pub(crate) fn is_same_work(self, other: Self) -> bool {
        (self.model, self.input) == (other.model, other.input)
    }
}

/// The store does not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Away;

#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Document>,
    /// Creates that arrive later.
    late: Vec<(Key, Document)>,
    /// When those arrived that did.
    landed: BTreeMap<Key, u64>,
    /// One call in so many fails; none for 0.
    pub(crate) fails_one_in: u64,
    /// Whether creates replace what exists.
    overwrites: bool,
    /// Calls that failed.
    pub(crate) unknown: u64,
}

impl Store {
    pub(crate) fn new(fails_one_in: u64, overwrites: bool) -> Self {
        Self { fails_one_in, overwrites, ..Self::default() }
    }

    pub(crate) fn create(
        &mut self,
        key: Key,
        document: Document,
        chance: &mut Random,
    ) -> CreateReply {
        if !chance.one_in(self.fails_one_in) {
            return self.put(key, document);
        }
        self.unknown += 1;
        // What happens to the create, and what its caller sees of it.
        match chance.below(5) {
            0 => CreateReply::Unknown(Unclear::Timeout),
            1 => {
                self.put(key, document);
                CreateReply::Unknown(Unclear::Failed)
            }
            // The client repeats by itself, and meets its own object.
            2 => {
                self.put(key, document);
                CreateReply::Refused(Refusal::AlreadyExists)
            }
            3 if self.late.len() < LATE_MAX => {
                self.late.push((key, document));
                CreateReply::Unknown(Unclear::Timeout)
            }
            _ => CreateReply::Denied(Denial::NoSpace),
        }
    }

    fn put(&mut self, key: Key, document: Document) -> CreateReply {
        if self.objects.contains_key(&key) && !self.overwrites {
            return CreateReply::Refused(Refusal::AlreadyExists);
        }
        self.objects.insert(key, document);
        CreateReply::Created
    }

    /// A create that was on its way arrives, at this step; whether one did.
    pub(crate) fn land(&mut self, step: u64, chance: &mut Random) -> bool {
        if self.late.is_empty() {
            return false;
        }
        let at = chance.below(self.late.len() as u64) as usize;
        let (key, document) = self.late.swap_remove(at);
        let arrives = self.put(key, document) == CreateReply::Created;
        if arrives {
            self.landed.insert(key, step);
        }
        arrives
    }

    pub(crate) fn read(&self, key: Key, chance: &mut Random) -> Result<Option<Document>, Away> {
        self.answers(chance)?;
        Ok(self.look(key))
    }

    /// Whether it answers this time.
    pub(crate) fn answers(&self, chance: &mut Random) -> Result<(), Away> {
        if chance.one_in(self.fails_one_in) { Err(Away) } else { Ok(()) }
    }

    /// What is there; a look that cannot fail, for judges.
    pub(crate) fn look(&self, key: Key) -> Option<Document> {
        self.objects.get(&key).copied()
    }

    /// Whether a document was there already at `step`, as far as anybody could have seen.
    pub(crate) fn was_there(&self, key: Key, step: u64) -> bool {
        self.objects.contains_key(&key) && self.landed.get(&key).is_none_or(|at| *at <= step)
    }

    pub(crate) fn plan(&self, partition: Partition, n: u32) -> Option<Plan> {
        match self.look((partition, n, Name::Plan)) {
            Some(Document::Plan(plan)) => Some(plan),
            _ => None,
        }
    }

    pub(crate) fn verdict(&self, partition: Partition, n: u32) -> Option<(FinalState, Plan)> {
        match self.look((partition, n, Name::Final)) {
            Some(Document::Final { state, of }) => Some((state, of)),
            _ => None,
        }
    }

    pub(crate) fn claim(&self, partition: Partition, n: u32) -> Option<(u64, u32, Option<u32>)> {
        match self.look((partition, n, Name::Claim)) {
            Some(Document::Claim { by, retry, inherits }) => Some((by, retry, inherits)),
            _ => None,
        }
    }

    /// Whether a shard's record is a committed one; none if it has no record.
    pub(crate) fn record(&self, partition: Partition, n: u32, shard: u8) -> Option<bool> {
        match self.look((partition, n, Name::Record(shard))) {
            Some(Document::Record { committed, .. }) => Some(committed),
            _ => None,
        }
    }

    /// The newest epoch of a run and who opened it; 0 if there is none.
    pub(crate) fn epoch(&self, partition: Partition, n: u32) -> (u64, u64) {
        let epochs = (partition, n, Name::Epoch(0))..(partition, n, Name::Plan);
        match self.objects.range(epochs).next_back() {
            Some(((_, _, Name::Epoch(number)), Document::Epoch { by })) => (*number, *by),
            _ => (0, 0),
        }
    }

    /// The newest generation of a date with a document of this name.
    pub(crate) fn newest(&self, partition: Partition, name: Name) -> Option<u32> {
        // Generations have no gaps, whatever happens: each is claimed after the one before.
        (1..)
            .take_while(|n| self.has_any(partition, *n))
            .filter(|n| self.objects.contains_key(&(partition, *n, name)))
            .last()
    }

    fn has_any(&self, partition: Partition, n: u32) -> bool {
        let all = (partition, n, Name::Claim)..=(partition, n, Name::Final);
        self.objects.range(all).next().is_some()
    }

    /// Generations of a date that have a final, with their verdicts.
    pub(crate) fn verdicts(
        &self,
        partition: Partition,
    ) -> impl Iterator<Item = (u32, FinalState, Plan)> + '_ {
        let generations = (1..).take_while(move |n| self.has_any(partition, *n));
        generations
            .filter_map(move |n| self.verdict(partition, n).map(|(state, plan)| (n, state, plan)))
    }

    /// Dates that have any document.
    pub(crate) fn dates(&self) -> Vec<Partition> {
        let mut dates: Vec<Partition> = self.objects.keys().map(|(date, _, _)| *date).collect();
        dates.dedup();
        dates
    }
}
