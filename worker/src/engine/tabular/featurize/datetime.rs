//! Moments, as angles on the cycles of the calendar.

use std::sync::Arc;

use arrow::array::types::{
    Date32Type, Date64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;

use super::BlockRejects;
use super::source::{for_each_text, shown, text_at, valid_bits};
use crate::engine::tabular::block::{BLOCK_ROWS, Lanes, low_bits, set_bits};
use crate::engine::tabular::calendar::{DAY_MINUTES, DayPlaces, minutes_of_text, places_of_day};
use crate::engine::tabular::config::{DatetimeFeature, DatetimePart};
use crate::reject::RejectReason;

/// A datetime feature, ready to be bound.
#[derive(Debug)]
pub(super) struct Datetime {
    name: Arc<str>,
    /// Each part with the sine and cosine of all its places.
    parts: Vec<(DatetimePart, Vec<[f32; 2]>)>,
    /// Minutes since 1970.
    fill: Option<i64>,
}

/// A datetime feature with its column.
pub(super) struct BoundDatetime<'a> {
    feature: &'a Datetime,
    array: &'a ArrayRef,
    values: Values<'a>,
    nulls: Option<NullBuffer>,
    /// The day last seen and its places: neighbouring rows mostly share it.
    last: (i64, DayPlaces),
}

