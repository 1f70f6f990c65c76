//! The rules of a gate, as the spec gives them and the plan keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most columns that have rules of their own; no more have statistics.
pub const COLUMN_RULES_MAX: usize = crate::scores::COLUMNS_MAX;
/// Most quantiles that one rule compares.
pub const QUANTILES_MAX: usize = 16;
/// How much further than a whole run a canary shard may be from the reference, where the spec does
/// not say: its rows are few, and neighbours.
pub const CANARY_SHIFT_FACTOR: f64 = 2.0;

/// `spec.gates`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// How many of the rows read must be in the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsRule>,
    /// Largest share of rows that may be rejected, over the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_reject_ratio: Option<f64>,
    /// Rules about every numeric output column.
    #[serde(default, skip_serializing_if = "ScoreRules::is_empty")]
    pub scores: ScoreRules,
    /// Rules about single columns, which go before those about all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ScoreRules>,
    /// Whether one shard is scored and judged before the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryRules>,
}

/// How many rows must be in the output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsRule {
    /// All that were read.
    Equal,
    /// At least this share of them.
    MinRatio(f64),
}

/// Rules about the scores of a column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRules {
    /// Largest share of rows whose value is null, infinite or not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_null_ratio: Option<f64>,
    /// How far the mean may be from that of the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_shift: Option<Shift>,
    /// How far quantiles may be from those of the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile_shift: Option<QuantileShift>,
}

/// A distance and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// The largest distance.
    pub max: f64,
    /// What it is measured in.
    pub unit: Unit,
}

/// Distances of quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantileShift {
    /// The quantiles, each from 0 to 1.
    pub quantiles: Vec<f64>,
    /// The largest distance.
    pub max: f64,
    /// What it is measured in.
    pub unit: Unit,
}

/// What a distance is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Standard deviations of the reference.
    Std,
    /// A share of the reference's value.
    Relative,
    /// The unit of the column.
    Absolute,
}

/// How one shard is judged before the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryRules {
    /// The limits of distances are multiplied by this: one shard strays further than a run.
    pub shift_factor: f64,
}

impl Gates {
    /// The rules of one column.
    pub fn rules_of(&self, column: &str) -> ScoreRules {
        let all = &self.scores;
        let Some(own) = self.columns.get(column) else { return all.clone() };
        ScoreRules {
            max_null_ratio: own.max_null_ratio.or(all.max_null_ratio),
            mean_shift: own.mean_shift.or(all.mean_shift),
            quantile_shift: own.quantile_shift.as_ref().or(all.quantile_shift.as_ref()).cloned(),
        }
    }

    /// Whether any rule needs statistics.
    pub fn looks_at_scores(&self) -> bool {
        !self.scores.is_empty() || !self.columns.is_empty()
    }
}

impl ScoreRules {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
