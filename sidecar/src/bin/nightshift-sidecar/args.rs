//! The command line: every flag, and the manual that `--help` prints.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueHint};
use nightshift_core::ids::RunId;
use nightshift_proto::names::PodName;
use nightshift_telemetry::LogFormat;

/// Takes metrics from the worker beside it and serves them to Prometheus.
///
/// It runs in the worker's pod as a native sidecar container. The worker sends OTLP over gRPC,
/// in any language; Prometheus scrapes /metrics:
///
///     nightshift-sidecar --otlp 127.0.0.1:4317 --listen 0.0.0.0:9464
///
/// The last values stay until the pod ends, and go to NIGHTSHIFT_COORDINATOR then. Traces go on to
/// OTEL_EXPORTER_OTLP_ENDPOINT.
#[derive(Debug, Parser)]
#[command(name = "nightshift-sidecar", version, verbatim_doc_comment, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Where exporters find the OTLP/gRPC receiver; port 0 takes a free one
    #[arg(
        long,
        env = "NIGHTSHIFT_SIDECAR_OTLP",
        default_value = "127.0.0.1:4317",
        value_name = "ADDRESS"
    )]
    pub(crate) otlp: SocketAddr,

    /// Allow an --otlp address that other pods can reach; whoever reaches it can write metrics
    #[arg(long, env = "NIGHTSHIFT_SIDECAR_OTLP_REMOTE")]
    pub(crate) otlp_remote: bool,

    /// Where /metrics, /limits and /healthz are; port 0 takes a free one
    #[arg(
        long,
        env = "NIGHTSHIFT_SIDECAR_LISTEN",
        default_value = "0.0.0.0:9464",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,

    /// Most lines of samples to keep for the worker; a histogram takes one a bucket and two more
    #[arg(
        long,
        env = "NIGHTSHIFT_SIDECAR_MAX_SERIES",
        default_value = "2000",
        value_name = "NUMBER"
    )]
    pub(crate) max_series: usize,

    /// Folder of the pod's control group, where it is mounted; by default this container's own,
    /// /sys/fs/cgroup, is reported
    #[arg(
        long,
        env = "NIGHTSHIFT_SIDECAR_POD_CGROUP",
        value_name = "PATH",
        value_hint = ValueHint::DirPath
    )]
    pub(crate) pod_cgroup: Option<PathBuf>,

    /// How long to go on serving after the first signal, for one last scrape; at most 60s
    #[arg(long, env = "NIGHTSHIFT_SIDECAR_LINGER", default_value = "0s", value_name = "TIME", value_parser = time)]
    pub(crate) linger: Duration,

    /// Collector that gets the traces, as in http://collector:4317; without it they are dropped
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) traces: Option<String>,

    /// Coordinator that gets the last numbers when the pod ends, as in http://coordinator:7070;
    /// without it they are gone with the pod
    #[arg(long, env = "NIGHTSHIFT_COORDINATOR", value_name = "URL", requires = "run")]
    pub(crate) coordinator: Option<String>,

    /// Run that the worker works on, as in flights-2013-01-31-g1
    #[arg(long, env = "NIGHTSHIFT_RUN", value_name = "RUN")]
    pub(crate) run: Option<RunId>,

    /// What the pod is called, for the coordinator's log
    #[arg(long, env = "POD_NAME", default_value = "pod", value_name = "NAME")]
    pub(crate) pod: PodName,

    /// PEM file with the authorities to trust, instead of the system's, for an https:// coordinator
    #[arg(long, env = "NIGHTSHIFT_TLS_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// PEM file with the certificate to show to a coordinator that asks for one
    #[arg(long, env = "NIGHTSHIFT_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(long, env = "NIGHTSHIFT_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// How much to log to standard error: error, warn, info, debug, trace, or a filter
    #[arg(long, env = "NIGHTSHIFT_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,

    /// Log as text for people or as JSON lines for machines
    #[arg(long, env = "NIGHTSHIFT_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

const AFTER_HELP: &str = "\
The first SIGTERM or SIGINT ends it within a second, or after --linger; a second
one ends it at once.

Exit codes:
   0  ended by a signal
  64  the command line is wrong
  69  an address is taken
  70  a bug; please report it
  74  a server failed
  77  permission denied
  78  the collector's address cannot be used";

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write it as in 500ms, 15s or 1m");
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}
