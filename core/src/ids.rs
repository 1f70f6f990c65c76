//! Names of things: specs, partitions, generations, runs, shards, attempts, digests.
//!
//! Every identifier is a newtype with one validating constructor, so that a value that
//! exists is a value that is safe to put into an object path, a Kubernetes label or a log
//! line. Nothing here makes an identifier up: randomness lives in the shells.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest spec name. A Kubernetes object name holds 63 characters; a run id adds
/// `-YYYY-MM-DD` and `-g<n>` with up to four digits, and a Job adds nothing.
pub const SPEC_NAME_MAX: usize = 45;

/// Why a piece of text is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// A spec name breaks the rules of a DNS label.
    #[error(
        "`{value}` is not a name: use 1 to {SPEC_NAME_MAX} lower-case letters, digits and `-`, starting and ending with a letter or digit"
    )]
    SpecName {
        /// The offending text.
        value: String,
    },
    /// A partition is neither a date nor `all`.
    #[error("`{value}` is not a partition: use a date such as 2013-01-31, or `all`")]
    Partition {
        /// The offending text.
        value: String,
    },
    /// A generation is not a positive number written as `g<n>`.
    #[error("`{value}` is not a generation: use g1, g2, …")]
    Generation {
        /// The offending text.
        value: String,
    },
    /// A run id does not read `<name>-<date>-g<n>`.
    #[error("`{value}` is not a run id: it reads <name>-<date>-g<n>, as in flights-2013-01-31-g1")]
    RunId {
        /// The offending text.
        value: String,
    },
    /// An attempt id is not a ULID.
    #[error("`{value}` is not an attempt id: it is a ULID of 26 characters")]
    AttemptId {
        /// The offending text.
        value: String,
    },
    /// A digest is not 64 hexadecimal digits.
    #[error("`{value}` is not a SHA-256 digest: it has 64 hexadecimal digits")]
    Digest {
        /// The offending text.
        value: String,
    },
}

/// Serialises a newtype through its `Display` and `FromStr`, so that stored documents can
/// never carry an identifier that its constructor would refuse.
macro_rules! text_serde {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// `metadata.name` of a spec: a DNS label, so that it fits object names and labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecName(String);

impl SpecName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SpecName {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = value.as_bytes();
        let ok = (1..=SPEC_NAME_MAX).contains(&bytes.len())
            && bytes.iter().all(|&c| inner(c) || c == b'-')
            && bytes.first().is_some_and(|&c| inner(c))
            && bytes.last().is_some_and(|&c| inner(c));
        if ok {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidId::SpecName { value: clip(value) })
        }
    }
}

impl fmt::Display for SpecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
text_serde!(SpecName);

/// What one run covers: a civil date, or everything for a spec without `{date}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// An undated spec has exactly one partition.
    All,
    /// One civil date; which instant it starts at is the caller's time zone.
    Date(Date),
}

impl FromStr for Partition {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::Partition { value: clip(value) };
        if value == "all" {
            return Ok(Self::All);
        }
        // Only the full form: jiff would also take `20130101`, which never round-trips.
        let date: Date = value.parse().map_err(|_| invalid())?;
        if date.to_string() == value { Ok(Self::Date(date)) } else { Err(invalid()) }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Date(date) => write!(f, "{date}"),
        }
    }
}
text_serde!(Partition);

/// The n-th decided execution of one (spec, partition), counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The first generation.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The generation with number `n`; none for 0.
    pub fn new(n: u32) -> Option<Self> {
        NonZeroU32::new(n).map(Self)
    }

    /// The number, from 1.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl FromStr for Generation {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        value
            .strip_prefix('g')
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse().ok())
            .and_then(Self::new)
            .ok_or_else(|| InvalidId::Generation { value: clip(value) })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// One execution of a spec for a partition and generation: `<name>-<date>-g<n>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The spec.
    pub name: SpecName,
    /// The date, or `all`.
    pub partition: Partition,
    /// Which execution of that partition.
    pub generation: Generation,
}

impl FromStr for RunId {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::RunId { value: clip(value) };
        let (head, generation) = value.rsplit_once('-').ok_or_else(invalid)?;
        let generation = generation.parse().map_err(|_| invalid())?;
        let split = if head.ends_with("-all") {
            head.len() - 4
        } else {
            head.len().checked_sub("-YYYY-MM-DD".len()).ok_or_else(invalid)?
        };
        let (name, partition) = head.split_at_checked(split).ok_or_else(invalid)?;
        Ok(Self {
            name: name.parse().map_err(|_| invalid())?,
            partition: partition
                .strip_prefix('-')
                .ok_or_else(invalid)?
                .parse()
                .map_err(|_| invalid())?,
            generation,
        })
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.partition, self.generation)
    }
}
text_serde!(RunId);

/// Position of a shard in its plan, from 0; stable, so a re-run of shard 17 is the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardIndex(pub u32);

impl ShardIndex {
    /// The position as a slice index.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One try at a shard by one worker, a ULID in canonical upper case: the only name under
/// which that worker writes staged data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(String);

impl AttemptId {
    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AttemptId {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        // Crockford's base 32 leaves out I, L, O and U; 26 digits of 5 bits are 130 bits, so
        // the first digit of a 128-bit value is at most 7 (https://github.com/ulid/spec).
        let digit = |c: u8| c.is_ascii_digit() || (c.is_ascii_uppercase() && !b"ILOU".contains(&c));
        let bytes = value.as_bytes();
        let ok = bytes.len() == 26
            && bytes.iter().all(|&c| digit(c))
            && bytes.first().is_some_and(|&c| c <= b'7');
        if ok {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidId::AttemptId { value: clip(value) })
        }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
text_serde!(AttemptId);

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits like `sha256sum` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first 8 digits, which are enough for people to tell two apart.
    pub fn short(&self) -> String {
        self.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromStr for Digest {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::Digest { value: clip(value) };
        let text = value.strip_prefix("sha256:").unwrap_or(value).as_bytes();
        if text.len() != 64 {
            return Err(invalid());
        }
        let nibble = |c: u8| char::from(c).to_digit(16);
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let value = nibble(pair[0]).zip(nibble(pair[1])).ok_or_else(invalid)?;
            *byte = (value.0 * 16 + value.1) as u8;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
text_serde!(Digest);

/// Bounds the text that an error repeats: an identifier of 10 kB must not become a log line of 10 kB.
fn clip(value: &str) -> String {
    const SHOWN: usize = 80;
    if value.chars().count() <= SHOWN {
        return value.escape_debug().to_string();
    }
    let head: String = value.chars().take(SHOWN).collect();
    format!("{}…", head.escape_debug())
}

#[cfg(test)]
mod tests;
