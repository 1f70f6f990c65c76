//! In which order runs are shown.

use nightshift_proto::runs::status::RunStatus;

use super::Model;

/// An order of the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// Under way first, then the newest: as they are listed.
    #[default]
    Listed,
    Name,
    /// The fastest first.
    Rate,
    /// The one that ends first before the others; those that nobody can say it of last.
    TimeLeft,
    /// The one with the most shards in trouble first.
    Trouble,
}

impl Order {
    /// The order after this one.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Listed => Self::Name,
            Self::Name => Self::Rate,
            Self::Rate => Self::TimeLeft,
            Self::TimeLeft => Self::Trouble,
            Self::Trouble => Self::Listed,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Listed => "as listed",
            Self::Name => "by name",
            Self::Rate => "by rows/s",
            Self::TimeLeft => "by ETA",
            Self::Trouble => "by failed shards",
        }
    }

    /// Sorts; runs that are alike stay as they are listed.
    pub(super) fn sort(self, model: &Model, runs: &mut [&RunStatus]) {
        match self {
            Self::Listed => {}
            Self::Name => runs.sort_by_cached_key(|run| run.run.to_string()),
            Self::Rate => runs.sort_by(|a, b| {
                let rate = |run| model.rate(run).unwrap_or(-1.0);
                rate(b).total_cmp(&rate(a))
            }),
            Self::TimeLeft => runs.sort_by_key(|run| {
                let left = model.time_left(run);
                (left.is_none(), left)
            }),
            Self::Trouble => runs
                .sort_by_key(|run| std::cmp::Reverse((run.shards.quarantined, run.shards.delayed))),
        }
    }
}
