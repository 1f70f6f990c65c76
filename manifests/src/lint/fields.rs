//! The fields of Jobs, CronJobs and their pods, and the Kubernetes since which they are there.
//!
//! From the API reference and the table of feature gates
//! (<https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/>).
//! The names are those of k8s-openapi up to 1.37.

use super::version::Version;

/// A mapping whose fields are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    CronJob,
    JobTemplate,
    Job,
    PodTemplate,
    Pod,
    Container,
}

/// A field that not every Kubernetes in use has.
pub(super) struct Age {
    /// On without a feature gate; of an alpha field, when it first came.
    pub(super) since: Version,
    /// Promised to stay.
    pub(super) stable: Version,
}

impl Level {
    pub(super) const ALL: [Self; 6] = [
        Self::CronJob,
        Self::JobTemplate,
        Self::Job,
        Self::PodTemplate,
        Self::Pod,
        Self::Container,
    ];

    /// Where it is found in a manifest.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CronJob => "the spec of a CronJob",
            Self::JobTemplate => "jobTemplate",
            Self::Job => "the spec of a Job",
            Self::PodTemplate => "the pod template",
            Self::Pod => "the spec of a pod",
            Self::Container => "a container",
        }
    }

    /// Every field, those included that are not in every version.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::CronJob => CRON_JOB,
            Self::JobTemplate | Self::PodTemplate => &["metadata", "spec"],
            Self::Job => JOB,
            Self::Pod => POD,
            Self::Container => CONTAINER,
        }
    }

    /// Since when a field is there; `None` for those that every version in use has.
    pub(super) fn age(self, field: &str) -> Option<Age> {
        let (since, stable) = match (self, field) {
            (Self::CronJob, "timeZone") => (25, 27),
            (Self::Job, "podFailurePolicy") => (26, 31),
            (Self::Job, "backoffLimitPerIndex" | "maxFailedIndexes") => (29, 33),
            (Self::Job, "podReplacementPolicy") => (29, 34),
            (Self::Job, "successPolicy") => (31, 33),
            (Self::Job, "managedBy") => (32, 35),
            (Self::Job, "scheduling") | (Self::Pod, "evictionResponders") => (37, NOT_YET),
            (Self::Pod, "schedulingGroup") => (36, NOT_YET),
            (Self::Pod, "workloadRef") => (35, NOT_YET),
            (Self::Pod, "schedulingGates") => (27, 30),
            (Self::Pod, "resourceClaims") => (34, 34),
            (Self::Pod, "resources") => (34, NOT_YET),
            (Self::Pod, "hostUsers") => (33, NOT_YET),
            (Self::Pod, "hostnameOverride") => (35, NOT_YET),
            (Self::Container, "resizePolicy") => (33, 35),
            (Self::Container, "restartPolicy") => (29, 33),
            (Self::Container, "restartPolicyRules") => (35, NOT_YET),
            _ => return None,
        };
        Some(Age { since: Version::one(since), stable: Version::one(stable) })
    }
}

/// Stands for a version that is not out.
const NOT_YET: u16 = 99;

const CRON_JOB: &[&str] = &[
    "concurrencyPolicy",
    "failedJobsHistoryLimit",
    "jobTemplate",
    "schedule",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "suspend",
    "timeZone",
];

const JOB: &[&str] = &[
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "completionMode",
    "completions",
    "managedBy",
    "manualSelector",
    "maxFailedIndexes",
    "parallelism",
    "podFailurePolicy",
    "podReplacementPolicy",
    "scheduling",
    "selector",
    "successPolicy",
    "suspend",
    "template",
    "ttlSecondsAfterFinished",
];

const POD: &[&str] = &[
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "evictionResponders",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "schedulingGroup",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "workloadRef",
];

const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// The candidate that is most like a name, if any is like it.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // A long text is no slip of the keyboard, and comparing it would cost its square.
    if name.len() > 100 {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_ages_are_of_known_fields() {
        for level in Level::ALL {
            assert!(level.fields().is_sorted(), "{level:?}");
            let ages = level.fields().iter().filter_map(|field| level.age(field));
            assert!(ages.into_iter().all(|age| age.since <= age.stable), "{level:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        let fields = || Level::Job.fields().iter().copied();
        assert_eq!(nearest("backofLimit", fields()), Some("backoffLimit"));
        assert_eq!(nearest("ttlSecondsAfterFinish", fields()), Some("ttlSecondsAfterFinished"));
        assert_eq!(nearest("colour", fields()), None);
    }
}
