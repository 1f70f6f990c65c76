//! From columns to the values that a graph reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::types::{Float32Type, Float64Type, Int64Type};
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, RecordBatch,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

mod plain;

use super::compile::Input;
use super::value::{Data, Element};
use crate::engine::tabular::source::{is_missing, shown, text_at};
use crate::engine::tabular::{converted, wrong_type};
use crate::engine::{ColumnRole, EngineColumn, EngineError};
use crate::reject::{RejectReason, RowReject};

/// Rejects of a batch: one a row, the first that was found.
#[derive(Debug, Default)]
pub(super) struct Rejects(pub(super) BTreeMap<usize, RowReject>);

impl Rejects {
    pub(super) fn reject(
        &mut self,
        row: usize,
        reason: RejectReason,
        column: Option<&Arc<str>>,
        detail: impl FnOnce() -> String,
    ) {
        let make = || RowReject::new(row, reason, column.cloned(), &detail());
        self.0.entry(row).or_insert_with(make);
    }
}

/// What a column must hold to be read as `element`.
pub(super) fn role(element: Element) -> ColumnRole {
    match element {
        Element::Text => ColumnRole::Text,
        _ => ColumnRole::Number,
    }
}

/// The columns of a batch.
pub(super) struct Bound<'a> {
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    name: &'a Arc<str>,
    array: ArrayRef,
    values: Values,
    has_nulls: bool,
}

enum Values {
    F32(ArrayRef),
    /// Text that is no number is NaN.
    F64(Float64Array),
    /// What is no whole number is null.
    Int(Int64Array),
    Text(LargeStringArray),
}

impl<'a> Bound<'a> {
    /// The columns `columns` of `batch`, which are those of `inputs` in order.
    pub(super) fn of(
        batch: &RecordBatch,
        inputs: &[Input],
        columns: &'a [EngineColumn],
    ) -> Result<Self, EngineError> {
        let elements = inputs.iter().flat_map(|input| input.columns.iter().map(|_| input.element));
        let mut made = Vec::with_capacity(columns.len());
        for (column, element) in columns.iter().zip(elements) {
            let kernel = |source| EngineError::Kernel { column: column.name.to_string(), source };
            let array = batch
                .column_by_name(&column.name)
                .ok_or_else(|| crate::engine::tabular::missing(column, batch.schema_ref()))?;
            if !crate::engine::tabular::source::accepts(column.accepts, array.data_type()) {
                return Err(wrong_type(column, array.data_type()));
            }
            let values = values(array, element).map_err(kernel)?;
            let has_nulls = match &values {
                Values::F32(values) => values.null_count() > 0,
                Values::F64(values) => values.null_count() > 0,
                Values::Int(values) => values.null_count() > 0,
                Values::Text(values) => values.null_count() > 0,
            };
            made.push(Column { name: &column.name, array: Arc::clone(array), values, has_nulls });
        }
        Ok(Self { columns: made })
    }

    /// The values of `len` rows from `first` on, for each of `inputs` in its order.
    pub(super) fn block(
        &self,
        inputs: &[Input],
        first: usize,
        len: usize,
        rejects: &mut Rejects,
    ) -> Vec<Data> {
        let mut columns = self.columns.iter();
        let input = |input: &Input| {
            let own: Vec<&Column<'_>> = columns.by_ref().take(input.columns.len()).collect();
            let width = own.len();
            macro_rules! gather {
                ($zero:expr, $at:ident) => {{
                    let mut all = vec![$zero; len * width];
                    for (at, column) in own.iter().enumerate() {
                        let places = all.iter_mut().skip(at).step_by(width.max(1));
                        for (to, row) in places.zip(first..first + len) {
                            match column.$at(row, input) {
                                Ok(value) => *to = value,
                                Err(reason) => column.reject(row, reason, rejects),
                            }
                        }
                    }
                    all
                }};
            }
            match input.element {
                Element::F32 => Data::F32(plain::gather(&own, input, first, len, rejects)),
                Element::F64 => Data::F64(plain::gather(&own, input, first, len, rejects)),
                Element::Int => Data::Int(gather!(0, int)),
                Element::Bool => Data::Bool(gather!(false, bool)),
                Element::Text => Data::Text(gather!(Arc::from(""), text)),
            }
        };
        inputs.iter().map(input).collect()
    }
}

