//! The files of the example, as they are in the repository, and where they go.

use jiff::ToSpan;
use jiff::civil::Date;

macro_rules! flights {
    ($($file:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../../examples/flights/", $file))),*]
    };
}

/// One file of each real day, from 1 to 14 January 2013.
pub(super) const DAYS: [&[u8]; 14] = flights![
    "data/date=2013-01-01/flights.parquet",
    "data/date=2013-01-02/flights.parquet",
    "data/date=2013-01-03/flights.parquet",
    "data/date=2013-01-04/flights.parquet",
    "data/date=2013-01-05/flights.parquet",
    "data/date=2013-01-06/flights.parquet",
    "data/date=2013-01-07/flights.parquet",
    "data/date=2013-01-08/flights.parquet",
    "data/date=2013-01-09/flights.parquet",
    "data/date=2013-01-10/flights.parquet",
    "data/date=2013-01-11/flights.parquet",
    "data/date=2013-01-12/flights.parquet",
    "data/date=2013-01-13/flights.parquet",
    "data/date=2013-01-14/flights.parquet",
];

/// The files of the model.
pub(super) const MODEL: [(&str, &[u8]); 2] = [
    (
        "models/delay-mlp/config.json",
        include_bytes!("../../../../examples/flights/models/delay-mlp/config.json"),
    ),
    (
        "models/delay-mlp/model.safetensors",
        include_bytes!("../../../../examples/flights/models/delay-mlp/model.safetensors"),
    ),
];

/// The spec of the days.
pub(super) const SPEC: &str = include_str!("spec.yaml");

/// The spec of the large table, without its number of rows.
const LARGE_SPEC: &str = include_str!("large.yaml");

/// The dates that the data is of.
pub(super) fn real_dates() -> Vec<Date> {
    (1..=14).filter_map(|day| Date::new(2013, 1, day).ok()).collect()
}

/// The `days` dates before `today`, in order.
pub(super) fn recent_dates(today: Date, days: u16) -> Vec<Date> {
    let back = (1..=i64::from(days)).rev();
    back.filter_map(|back| today.checked_sub(back.days()).ok()).collect()
}

/// The data that is laid out as `date`: a place in the two weeks that depends on the date alone.
/// So weekdays stay what they were, and what is laid out later agrees with what lies there.
pub(super) fn data_of(date: Date) -> &'static [u8] {
    let since_first = date.since(Date::constant(2013, 1, 1)).map_or(0, |span| span.get_days());
    let place = i64::from(since_first).rem_euclid(DAYS.len() as i64);
    usize::try_from(place).ok().and_then(|place| DAYS.get(place)).copied().unwrap_or(DAYS[0])
}

/// Where the data of `date` goes.
pub(super) fn day(date: Date) -> String {
    format!("data/date={date}/flights.parquet")
}

/// Where one file of a table of `rows` rows goes. Tables of two sizes never mix.
pub(super) fn part(rows: u64, index: u64) -> String {
    format!("large/{rows}-rows/part-{index:05}.parquet")
}

/// The spec that scores a table of `rows` rows.
pub(super) fn large_spec(rows: u64) -> String {
    LARGE_SPEC.replace("@ROWS@", &rows.to_string())
}

#[cfg(test)]
mod tests {
    use nightshift_core::spec::Spec;

    use super::*;

    #[test]
    fn the_spec_means_what_that_of_the_repository_means() {
        let theirs = include_str!("../../../../examples/flights/spec.yaml");
        assert_eq!(Spec::parse("spec.yaml", SPEC), Spec::parse("spec.yaml", theirs));
        assert!(Spec::parse("spec.yaml", SPEC).is_ok());
    }

    #[test]
    fn the_two_weeks_repeat_with_their_weekdays() {
        let real = real_dates();
        for (date, bytes) in real.iter().zip(DAYS) {
            assert_eq!(data_of(*date), bytes, "{date}");
        }
        let recent = recent_dates(Date::constant(2026, 3, 2), 40);
        assert_eq!(recent.len(), 40);
        assert_eq!(recent.last().map(ToString::to_string).as_deref(), Some("2026-03-01"));
        for date in recent.into_iter().chain([Date::constant(2012, 12, 31)]) {
            let place = DAYS.iter().position(|bytes| *bytes == data_of(date)).unwrap();
            assert_eq!(date.weekday(), real[place].weekday(), "{date}");
        }
    }

    #[test]
    fn the_spec_of_the_large_table_is_one_without_dates() {
        let spec = Spec::parse("large.yaml", &large_spec(7)).unwrap();
        assert!(!spec.is_dated());
        assert_eq!(part(7, 0), "large/7-rows/part-00000.parquet");
        assert!(large_spec(7).contains("large/7-rows/*.parquet"));
    }
}
