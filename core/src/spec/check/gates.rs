//! `spec.gates`: shapes as YAML spells them, and every value checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Checker, clip};
use crate::gates::{
    CANARY_SHIFT_FACTOR, COLUMN_RULES_MAX, CanaryRules, Gates, QUANTILES_MAX, QuantileShift,
    RowsRule, ScoreRules, Shift, Unit,
};
use crate::spec::SpecError;

/// Largest limit of a distance: beyond it nothing is ever withheld.
const SHIFT_MAX: f64 = 1e9;
/// Largest factor for a canary: with more it would never fail.
const FACTOR_MAX: f64 = 1_000.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::spec) struct RawGates {
    rows: Option<Spanned<RawRows>>,
    max_reject_ratio: Option<Spanned<f64>>,
    max_null_ratio: Option<Spanned<f64>>,
    mean_shift: Option<RawShift>,
    quantile_shift: Option<RawQuantileShift>,
    columns: Option<Spanned<BTreeMap<String, RawScoreRules>>>,
    canary: Option<Spanned<RawCanary>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawRows {
    Word(String),
    Ratio(RawRatio),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRatio {
    min_ratio: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScoreRules {
    max_null_ratio: Option<Spanned<f64>>,
    mean_shift: Option<RawShift>,
    quantile_shift: Option<RawQuantileShift>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShift {
    max: Spanned<f64>,
    unit: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuantileShift {
    quantiles: Spanned<Vec<f64>>,
    max: Spanned<f64>,
    unit: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawCanary {
    Switch(bool),
    Rules(RawCanaryRules),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCanaryRules {
    shift_factor: f64,
}

impl Checker<'_> {
    pub(super) fn gates(&self, raw: RawGates) -> Result<Gates, SpecError> {
        let at = "spec.gates";
        let scores = RawScoreRules {
            max_null_ratio: raw.max_null_ratio,
            mean_shift: raw.mean_shift,
            quantile_shift: raw.quantile_shift,
        };
        Ok(Gates {
            rows: raw.rows.as_ref().map(|rows| self.rows_rule(rows)).transpose()?,
            max_reject_ratio: self.share(&raw.max_reject_ratio, at, "max_reject_ratio")?,
            scores: self.score_rules(&scores, at)?,
            columns: self.column_rules(raw.columns.as_ref())?,
            canary: match &raw.canary {
                Some(canary) => self.canary(canary)?,
                None => None,
            },
        })
    }

    fn canary(&self, raw: &Spanned<RawCanary>) -> Result<Option<CanaryRules>, SpecError> {
        match raw.value {
            RawCanary::Switch(false) => Ok(None),
            RawCanary::Switch(true) => Ok(Some(CanaryRules { shift_factor: CANARY_SHIFT_FACTOR })),
            RawCanary::Rules(RawCanaryRules { shift_factor })
                if (1.0..=FACTOR_MAX).contains(&shift_factor) =>
            {
                Ok(Some(CanaryRules { shift_factor }))
            }
            RawCanary::Rules(RawCanaryRules { shift_factor }) => Err(self.error(
                raw.referenced,
                "spec.gates.canary.shift_factor",
                &format!("{shift_factor} is not possible"),
                &format!("use a number from 1 to {FACTOR_MAX}"),
            )),
        }
    }

    fn rows_rule(&self, raw: &Spanned<RawRows>) -> Result<RowsRule, SpecError> {
        match &raw.value {
            RawRows::Word(word) if word == "equal" => Ok(RowsRule::Equal),
            RawRows::Ratio(RawRatio { min_ratio }) if (0.0..=1.0).contains(min_ratio) => {
                Ok(RowsRule::MinRatio(*min_ratio))
            }
            _ => Err(self.error(
                raw.referenced,
                "spec.gates.rows",
                "it says how many of the rows read must be in the output",
                "write `equal`, or a share as in `{ min_ratio: 0.99 }`",
            )),
        }
    }

    fn column_rules(
        &self,
        raw: Option<&Spanned<BTreeMap<String, RawScoreRules>>>,
    ) -> Result<BTreeMap<String, ScoreRules>, SpecError> {
        let Some(raw) = raw else { return Ok(BTreeMap::new()) };
        if raw.value.len() > COLUMN_RULES_MAX {
            let problem = format!("{} columns have rules of their own", raw.value.len());
            let remedy = format!("name at most {COLUMN_RULES_MAX}");
            return Err(self.error(raw.referenced, "spec.gates.columns", &problem, &remedy));
        }
        let checked = raw.value.iter().map(|(column, rules)| {
            let at = format!("spec.gates.columns.{}", clip(column));
            Ok((column.clone(), self.score_rules(rules, &at)?))
        });
        checked.collect()
    }

    fn score_rules(&self, raw: &RawScoreRules, at: &str) -> Result<ScoreRules, SpecError> {
        let mean_shift = match &raw.mean_shift {
            None => None,
            Some(shift) => {
                Some(self.shift(&shift.max, &shift.unit, &format!("{at}.mean_shift"))?)
            }
        };
        let quantile_shift = match &raw.quantile_shift {
            None => None,
            Some(rule) => Some(self.quantile_shift(rule, &format!("{at}.quantile_shift"))?),
        };
        let max_null_ratio = self.share(&raw.max_null_ratio, at, "max_null_ratio")?;
        Ok(ScoreRules { max_null_ratio, mean_shift, quantile_shift })
    }

    fn quantile_shift(&self, raw: &RawQuantileShift, at: &str) -> Result<QuantileShift, SpecError> {
        let Shift { max, unit } = self.shift(&raw.max, &raw.unit, at)?;
        let quantiles = &raw.quantiles.value;
        let possible = (1..=QUANTILES_MAX).contains(&quantiles.len())
            && quantiles.iter().all(|q| (0.0..=1.0).contains(q));
        if !possible {
            let remedy =
                format!("name 1 to {QUANTILES_MAX} numbers from 0 to 1, as in `[0.5, 0.95]`");
            let problem = "these are not quantiles";
            let field = format!("{at}.quantiles");
            return Err(self.error(raw.quantiles.referenced, &field, problem, &remedy));
        }
        Ok(QuantileShift { quantiles: quantiles.clone(), max, unit })
    }

    fn shift(
        &self,
        max: &Spanned<f64>,
        unit: &Option<Spanned<String>>,
        at: &str,
    ) -> Result<Shift, SpecError> {
        let units =
            [("std", Unit::Std), ("relative", Unit::Relative), ("absolute", Unit::Absolute)];
        Ok(Shift {
            max: self.between(max, &format!("{at}.max"), 0.0, SHIFT_MAX)?,
            unit: self.or_one_of(unit, &format!("{at}.unit"), &units)?,
        })
    }

    fn share(
        &self,
        raw: &Option<Spanned<f64>>,
        at: &str,
        field: &str,
    ) -> Result<Option<f64>, SpecError> {
        raw.as_ref().map(|raw| self.between(raw, &format!("{at}.{field}"), 0.0, 1.0)).transpose()
    }

    fn between(
        &self,
        raw: &Spanned<f64>,
        field: &str,
        min: f64,
        max: f64,
    ) -> Result<f64, SpecError> {
        if (min..=max).contains(&raw.value) {
            return Ok(raw.value);
        }
        let problem = format!("{} is not possible", raw.value);
        let remedy = format!("use a number from {min} to {max}");
        Err(self.error(raw.referenced, field, &problem, &remedy))
    }
}
