//! What a configuration must satisfy before anything is allocated for it.

use std::collections::HashSet;

use thiserror::Error;

use super::{
    CategoricalFeature, Config, DatetimeFeature, Feature, NumericFeature, Output, TensorSpec,
};
use crate::engine::tabular::calendar;

/// Most features; far more columns than tables have.
pub const FEATURES_MAX: usize = 4096;
/// Most categories of one feature; their texts stay in memory.
pub const VOCABULARY_MAX: usize = 1_000_000;
/// Most numbers in one row of an embedding table.
pub const EMBEDDING_MAX: usize = 1024;
/// Most inputs of the first layer; one block of 64 rows then takes 16 MiB.
pub const INPUTS_MAX: usize = 65_536;
/// Most outputs of a hidden layer; one block of 64 rows then takes 2 MiB.
pub const UNITS_MAX: usize = 8192;
/// Most hidden layers.
pub const LAYERS_MAX: usize = 32;
/// Most logits, and so at most as many output columns.
pub const LOGITS_MAX: usize = 8192;
/// Most bytes of weights, as 32-bit floats.
pub const WEIGHTS_BYTES_MAX: u64 = 2 << 30;

/// Why no model can be built from a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The format is not the one of this engine.
    #[error("field `format` is `{found}`: it must be `{expected}`")]
    Format {
        /// The value.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The version is not known.
    #[error(
        "field `version` is {found}, but this build reads version {expected}: use a matching build of nightshift"
    )]
    Version {
        /// The value.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// A list that needs an entry has none.
    #[error("{what} is empty: it needs at least one entry")]
    Empty {
        /// The list.
        what: String,
    },
    /// A size is 0 or above its limit.
    #[error("{what} is {found}: use 1 to {max}")]
    Size {
        /// What is sized.
        what: String,
        /// Its size.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A name, category, label or part is there twice, or an output column would be.
    #[error("{what} `{value}` is there twice: each may be there once")]
    Duplicate {
        /// What.
        what: String,
        /// The value, clipped.
        value: String,
    },
    /// A number cannot be used where it stands.
    #[error("{what} is {found}: use a finite number {wanted}")]
    Number {
        /// The field.
        what: String,
        /// Its value, as text.
        found: String,
        /// What more it must be.
        wanted: &'static str,
    },
    /// `indicator` without `fill`.
    #[error("feature `{feature}` has an indicator but no fill: add `fill`, or remove `indicator`")]
    IndicatorWithoutFill {
        /// The feature.
        feature: String,
    },
    /// The fill of a moment is not ISO 8601 text.
    #[error(
        "the fill of feature `{feature}` is `{value}`: write a moment such as 2013-01-31T12:00"
    )]
    Moment {
        /// The feature.
        feature: String,
        /// The fill, clipped.
        value: String,
    },
}

/// Bounds the text that a message repeats.
pub(crate) fn clip(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn size(what: impl FnOnce() -> String, found: usize, max: usize) -> Result<(), ConfigError> {
    if (1..=max).contains(&found) {
        return Ok(());
    }
    Err(ConfigError::Size { what: what(), found: found as u64, max: max as u64 })
}

fn distinct<'a>(
    what: impl Fn() -> String,
    values: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(ConfigError::Duplicate { what: what(), value: clip(value) });
        }
    }
    Ok(())
}

fn finite(what: impl FnOnce() -> String, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::Number { what: what(), found: value.to_string(), wanted: "" })
}

fn scale(what: impl FnOnce() -> String, value: f64) -> Result<(), ConfigError> {
    // The reciprocal must be finite too: it is what the inputs are multiplied by.
    if value.is_finite() && value.recip().is_finite() && value.recip() != 0.0 {
        return Ok(());
    }
    Err(ConfigError::Number { what: what(), found: value.to_string(), wanted: "other than 0" })
}

