use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn window(text: &str) -> Window {
    text.parse().unwrap()
}

fn at(text: &str, now: &str) -> WindowState {
    let window = window(text);
    let zone = TimeZone::get(window.zone()).unwrap();
    window.at(now.parse().unwrap(), &zone)
}

fn open(until: &str) -> WindowState {
    WindowState::Open { until: until.parse().unwrap() }
}

fn closed(until: &str) -> WindowState {
    WindowState::Closed { until: until.parse().unwrap() }
}

#[test]
fn a_night_and_a_day() {
    let night = "22:00-06:00 UTC";
    assert_eq!(at(night, "2026-03-01T21:59:59Z"), closed("2026-03-01T22:00:00Z"));
    assert_eq!(at(night, "2026-03-01T22:00:00Z"), open("2026-03-02T06:00:00Z"));
    assert_eq!(at(night, "2026-03-02T05:59:59Z"), open("2026-03-02T06:00:00Z"));
    assert_eq!(at(night, "2026-03-02T06:00:00Z"), closed("2026-03-02T22:00:00Z"));
    let noon = "11:30-12:15";
    assert_eq!(at(noon, "2026-03-01T12:00:00Z"), open("2026-03-01T12:15:00Z"));
    assert_eq!(at(noon, "2026-03-01T12:15:00Z"), closed("2026-03-02T11:30:00Z"));
    assert_eq!(at("18:00-24:00", "2026-12-31T23:59:00Z"), open("2027-01-01T00:00:00Z"));
}

#[test]
fn the_zone_counts() {
    // 22:30 in Paris.
    assert_eq!(
        at("22:00-06:00 Europe/Paris", "2026-01-10T21:30:00Z"),
        open("2026-01-11T05:00:00Z")
    );
    assert_eq!(
        at("22:00-06:00 America/New_York", "2026-01-10T21:30:00Z"),
        closed("2026-01-11T03:00:00Z")
    );
}

#[test]
fn a_night_that_sets_the_clock_back_is_one_window() {
    // Paris, 2026-10-25: 03:00 summer time becomes 02:00, so 02:30 comes twice.
    let text = "22:00-02:30 Europe/Paris";
    let end = "2026-10-25T00:30:00Z";
    assert_eq!(at(text, "2026-10-24T23:00:00Z"), open(end));
    // Between the two 02:30 the wall shows 02:15 once more; the window stays closed.
    assert_eq!(at(text, "2026-10-25T01:15:00Z"), closed("2026-10-25T21:00:00Z"));
    // A window over the whole change is an hour longer.
    let whole = WindowState::Open { until: "2026-10-25T05:00:00Z".parse().unwrap() };
    assert_eq!(at("22:00-06:00 Europe/Paris", "2026-10-24T20:00:00Z"), whole);
}

#[test]
fn a_time_that_the_clock_leaves_out_is_an_hour_later() {
    // Paris, 2026-03-29: 02:00 becomes 03:00, so there is no 02:30.
    assert_eq!(
        at("02:30-04:00 Europe/Paris", "2026-03-29T01:29:00Z"),
        closed("2026-03-29T01:30:00Z")
    );
    assert_eq!(
        at("02:30-04:00 Europe/Paris", "2026-03-29T01:30:00Z"),
        open("2026-03-29T02:00:00Z")
    );
}

#[test]
fn people_are_told_when_it_opens() {
    let window = window("22:00-06:00 Europe/Paris");
    let hours = Hours::new(&window, |name| TimeZone::get(name).ok()).unwrap();
    let now = "2026-07-01T12:00:00Z".parse().unwrap();
    let until = hours.closed_until(now).unwrap();
    let told = "outside its window 22:00-06:00 Europe/Paris, which opens at 2026-07-01 22:00";
    assert_eq!(hours.why_closed(until), told);
    let unknown =
        Hours::new(&"01:00-02:00 Mars/Phobos".parse().unwrap(), |name| TimeZone::get(name).ok());
    assert_eq!(unknown, Err(UnknownZone { zone: "Mars/Phobos".to_owned() }));
}

#[test]
fn only_windows_are_windows() {
    for text in [
        "",
        "22:00",
        "22:00-6:00",
        "22-06",
        "25:00-06:00",
        "22:60-06:00",
        "22:00-06:00 ",
        "22:00-06:00 Europe/Paris; rm",
        "22:00–06:00",
        "24:01-06:00",
        "-1:00-06:00",
        "+2:00-06:00",
    ] {
        let parsed = text.parse::<Window>();
        // A blank at the end is forgiven.
        assert_eq!(parsed.is_ok(), text == "22:00-06:00 ", "{text}: {parsed:?}");
    }
    assert_eq!("06:00-06:00".parse::<Window>(), Err(InvalidWindow::Empty));
    assert_eq!("00:00-24:00".parse::<Window>(), Err(InvalidWindow::Empty));
    assert!("x".repeat(10_000).parse::<Window>().unwrap_err().to_string().len() < 200);
}

proptest! {
    #[test]
    fn it_opens_and_closes_when_it_says(
        from in 0_u32..24 * 60, length in 1_u32..24 * 60,
        second in 1_700_000_000_i64..1_900_000_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    ) {
        let to = (from + length) % (24 * 60);
        let text = format!("{:02}:{:02}-{:02}:{:02} {zone}", from / 60, from % 60, to / 60, to % 60);
        let window = window(&text);
        prop_assert_eq!(window.to_string(), text);
        let zone = TimeZone::get(zone).unwrap();
        let now = Timestamp::from_second(second).unwrap();
        let state = window.at(now, &zone);
        let (WindowState::Open { until } | WindowState::Closed { until }) = state;
        prop_assert!(now < until);
        // A day and the hour that a clock may be set back.
        prop_assert!(until.duration_since(now) <= SignedDuration::from_hours(25));
        // Nothing changes before, and the other state begins then, where the clock leaves a
        // window any time at all.
        let before = window.at(until - SignedDuration::from_secs(1), &zone);
        prop_assert_eq!(before.closed_until().is_some(), state.closed_until().is_some());
        if length > 120 && length < 22 * 60 {
            let then = window.at(until, &zone);
            prop_assert_ne!(then.closed_until().is_some(), state.closed_until().is_some());
        }
    }
}
