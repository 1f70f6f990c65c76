//! Telling others of a run: once if all goes well, again if not, and never without an end.
//!
//! A report, a message or an event may get lost: the process dies, the service is away. So each
//! [`Channel`] of a run has a mark in the store, made after it was told ([`Told`]), and before
//! that a numbered note for each try ([`Try`]). Whoever looks at a concluded run asks
//! [`decide`], and tries if nobody else is at it. Something may be told twice (a process dies
//! between telling and marking), which is why every message carries an identity that stays the
//! same.
//!
//! None of this is truth: no verdict depends on it, and the marks may be deleted.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::plan::Reporting;

/// Tries of one channel, over all looks of all processes. An hourly schedule tries for most of
/// a day; a person may always ask for another.
pub const TRIES_MAX: u32 = 16;
/// How long a try is left alone, in seconds: more than it may take with all of its repetitions.
pub const TRY_MAX_S: i64 = 90;

/// What is told to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// That the run has begun, to a lineage service.
    LineageStart,
    /// `report.json` and `report.html`, into a folder.
    Report,
    /// The verdict, to a webhook.
    Webhook,
    /// The verdict, to a lineage service.
    LineageEnd,
}

impl Channel {
    /// Every channel, in the order in which they are told: a message links to the report.
    pub const ALL: [Self; 4] = [Self::LineageStart, Self::Report, Self::Webhook, Self::LineageEnd];

    /// The name in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineageStart => "lineage-start",
            Self::Report => "report",
            Self::Webhook => "webhook",
            Self::LineageEnd => "lineage-end",
        }
    }

    /// The channel of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }

    /// Whether a plan asks for it.
    pub fn is_wanted(self, reporting: &Reporting) -> bool {
        match self {
            Self::Report => reporting.folder.is_some(),
            Self::Webhook => reporting.webhook.is_some(),
            Self::LineageStart | Self::LineageEnd => reporting.lineage.is_some(),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `runs/<run>/tries/<channel>/<n>.json`: somebody is about to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// What is told to whom.
    pub channel: Channel,
    /// Number of the try, from 1.
    pub number: u32,
    /// Who tries: host and process.
    pub by: String,
    /// When it began, by that process's clock.
    pub at: Timestamp,
}

/// `runs/<run>/told/<channel>.json`: it has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// What was told to whom.
    pub channel: Channel,
    /// Who did it: host and process.
    pub by: String,
    /// When, by that process's clock.
    pub at: Timestamp,
}

impl Try {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;
}

impl Told {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;
}

/// What the store says about one channel of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TellingFacts {
    /// Whether it has been told.
    pub told: bool,
    /// The newest try: its number, and when it began.
    pub newest: Option<(u32, Timestamp)>,
}

/// How much a try is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody came by.
    Passing,
    /// A person asked for it.
    Asked,
}

/// What to do about one channel of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nothing: it has been told.
    Done,
    /// Nothing: somebody else is at it.
    Busy,
    /// Nothing: it has been tried often enough.
    Exhausted,
    /// Try, under this number.
    Try(u32),
}

/// Decides whether to tell now. Clocks of different hosts only save work here: a try that is
/// taken for over although it goes on costs a message that is sent twice.
pub fn decide(facts: TellingFacts, now: Timestamp, urgency: Urgency) -> Telling {
    let TellingFacts { told, newest } = facts;
    let number = newest.map_or(1, |(number, _)| number.saturating_add(1));
    match newest {
        _ if told => Telling::Done,
        _ if urgency == Urgency::Asked => Telling::Try(number),
        Some((_, at)) if now.duration_since(at).as_secs().abs() < TRY_MAX_S => Telling::Busy,
        _ if number > TRIES_MAX => Telling::Exhausted,
        _ => Telling::Try(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let before = |seconds: i64| now - jiff::SignedDuration::from_secs(seconds);
        let facts = |told, newest| TellingFacts { told, newest };
        let rows = [
            (facts(false, None), Telling::Try(1), Telling::Try(1)),
            (facts(true, None), Telling::Done, Telling::Done),
            (facts(true, Some((3, now))), Telling::Done, Telling::Done),
            (facts(false, Some((1, before(5)))), Telling::Busy, Telling::Try(2)),
            (facts(false, Some((1, before(TRY_MAX_S)))), Telling::Try(2), Telling::Try(2)),
            // A clock that is a little ahead is no reason to send twice, one that is far off is
            // no reason to wait for ever.
            (facts(false, Some((1, before(-5)))), Telling::Busy, Telling::Try(2)),
            (facts(false, Some((1, before(-86_400)))), Telling::Try(2), Telling::Try(2)),
            (
                facts(false, Some((TRIES_MAX - 1, before(3_600)))),
                Telling::Try(TRIES_MAX),
                Telling::Try(TRIES_MAX),
            ),
            (
                facts(false, Some((TRIES_MAX, before(3_600)))),
                Telling::Exhausted,
                Telling::Try(TRIES_MAX + 1),
            ),
        ];
        for (facts, passing, asked) in rows {
            assert_eq!(decide(facts, now, Urgency::Passing), passing, "{facts:?}");
            assert_eq!(decide(facts, now, Urgency::Asked), asked, "{facts:?}");
        }
    }

    #[test]
    fn names_read_back() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(&channel.to_string()), Some(channel));
            assert_eq!(serde_json::to_string(&channel).unwrap(), format!("\"{channel}\""));
        }
        assert_eq!(Channel::parse("email"), None);
    }
}
