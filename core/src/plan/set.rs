//! Shards of a run by number, a bit each.

use std::fmt;

use super::SHARDS_MAX;
use crate::ids::ShardIndex;

/// Bits of one word.
const WORD_BITS: u32 = u64::BITS;

/// A set of shards: at most 125 kB, whatever is put in.
///
/// Only shards that some plan can have are members; a number from [`SHARDS_MAX`] on, as in the
/// name of a stray file, is never taken in.
#[derive(Clone, Default)]
pub struct ShardSet {
    words: Vec<u64>,
    len: u32,
}

impl ShardSet {
    /// Puts a shard in; false if it was in already or no plan can have it.
    pub fn insert(&mut self, shard: ShardIndex) -> bool {
        if shard.0 >= SHARDS_MAX {
            return false;
        }
        let (at, bit) = place(shard);
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let Some(word) = self.words.get_mut(at) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        self.len += u32::from(new);
        new
    }

    /// Whether a shard is in.
    pub fn contains(&self, shard: ShardIndex) -> bool {
        let (at, bit) = place(shard);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// How many shards are in.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether none is in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shards, in order.
    pub fn iter(&self) -> Shards<'_> {
        Shards { words: self.words.iter(), word: 0, base: 0, next_base: 0 }
    }
}

/// Word and bit of a shard.
fn place(shard: ShardIndex) -> (usize, u64) {
    ((shard.0 / WORD_BITS) as usize, 1 << (shard.0 % WORD_BITS))
}

/// The shards of a [`ShardSet`], in order.
#[derive(Debug, Clone)]
pub struct Shards<'a> {
    words: std::slice::Iter<'a, u64>,
    /// What is left of the current word, and the shard of its lowest bit.
    word: u64,
    base: u32,
    next_base: u32,
}

impl Iterator for Shards<'_> {
    type Item = ShardIndex;

    fn next(&mut self) -> Option<ShardIndex> {
        while self.word == 0 {
            self.word = *self.words.next()?;
            self.base = self.next_base;
            self.next_base += WORD_BITS;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(ShardIndex(self.base + bit))
    }
}

impl<'a> IntoIterator for &'a ShardSet {
    type Item = ShardIndex;
    type IntoIter = Shards<'a>;

    fn into_iter(self) -> Shards<'a> {
        self.iter()
    }
}

impl Extend<ShardIndex> for ShardSet {
    fn extend<I: IntoIterator<Item = ShardIndex>>(&mut self, shards: I) {
        shards.into_iter().for_each(|shard| _ = self.insert(shard));
    }
}

impl FromIterator<ShardIndex> for ShardSet {
    fn from_iter<I: IntoIterator<Item = ShardIndex>>(shards: I) -> Self {
        let mut set = Self::default();
        set.extend(shards);
        set
    }
}

/// The same members; how far the words reach says nothing.
impl PartialEq for ShardSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other)
    }
}

impl Eq for ShardSet {}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|shard| shard.0)).finish()
    }
}

#[cfg(test)]
mod tests;
