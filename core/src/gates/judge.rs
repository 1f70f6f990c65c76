//! Judging: rules and statistics in, checks out.

use super::measure::{distance, share, short, spoken};
use super::rules::{QuantileShift, RowsRule, ScoreRules, Shift};
use super::{Check, GateOutcome, GatePlan, GateVerdict, Rule};
use crate::scores::{ColumnScores, Scores};

/// What is judged: a run, or one shard of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) shards: u64,
    pub(super) given_up: u64,
    pub(super) rows_in: u64,
    pub(super) rows_out: u64,
    pub(super) rows_rejected: u64,
    pub(super) scores: Option<&'a Scores>,
    /// How much further than a whole run it may be from the reference.
    pub(super) shift_factor: f64,
}

/// A judgement in the making.
pub(super) struct Judge<'a> {
    gate: &'a GatePlan,
    subject: Subject<'a>,
    checks: Vec<Check>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(gate: &'a GatePlan, subject: Subject<'a>) -> Self {
        Self { gate, subject, checks: Vec::new() }
    }

    pub(super) fn outcome(mut self) -> GateOutcome {
        self.shards();
        self.rows();
        self.rejects();
        if self.gate.rules.looks_at_scores() && self.statistics() {
            self.columns();
        }
        let passed = self.checks.iter().all(|check| check.passed);
        GateOutcome {
            verdict: if passed { GateVerdict::Passed } else { GateVerdict::Withheld },
            reference: self.gate.reference.as_ref().map(|reference| reference.run.clone()),
            checks: self.checks,
        }
    }

    fn check(&mut self, rule: Rule, value: f64, limit: f64, passed: bool, text: String) {
        let (column, quantile, value) = (None, None, Some(value));
        self.checks.push(Check { rule, column, quantile, value, limit, passed, text });
    }

    /// What has a hole is never published by itself.
    fn shards(&mut self) {
        let Subject { shards, given_up, .. } = self.subject;
        let text = format!("{given_up} of {shards} shards were given up; none may be");
        self.check(Rule::Shards, given_up as f64, 0.0, given_up == 0, text);
    }

    fn rows(&mut self) {
        let Some(rule) = self.gate.rules.rows else { return };
        let Subject { rows_in, rows_out, .. } = self.subject;
        let (limit, passed) = match rule {
            RowsRule::Equal => (1.0, rows_out == rows_in),
            RowsRule::MinRatio(least) => (least, rows_out as f64 >= least * rows_in as f64),
        };
        let value = if rows_in == 0 { 1.0 } else { share(rows_out, rows_in) };
        let required = match rule {
            RowsRule::Equal => "all must be".to_owned(),
            RowsRule::MinRatio(least) => format!("a share of {} must be", short(least)),
        };
        let text = format!("{rows_out} of {rows_in} rows are in the output; {required}");
        self.check(Rule::Rows, value, limit, passed, text);
    }

    fn rejects(&mut self) {
        let Some(limit) = self.gate.rules.max_reject_ratio else { return };
        let Subject { rows_in, rows_rejected, .. } = self.subject;
        let value = share(rows_rejected, rows_in);
        let text = format!(
            "{rows_rejected} of {rows_in} rows were rejected, a share of {}; {} may be",
            short(value),
            short(limit)
        );
        self.check(Rule::RejectRatio, value, limit, value <= limit, text);
    }

    /// Whether every row of the output is in the statistics that the rules need.
    fn statistics(&mut self) -> bool {
        let columns = self.subject.scores.map(Scores::columns).unwrap_or_default();
        let rows_out = self.subject.rows_out;
        let named = self.gate.rules.columns.keys();
        let lacking = named.filter(|name| columns.iter().all(|column| column.name() != *name));
        let lacking: Vec<String> = lacking.map(|name| format!("`{name}`")).collect();
        let fewest = columns.iter().map(ColumnScores::rows).min();
        let problem = match fewest {
            // Nothing was scored, so nothing can have moved.
            _ if rows_out == 0 => return false,
            None => "the output has no numeric column to look at".to_owned(),
            Some(_) if !lacking.is_empty() => {
                format!("the output has no numeric column {}", lacking.join(", "))
            }
            Some(rows) if rows != rows_out => {
                format!("only {rows} of {rows_out} rows have statistics")
            }
            Some(_) => return true,
        };
        self.check(Rule::Statistics, fewest.unwrap_or(0) as f64, rows_out as f64, false, problem);
        // What there is, is looked at all the same.
        fewest.is_some()
    }

    fn columns(&mut self) {
        for column in self.subject.scores.map(Scores::columns).unwrap_or_default() {
            let rules = self.gate.rules.rules_of(column.name());
            let ScoreRules { max_null_ratio, mean_shift, quantile_shift } = rules;
            if let Some(limit) = max_null_ratio {
                self.nulls(column, limit);
            }
            if let Some(shift) = mean_shift {
                self.mean(column, shift);
            }
            if let Some(shift) = quantile_shift {
                self.quantiles(column, &shift);
            }
        }
    }

    fn nulls(&mut self, column: &ColumnScores, limit: f64) {
        let (missing, rows) = (column.missing(), column.rows());
        let value = share(missing, rows);
        let text = format!(
            "{missing} of {rows} rows have no usable `{}`, a share of {}; {} may be",
            column.name(),
            short(value),
            short(limit)
        );
        self.checks.push(Check {
            rule: Rule::NullRatio,
            column: Some(column.name().to_owned()),
            quantile: None,
            value: Some(value),
            limit,
            passed: value <= limit,
            text,
        });
    }

    fn mean(&mut self, column: &ColumnScores, shift: Shift) {
        let mean = |column: &ColumnScores| column.range().map(|range| range.mean);
        let what = format!("the mean of `{}`", column.name());
        self.moved(Rule::MeanShift, column, None, shift, &what, mean);
    }

    fn quantiles(&mut self, column: &ColumnScores, rule: &QuantileShift) {
        let shift = Shift { max: rule.max, unit: rule.unit };
        for &q in &rule.quantiles {
            let what = format!("the {} quantile of `{}`", short(q), column.name());
            let value = |column: &ColumnScores| column.quantile(q);
            self.moved(Rule::QuantileShift, column, Some(q), shift, &what, value);
        }
    }

    /// Compares one value of a column with that of the reference.
    fn moved(
        &mut self,
        rule: Rule,
        column: &ColumnScores,
        quantile: Option<f64>,
        shift: Shift,
        what: &str,
        value_of: impl Fn(&ColumnScores) -> Option<f64>,
    ) {
        let limit = shift.max * self.subject.shift_factor;
        let (value, passed, text) = match &self.gate.reference {
            None => (None, true, format!("{what} is not compared: no run was accepted yet")),
            Some(reference) => {
                let then = reference.scores.column(column.name());
                match (value_of(column), then.and_then(|then| value_of(then).zip(then.range()))) {
                    (Some(now), Some((then, range))) => {
                        let by = distance(now, then, shift.unit, range.std);
                        let text = format!(
                            "{what} moved from {} to {}, {}; {} is allowed",
                            short(then),
                            short(now),
                            spoken(by, shift.unit),
                            short(limit)
                        );
                        (by, by.is_some_and(|by| by <= limit), text)
                    }
                    (now, _) => {
                        let whose = if now.is_none() { "this run" } else { "the accepted run" };
                        (None, false, format!("{what} cannot be compared: {whose} has no value"))
                    }
                }
            }
        };
        let column = Some(column.name().to_owned());
        self.checks.push(Check { rule, column, quantile, value, limit, passed, text });
    }
}
