//! Moments as minutes since 1970-01-01T00:00, and their places in the cycles of the calendar.
//!
//! The calendar is the proleptic Gregorian one, all wall times are UTC, seconds are cut off.

use super::config::DatetimePart;

/// Minutes of a day.
pub(super) const DAY_MINUTES: i64 = 24 * 60;

/// The minutes of an ISO 8601 date or date and time; none if `text` is not one.
///
/// Accepted are `YYYY-MM-DD`, then optionally `T` or a space and `HH:MM`, `HH:MM:SS` or
/// `HH:MM:SS.fraction`, then optionally `Z`, `±HH`, `±HHMM` or `±HH:MM`. An offset is taken off,
/// so that the result is UTC, as a timestamp column holds it.
pub(super) fn minutes_of_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii().as_bytes();
    let (date, rest) = text.split_at_checked(10)?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = date else { return None };
    let year = number(&[y0, y1, y2, y3])?;
    let (month, day) = (number(&[m0, m1])?, number(&[d0, d1])?);
    let days = days_of_civil(year, month, day)?;
    if rest.is_empty() {
        return Some(days * DAY_MINUTES);
    }
    let time = rest.strip_prefix(b"T").or(rest.strip_prefix(b"t")).or(rest.strip_prefix(b" "))?;
    let (minute, rest) = time_of_day(time)?;
    Some(days * DAY_MINUTES + minute - offset(rest)?)
}

/// Minute of the day at the start of `text`, and what follows the time.
fn time_of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (time, mut rest) = text.split_at_checked(5)?;
    let &[h0, h1, b':', m0, m1] = time else { return None };
    let hour = number(&[h0, h1]).filter(|&hour| hour < 24)?;
    let minute = number(&[m0, m1]).filter(|&minute| minute < 60)?;
    if let Some(after) = rest.strip_prefix(b":") {
        let (second, after) = after.split_at_checked(2)?;
        // 60 is a leap second; it belongs to the minute that it ends.
        number(second).filter(|&second| second <= 60)?;
        rest = after;
        if let Some(after) = rest.strip_prefix(b".").or(rest.strip_prefix(b",")) {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            rest = after.get(digits..)?;
        }
    }
    Some((hour * 60 + minute, rest))
}

/// Minutes east of UTC; 0 where the text names no offset.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _] => (number(digits)?, 0),
        &[h0, h1, m0, m1] | &[h0, h1, b':', m0, m1] => (number(&[h0, h1])?, number(&[m0, m1])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days since 1970-01-01 of a date of the years 0 to 9999; none if there is no such date.
fn days_of_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years
    // begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Places of a day in the cycles longer than a day, each counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayPlaces {
    /// 0 is Monday.
    pub(super) day_of_week: usize,
    /// 0 is January.
    pub(super) month: usize,
    /// 0 is 1 January.
    pub(super) day_of_year: usize,
}

/// The places of the day `days` after 1970-01-01.
pub(super) fn places_of_day(days: i64) -> DayPlaces {
    // The inverse of `days_of_civil`, civil_from_days in the same source. Every 400 years are
    // alike, so the era does not matter here and no date is out of range.
    let day_of_era = (days.rem_euclid(146_097) + 719_468) % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * from_march + 2) / 153;
    let month = (month_from_march + 2) % 12;
    // 1 March is day 59, or day 60 of a leap year; January and February are days 306 to 365
    // counted from March.
    let day_of_year = if month < 2 {
        from_march - 306
    } else {
        from_march + 59 + i64::from(is_leap(year_of_era))
    };
    DayPlaces {
        // 1970-01-01 was a Thursday.
        day_of_week: (days.rem_euclid(7) + 3) as usize % 7,
        month: month as usize,
        day_of_year: day_of_year as usize,
    }
}

impl DatetimePart {
    /// Places in the cycle that are told apart.
    fn places(self) -> usize {
        match self {
            Self::Hour => DAY_MINUTES as usize,
            Self::DayOfWeek => 7,
            Self::Month => 12,
            Self::DayOfYear => 366,
        }
    }

    /// Sine and cosine of the angle of each place.
    pub(super) fn angles(self) -> Vec<[f32; 2]> {
        let count = self.places();
        let angle = |place: usize| std::f64::consts::TAU * place as f64 / count as f64;
        (0..count).map(|place| [angle(place).sin() as f32, angle(place).cos() as f32]).collect()
    }
}

#[cfg(test)]
mod tests;
