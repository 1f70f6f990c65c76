//! Dates on the command line: `2013-01-31`, `today`, `yesterday`, `A..B`.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use nightshift_core::ids::Partition;
use thiserror::Error;

/// Most dates that one command takes: ten years.
const DATES_MAX: usize = 3_653;

/// One date as the user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateArg {
    /// The day that it is.
    Today,
    /// The day before.
    Yesterday,
    /// A date of the calendar.
    Civil(Date),
}

/// A range of dates as the user writes it, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatesArg {
    from: DateArg,
    to: DateArg,
}

/// Why text is not a date or a range of dates.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidDate {
    /// A placeholder that nobody filled in.
    #[error("`{text}` is left over from a shell or template language; write `--date yesterday`")]
    ShellLeftover {
        /// What was written.
        text: String,
    },
    /// Not a date.
    #[error("`{text}` is not a date of the calendar; write YYYY-MM-DD, today or yesterday")]
    NotADate {
        /// What was written.
        text: String,
    },
    /// Not two dates with `..` between them.
    #[error("`{text}` is not a range of dates; write FROM..TO, as in 2013-01-01..2013-01-14")]
    NotARange {
        /// What was written.
        text: String,
    },
    /// The end comes before the start.
    #[error("the range ends on {to}, before it starts on {from}; swap the two")]
    Backwards {
        /// The start.
        from: Date,
        /// The end.
        to: Date,
    },
    /// More dates than one command takes.
    #[error("the range has more than {DATES_MAX} dates; cut it into smaller ones")]
    TooLong,
}

impl FromStr for DateArg {
    type Err = InvalidDate;
    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let shown = || text.chars().take(40).collect::<String>();
        match text {
            "today" => Ok(Self::Today),
            "yesterday" => Ok(Self::Yesterday),
            _ if text.contains(['{', '$', '`']) => {
                Err(InvalidDate::ShellLeftover { text: shown() })
            }
            _ => match text.parse() {
                Ok(Partition::Date(date)) => Ok(Self::Civil(date)),
                _ => Err(InvalidDate::NotADate { text: shown() }),
            },
        }
    }
}

impl FromStr for DatesArg {
    type Err = InvalidDate;
    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let not_a_range = || InvalidDate::NotARange { text: text.chars().take(60).collect() };
        let (from, to) = text.split_once("..").ok_or_else(not_a_range)?;
        Ok(Self { from: from.parse()?, to: to.parse()? })
    }
}

impl DateArg {
    /// The civil date at `now` in `zone`.
    pub fn at(self, now: Timestamp, zone: &TimeZone) -> Date {
        let today = now.to_zoned(zone.clone()).date();
        match self {
            Self::Today => today,
            // The first day of the calendar has no yesterday; nobody runs a batch there.
            Self::Yesterday => today.yesterday().unwrap_or(today),
            Self::Civil(date) => date,
        }
    }
}

impl DatesArg {
    /// The civil dates at `now` in `zone`, in order.
    ///
    /// # Errors
    /// If the range is backwards or too long.
    pub fn at(self, now: Timestamp, zone: &TimeZone) -> Result<Vec<Date>, InvalidDate> {
        let (from, to) = (self.from.at(now, zone), self.to.at(now, zone));
        if to < from {
            return Err(InvalidDate::Backwards { from, to });
        }
        let dates: Vec<Date> =
            from.series(1.day()).take_while(|date| *date <= to).take(DATES_MAX + 1).collect();
        if dates.len() > DATES_MAX { Err(InvalidDate::TooLong) } else { Ok(dates) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterday_depends_on_the_time_zone() {
        let now: Timestamp = "2026-03-01T00:30:00Z".parse().unwrap();
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let new_york = TimeZone::get("America/New_York").unwrap();
        assert_eq!(DateArg::Yesterday.at(now, &paris).to_string(), "2026-02-28");
        assert_eq!(DateArg::Yesterday.at(now, &new_york).to_string(), "2026-02-27");
    }

    #[test]
    fn ranges_include_both_ends_and_cross_leap_days() {
        let now = Timestamp::UNIX_EPOCH;
        let range: DatesArg = "2024-02-27..2024-03-01".parse().unwrap();
        let dates = range.at(now, &TimeZone::UTC).unwrap();
        let dates: Vec<String> = dates.iter().map(Date::to_string).collect();
        assert_eq!(dates, ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]);
    }

    #[test]
    fn what_is_not_a_date_says_what_to_write() {
        for text in ["2023-02-29", "20230101", "tomorrow", "", "2023-1-1"] {
            assert!(matches!(text.parse::<DateArg>(), Err(InvalidDate::NotADate { .. })), "{text}");
        }
        for text in ["{{yesterday}}", "$(date)", "${DATE}"] {
            assert!(
                matches!(text.parse::<DateArg>(), Err(InvalidDate::ShellLeftover { .. })),
                "{text}"
            );
        }
        assert!("2023-01-01".parse::<DatesArg>().is_err());
        let backwards: DatesArg = "2023-01-02..2023-01-01".parse().unwrap();
        assert!(matches!(
            backwards.at(Timestamp::UNIX_EPOCH, &TimeZone::UTC),
            Err(InvalidDate::Backwards { .. })
        ));
    }
}
