//! What a coordinator was asked, in order.

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::Token;
use nightshift_proto::leases::heartbeat::Heartbeat;
use nightshift_proto::leases::release::Release;
use nightshift_proto::leases::report::{Outcome, Report};

/// The calls of `ShardLeases`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Acquire,
    Heartbeat,
    Release,
    Report,
}

/// One call that a coordinator acted on.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Acquire { request: String, granted: Vec<(Token, ShardIndex)> },
    Heartbeat(Heartbeat),
    Release(Release),
    Report(Report),
}

/// Every call so far.
#[derive(Debug, Default)]
pub(crate) struct Calls(pub(crate) Vec<Call>);

impl Calls {
    pub(crate) fn reports(&self) -> impl Iterator<Item = &Report> {
        self.0.iter().filter_map(|call| match call {
            Call::Report(report) => Some(report),
            _ => None,
        })
    }

    pub(crate) fn releases(&self) -> impl Iterator<Item = &Release> {
        self.0.iter().filter_map(|call| match call {
            Call::Release(release) => Some(release),
            _ => None,
        })
    }

    pub(crate) fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.0.iter().filter_map(|call| match call {
            Call::Heartbeat(heartbeat) => Some(heartbeat),
            _ => None,
        })
    }

    /// Requests for work with what they were granted.
    pub(crate) fn acquires(&self) -> impl Iterator<Item = (&str, &[(Token, ShardIndex)])> {
        self.0.iter().filter_map(|call| match call {
            Call::Acquire { request, granted } => Some((request.as_str(), granted.as_slice())),
            _ => None,
        })
    }

    /// Shards of which a commit was reported, once a report.
    pub(crate) fn committed(&self) -> Vec<u32> {
        let committed = self.reports().filter(|r| matches!(r.outcome, Outcome::Committed(_)));
        committed.map(|report| report.lease.shard.0).collect()
    }

    /// Leases that were granted, in all answers.
    pub(crate) fn granted(&self) -> Vec<u32> {
        self.acquires().flat_map(|(_, granted)| granted).map(|(_, shard)| shard.0).collect()
    }
}
