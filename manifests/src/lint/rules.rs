//! The rules, by what they look at. Each stands beside the function that finds it.

use super::fix::Fix;
use super::object::{Facts, Workload};
use super::tree::Place;
use super::{Finding, Rule};

pub(super) mod file;
pub(super) mod field;
pub(super) mod cron;
pub(super) mod job;
pub(super) mod failure;
pub(super) mod indexed;
pub(super) mod pod;
pub(super) mod container;
pub(super) mod words;

/// Findings of one file as they come.
pub(super) struct Found {
    source: usize,
    object: String,
    findings: Vec<Finding>,
}

impl Found {
    pub(super) fn new(source: usize) -> Self {
        Self { source, object: String::new(), findings: Vec::new() }
    }

    /// The object that what follows is about.
    pub(super) fn object(&mut self, label: String) {
        self.object = label;
    }

    pub(super) fn add(&mut self, rule: &'static Rule, at: Place, message: impl Into<String>) {
        self.add_fixable(rule, at, message, None);
    }

    pub(super) fn add_fixable(
        &mut self,
        rule: &'static Rule,
        at: Place,
        message: impl Into<String>,
        fix: Option<Fix>,
    ) {
        let (object, message) = (self.object.clone(), message.into());
        self.findings.push(Finding { rule, source: self.source, at, object, message, fix });
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// Looks at one Job or CronJob.
pub(super) fn check(workload: &Workload<'_>, facts: &Facts, found: &mut Found) {
    field::check(workload, facts, found);
    cron::check(workload, found);
    job::check(workload, found);
    failure::check(workload, found);
    indexed::check(workload, found);
    pod::check(workload, facts, found);
    container::check(workload, found);
    words::check(workload, found);
}
