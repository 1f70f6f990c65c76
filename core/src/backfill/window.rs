//! The dates that a tick is about.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The `days` civil dates before today in `zone`, oldest first. Today is not among them: its
/// input is not complete yet.
///
/// Dates are counted on the calendar, not in hours, so nights on which clocks are changed, ends
/// of months and leap years need no care. At the first day of the calendar the window ends.
pub fn window(now: Timestamp, zone: &TimeZone, days: u32) -> Vec<Date> {
    let today = now.to_zoned(zone.clone()).date();
    let first = today.checked_sub(i64::from(days).days()).unwrap_or(Date::MIN);
    first.series(1.day()).take_while(|date| *date < today).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dates(now: &str, zone: &str, days: u32) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        window(now.parse().unwrap(), &zone, days).iter().map(Date::to_string).collect()
    }

    #[test]
    fn the_window_ends_yesterday() {
        assert_eq!(dates("2026-03-04T12:00:00Z", "UTC", 2), ["2026-03-02", "2026-03-03"]);
        assert!(dates("2026-03-04T12:00:00Z", "UTC", 0).is_empty());
    }

    #[test]
    fn yesterday_is_that_of_the_zone() {
        let now = "2026-03-01T00:30:00Z";
        assert_eq!(dates(now, "Europe/Paris", 1), ["2026-02-28"]);
        assert_eq!(dates(now, "America/New_York", 1), ["2026-02-27"]);
        assert_eq!(dates("2026-03-01T11:30:00Z", "Pacific/Kiritimati", 1), ["2026-03-01"]);
    }

    #[test]
    fn leap_days_and_ends_of_months_are_days() {
        let leap = ["2024-02-28", "2024-02-29", "2024-03-01"];
        assert_eq!(dates("2024-03-02T01:00:00Z", "UTC", 3), leap);
        let common = ["2023-02-27", "2023-02-28", "2023-03-01"];
        assert_eq!(dates("2023-03-02T01:00:00Z", "UTC", 3), common);
        assert_eq!(dates("2100-03-01T12:00:00Z", "UTC", 1), ["2100-02-28"], "not a leap year");
    }

    #[test]
    fn a_night_with_a_change_of_clocks_has_one_date() {
        // Paris: 02:00 becomes 03:00 on 2026-03-29, 03:00 becomes 02:00 on 2026-10-25.
        for (hour, expected) in [
            ("2026-03-28T22:59:59Z", "2026-03-27"),
            ("2026-03-28T23:00:00Z", "2026-03-28"),
            ("2026-03-29T01:30:00Z", "2026-03-28"),
            ("2026-03-29T22:00:00Z", "2026-03-29"),
            ("2026-10-24T22:00:00Z", "2026-10-24"),
            ("2026-10-25T00:30:00Z", "2026-10-24"),
            ("2026-10-25T01:30:00Z", "2026-10-24"),
            ("2026-10-25T22:59:59Z", "2026-10-24"),
            ("2026-10-25T23:00:00Z", "2026-10-25"),
        ] {
            assert_eq!(dates(hour, "Europe/Paris", 1), [expected], "{hour}");
        }
    }

    #[test]
    fn a_zone_may_skip_a_day() {
        // Samoa went from 2011-12-29 to 2011-12-31. The date that nobody lived is on the
        // calendar all the same, and has no input.
        let days = ["2011-12-28", "2011-12-29", "2011-12-30"];
        assert_eq!(dates("2011-12-31T00:00:00Z", "Pacific/Apia", 3), days);
    }

    proptest! {
        #[test]
        fn hour_after_hour_no_date_is_left_out(start in 0_i64..4_000_000_000, days in 1_u32..40) {
            let zone = TimeZone::get("America/Sao_Paulo").unwrap();
            let mut last = window(Timestamp::from_second(start).unwrap(), &zone, days);
            prop_assert_eq!(last.len(), days as usize);
            for hour in 1..60 {
                let now = Timestamp::from_second(start + hour * 3600).unwrap();
                let next = window(now, &zone, days);
                let newest = *last.last().unwrap();
                let expected = [newest, newest.tomorrow().unwrap()];
                prop_assert!(expected.contains(next.last().unwrap()));
                last = next;
            }
        }
    }
}
