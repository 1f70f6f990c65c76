//! The slices of one shard, without a heap block of their own in the usual case of one slice.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Slice;

/// Runs of consecutive rows, in order; used like a slice of [`Slice`].
///
/// Most shards have one, and a run may have a million of them: that one lies within the shard.
#[derive(Clone)]
pub struct Slices(Held);

#[derive(Clone)]
enum Held {
    One(Slice),
    /// None, or more than one.
    Many(Vec<Slice>),
}

impl Slices {
    /// Adds a slice at the end.
    pub fn push(&mut self, slice: Slice) {
        // In place it would take two moves of what is held for every slice but the first.
        let held = std::mem::replace(&mut self.0, Held::Many(Vec::new()));
        self.0 = match held {
            Held::Many(none) if none.is_empty() => Held::One(slice),
            Held::One(first) => Held::Many(vec![first, slice]),
            Held::Many(mut some) => {
                some.push(slice);
                Held::Many(some)
            }
        };
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self(Held::Many(Vec::new()))
    }
}

impl Deref for Slices {
    type Target = [Slice];

    fn deref(&self) -> &[Slice] {
        match &self.0 {
            Held::One(slice) => std::slice::from_ref(slice),
            Held::Many(slices) => slices,
        }
    }
}

impl DerefMut for Slices {
    fn deref_mut(&mut self) -> &mut [Slice] {
        match &mut self.0 {
            Held::One(slice) => std::slice::from_mut(slice),
            Held::Many(slices) => slices,
        }
    }
}

impl FromIterator<Slice> for Slices {
    fn from_iter<I: IntoIterator<Item = Slice>>(from: I) -> Self {
        let mut slices = Self::default();
        from.into_iter().for_each(|slice| slices.push(slice));
        slices
    }
}

impl From<Vec<Slice>> for Slices {
    fn from(slices: Vec<Slice>) -> Self {
        slices.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Slices {
    type Item = &'a Slice;
    type IntoIter = std::slice::Iter<'a, Slice>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Slices {
    type Item = &'a mut Slice;
    type IntoIter = std::slice::IterMut<'a, Slice>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl PartialEq for Slices {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Slices {}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Slices {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for Slices {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Slices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of slices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Slices, A::Error> {
                let mut slices = Slices::default();
                while let Some(slice) = list.next_element()? {
                    slices.push(slice);
                }
                Ok(slices)
            }
        }
        from.deserialize_seq(List)
    }
}
