//! How often a Job tries, how long it stays, and whether it can end.

use super::Found;
use crate::lint::object::{Container, Section, Workload};
use crate::lint::{Rule, Severity};

pub(in crate::lint) static RETRIES: Rule = Rule {
    id: "unbounded-retries",
    severity: Severity::Warning,
    what: "no backoffLimit or one over 20, and no activeDeadlineSeconds",
    why: "A Job that always fails burns machines for hours before anybody hears of it.",
    remedy: "Set `backoffLimit: 3`, or `activeDeadlineSeconds` as well.",
    fixable: true,
};

pub(in crate::lint) static TTL: Rule = Rule {
    id: "ttl",
    severity: Severity::Warning,
    what: "a Job of its own without ttlSecondsAfterFinished",
    why: "Finished Jobs and their pods stay for ever, fill etcd and hide what matters.",
    remedy: "Set `ttlSecondsAfterFinished: 86400` to keep them for a day.",
    fixable: true,
};

pub(in crate::lint) static RESTART_POLICY: Rule = Rule {
    id: "restart-policy",
    severity: Severity::Error,
    what: "restartPolicy Always, or none, in the pods of a Job",
    why: "A Job takes only Never and OnFailure: Kubernetes refuses the rest.",
    remedy: "Set `restartPolicy: Never`, so that each try keeps its own log.",
    fixable: true,
};

pub(in crate::lint) static SIDECAR: Rule = Rule {
    id: "sidecar-blocks",
    severity: Severity::Warning,
    what: "a known sidecar as a plain container of a Job",
    why: "A Job ends when every container has ended; a proxy or a log shipper never does.",
    remedy: "Move it to initContainers with `restartPolicy: Always` (a native sidecar).",
    fixable: false,
};

pub(in crate::lint) static WORK_QUEUE: Rule = Rule {
    id: "work-queue",
    severity: Severity::Warning,
    what: "parallelism over 1 without completions",
    why: "After the first pod that succeeds, Kubernetes replaces none that fails: work is lost.",
    remedy: "Set `completionMode: Indexed` and `completions`.",
    fixable: false,
};

/// More tries than this are no longer an answer to a passing fault.
const MANY_TRIES: i64 = 20;

/// Programs that run until they are told to end, as names of containers and images.
const SIDECARS: &[&str] = &[
    "alloy",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "daprd",
    "datadog-agent",
    "envoy",
    "filebeat",
    "fluent-bit",
    "fluentbit",
    "fluentd",
    "gce-proxy",
    "grafana-agent",
    "istio-proxy",
    "linkerd-proxy",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "otel-collector",
    "pgbouncer",
    "promtail",
    "proxyv2",
    "sidecar",
    "statsd-exporter",
    "telegraf",
    "vault-agent",
    "vector",
];

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    let Some(job) = workload.job else { return };
    retries(job, workload, found);
    if workload.cron.is_none() && job.node.get("ttlSecondsAfterFinished").is_none() {
        let fix = job.set("ttlSecondsAfterFinished", "86400");
        found.add_fixable(&TTL, job.at, "no `ttlSecondsAfterFinished`: it is never removed", fix);
    }
    if workload.parallelism() > 1 && job.node.get("completions").is_none() && !workload.is_indexed()
    {
        let message = format!("{} pods and no `completions`", workload.parallelism());
        found.add(&WORK_QUEUE, job.place("parallelism"), message);
    }
    if let Some(pod) = workload.pod {
        restart_policy(pod, found);
    }
    for container in workload.mains().filter(|_| workload.mains().count() > 1) {
        if let Some(what) = sidecar(container) {
            let message = format!("`{what}` never ends, so the Job does not complete");
            found.add(&SIDECAR, container.section.at, message);
        }
    }
}

fn retries(job: Section<'_>, workload: &Workload<'_>, found: &mut Found) {
    let ends = job.node.get("activeDeadlineSeconds").is_some();
    let by_index = workload.is_indexed() && job.node.get("backoffLimitPerIndex").is_some();
    if ends || by_index {
        return;
    }
    let message = match job.node.get("backoffLimit") {
        None => {
            "no `backoffLimit` and no `activeDeadlineSeconds`: 6 tries, however long".to_owned()
        }
        Some(limit) => match limit.integer() {
            Some(tries) if tries > MANY_TRIES => {
                format!("`backoffLimit: {tries}` and no `activeDeadlineSeconds`")
            }
            _ => return,
        },
    };
    let fix = job.set("backoffLimit", "3");
    found.add_fixable(&RETRIES, job.place("backoffLimit"), message, fix);
}

fn restart_policy(pod: Section<'_>, found: &mut Found) {
    let message = match pod.node.text_at("restartPolicy") {
        None => "no `restartPolicy`, which means Always",
        Some("Always") => "`restartPolicy: Always`",
        Some(_) => return,
    };
    let fix = pod.set("restartPolicy", "Never");
    found.add_fixable(&RESTART_POLICY, pod.place("restartPolicy"), message, fix);
}

/// The name by which a container is known as a sidecar.
fn sidecar<'a>(container: &Container<'a>) -> Option<&'a str> {
    let image = container.section.node.text_at("image").unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    let image = image.split(':').next().unwrap_or_default();
    let known = |name: &&str| {
        SIDECARS.contains(name) || name.ends_with("-sidecar") || name.starts_with("sidecar-")
    };
    [container.name, image].into_iter().find(known)
}
