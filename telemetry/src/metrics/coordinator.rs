//! What a coordinator shows.

/// What the runs of each spec came to, and how those under way go.
pub mod runs {
    use crate::metrics::metrics;

    metrics! {
        ROWS_PROCESSED: Counter "nightshift_rows_processed_total" ["name", "task", "outcome"]
            "Rows of decided shards, over all runs.",
            "`outcome` is `scored` (in an output), `rejected` (in a rejects file) or `quarantined` (of a shard that was given up; a retry counts them again, by what they come to then). `task` is that of the run that was planned last.";
        ROWS_REJECTED: Counter "nightshift_rows_rejected_total" ["name", "reason"]
            "Rejected rows by reason.",
            "The reasons of [workers.md](workers.md), and `other` for those of a worker of your own.";
        REJECTS_BUDGET: Gauge "nightshift_rejects_budget_ratio" ["name"]
            "Largest share of a shard's rows that may be rejected.",
            "`rejects.max_ratio` of the spec, in the plan of the run that was planned last.";
        RUNS_CONCLUDED: Counter "nightshift_runs_concluded_total" ["name", "state"]
            "Runs that have their final.",
            "`state` is `succeeded`, `withheld` (succeeded, and its gate kept it from readers), `partial` or `failed`. A withheld run stays so here whatever a person decides, since a counter cannot go back; decisions are counted by the next one.";
        RUNS_JUDGED: Counter "nightshift_runs_judged_total" ["name", "judgement"]
            "Withheld runs that a person has decided about.",
            "`judgement` is `approved` or `rejected`. Runs that wait for a person are those withheld less these. A decision made with the output at hand is met when a backfill looks at its date, and at the next start.";
        LAST_SUCCESS: Gauge "nightshift_last_success_timestamp_seconds" ["name"]
            "When the last shard of the last run that succeeded was decided.",
            "By the worker's clock. A run that its gate withheld is among them from its approval on, with the time when its last shard was decided. Absent before the first.";
        LAST_FAILURE: Gauge "nightshift_last_failure_timestamp_seconds" ["name"]
            "When the last shard of the last run that ended partial or failed was decided.",
            "Absent if none did.";
        SHARDS: Gauge "nightshift_shards" ["name", "state"]
            "Shards of runs that are under way, by state.",
            "`state` is `committed`, `quarantined`, `leased`, `delayed` or `ready`. A run that is concluded is not under way.";
        RUNS_ACTIVE: Gauge "nightshift_runs_active" ["name"]
            "Runs that are under way.", "";
        ETA: Gauge "nightshift_eta_seconds" ["name"]
            "When the runs that are under way will be done, in seconds from now, at the pace so far.",
            "Rows without a record, by the rows decided a second since this coordinator took the oldest of these runs on. Absent when nothing is under way, and before the first shard is decided.";
        SHARD_DURATION: Histogram "nightshift_shard_duration_seconds" ["name"]
            "Time that the attempts whose records count spent reading, in the model and writing.",
            "Of shards decided while this coordinator ran: finals keep no times of single shards, so it begins at 0 with every start, which `rate()` sees through.";
        DATES_PENDING: Gauge "nightshift_backfill_dates_pending" ["name"]
            "Dates of the last backfill that are not done.",
            "As this coordinator decided at the last `nightshift backfill --coordinator` that was not a dry run, less those that succeeded since. Dates under way, failed for good or withheld are among them; those known to have no input and those that a person has decided about are not. Absent until this coordinator has decided one: after a restart until the next.";
        OLDEST_PENDING: Gauge "nightshift_oldest_pending_date_timestamp_seconds" ["name"]
            "The oldest of these dates, as its midnight in UTC.",
            "Absent if none is pending.";
    }
}

/// What the coordinator itself does.
pub mod doing {
    use crate::metrics::metrics;

    metrics! {
        LEADER: Gauge "nightshift_leader" []
            "Whether this replica leads, or is the only one.", "";
        READY: Gauge "nightshift_coordinator_ready" []
            "Whether every run that was under way before is known again.", "";
        LEASES: Gauge "nightshift_leases" []
            "Leases that are out.", "";
        WORKERS: Gauge "nightshift_workers" []
            "Workers that were heard of in the last 20 minutes.", "";
        LEASES_GRANTED: Counter "nightshift_leases_granted_total" []
            "Leases granted.", "";
        LEASE_BACKUPS: Counter "nightshift_lease_backups_total" []
            "Second leases granted on slow shards.", "";
        LEASE_ADOPTIONS: Counter "nightshift_lease_adoptions_total" []
            "Leases taken over from an earlier incarnation.", "";
        LEASE_EXPIRATIONS: Counter "nightshift_lease_expirations_total" []
            "Leases that ended because nobody renewed them.", "";
        LEASE_RELEASES: Counter "nightshift_lease_releases_total" []
            "Leases that workers gave back.", "";
        ATTEMPTS_FAILED: Counter "nightshift_attempts_failed_total" []
            "Attempts that ended without a record.", "";
        WORKERS_VANISHED: Counter "nightshift_workers_vanished_total" []
            "Workers that were seen to end while they held leases.", "";
        SHARDS_DECIDED: Counter "nightshift_shards_decided_total" []
            "Shards that got a record.", "";
        LEDGER_CURRENT: Gauge "nightshift_ledger_current" []
            "Whether the ledger says all that the outputs say.", "";
        LEDGER_BATCHES: Counter "nightshift_ledger_batches_total" []
            "Transactions that the ledger took.", "";
        LEDGER_SHARDS: Counter "nightshift_ledger_shards_total" []
            "Shards written to the ledger.", "";
        LEDGER_REBUILDS: Counter "nightshift_ledger_rebuilds_total" []
            "Times that a ledger was made again from its output.", "";
        LEDGER_ERRORS: Counter "nightshift_ledger_errors_total" ["reason"]
            "Times that the ledger was unavailable.", "The reasons of [ledger.md](ledger.md).";
        LAUNCH_ERRORS: Counter "nightshift_launch_errors_total" ["reason"]
            "Times that workers could not be started.", "";
    }
}
