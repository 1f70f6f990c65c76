//! Hours of the day in which a run may work: `22:00-06:00 Europe/Paris`.
//!
//! A window is an interval for each day of the calendar, from one local time to the next
//! occurrence of another. It is an interval of moments, not a test of what the clock on the wall
//! shows: a night in which the clock is set back is an hour longer and still one window. A local
//! time that a day does not have is taken as RFC 5545 says, an hour later on the clock.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest text that can be a window: two times and the longest name of a zone, with room.
const TEXT_MAX: usize = 100;

/// Hours of the day in which shards may be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    from: Time,
    to: Time,
    zone: String,
}

/// A window with its zone: whether shards may be begun at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    window: Window,
    zone: TimeZone,
}

/// A zone that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "spec.window: the time zone `{zone}` is not known here; use an IANA name such as Europe/Paris"
)]
pub struct UnknownZone {
    /// Its name.
    pub zone: String,
}

/// How a window stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowState {
    /// Shards may be begun.
    Open {
        /// When it closes.
        until: Timestamp,
    },
    /// No shard may be begun.
    Closed {
        /// When it opens.
        until: Timestamp,
    },
}

/// Why text is not a window.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWindow {
    /// Not two times, and perhaps a zone.
    #[error("`{text}` is not a window")]
    Shape {
        /// The beginning of what was written.
        text: String,
    },
    /// Both times are the same: nobody can tell always from never.
    #[error("a window cannot begin and end at the same time")]
    Empty,
}

impl Window {
    /// What to write instead of text that is not a window.
    pub const REMEDY: &str = "write it as `22:00-06:00 Europe/Paris`";

    /// IANA name of the zone in which the times are meant.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// How the window stands at `now`, where `zone` is the zone that [`Self::zone`] names.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> WindowState {
        let today = now.to_zoned(zone.clone()).date();
        // A window that began yesterday may be open still; the next may begin tomorrow at the
        // latest, or the day after where a night has moved it past this one.
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let after = today.tomorrow().and_then(Date::tomorrow).ok();
        let mut next = Timestamp::MAX;
        for day in days.into_iter().chain([after]).flatten() {
            let Some((opens, closes)) = self.on(day, zone) else { continue };
            if opens <= now && now < closes {
                return WindowState::Open { until: closes };
            }
            if now < opens {
                next = next.min(opens);
            }
        }
        WindowState::Closed { until: next }
    }

    /// The moments at which the window of `day` opens and closes; none past the calendar's end.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let moment =
            |day: Date, time| zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok();
        Some((moment(day, self.from)?, moment(last, self.to)?))
    }
}

impl Hours {
    /// The hours of `window`; `find` looks a zone up by its name.
    ///
    /// # Errors
    /// If the zone is not found.
    pub fn new(
        window: &Window,
        find: impl FnOnce(&str) -> Option<TimeZone>,
    ) -> Result<Self, UnknownZone> {
        let zone = find(window.zone());
        let zone = zone.ok_or_else(|| UnknownZone { zone: window.zone().to_owned() })?;
        Ok(Self { window: window.clone(), zone })
    }

    /// When shards may be begun again, if they may not be at `now`.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.window.at(now, &self.zone).closed_until()
    }

    /// Says for people that it is closed until `until`, on the clock of its zone.
    pub fn why_closed(&self, until: Timestamp) -> String {
        let opens = until.to_zoned(self.zone.clone());
        format!(
            "outside its window {}, which opens at {}",
            self.window,
            opens.strftime("%Y-%m-%d %H:%M")
        )
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let shape = || InvalidWindow::Shape { text: text.chars().take(TEXT_MAX).collect() };
        if text.len() > TEXT_MAX {
            return Err(shape());
        }
        let (times, zone) = text.trim().split_once(' ').unwrap_or((text.trim(), "UTC"));
        let (from, to) = times.split_once('-').ok_or_else(shape)?;
        let zone = zone.trim();
        let fine = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
        if zone.is_empty() || !zone.chars().all(fine) {
            return Err(shape());
        }
        let (from, to) = (hours(from).ok_or_else(shape)?, hours(to).ok_or_else(shape)?);
        if from == to {
            return Err(InvalidWindow::Empty);
        }
        Ok(Self { from, to, zone: zone.to_owned() })
    }
}

/// `22:00`, or `24:00` for the end of a day.
fn hours(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    match (hour.parse().ok()?, minute.parse().ok()?) {
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, zone } = self;
        let (from, to) = ((from.hour(), from.minute()), (to.hour(), to.minute()));
        write!(f, "{:02}:{:02}-{:02}:{:02} {zone}", from.0, from.1, to.0, to.1)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl WindowState {
    /// When a window that is closed opens.
    pub fn closed_until(self) -> Option<Timestamp> {
        match self {
            Self::Open { .. } => None,
            Self::Closed { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests;
