//! The command line: every flag, and the manual that `--help` prints.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum, ValueHint};
use nightshift_core::holder::CommitMode;
use nightshift_ledger::redis::RedisUrl;
use nightshift_telemetry::LogFormat;
use std::path::PathBuf;

/// Plans runs and hands out leases of their shards, over gRPC.
///
/// Workers (`nightshift-worker --coordinator URL`) ask it for work, operators
/// (`nightshift submit`, `status`, `why`, `cancel`, `retry`) tell it what to run:
///
///     nightshift-coordinator --home /data/nightshift
///     nightshift submit spec.yaml --date 2013-01-01
///     nightshift-worker --coordinator http://127.0.0.1:7070
///
/// With --launch local it starts the workers itself, on this machine; with --launch kube as pods:
///
///     nightshift-coordinator --home H --launch local
///     nightshift-coordinator --home H --launch kube --job-template worker-job.yaml \
///         --advertise http://nightshift-coordinator:7070
///
/// It can be killed at any moment. Whatever is decided lies in the output of each spec; a
/// coordinator that starts finds its runs there, takes their leases over and goes on.
#[derive(Debug, Parser)]
#[command(name = "nightshift-coordinator", version, verbatim_doc_comment, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Folder in which it notes the outputs that it serves; the same at every start
    #[arg(long, env = "NIGHTSHIFT_HOME", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) home: String,

    /// Where workers and operators find it; port 0 takes a free one
    #[arg(
        long,
        env = "NIGHTSHIFT_LISTEN",
        default_value = "127.0.0.1:7070",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,

    /// Where /healthz, /readyz and /metrics are; port 0 takes a free one
    #[arg(long, env = "NIGHTSHIFT_HTTP", default_value = "127.0.0.1:7071", value_name = "ADDRESS")]
    pub(crate) http: SocketAddr,

    /// Redis in which the ledger is kept: redis://user:password@host:port/db, or rediss:// for
    /// TLS; without it the ledger is kept in memory. Better set as REDIS_URL, where no process
    /// list shows it
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis: Option<RedisUrl>,

    /// PEM file with the authorities to trust for rediss://, instead of the system's
    #[arg(long, env = "NIGHTSHIFT_REDIS_CA", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "redis")]
    pub(crate) redis_ca: Option<PathBuf>,

    /// PEM file with the certificate to serve gRPC with TLS; clients then use https://
    #[arg(long, env = "NIGHTSHIFT_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(long, env = "NIGHTSHIFT_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// PEM file with authorities; only clients that show a certificate of theirs are answered
    #[arg(long, env = "NIGHTSHIFT_TLS_CLIENT_CA", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Who says which of two creates came first: store, by the condition that a create carries; or
    /// coordinator, for a bucket whose store ignores conditions: then this process decides, and
    /// must be the only one that writes (docs/output.md says what is not promised any more)
    #[arg(long, env = "NIGHTSHIFT_COMMIT_MODE", default_value_t, value_name = "WHO")]
    pub(crate) commit_mode: CommitMode,

    /// How long a lease lasts without a word of its worker, as in 30s; at most 10m
    #[arg(long, env = "NIGHTSHIFT_LEASE_TTL", default_value = "30s", value_name = "TIME", value_parser = time)]
    pub(crate) lease_ttl: Duration,

    /// How often workers say that they live; by default a third of --lease-ttl
    #[arg(long, env = "NIGHTSHIFT_HEARTBEAT", value_name = "TIME", value_parser = time)]
    pub(crate) heartbeat: Option<Duration>,

    /// Whether and how it starts the workers of its runs: not at all, as processes of this
    /// machine, or as pods of an Indexed Job
    #[arg(long, env = "NIGHTSHIFT_LAUNCH", default_value = "none", value_name = "HOW", help_heading = WORKERS)]
    pub(crate) launch: Launch,

    /// Where workers find the coordinator; by default the address of --listen
    #[arg(long, env = "NIGHTSHIFT_ADVERTISE", value_name = "URL", help_heading = WORKERS)]
    pub(crate) advertise: Option<String>,

    /// With --launch local: the program of the workers; by default the nightshift-worker beside
    /// this program
    #[arg(long, env = "NIGHTSHIFT_WORKER_PROGRAM", value_name = "FILE", value_hint = ValueHint::ExecutablePath, help_heading = WORKERS)]
    pub(crate) worker_program: Option<PathBuf>,

    /// With --launch kube: the Job of which the Job of each run is made, as YAML
    #[arg(long, env = "NIGHTSHIFT_JOB_TEMPLATE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = WORKERS)]
    pub(crate) job_template: Option<PathBuf>,

    /// With --launch kube: a part of a pod that is laid over the template's, as YAML, before the
    /// spec's own; may be given more than once
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "job_template", help_heading = WORKERS)]
    pub(crate) job_overlay: Vec<PathBuf>,

    /// With --launch kube: image of the workers instead of the template's; a spec's own image comes
    /// before both
    #[arg(long, env = "NIGHTSHIFT_WORKER_IMAGE", value_name = "IMAGE", help_heading = WORKERS)]
    pub(crate) worker_image: Option<String>,

    /// Namespace of the Jobs and of the Lease; by default that of the service account, or of the
    /// kubeconfig's context
    #[arg(long, env = "NIGHTSHIFT_NAMESPACE", value_name = "NAME", help_heading = KUBERNETES)]
    pub(crate) namespace: Option<String>,

    /// Lead only while holding this Lease, so that another replica can take over; without it this
    /// is the only replica
    #[arg(long, env = "NIGHTSHIFT_LEADER_ELECT", value_name = "LEASE", help_heading = KUBERNETES)]
    pub(crate) leader_elect: Option<String>,

    /// Rights to use instead of the pod's service account
    #[arg(long, env = "NIGHTSHIFT_KUBECONFIG", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = KUBERNETES)]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// How much to log to standard error: error, warn, info, debug, trace, or a filter
    #[arg(long, env = "NIGHTSHIFT_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,

    /// Log as text for people or as JSON lines for machines
    #[arg(long, env = "NIGHTSHIFT_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Ways to start workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Launch {
    /// Not at all: somebody else does.
    None,
    /// As pods of an Indexed Job for each run.
    Kube,
    /// As processes of this machine.
    Local,
}

/// What the flags about workers stand under in the help.
const WORKERS: &str = "Starting workers";
/// What the flags about Kubernetes stand under.
const KUBERNETES: &str = "Kubernetes";

const AFTER_HELP: &str = "\
The first SIGTERM or SIGINT ends it: calls under way are answered, leases stay
with their workers, and the next coordinator goes on with them. Workers of
--launch local are told to end and get 12 s to give their shards back.

Exit codes:
   0  ended by a signal
  64  the command line is wrong
  69  an address is taken, or the home is unavailable or held by another
      process (--commit-mode=coordinator)
  70  a bug; please report it
  73  the home cannot be created
  74  reading or writing failed
  75  another replica leads (--leader-elect), another process took an output
      over (--commit-mode), or the end took too long; start it
      again
  77  permission denied
  78  the job template, the kubeconfig or another file is wrong, or the address
      of Redis";

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write it as in 500ms, 30s or 10m");
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}