fn values(array: &ArrayRef, element: Element) -> Result<Values, ArrowError> {
    Ok(match element {
        Element::F32 if *array.data_type() == DataType::Float32 => Values::F32(Arc::clone(array)),
        Element::F32 | Element::F64 => Values::F64(numbers(array)?),
        Element::Int | Element::Bool => Values::Int(ints(array)?),
        Element::Text => {
            let texts = cast(array, &DataType::LargeUtf8)?;
            Values::Text(texts.as_string::<i64>().clone())
        }
    })
}

fn numbers(array: &ArrayRef) -> Result<Float64Array, ArrowError> {
    match array.data_type() {
        DataType::Float64 => Ok(array.as_primitive::<Float64Type>().clone()),
        kind if kind.is_primitive() || *kind == DataType::Boolean => {
            Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        _ => converted(array),
    }
}

fn ints(array: &ArrayRef) -> Result<Int64Array, ArrowError> {
    /// Below it every whole `f64` is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let kind = match array.data_type() {
        DataType::Dictionary(_, values) => &**values,
        kind => kind,
    };
    if kind.is_integer() || *kind == DataType::Boolean {
        return Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
    }
    if matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let texts = cast(array, &DataType::LargeUtf8)?;
        let int = |text: Option<&str>| match text?.trim_ascii() {
            "true" | "True" | "TRUE" => Some(1),
            "false" | "False" | "FALSE" => Some(0),
            text => text.parse().ok(),
        };
        return Ok(texts.as_string::<i64>().iter().map(int).collect());
    }
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < EXACT).then_some(x as i64);
    Ok(numbers(array)?.iter().map(|x| x.and_then(whole)).collect())
}

impl Column<'_> {
    fn f64(&self, row: usize, input: &Input) -> Result<f64, RejectReason> {
        let (value, is_null) = match &self.values {
            Values::F32(array) => {
                let array = array.as_primitive::<Float32Type>();
                (f64::from(array.value(row)), self.has_nulls && array.is_null(row))
            }
            Values::F64(array) => (array.value(row), self.has_nulls && array.is_null(row)),
            _ => (0.0, true),
        };
        if is_null {
            return if input.takes_missing {
                Ok(f64::NAN)
            } else {
                Err(RejectReason::MissingValue)
            };
        }
        if value.is_finite() {
            return Ok(value);
        }
        match text_at(&self.array, row) {
            Some(text) if text.trim_ascii().parse::<f64>().is_err() => Err(RejectReason::BadValue),
            _ if value.is_nan() && input.takes_missing => Ok(value),
            _ => Err(RejectReason::NotFinite),
        }
    }

    fn f32(&self, row: usize, input: &Input) -> Result<f32, RejectReason> {
        let value = self.f64(row, input)?;
        match value as f32 {
            small if small.is_infinite() => Err(RejectReason::NotFinite),
            small => Ok(small),
        }
    }

    fn int(&self, row: usize, input: &Input) -> Result<i64, RejectReason> {
        let Values::Int(array) = &self.values else { return Err(RejectReason::MissingValue) };
        if self.has_nulls && array.is_null(row) {
            let is_blank =
                text_at(&self.array, row).is_some_and(|text| text.trim_ascii().is_empty());
            return Err(match is_blank || is_missing(&self.array, row) {
                true => RejectReason::MissingValue,
                false => RejectReason::BadValue,
            });
        }
        let (least, most) = input.range;
        let value = array.value(row);
        if (least..=most).contains(&value) { Ok(value) } else { Err(RejectReason::BadValue) }
    }

    fn bool(&self, row: usize, input: &Input) -> Result<bool, RejectReason> {
        match self.int(row, input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RejectReason::BadValue),
        }
    }

    fn text(&self, row: usize, _: &Input) -> Result<Arc<str>, RejectReason> {
        let Values::Text(array) = &self.values else { return Err(RejectReason::MissingValue) };
        match self.has_nulls && array.is_null(row) {
            true => Err(RejectReason::MissingValue),
            false => Ok(Arc::from(array.value(row))),
        }
    }

    fn reject(&self, row: usize, reason: RejectReason, rejects: &mut Rejects) {
        rejects.reject(row, reason, Some(self.name), || match reason {
            RejectReason::MissingValue => "no value".to_owned(),
            _ => shown(&self.array, row),
        });
    }
}
