//! Numbers, standardised.

use std::sync::Arc;

use arrow::array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use nightshift_kernels::simd::{Isa, Kernel, Simd};

use super::BlockRejects;
use super::source::{for_each_text, shown, text_at, valid_bits};
use crate::engine::tabular::block::{BLOCK_ROWS, Lanes, low_bits, set_bits};
use crate::engine::tabular::config::NumericFeature;
use crate::reject::RejectReason;

impl NumericFeature {
    /// The input that the value `x` makes: (x - mean) × (1 / scale), in 64 bits, then rounded.
    pub fn standardise(&self, x: f64) -> f32 {
        ((x - self.mean) * self.scale.recip()) as f32
    }
}

/// A numeric feature, ready to be bound.
#[derive(Debug)]
pub(super) struct Numeric {
    name: Arc<str>,
    mean: f64,
    reciprocal: f64,
    /// Standardised already.
    fill: Option<f32>,
    indicator: bool,
    isa: Isa,
}

/// A numeric feature with its column.
pub(super) struct BoundNumeric<'a> {
    feature: &'a Numeric,
    array: &'a ArrayRef,
    values: Values<'a>,
    nulls: Option<NullBuffer>,
}

/// The values of a column; those of missing rows have no meaning.
enum Values<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    /// Converted for this batch; text that is no number is NaN.
    Converted(Float64Array),
}

impl Numeric {
    pub(super) fn new(name: Arc<str>, feature: &NumericFeature) -> Self {
        Self {
            name,
            mean: feature.mean,
            reciprocal: feature.scale.recip(),
            fill: feature.fill.map(|fill| feature.standardise(fill)),
            indicator: feature.indicator,
            isa: Isa::detect(),
        }
    }

    pub(super) fn bind<'a>(&'a self, array: &'a ArrayRef) -> Result<BoundNumeric<'a>, ArrowError> {
        let values = match array.data_type() {
            DataType::Int8 => Values::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Values::U8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Values::U16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Values::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Values::U64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Values::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            _ => Values::Converted(converted(array)?),
        };
        let nulls = match &values {
            Values::Converted(converted) => converted.nulls().cloned(),
            _ => array.nulls().cloned(),
        };
        Ok(BoundNumeric { feature: self, array, values, nulls })
    }
}

/// The numbers of a column that has no native ones.
pub(in crate::engine) fn converted(array: &ArrayRef) -> Result<Float64Array, ArrowError> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Once per entry, then by key.
        let entries: ArrayRef = Arc::new(converted(dictionary.values())?);
        let taken = take(&entries, dictionary.keys(), None)?;
        return Ok(taken.as_primitive::<Float64Type>().clone());
    }
    let mut numbers = Float64Array::builder(array.len());
    if for_each_text(array, |text| numbers.append_option(text.and_then(number_of_text))) {
        return Ok(numbers.finish());
    }
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The number that `text` writes, NaN if it writes none, nothing if it is blank.
fn number_of_text(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    (!text.is_empty()).then(|| text.parse().unwrap_or(f64::NAN))
}

/// A native number as the type in which standardisation is done.
trait ToF64: Copy {
    fn to_f64(self) -> f64;
}

macro_rules! to_f64 {
    ($($native:ty)*) => {$(
        impl ToF64 for $native {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
to_f64!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

/// Writes the standardised `values`, and says whether all of them are finite.
struct Standardise<'a, T> {
    values: &'a [T],
    mean: f64,
    reciprocal: f64,
    out: &'a mut Lanes,
}

impl<T: ToF64> Kernel for Standardise<'_, T> {
    type Output = bool;

    // Plain loops: the compiler makes vectors of them, with the same results on every set.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        let Self { values, mean, reciprocal, out } = self;
        if let Ok(values) = <&[T; BLOCK_ROWS]>::try_from(values) {
            // A whole block, of a length that the compiler knows.
            for (to, value) in out.0.iter_mut().zip(values) {
                *to = ((value.to_f64() - mean) * reciprocal) as f32;
            }
        } else {
            *out = Lanes::ZERO;
            for (to, value) in out.0.iter_mut().zip(values) {
                *to = ((value.to_f64() - mean) * reciprocal) as f32;
            }
        }
        out.all_finite()
    }
}

impl BoundNumeric<'_> {
    /// Writes the input, and the indicator if there is one, of the rows of a block.
    pub(super) fn block(
        &mut self,
        first: usize,
        len: usize,
        out: &mut [Lanes],
        rejects: &mut BlockRejects,
    ) {
        let Some((input, rest)) = out.split_first_mut() else { return };
        let mut indicator = rest.first_mut().filter(|_| self.feature.indicator);
        if let Some(indicator) = &mut indicator {
            **indicator = Lanes::ZERO;
        }
        let finite = self.standardise(first, len, input);
        let mut unusable = low_bits(len) & !valid_bits(self.nulls.as_ref(), first, len);
        if !finite {
            for (lane, value) in input.0.iter().take(len).enumerate() {
                unusable |= u64::from(!value.is_finite()) << lane;
            }
        }
        for lane in set_bits(unusable) {
            let Some(value) = input.0.get_mut(lane) else { continue };
            let reason = self.reason(first + lane);
            match self.feature.fill {
                Some(fill) if reason != RejectReason::BadValue => {
                    *value = fill;
                    if let Some(flag) = indicator.as_mut().and_then(|flags| flags.0.get_mut(lane)) {
                        *flag = 1.0;
                    }
                }
                _ => {
                    *value = 0.0;
                    let detail = || match reason {
                        RejectReason::MissingValue => "no value".to_owned(),
                        _ => shown(self.array, first + lane),
                    };
                    rejects.reject(lane, reason, Some(&self.feature.name), detail);
                }
            }
        }
    }

    fn standardise(&self, first: usize, len: usize, out: &mut Lanes) -> bool {
        let (mean, reciprocal) = (self.feature.mean, self.feature.reciprocal);
        macro_rules! native {
            ($values:expr) => {{
                let values = $values.get(first..first + len).unwrap_or_default();
                self.feature.isa.run(Standardise { values, mean, reciprocal, out })
            }};
        }
        match &self.values {
            Values::I8(values) => native!(values),
            Values::I16(values) => native!(values),
            Values::I32(values) => native!(values),
            Values::I64(values) => native!(values),
            Values::U8(values) => native!(values),
            Values::U16(values) => native!(values),
            Values::U32(values) => native!(values),
            Values::U64(values) => native!(values),
            Values::F32(values) => native!(values),
            Values::F64(values) => native!(values),
            Values::Converted(values) => native!(values.values()),
        }
    }

    /// Why the value at `row` cannot be used.
    fn reason(&self, row: usize) -> RejectReason {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return RejectReason::MissingValue;
        }
        match text_at(self.array, row) {
            Some(text) if text.trim_ascii().parse::<f64>().is_err() => RejectReason::BadValue,
            _ => RejectReason::NotFinite,
        }
    }
}
