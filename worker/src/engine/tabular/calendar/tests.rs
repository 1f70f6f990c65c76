use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn days(date: Date) -> i64 {
    let start = date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
    start.div_euclid(86_400)
}

fn expected(date: Date) -> DayPlaces {
    DayPlaces {
        day_of_week: date.weekday().to_monday_zero_offset() as usize,
        month: date.month() as usize - 1,
        day_of_year: date.day_of_year() as usize - 1,
    }
}

#[test]
fn every_day_of_four_centuries_has_its_places() {
    let mut day = date(1599, 12, 25);
    let mut count = days(day);
    while day < date(2001, 1, 10) {
        assert_eq!(places_of_day(count), expected(day), "{day}");
        day = day.tomorrow().unwrap();
        count += 1;
    }
}

#[test]
fn no_day_is_out_of_range() {
    for days in [i64::MIN, i64::MIN + 1, i64::MAX, -1, 0] {
        let places = places_of_day(days);
        assert!(places.day_of_week < 7 && places.month < 12 && places.day_of_year < 366);
    }
}

#[test]
fn text_that_is_no_moment_is_refused() {
    for text in [
        "",
        "2013",
        "2013-01",
        "2013-1-1",
        "2013-13-01",
        "2013-00-10",
        "2013-02-29",
        "1900-02-29",
        "2013-04-31",
        "2013-01-00",
        "2013/01/01",
        "2013-01-01T",
        "2013-01-01T5",
        "2013-01-01T24:00",
        "2013-01-01T05:60",
        "2013-01-01T05:00:61",
        "2013-01-01T05:00:00.",
        "2013-01-01T05:00x",
        "2013-01-01T05:00+",
        "2013-01-01T05:00+1",
        "2013-01-01T05:00+24:00",
        "20130101",
        "2013-01-01 05:00 UTC",
        "+013-01-01",
        "２013-01-01",
    ] {
        assert_eq!(minutes_of_text(text), None, "{text}");
    }
}

#[test]
fn accepted_forms_name_the_same_minute() {
    let minute = Some(22_616_940); // 2013-01-01T05:00Z
    let start: Timestamp = "2013-01-01T05:00Z".parse().unwrap();
    assert_eq!(minute, Some(start.as_second() / 60));
    for text in [
        "2013-01-01T05:00",
        "2013-01-01 05:00:59",
        "2013-01-01t05:00:00.25",
        " 2013-01-01T05:00Z ",
        "2013-01-01T00:00-05:00",
        "2013-01-01T10:30+0530",
        "2013-01-01T05:00:00,123456789z",
        "2012-12-31T23:00-06",
    ] {
        assert_eq!(minutes_of_text(text), minute, "{text}");
    }
    assert_eq!(minutes_of_text("2013-01-01"), Some(22_616_640));
}

proptest! {
    #[test]
    fn text_agrees_with_jiff(second in -62_167_219_200_i64..253_402_300_799, offset in -1439_i64..1440) {
        let at = Timestamp::from_second(second).unwrap();
        prop_assert_eq!(minutes_of_text(&at.to_string()), Some(second.div_euclid(60)));
        let there = at.to_zoned(TimeZone::UTC).datetime();
        let sign = if offset < 0 { '-' } else { '+' };
        let text = format!("{there}{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
        prop_assert_eq!(minutes_of_text(&text), Some(second.div_euclid(60) - offset));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        let _ = minutes_of_text(&text);
    }
}
