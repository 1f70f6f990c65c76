//! `config.json` of a tabular model: the columns it reads, its layers, the outputs it names.
//!
//! The program that trains a model writes these types, the engine reads them; both therefore
//! agree on the inputs, the tensors and the limits. `docs/models.md` describes the format for
//! people.

use serde::{Deserialize, Serialize};

mod check;
mod shape;

pub(crate) use check::clip;
pub use check::{
    ConfigError, EMBEDDING_MAX, FEATURES_MAX, INPUTS_MAX, LAYERS_MAX, LOGITS_MAX, UNITS_MAX,
    VOCABULARY_MAX, WEIGHTS_BYTES_MAX,
};
pub use shape::TensorSpec;

/// The whole of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// [`Config::FORMAT`].
    pub format: String,
    /// [`Config::VERSION`].
    pub version: u32,
    /// The columns that are read, in the order of the model's inputs.
    pub features: Vec<Feature>,
    /// Hidden layers, first to last; none makes a linear model.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// What the model predicts, in the order of its logits.
    pub outputs: Vec<Output>,
}

impl Config {
    /// Value of [`format`](Self::format).
    pub const FORMAT: &str = "nightshift-tabular";
    /// The version of the format that this build reads and writes.
    pub const VERSION: u32 = 1;

    /// A configuration of the current format and version; not checked yet, see
    /// [`check`](Self::check).
    pub fn new(features: Vec<Feature>, layers: Vec<Layer>, outputs: Vec<Output>) -> Self {
        Self { format: Self::FORMAT.to_owned(), version: Self::VERSION, features, layers, outputs }
    }
}

/// One column and how it becomes inputs of the first layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Feature {
    /// A number, standardised.
    Numeric(NumericFeature),
    /// A category, embedded.
    Categorical(CategoricalFeature),
    /// A moment, as angles on the cycles of the calendar.
    Datetime(DatetimeFeature),
}

impl Feature {
    /// The column.
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric(feature) => &feature.name,
            Self::Categorical(feature) => &feature.name,
            Self::Datetime(feature) => &feature.name,
        }
    }
}

/// A number x, which becomes the input (x - mean) / scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericFeature {
    /// The column.
    pub name: String,
    /// Subtracted first, in the column's units.
    pub mean: f64,
    /// Divided by, in the column's units; not 0.
    pub scale: f64,
    /// Taken for a missing, NaN or infinite value, in the column's units. Without it such rows
    /// are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<f64>,
    /// Adds an input that is 1 where `fill` was taken and 0 elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub indicator: bool,
}

/// A category, which becomes a row of an embedding table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoricalFeature {
    /// The column.
    pub name: String,
    /// The known categories, in the order of the table's rows.
    pub vocabulary: Vec<String>,
    /// Numbers in one row of the table.
    pub embedding: usize,
    /// What happens to missing values and to categories outside the vocabulary.
    #[serde(default)]
    pub unknown: Unknown,
}

/// What happens to a category that is missing or not in the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The row is rejected; row i of the table is category i.
    #[default]
    Reject,
    /// It is row 0 of the table; row i + 1 is category i.
    Other,
}

/// A moment, of which each part becomes two inputs: sine and cosine of its place in its cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatetimeFeature {
    /// The column.
    pub name: String,
    /// Which cycles, in the order of the inputs.
    pub parts: Vec<DatetimePart>,
    /// ISO 8601 text, taken for a missing value. Without it such rows are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
}

/// A cycle of the calendar. The angle of a moment is 2π × place / length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatetimePart {
    /// Place hour + minute / 60, length 24. A date without a time is midnight.
    Hour,
    /// Place 0 (Monday) to 6 (Sunday), length 7.
    DayOfWeek,
    /// Place 0 (January) to 11 (December), length 12.
    Month,
    /// Place 0 (1 January) to 365, length 366.
    DayOfYear,
}

/// One hidden layer: activation(W x + b).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Outputs of the layer.
    pub units: usize,
    /// What is done to each of them.
    pub activation: Activation,
}

/// The function after a layer's sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// The tanh form: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// x.
    Identity,
}

/// One prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Output {
    /// A number.
    Regression(RegressionOutput),
    /// Probabilities of labels.
    Class(ClassOutput),
}

impl Output {
    /// Its name, which is also the name of its (first) column.
    pub fn name(&self) -> &str {
        match self {
            Self::Regression(output) => &output.name,
            Self::Class(output) => &output.name,
        }
    }
}

/// A number y × scale + mean, where y is one logit; a `Float32` column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionOutput {
    /// Name of the column.
    pub name: String,
    /// Added last, in the target's units.
    #[serde(default)]
    pub mean: f64,
    /// Multiplied by, in the target's units; not 0.
    #[serde(default = "one")]
    pub scale: f64,
}

/// Probabilities. With one label, a `Float32` column `name`: the sigmoid of one logit. With
/// more, a `Utf8` column `name`, the likeliest label, and a `Float32` column `name_<label>` for
/// each: the softmax of as many logits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassOutput {
    /// Name of the column.
    pub name: String,
    /// The labels, in the order of the logits.
    pub labels: Vec<String>,
}

fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests;
