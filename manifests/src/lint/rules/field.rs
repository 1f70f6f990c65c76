//! Fields that the Kubernetes in use does not have.

use super::Found;
use crate::lint::fields::{Level, nearest};
use crate::lint::object::{Facts, Section, Workload};
use crate::lint::{Rule, Severity, Version};

pub(in crate::lint) static API_VERSION: Rule = Rule {
    id: "api-version",
    severity: Severity::Error,
    what: "an apiVersion other than batch/v1",
    why: "Kubernetes 1.25 removed batch/v1beta1: the object cannot be created.",
    remedy: "Write `apiVersion: batch/v1`.",
    fixable: false,
};

pub(in crate::lint) static UNKNOWN_FIELD: Rule = Rule {
    id: "unknown-field",
    severity: Severity::Error,
    what: "a field that does not exist at this place",
    why: "kubectl refuses it; other clients drop it without a word, and the setting has no effect.",
    remedy: "Correct the name, or move it to where it belongs.",
    fixable: false,
};

pub(in crate::lint) static NEW_FIELD: Rule = Rule {
    id: "new-field",
    severity: Severity::Error,
    what: "a field that is newer than the Kubernetes in use (`--kubernetes-version`)",
    why: "An older Kubernetes drops the field, and the Job runs without that protection.",
    remedy: "Upgrade the cluster, or do without the field.",
    fixable: false,
};

pub(in crate::lint) static BETA_FIELD: Rule = Rule {
    id: "beta-field",
    severity: Severity::Info,
    what: "a field that is on in the Kubernetes in use, but not stable yet",
    why: "A cluster may have it switched off, and a later version may change it.",
    remedy: "Make sure that the feature gate is on in every cluster that gets this file.",
    fixable: false,
};

pub(super) fn check(workload: &Workload<'_>, facts: &Facts, found: &mut Found) {
    if let Some(version) = workload.root.entry("apiVersion")
        && let Some(text) = version.value.text()
        && text != "batch/v1"
    {
        found.add(&API_VERSION, version.value.at, format!("`apiVersion: {text}`"));
    }
    let template = workload.job.and_then(|job| job.section("template"));
    let job_template = workload.cron.and_then(|cron| cron.section("jobTemplate"));
    let sections = [
        (Level::CronJob, workload.cron),
        (Level::JobTemplate, job_template),
        (Level::Job, workload.job),
        (Level::PodTemplate, template),
        (Level::Pod, workload.pod),
    ];
    let containers = workload.containers.iter().map(|it| (Level::Container, Some(it.section)));
    for (level, section) in sections.into_iter().chain(containers) {
        if let Some(section) = section {
            fields(level, section, facts.options.kubernetes, found);
        }
    }
}

fn fields(level: Level, section: Section<'_>, kubernetes: Version, found: &mut Found) {
    for entry in section.node.entries() {
        let key = entry.key.as_str();
        if !level.fields().contains(&key) {
            found.add(&UNKNOWN_FIELD, entry.at, unknown(level, key));
            continue;
        }
        let Some(age) = level.age(key) else { continue };
        if kubernetes < age.since {
            let message = format!("`{key}` came with Kubernetes {}, not {kubernetes}", age.since);
            found.add(&NEW_FIELD, entry.at, message);
        } else if kubernetes < age.stable {
            found.add(&BETA_FIELD, entry.at, format!("`{key}` is beta in Kubernetes {kubernetes}"));
        }
    }
}

fn unknown(level: Level, key: &str) -> String {
    let place = level.name();
    let others = Level::ALL.into_iter().filter(|other| *other != level);
    let belongs: Vec<&str> =
        others.filter(|other| other.fields().contains(&key)).map(Level::name).collect();
    if let Some(belongs) = belongs.first() {
        return format!("{place} has no `{key}`; it belongs to {belongs}");
    }
    match nearest(key, level.fields().iter().copied()) {
        Some(near) => format!("{place} has no `{key}`; did you mean `{near}`?"),
        None => format!("{place} has no `{key}`"),
    }
}