impl Config {
    /// Checks everything that can be checked without the weights.
    ///
    /// # Errors
    /// The first problem, naming the field and what to write instead.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.format != Self::FORMAT {
            return Err(ConfigError::Format { found: clip(&self.format), expected: Self::FORMAT });
        }
        if self.version != Self::VERSION {
            return Err(ConfigError::Version { found: self.version, expected: Self::VERSION });
        }
        size(|| "the number of features".into(), self.features.len(), FEATURES_MAX)?;
        distinct(|| "feature".into(), self.features.iter().map(Feature::name))?;
        self.features.iter().try_for_each(check_feature)?;
        size(|| "the number of inputs".into(), self.input_width(), INPUTS_MAX)?;
        if self.layers.len() > LAYERS_MAX {
            let found = self.layers.len() as u64;
            let what = "the number of layers".into();
            return Err(ConfigError::Size { what, found, max: LAYERS_MAX as u64 });
        }
        for (index, layer) in self.layers.iter().enumerate() {
            size(|| format!("`units` of layer {index}"), layer.units, UNITS_MAX)?;
        }
        self.check_outputs()?;
        let elements = self.tensors().iter().map(TensorSpec::elements).sum::<usize>() as u64;
        let what = || "the size of the weights in bytes".into();
        size(what, (elements * 4) as usize, WEIGHTS_BYTES_MAX as usize)
    }

    fn check_outputs(&self) -> Result<(), ConfigError> {
        size(|| "the number of outputs".into(), self.outputs.len(), LOGITS_MAX)?;
        for output in &self.outputs {
            let name = clip(output.name());
            if name.is_empty() {
                return Err(ConfigError::Empty { what: "the name of an output".into() });
            }
            match output {
                Output::Regression(output) => {
                    finite(|| format!("`mean` of output `{name}`"), output.mean)?;
                    scale(|| format!("`scale` of output `{name}`"), output.scale)?;
                    // Results are 32-bit; a larger factor would make every one infinite.
                    finite(|| format!("`mean` of output `{name}`"), output.mean as f32 as f64)?;
                    scale(|| format!("`scale` of output `{name}`"), output.scale as f32 as f64)?;
                }
                Output::Class(output) => {
                    size(
                        || format!("the number of labels of output `{name}`"),
                        output.labels.len(),
                        LOGITS_MAX,
                    )?;
                    let labels = output.labels.iter().map(String::as_str);
                    distinct(|| format!("in output `{name}`, label"), labels)?;
                }
            }
        }
        size(|| "the number of logits".into(), self.logits_width(), LOGITS_MAX)?;
        let columns: Vec<String> = self.outputs.iter().flat_map(Output::columns).collect();
        distinct(|| "output column".into(), columns.iter().map(String::as_str))
    }
}

fn check_feature(feature: &Feature) -> Result<(), ConfigError> {
    if feature.name().is_empty() {
        return Err(ConfigError::Empty { what: "the name of a feature".into() });
    }
    match feature {
        Feature::Numeric(feature) => check_numeric(feature),
        Feature::Categorical(feature) => check_categorical(feature),
        Feature::Datetime(feature) => check_datetime(feature),
    }
}

fn check_numeric(feature: &NumericFeature) -> Result<(), ConfigError> {
    let name = clip(&feature.name);
    finite(|| format!("`mean` of feature `{name}`"), feature.mean)?;
    scale(|| format!("`scale` of feature `{name}`"), feature.scale)?;
    match feature.fill {
        Some(fill) => {
            let input = feature.standardise(fill);
            let what = || format!("`fill` of feature `{name}`, standardised,");
            finite(what, f64::from(input))
        }
        None if feature.indicator => Err(ConfigError::IndicatorWithoutFill { feature: name }),
        None => Ok(()),
    }
}

fn check_categorical(feature: &CategoricalFeature) -> Result<(), ConfigError> {
    let name = clip(&feature.name);
    let what = || format!("the number of categories of feature `{name}`");
    size(what, feature.vocabulary.len(), VOCABULARY_MAX)?;
    size(|| format!("`embedding` of feature `{name}`"), feature.embedding, EMBEDDING_MAX)?;
    let vocabulary = feature.vocabulary.iter().map(String::as_str);
    distinct(|| format!("in feature `{name}`, category"), vocabulary)
}

fn check_datetime(feature: &DatetimeFeature) -> Result<(), ConfigError> {
    let name = clip(&feature.name);
    if feature.parts.is_empty() {
        return Err(ConfigError::Empty { what: format!("`parts` of feature `{name}`") });
    }
    for (index, part) in feature.parts.iter().enumerate() {
        if feature.parts.iter().take(index).any(|other| other == part) {
            let what = format!("in feature `{name}`, part");
            return Err(ConfigError::Duplicate { what, value: format!("{part:?}") });
        }
    }
    match &feature.fill {
        Some(fill) if calendar::minutes_of_text(fill).is_none() => {
            Err(ConfigError::Moment { feature: name, value: clip(fill) })
        }
        _ => Ok(()),
    }
}
