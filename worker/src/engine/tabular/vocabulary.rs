//! From a category to its place in the vocabulary, quickly for short text.
//!
//! Text of up to 15 bytes is one 128-bit number, looked up in an open-addressed table that is at
//! most a quarter full: one multiplication, one or two comparisons, no hashing of bytes. Longer
//! text, and vocabularies made to collide, go through an ordinary keyed hash map.

use std::collections::HashMap;

/// Bytes of a number; the last one holds the length of the text.
const SHORT_BYTES: usize = 16;
/// Slots that may be looked at for one key; a vocabulary that needs more gets no fast table.
const PROBES_MAX: usize = 8;
/// Says that a slot is free.
const FREE: u32 = u32::MAX;
/// Odd constants from the fractional digits of the golden ratio and of √2.
const MIX_LOW: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX_HIGH: u64 = 0x6a09_e667_f3bc_c909;

/// Places of categories, by their text and by the integer that the text writes.
#[derive(Debug)]
pub(super) struct Vocabulary {
    short: Option<FastTable>,
    text: HashMap<Box<str>, u32>,
    integers: FastIntegers,
}

impl Vocabulary {
    /// The vocabulary whose category i has place `first` + i. Categories are distinct.
    pub(super) fn new(categories: &[String], first: u32) -> Self {
        let placed = || categories.iter().zip(first..);
        let short = placed().filter_map(|(text, place)| Some((short_key(text.as_bytes())?, place)));
        // `+5`, `05` and `-0` are text that no integer column can mean.
        let integer =
            |text: &str| text.parse::<i128>().ok().filter(|value| value.to_string() == text);
        let integers = placed().filter_map(|(text, place)| Some((integer(text)?, place)));
        Self {
            short: FastTable::new(&short.collect::<Vec<_>>()),
            text: placed().map(|(text, place)| (text.as_str().into(), place)).collect(),
            integers: FastIntegers::new(integers.collect()),
        }
    }

    /// Place of the category `text`.
    #[inline]
    pub(super) fn of_text(&self, text: &[u8]) -> Option<u32> {
        match (short_key(text), &self.short) {
            (Some(key), Some(table)) => table.get(key),
            _ => self.text.get(std::str::from_utf8(text).ok()?).copied(),
        }
    }

    /// Place of the category that writes `value` in decimal digits.
    pub(super) fn of_integer(&self, value: i128) -> Option<u32> {
        self.integers.get(value)
    }

    /// Place of a boolean: `true` and `false`, or else `1` and `0`.
    pub(super) fn of_bool(&self, value: bool) -> Option<u32> {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.of_text(word).or_else(|| self.of_integer(i128::from(value)))
    }
}

/// Text of up to 15 bytes as a number: its bytes, then its length.
#[inline]
fn short_key(text: &[u8]) -> Option<u128> {
    let length = text.len();
    // Two reads that overlap cover every length without a loop over bytes.
    let bytes = match length {
        8..SHORT_BYTES => {
            let (first, last) = (text.first_chunk::<8>()?, text.last_chunk::<8>()?);
            let last = u128::from(u64::from_le_bytes(*last)) << ((length - 8) * 8);
            u128::from(u64::from_le_bytes(*first)) | last
        }
        4..8 => {
            let (first, last) = (text.first_chunk::<4>()?, text.last_chunk::<4>()?);
            let last = u64::from(u32::from_le_bytes(*last)) << ((length - 4) * 8);
            u128::from(u64::from(u32::from_le_bytes(*first)) | last)
        }
        2..4 => {
            let (first, last) = (text.first_chunk::<2>()?, text.last_chunk::<2>()?);
            let last = u32::from(u16::from_le_bytes(*last)) << ((length - 2) * 8);
            u128::from(u32::from(u16::from_le_bytes(*first)) | last)
        }
        _ if length >= SHORT_BYTES => return None,
        _ => u128::from(text.first().copied().unwrap_or(0)),
    };
    Some(bytes | (length as u128) << 120)
}

/// An open-addressed table from numbers to places.
#[derive(Debug)]
struct FastTable {
    slots: Vec<(u128, u32)>,
    shift: u32,
}

impl FastTable {
    /// A table of `entries` with distinct keys; none if they collide too much.
    fn new(entries: &[(u128, u32)]) -> Option<Self> {
        let size = (entries.len() * 4).next_power_of_two().max(16);
        let shift = 64 - size.trailing_zeros();
        // The slots after the last home keep a probe from wrapping around.
        let mut table = Self { slots: vec![(0, FREE); size + PROBES_MAX], shift };
        for &(key, place) in entries {
            let home = table.home(key);
            let probes = table.slots.get_mut(home..home + PROBES_MAX)?;
            *probes.iter_mut().find(|slot| slot.1 == FREE)? = (key, place);
        }
        Some(table)
    }

    #[inline]
    fn home(&self, key: u128) -> usize {
        let mixed =
            (key as u64).wrapping_mul(MIX_LOW) ^ ((key >> 64) as u64).wrapping_mul(MIX_HIGH);
        (mixed.wrapping_mul(MIX_LOW) >> self.shift) as usize
    }

    #[inline]
    fn get(&self, key: u128) -> Option<u32> {
        let home = self.home(key);
        for &(found, place) in self.slots.get(home..home + PROBES_MAX)? {
            if place == FREE {
                return None;
            }
            if found == key {
                return Some(place);
            }
        }
        None
    }
}

/// A table from integers to places, direct where they lie close together.
#[derive(Debug)]
enum FastIntegers {
    /// Places of `first`, `first` + 1, …
    Direct { first: i128, places: Vec<u32> },
    /// All others.
    Sparse(HashMap<i128, u32>),
}

impl FastIntegers {
    fn new(entries: HashMap<i128, u32>) -> Self {
        let first = entries.keys().min().copied().unwrap_or(0);
        let last = entries.keys().max().copied().unwrap_or(0);
        let span = last.checked_sub(first).and_then(|span| usize::try_from(span).ok());
        match span {
            // At most eight times the memory that the entries need anyway.
            Some(span) if span / 8 <= entries.len() => {
                let mut places = vec![FREE; span + 1];
                for (value, place) in entries {
                    if let Some(slot) = places.get_mut((value - first) as usize) {
                        *slot = place;
                    }
                }
                Self::Direct { first, places }
            }
            _ => Self::Sparse(entries),
        }
    }

    fn get(&self, value: i128) -> Option<u32> {
        match self {
            Self::Direct { first, places } => {
                let index = usize::try_from(value.checked_sub(*first)?).ok()?;
                places.get(index).copied().filter(|&place| place != FREE)
            }
            Self::Sparse(places) => places.get(&value).copied(),
        }
    }
}

#[cfg(test)]
mod tests;
