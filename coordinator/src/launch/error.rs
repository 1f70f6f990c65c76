//! Why workers could not be started, or seen.

use nightshift_core::describe::describe;
use nightshift_manifests::InvalidOrder;
use thiserror::Error;

/// What stands against launching.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// Template and spec make no Job that can work.
    #[error(transparent)]
    Order(#[from] InvalidOrder),
    /// Kubernetes says that the Job is wrong; the same Job never goes through.
    #[error("Kubernetes refuses the Job of the run as invalid: {message}")]
    Invalid {
        /// Its words.
        message: String,
    },
    /// Rights, a quota, an admission webhook or Pod Security stand against it.
    #[error("Kubernetes does not allow to {doing}: {message}")]
    Forbidden {
        /// What was tried.
        doing: &'static str,
        /// Its words.
        message: String,
    },
    /// Somebody else has changed the object at the same time, or owns a field of it.
    #[error("somebody else has changed what was to be changed ({doing}): {message}")]
    Conflict {
        /// What was tried.
        doing: &'static str,
        /// Its words.
        message: String,
    },
    /// A Job of that name belongs to something else.
    #[error("a Job `{job}` is there that is not of this run; delete or rename it")]
    Foreign {
        /// Its name.
        job: String,
    },
    /// The workers of a Job said that the run is over, and it is not.
    #[error(
        "the workers of Job `{job}` end with exit code 0 although their run is not over; check their image and its entry point; another Job is made after a pause"
    )]
    Fruitless {
        /// Its name.
        job: String,
    },
    /// Kubernetes does not answer, or not with sense.
    #[error("Kubernetes cannot be asked to {doing}: {message}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// What happened.
        message: String,
    },
    /// The answer took too long.
    #[error("starting workers took longer than {seconds} s")]
    Timeout {
        /// The bound.
        seconds: u64,
    },
    /// The program of the workers cannot be started.
    #[error("{program} cannot be started: {error}; name it with --worker-program")]
    Program {
        /// Its path.
        program: String,
        /// What happened.
        error: std::io::Error,
    },
}

impl LaunchError {
    /// Every reason, for metrics.
    pub const REASONS: [&str; 9] = [
        "order",
        "invalid",
        "forbidden",
        "conflict",
        "foreign",
        "fruitless",
        "unavailable",
        "timeout",
        "program",
    ];

    /// Short name, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Invalid { .. } => "invalid",
            Self::Forbidden { .. } => "forbidden",
            Self::Conflict { .. } => "conflict",
            Self::Foreign { .. } => "foreign",
            Self::Fruitless { .. } => "fruitless",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Program { .. } => "program",
        }
    }

    /// Whether no other try can do better, because the plan itself is at fault.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Order(_) | Self::Invalid { .. })
    }

    /// What an answer of Kubernetes to `doing` means.
    pub fn of_kube(doing: &'static str, error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Unavailable { doing, message: describe(&error) };
        };
        let message = status.message.clone();
        match status.code {
            401 | 403 => Self::Forbidden { doing, message },
            // A webhook that names no code of its own answers 400.
            400 if message.contains("denied the request") => Self::Forbidden { doing, message },
            409 => Self::Conflict { doing, message },
            // A quota webhook or an admission plugin may answer 400; nothing tells it from a Job
            // that is wrong, so only 422 counts as the Job's fault.
            422 => Self::Invalid { message },
            _ => Self::Unavailable { doing, message: format!("{} {message}", status.code) },
        }
    }
}
