//! The output store: write-once documents, staged and visible files.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::settle::{CreateReply, ReadBack, Refusal, Unclear};

/// Names of write-once documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The plan.
    Plan,
    /// The record of a shard.
    Record(u8),
    /// The final.
    Final,
}

/// What a document says, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// The plan of this coordinator.
    Plan { epoch: u8 },
    /// The data of this attempt counts.
    Committed { attempt: u8 },
    /// The shard is given up.
    Quarantined { attempt: u8 },
    /// The digest of a real final.
    Final { digest: u64 },
}

/// What becomes of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It happens, and is answered.
    Clean,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// No answer; it happens later or never.
    Late,
}

/// Everything under the output root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Store {
    /// The documents.
    pub objects: BTreeMap<Key, Body>,
    /// What each document said first; not part of the store, but of what must be so.
    pub first: BTreeMap<Key, Body>,
    /// Attempts whose staged data is complete, with their shard.
    pub staged: BTreeSet<(u8, u8)>,
    /// By shard: the attempts whose data people see.
    pub visible: BTreeSet<(u8, u8)>,
    /// What was visible when the final was made; not part of the store either.
    pub visible_at_final: Option<BTreeSet<(u8, u8)>>,
    /// Creates that are on their way.
    pub late: BTreeSet<(Key, Body)>,
}

impl Store {
    /// A conditional create. With `overwrite` it is not conditional: a broken rule.
    pub fn create(&mut self, key: Key, body: Body, fate: Fate, overwrite: bool) -> CreateReply {
        match fate {
            Fate::Late => {
                self.late.insert((key, body));
                CreateReply::Unknown(Unclear::Timeout)
            }
            Fate::AnswerLost => {
                self.put(key, body, overwrite);
                CreateReply::Unknown(Unclear::Timeout)
            }
            Fate::Clean if self.put(key, body, overwrite) => CreateReply::Created,
            Fate::Clean => CreateReply::Refused(Refusal::AlreadyExists),
        }
    }

    fn put(&mut self, key: Key, body: Body, overwrite: bool) -> bool {
        if self.objects.contains_key(&key) && !overwrite {
            return false;
        }
        self.objects.insert(key, body);
        self.first.entry(key).or_insert(body);
        if key == Key::Final {
            self.visible_at_final.get_or_insert_with(|| self.visible.clone());
        }
        true
    }

    /// A create that was on its way arrives.
    pub fn land(&mut self, at: u8, overwrite: bool) {
        if let Some(&(key, body)) = self.late.iter().nth(at.into()) {
            self.late.remove(&(key, body));
            self.put(key, body, overwrite);
        }
    }

    /// What is found under a name by somebody who sent `body`.
    pub fn read_back(&self, key: Key, body: Body) -> ReadBack<Body> {
        match self.objects.get(&key) {
            Some(found) if *found == body => ReadBack::Mine,
            Some(found) => ReadBack::Another(*found),
            None => ReadBack::Absent,
        }
    }

    /// The record of a shard.
    pub fn record(&self, shard: u8) -> Option<Body> {
        self.objects.get(&Key::Record(shard)).copied()
    }

    /// The attempt that is committed for a shard.
    pub fn committed(&self, shard: u8) -> Option<u8> {
        match self.record(shard) {
            Some(Body::Committed { attempt }) => Some(attempt),
            _ => None,
        }
    }
}
