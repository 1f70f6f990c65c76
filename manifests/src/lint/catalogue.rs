//! Every rule, in the order of the manual.

use super::Rule;
use super::rules::{container, cron, failure, field, file, indexed, job, pod, words};

/// What a group of rules is about, and its rules.
pub(super) type Group = (&'static str, &'static [&'static Rule]);

pub(super) static GROUPS: &[Group] = &[
    (
        "When a CronJob starts",
        &[
            &cron::OVERLAP,
            &cron::NO_DEADLINE,
            &cron::HISTORY,
            &cron::TIME_ZONE,
            &cron::SCHEDULE,
            &cron::SCHEDULE_ZONE,
            &cron::SCHEDULE_NEVER,
            &cron::STARTING_DEADLINE,
            &cron::SUSPENDED,
            &cron::NAME_LENGTH,
        ],
    ),
    (
        "Whether a Job ends",
        &[
            &job::RETRIES,
            &job::TTL,
            &job::RESTART_POLICY,
            &job::SIDECAR,
            &job::WORK_QUEUE,
            &failure::FAILURE_RESTART,
            &failure::INDEX_BACKOFF,
            &failure::FAIL_INDEX,
        ],
    ),
    (
        "Shards",
        &[
            &indexed::COMPLETIONS,
            &indexed::SHARD_OUTPUT,
            &indexed::INDEX_UNUSED,
            &pod::SHARED_VOLUME,
        ],
    ),
    (
        "Pods and containers",
        &[
            &container::MEMORY_LIMIT,
            &container::REQUESTS,
            &container::IMAGE_TAG,
            &container::PLAIN_SECRET,
            &pod::ROOT_USER,
            &words::UNEXPANDED,
        ],
    ),
    (
        "Fields and files",
        &[
            &field::API_VERSION,
            &field::UNKNOWN_FIELD,
            &field::NEW_FIELD,
            &field::BETA_FIELD,
            &file::DUPLICATE_KEY,
            &file::UNREADABLE,
            &file::TEMPLATE,
            &file::IGNORE,
        ],
    ),
];

/// Every rule, in the order of the manual.
pub fn rules() -> impl Iterator<Item = &'static Rule> + Clone {
    GROUPS.iter().flat_map(|(_, rules)| rules.iter().copied())
}
