//! `root.json`: the identity of an output root.
//!
//! The ledger names the root that it indexes by this id, so that an index of another output,
//! or of one that was deleted and made anew, is never believed. The spec's name keeps two
//! specs from sharing one root, where their dates would be taken for each other's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Kind};
use crate::ids::{AttemptId, InvalidId, SpecName};

/// Random identity of an output root; a ULID, which the shell makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RootId(AttemptId);

impl FromStr for RootId {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        value.parse().map(Self)
    }
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The document at [`Object::Root`](crate::layout::Object::Root).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Layout version of this document.
    pub version: u32,
    /// The identity.
    pub root_id: RootId,
    /// The one spec that writes here.
    pub name: SpecName,
}

impl Document for Root {
    const KIND: Kind = Kind::Root;
    const VERSION: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

/// The document at [`Object::Served`](crate::layout::Object::Served): which output a coordinator
/// serves under a name, so that one that has just started knows where to look for its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// Layout version of this document.
    pub version: u32,
    /// The spec's name.
    pub name: SpecName,
    /// The output root, as specs name it: an absolute path or a URI.
    pub output: String,
}

impl Document for Served {
    const KIND: Kind = Kind::Served;
    const VERSION: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}
