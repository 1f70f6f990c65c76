//! In which order people write the fields of Kubernetes objects.

/// Fields with a place of their own; the others follow by the alphabet.
const HABIT: [&str; 65] = [
    // Any object, any element with a name.
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
    // CronJob.
    "schedule",
    "timeZone",
    "concurrencyPolicy",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "suspend",
    "jobTemplate",
    // Job.
    "completionMode",
    "completions",
    "parallelism",
    "successPolicy",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "podReplacementPolicy",
    "podFailurePolicy",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "template",
    // Rules of a failure policy.
    "action",
    "onPodConditions",
    "onExitCodes",
    "containerName",
    "operator",
    "values",
    "type",
    "status",
    // Pod and container.
    "image",
    "imagePullPolicy",
    "restartPolicy",
    "serviceAccountName",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "command",
    "args",
    "env",
    "envFrom",
    "value",
    "valueFrom",
    "ports",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
    "resources",
    "requests",
    "limits",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "securityContext",
    "volumeMounts",
    "initContainers",
    "containers",
    "volumes",
    // The rest of any object.
    "spec",
    "data",
];

/// Place of a field among others.
pub(super) fn rank(field: &str) -> usize {
    HABIT.iter().position(|known| *known == field).unwrap_or(HABIT.len())
}