/// The moments of a column; those of missing rows have no meaning.
enum Values<'a> {
    Days(&'a [i32]),
    Seconds(&'a [i64]),
    Milliseconds(&'a [i64]),
    Microseconds(&'a [i64]),
    Nanoseconds(&'a [i64]),
    /// Converted for this batch; text that is no moment is missing.
    Minutes(Int64Array),
}

impl Datetime {
    pub(super) fn new(name: Arc<str>, feature: &DatetimeFeature) -> Self {
        Self {
            name,
            parts: feature.parts.iter().map(|&part| (part, part.angles())).collect(),
            fill: feature.fill.as_deref().and_then(minutes_of_text),
        }
    }

    pub(super) fn bind<'a>(&'a self, array: &'a ArrayRef) -> Result<BoundDatetime<'a>, ArrowError> {
        let values = match array.data_type() {
            DataType::Date32 => Values::Days(array.as_primitive::<Date32Type>().values()),
            DataType::Date64 => Values::Milliseconds(array.as_primitive::<Date64Type>().values()),
            DataType::Timestamp(TimeUnit::Second, _) => {
                Values::Seconds(array.as_primitive::<TimestampSecondType>().values())
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Values::Milliseconds(array.as_primitive::<TimestampMillisecondType>().values())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Microseconds(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Values::Nanoseconds(array.as_primitive::<TimestampNanosecondType>().values())
            }
            _ => Values::Minutes(self.converted(array)?),
        };
        let nulls = match &values {
            Values::Minutes(minutes) => minutes.nulls().cloned(),
            _ => array.nulls().cloned(),
        };
        Ok(BoundDatetime { feature: self, array, values, nulls, last: (0, places_of_day(0)) })
    }

    /// The minutes of a column that has no native moments.
    fn converted(&self, array: &ArrayRef) -> Result<Int64Array, ArrowError> {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            // Once per entry, then by key.
            let entries: ArrayRef = Arc::new(self.converted(dictionary.values())?);
            let taken = take(&entries, dictionary.keys(), None)?;
            return Ok(taken.as_primitive::<Int64Type>().clone());
        }
        if *array.data_type() == DataType::Null {
            return Ok(Int64Array::new_null(array.len()));
        }
        let mut minutes = Int64Array::builder(array.len());
        if !for_each_text(array, |text| minutes.append_option(text.and_then(minutes_of_text))) {
            // Only the native moments of a dictionary are left.
            let native = self.bind(array)?;
            let mut block = [0; BLOCK_ROWS];
            for first in (0..array.len()).step_by(BLOCK_ROWS) {
                let len = BLOCK_ROWS.min(array.len() - first);
                let valid = valid_bits(native.nulls.as_ref(), first, len);
                native.minutes(first, len, &mut block);
                for (lane, &minute) in block.iter().take(len).enumerate() {
                    minutes.append_option((valid >> lane & 1 == 1).then_some(minute));
                }
            }
        }
        Ok(minutes.finish())
    }
}

impl BoundDatetime<'_> {
    /// Writes two inputs for each part of the rows of a block.
    pub(super) fn block(
        &mut self,
        first: usize,
        len: usize,
        out: &mut [Lanes],
        rejects: &mut BlockRejects,
    ) {
        let mut minutes = [0; BLOCK_ROWS];
        self.minutes(first, len, &mut minutes);
        let missing = low_bits(len) & !valid_bits(self.nulls.as_ref(), first, len);
        for lane in set_bits(missing) {
            if let Some(minute) = minutes.get_mut(lane) {
                *minute = self.replacement(first + lane, lane, rejects);
            }
        }
        let mut places = [(0, self.last.1); BLOCK_ROWS];
        for (place, minute) in places.iter_mut().zip(minutes) {
            let day = minute.div_euclid(DAY_MINUTES);
            if day != self.last.0 {
                self.last = (day, places_of_day(day));
            }
            *place = (minute.rem_euclid(DAY_MINUTES) as usize, self.last.1);
        }
        for ((part, angles), inputs) in self.feature.parts.iter().zip(out.chunks_exact_mut(2)) {
            let [sine, cosine] = inputs else { continue };
            let lanes = sine.0.iter_mut().zip(&mut cosine.0);
            for ((sine, cosine), (minute, day)) in lanes.zip(&places) {
                let place = match part {
                    DatetimePart::Hour => *minute,
                    DatetimePart::DayOfWeek => day.day_of_week,
                    DatetimePart::Month => day.month,
                    DatetimePart::DayOfYear => day.day_of_year,
                };
                [*sine, *cosine] = angles.get(place).copied().unwrap_or_default();
            }
        }
    }

    /// The moment to take for the one at `row`, which cannot be used.
    fn replacement(&self, row: usize, lane: usize, rejects: &mut BlockRejects) -> i64 {
        let name = Some(&self.feature.name);
        let bad = text_at(self.array, row).filter(|text| !text.trim_ascii().is_empty());
        match (bad, self.feature.fill) {
            (Some(_), _) => {
                let detail = || shown(self.array, row);
                rejects.reject(lane, RejectReason::BadValue, name, detail);
                0
            }
            (None, Some(fill)) => fill,
            (None, None) => {
                let detail = || "no value".to_owned();
                rejects.reject(lane, RejectReason::MissingValue, name, detail);
                0
            }
        }
    }

    /// Minutes since 1970 of the rows of a block.
    fn minutes(&self, first: usize, len: usize, out: &mut [i64; BLOCK_ROWS]) {
        fn divide<const PER_MINUTE: i64>(values: &[i64], out: &mut [i64; BLOCK_ROWS]) {
            for (to, value) in out.iter_mut().zip(values) {
                *to = value.div_euclid(PER_MINUTE);
            }
        }
        let rows = first..first + len;
        match &self.values {
            Values::Days(values) => {
                let values = values.get(rows.clone()).unwrap_or_default();
                for (to, &day) in out.iter_mut().zip(values) {
                    *to = i64::from(day) * DAY_MINUTES;
                }
            }
            Values::Seconds(values) => divide::<60>(slice(values, &rows), out),
            Values::Milliseconds(values) => divide::<60_000>(slice(values, &rows), out),
            Values::Microseconds(values) => divide::<60_000_000>(slice(values, &rows), out),
            Values::Nanoseconds(values) => divide::<60_000_000_000>(slice(values, &rows), out),
            Values::Minutes(values) => divide::<1>(slice(values.values(), &rows), out),
        }
    }
}

/// The values of `rows`; rows outside the column do not occur.
fn slice<'a>(values: &'a [i64], rows: &std::ops::Range<usize>) -> &'a [i64] {
    values.get(rows.clone()).unwrap_or_default()
}
