//! What a sidecar shows, beside what its worker sends.

use crate::metrics::metrics;

metrics! {
    CALLS: Counter "nightshift_sidecar_calls_total" ["signal"]
        "OTLP calls received.", "`signal` is `metrics` or `traces`.";
    DROPPED: Counter "nightshift_sidecar_dropped_total" ["reason"]
        "Data points and spans that were received and not kept.",
        "The reasons of [sidecar.md](sidecar.md#what-it-serves).";
    SERIES: Gauge "nightshift_sidecar_series" []
        "Lines of samples that the worker's metrics take.", "";
    SERIES_LIMIT: Gauge "nightshift_sidecar_series_limit" []
        "The most lines of samples.", "`--max-series`.";
    SPANS_FORWARDED: Counter "nightshift_sidecar_spans_forwarded_total" []
        "Spans that the collector took.", "";
    MEMORY_CURRENT: Gauge "nightshift_cgroup_memory_current_bytes" []
        "Memory in use.",
        "All of these are of the sidecar's own control group, unless `--pod-cgroup` names the pod's; what the kernel does not say is absent.";
    MEMORY_LIMIT: Gauge "nightshift_cgroup_memory_limit_bytes" []
        "Memory that may be used.", "Absent where there is no limit.";
    MEMORY_PEAK: Gauge "nightshift_cgroup_memory_peak_bytes" []
        "Most memory ever in use.", "";
    OOM_EVENTS: Counter "nightshift_cgroup_oom_events_total" []
        "Times out of memory.", "Version 2 alone.";
    OOM_KILLS: Counter "nightshift_cgroup_oom_kills_total" []
        "Processes killed for memory.", "";
    CPU_USAGE: Counter "nightshift_cgroup_cpu_usage_seconds_total" []
        "CPU time used.", "";
    CPU_PERIODS: Counter "nightshift_cgroup_cpu_periods_total" []
        "Periods of the CPU limit.", "";
    CPU_THROTTLED_PERIODS: Counter "nightshift_cgroup_cpu_throttled_periods_total" []
        "Periods in which the CPU limit was reached.", "";
    CPU_THROTTLED: Counter "nightshift_cgroup_cpu_throttled_seconds_total" []
        "Time held back by the CPU limit.", "";
    PRESSURE_STALLED: Counter "nightshift_cgroup_pressure_stalled_seconds_total" ["kind", "resource"]
        "Time in which some or all tasks waited for the resource.",
        "`resource` is `cpu`, `io` or `memory`, `kind` is `some` or `full`. Version 2 alone.";
}
