//! The messages of `Runs`: what operators ask for, and what they see.
//!
//! One file per call: [`plan`], [`start`], [`get`], [`list`], [`watch`], [`cancel`], [`retry`], [`judge`], [`backfill`];
//! [`status`] is how a run goes and [`verdict`] how it ended. What they share is here: the spec as
//! its author wrote it, what is decided about a partition, and moments.

use jiff::Timestamp;
use nightshift_core::model::is_location;

use crate::field::{self, InvalidMoment, InvalidText, invalid_message, same_enum};
use crate::limits::{ID_MAX_BYTES, PATH_MAX_BYTES, SPEC_MAX_BYTES};
use crate::wire;

pub mod plan;
pub mod start;
pub mod status;
pub mod verdict;
pub mod get;
pub mod list;
pub mod watch;
pub mod cancel;
pub mod retry;
pub mod judge;
pub mod backfill;

/// A spec as its author wrote it; parsing it is the coordinator's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecSource {
    /// The YAML text.
    pub yaml: String,
    /// Where its relative paths begin: an absolute path or a URI.
    pub base: String,
    /// Name of the file, for messages; may be empty.
    pub file_name: String,
    /// What is used instead of what the text says.
    pub overrides: SpecOverrides,
}

/// What is used instead of what a spec says. Places are absolute paths or URIs and may have the
/// placeholders of the spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecOverrides {
    /// Instead of `spec.input.uri`.
    pub input: Option<String>,
    /// Instead of `spec.model.uri`.
    pub model: Option<String>,
    /// Instead of `spec.output.uri`.
    pub output: Option<String>,
    /// Instead of `spec.model.version`.
    pub model_version: Option<String>,
}

/// What is to be done about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It succeeded; there is nothing to do.
    Done,
    /// A run is under way; help to finish it.
    Join,
    /// A new run.
    Start,
}

same_enum!(Decision = Decision { Done, Join, Start });

invalid_message!(InvalidSpecSource of "the spec" {
    Yaml: InvalidText = "yaml",
    Base: InvalidText = "base",
    FileName: InvalidText = "file_name",
    Overrides: InvalidSpecOverrides = "overrides",
});

invalid_message!(InvalidSpecOverrides of "the spec's overrides" {
    Input: InvalidText = "input",
    Model: InvalidText = "model",
    Output: InvalidText = "output",
    ModelVersion: InvalidText = "model_version",
});

// === impl SpecSource ===

impl From<SpecSource> for wire::SpecSource {
    fn from(spec: SpecSource) -> Self {
        Self {
            yaml: spec.yaml,
            base: spec.base,
            file_name: spec.file_name,
            overrides: Some(spec.overrides)
                .filter(|overrides| *overrides != SpecOverrides::default())
                .map(Into::into),
        }
    }
}

impl TryFrom<wire::SpecSource> for SpecSource {
    type Error = InvalidSpecSource;

    fn try_from(wire: wire::SpecSource) -> Result<Self, InvalidSpecSource> {
        use InvalidSpecSource as Invalid;
        Ok(Self {
            yaml: field::set(wire.yaml, SPEC_MAX_BYTES)
                .map_err(|source| Invalid::Yaml { source })?,
            base: field::location(wire.base).map_err(|source| Invalid::Base { source })?,
            file_name: field::at_most(wire.file_name, PATH_MAX_BYTES)
                .map_err(|source| Invalid::FileName { source })?,
            overrides: wire
                .overrides
                .unwrap_or_default()
                .try_into()
                .map_err(|source| Invalid::Overrides { source })?,
        })
    }
}

// === impl SpecOverrides ===

impl From<SpecOverrides> for wire::SpecOverrides {
    fn from(overrides: SpecOverrides) -> Self {
        Self {
            input: overrides.input.unwrap_or_default(),
            model: overrides.model.unwrap_or_default(),
            output: overrides.output.unwrap_or_default(),
            model_version: overrides.model_version.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::SpecOverrides> for SpecOverrides {
    type Error = InvalidSpecOverrides;

    fn try_from(wire: wire::SpecOverrides) -> Result<Self, InvalidSpecOverrides> {
        use InvalidSpecOverrides as Invalid;
        Ok(Self {
            input: place(wire.input).map_err(|source| Invalid::Input { source })?,
            model: place(wire.model).map_err(|source| Invalid::Model { source })?,
            output: place(wire.output).map_err(|source| Invalid::Output { source })?,
            model_version: field::at_most(wire.model_version, ID_MAX_BYTES)
                .map(|version| Some(version).filter(|version| !version.is_empty()))
                .map_err(|source| Invalid::ModelVersion { source })?,
        })
    }
}

/// A place that may be absent. It comes from a command line, whose current folder the coordinator
/// does not know: a relative path would mean another place there.
fn place(text: String) -> Result<Option<String>, InvalidText> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = field::location(text)?;
    if is_location(&text) {
        Ok(Some(text))
    } else {
        Err(InvalidText::Shape { shape: "as an absolute path or a URI" })
    }
}

// === moments ===

/// Nanoseconds of a second.
const SECOND_NS: i128 = 1_000_000_000;

/// A moment as protobuf has it: the nanoseconds count forwards, before 1970 too.
pub(crate) fn moment_out(moment: Timestamp) -> prost_types::Timestamp {
    let ns = moment.as_nanosecond();
    prost_types::Timestamp {
        seconds: ns.div_euclid(SECOND_NS) as i64,
        nanos: ns.rem_euclid(SECOND_NS) as i32,
    }
}

/// A moment that may be absent.
pub(crate) fn moment_in(
    moment: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, InvalidMoment> {
    let Some(prost_types::Timestamp { seconds, nanos }) = moment else { return Ok(None) };
    let invalid = InvalidMoment { seconds, nanos };
    if !(0..SECOND_NS).contains(&nanos.into()) {
        return Err(invalid);
    }
    let ns = i128::from(seconds) * SECOND_NS + i128::from(nanos);
    Timestamp::from_nanosecond(ns).map(Some).map_err(|_| invalid)
}

#[cfg(test)]
mod tests;
