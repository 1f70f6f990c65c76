//! The flags of `nightshift render`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use nightshift_manifests::render::{KEYS, Pattern};

/// What is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PatternArg {
    /// A Job for one dataset, once
    Job,
    /// A CronJob that scores yesterday every night
    Cronjob,
    /// An Indexed Job without a coordinator: one pod for each shard
    Indexed,
    /// A CronJob that does one missing date of the last days every hour
    Backfill,
    /// The worker Job that a coordinator makes for a run
    Coordinator,
}

impl From<PatternArg> for Pattern {
    fn from(pattern: PatternArg) -> Self {
        match pattern {
            PatternArg::Job => Self::Job,
            PatternArg::Cronjob => Self::CronJob,
            PatternArg::Indexed => Self::Indexed,
            PatternArg::Backfill => Self::Backfill,
            PatternArg::Coordinator => Self::Coordinator,
        }
    }
}

impl PatternArg {
    /// All of them, in the order of the manual.
    pub(crate) const ALL: [Self; 5] =
        [Self::Job, Self::Cronjob, Self::Indexed, Self::Backfill, Self::Coordinator];
}

#[derive(Debug, Args)]
#[command(after_help = keys())]
pub(crate) struct RenderArgs {
    /// What to render
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: PatternArg,

    /// The spec file; model, input and output lie below /data, where pods have their volume
    #[arg(value_name = "SPEC", value_hint = ValueHint::FilePath)]
    pub(crate) spec: PathBuf,

    /// A setting of the pattern, as in namespace=batch; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,

    /// With `coordinator`: the job template, instead of the one that comes with Nightshift
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) job_template: Option<PathBuf>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE, as in namespace=batch".to_owned()),
    }
}

/// The keys of `--set`, with the patterns that have them.
fn keys() -> String {
    let mut text = String::from("Keys of --set:\n");
    for key in KEYS {
        let with: Vec<&str> = PatternArg::ALL
            .iter()
            .map(|pattern| Pattern::from(*pattern))
            .filter(|pattern| key.patterns.contains(pattern))
            .map(Pattern::name)
            .collect();
        let with = match with.len() {
            0 => continue,
            all if all == PatternArg::ALL.len() => String::new(),
            _ => format!(" ({})", with.join(", ")),
        };
        text.push_str(&format!("  {:<18} {}{with}\n", key.name, key.meaning));
    }
    text
}
