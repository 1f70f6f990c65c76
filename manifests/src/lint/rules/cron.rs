//! When a CronJob starts, and what happens if it still runs.

use super::Found;
use crate::lint::cron::{Fault, check as check_schedule};
use crate::lint::object::{Section, Workload};
use crate::lint::{Rule, Severity};

pub(in crate::lint) static OVERLAP: Rule = Rule {
    id: "overlap",
    severity: Severity::Warning,
    what: "a CronJob may start while its last run still works",
    why: "Two runs read and write the same data, and a slow night becomes many.",
    remedy: "Set `concurrencyPolicy: Forbid` (or `Replace`, if only the newest run counts).",
    fixable: true,
};

pub(in crate::lint) static NO_DEADLINE: Rule = Rule {
    id: "no-deadline",
    severity: Severity::Warning,
    what: "a CronJob that forbids overlap and whose Job has no activeDeadlineSeconds",
    why: "One run that hangs holds back every later one, and nothing fails that could be seen.",
    remedy: "Set `activeDeadlineSeconds` in jobTemplate.spec to the longest a run may take.",
    fixable: false,
};

pub(in crate::lint) static HISTORY: Rule = Rule {
    id: "history-limits",
    severity: Severity::Info,
    what: "a CronJob without history limits",
    why: "Kubernetes keeps one failed Job by default: the log of the night before is gone.",
    remedy: "Set `successfulJobsHistoryLimit` and `failedJobsHistoryLimit`.",
    fixable: true,
};

pub(in crate::lint) static TIME_ZONE: Rule = Rule {
    id: "time-zone",
    severity: Severity::Warning,
    what: "a CronJob without timeZone",
    why: "The schedule then means the time zone of the control plane, which differs by cluster.",
    remedy: "Set `timeZone: Etc/UTC`, or the zone that you mean.",
    fixable: true,
};

pub(in crate::lint) static SCHEDULE: Rule = Rule {
    id: "schedule",
    severity: Severity::Error,
    what: "a schedule that is missing or does not parse",
    why: "Kubernetes refuses the CronJob.",
    remedy: "Write five fields (minute hour day month weekday), or `@daily` and its like.",
    fixable: false,
};

pub(in crate::lint) static SCHEDULE_ZONE: Rule = Rule {
    id: "schedule-zone",
    severity: Severity::Error,
    what: "a schedule with TZ= or CRON_TZ=",
    why: "Kubernetes refuses it; before 1.29 it was taken, but never supported.",
    remedy: "Take it out of the schedule and set `timeZone`.",
    fixable: false,
};

pub(in crate::lint) static SCHEDULE_NEVER: Rule = Rule {
    id: "schedule-never",
    severity: Severity::Error,
    what: "a schedule that names a day which does not exist",
    why: "The CronJob is created and never starts.",
    remedy: "Name a day that every named month has.",
    fixable: false,
};

pub(in crate::lint) static STARTING_DEADLINE: Rule = Rule {
    id: "starting-deadline",
    severity: Severity::Warning,
    what: "startingDeadlineSeconds under 10",
    why: "The controller looks every 10 seconds, so a run may be counted as missed and left out.",
    remedy: "Set it to how late a run may begin: minutes or hours.",
    fixable: true,
};

pub(in crate::lint) static SUSPENDED: Rule = Rule {
    id: "suspended",
    severity: Severity::Info,
    what: "a CronJob that is suspended",
    why: "It never starts. When it is resumed, runs that were missed may start at once.",
    remedy: "Remove `suspend`, or the CronJob.",
    fixable: false,
};

pub(in crate::lint) static NAME_LENGTH: Rule = Rule {
    id: "name-length",
    severity: Severity::Error,
    what: "a CronJob whose name has more than 52 characters",
    why: "The controller adds 11 to it for the name of each Job, and a Job may have 63.",
    remedy: "Shorten the name.",
    fixable: false,
};

/// Longest name of a CronJob.
const MAX_NAME: usize = 52;
/// How often the controller looks, in seconds.
const CONTROLLER_PERIOD: i64 = 10;

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    let Some(cron) = workload.cron else { return };
    overlap(cron, workload, found);
    let limits = ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"];
    for key in limits.into_iter().filter(|key| cron.node.get(key).is_none()) {
        found.add_fixable(&HISTORY, cron.at, format!("no `{key}`"), cron.set(key, "3"));
    }
    schedule(cron, found);
    if let Some(seconds) = cron.node.integer_at("startingDeadlineSeconds")
        && seconds < CONTROLLER_PERIOD
    {
        let fix = cron.set("startingDeadlineSeconds", "600");
        let at = cron.place("startingDeadlineSeconds");
        found.add_fixable(&STARTING_DEADLINE, at, format!("only {seconds} s to start in"), fix);
    }
    if cron.node.get("suspend").is_some_and(|suspend| suspend.is_true()) {
        found.add(&SUSPENDED, cron.place("suspend"), "suspended: it never starts");
    }
    if let Some(name) = workload.name
        && let Some(length) = name.text().map(str::len).filter(|length| *length > MAX_NAME)
    {
        let message = format!("the name has {length} characters, more than {MAX_NAME}");
        found.add(&NAME_LENGTH, name.at, message);
    }
}

fn overlap(cron: Section<'_>, workload: &Workload<'_>, found: &mut Found) {
    let policy = cron.node.text_at("concurrencyPolicy").unwrap_or("Allow");
    let at = cron.place("concurrencyPolicy");
    if policy == "Allow" {
        let message = match cron.node.get("concurrencyPolicy") {
            Some(_) => "`concurrencyPolicy: Allow` lets runs overlap",
            None => "no `concurrencyPolicy`: runs may overlap",
        };
        let fix = cron.set("concurrencyPolicy", "Forbid");
        found.add_fixable(&OVERLAP, at, message, fix);
    }
    let bounded = |section: Option<Section<'_>>| {
        section.is_some_and(|section| section.node.get("activeDeadlineSeconds").is_some())
    };
    if policy == "Forbid" && !bounded(workload.job) && !bounded(workload.pod) {
        let at = workload.job.map_or(at, |job| job.at);
        found.add(&NO_DEADLINE, at, "no `activeDeadlineSeconds`: a run that hangs is the last");
    }
}

fn schedule(cron: Section<'_>, found: &mut Found) {
    let Some(schedule) = cron.node.text_at("schedule") else {
        found.add(&SCHEDULE, cron.place("schedule"), "no `schedule`");
        return;
    };
    // What a template or a patch will fill in is not there yet.
    let filled_later = schedule.contains("{{") || schedule.contains("${");
    let at = cron.node.get("schedule").map_or(cron.at, |schedule| schedule.at);
    let mut zone_is_named = false;
    match check_schedule(schedule) {
        _ if filled_later => {}
        Ok(()) => {}
        Err(Fault::Zone(zone)) => {
            zone_is_named = true;
            let message = format!("the schedule names the time zone {zone}");
            found.add(&SCHEDULE_ZONE, at, message);
        }
        Err(Fault::Syntax(why)) => found.add(&SCHEDULE, at, format!("`{schedule}`: {why}")),
        Err(Fault::Never(why)) => found.add(&SCHEDULE_NEVER, at, format!("`{schedule}`: {why}")),
    }
    // With a zone in the schedule the one to write is not UTC.
    if cron.node.get("timeZone").is_none() {
        let fix = if zone_is_named { None } else { cron.set("timeZone", "Etc/UTC") };
        found.add_fixable(&TIME_ZONE, cron.at, "no `timeZone`", fix);
    }
}
