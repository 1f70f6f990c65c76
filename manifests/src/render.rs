//! Kubernetes YAML for a spec: the usual shapes of batch jobs, complete and ready to apply.
//!
//! Each pattern is a function of the spec, a few settings and nothing else, so that the same
//! command always prints the same text. All share one pod: `pod` has its security context,
//! volumes and limits.

use nightshift_core::spec::Spec;

use crate::yaml;

mod backfill;
mod coordinator;
mod cronjob;
mod error;
mod indexed;
mod job;
mod objects;
mod pod;
mod settings;

pub use error::RenderError;
use settings::Settings;
pub use settings::{KEYS, Key};

/// Images of this version; `--set image=…` names another.
const IMAGE: &str = "ghcr.io/nightshift-dev/nightshift:0.1.0";
/// The same for pods that score one shard.
const WORKER_IMAGE: &str = "ghcr.io/nightshift-dev/nightshift-worker:0.1.0";
/// Where a coordinator answers in its own namespace.
const COORDINATOR_URL: &str = "http://nightshift-coordinator:7070";

/// A shape of batch job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// One dataset, once.
    Job,
    /// Every night.
    CronJob,
    /// One dataset, in shards, one pod each.
    Indexed,
    /// One missing date an hour.
    Backfill,
    /// What a coordinator makes of a run.
    Coordinator,
}

impl Pattern {
    /// Every pattern, in the order of the manual.
    pub const ALL: [Self; 5] =
        [Self::Job, Self::CronJob, Self::Indexed, Self::Backfill, Self::Coordinator];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Indexed => "indexed",
            Self::Backfill => "backfill",
            Self::Coordinator => "coordinator",
        }
    }
}

/// What is to be rendered.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The shape.
    pub pattern: Pattern,
    /// The spec file, as the user named it.
    pub file: &'a str,
    /// Its text, which goes into a ConfigMap as it is.
    pub text: &'a str,
    /// What the text says.
    pub spec: &'a Spec,
    /// `key=value` of the command line, in its order; the last one of a key counts.
    pub settings: &'a [(String, String)],
    /// Name and text of another job template than the one that comes with Nightshift.
    pub job_template: Option<(&'a str, &'a str)>,
}

/// The YAML of a request, with its comments.
///
/// # Errors
/// What cannot be rendered, and what to write instead.
pub fn render(request: &Request<'_>) -> Result<String, RenderError> {
    let settings = Settings::new(request)?;
    if request.job_template.is_some() && request.pattern != Pattern::Coordinator {
        return Err(RenderError::TemplateUnused { pattern: request.pattern.name() });
    }
    let documents = match request.pattern {
        Pattern::Job => job::documents(&settings),
        Pattern::CronJob => cronjob::documents(&settings),
        Pattern::Indexed => indexed::documents(&settings),
        Pattern::Backfill => backfill::documents(&settings),
        Pattern::Coordinator => coordinator::documents(&settings),
    }?;
    Ok(yaml::documents(&documents))
}

#[cfg(test)]
mod tests;
