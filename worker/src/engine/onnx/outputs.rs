//! From the values that a graph makes to columns.

use std::collections::{BTreeSet, TryReserveError};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use nightshift_core::model::onnx::shown;

use super::compile::Output;
use super::error::OnnxError;
use super::inputs::Rejects;
use super::value::{Data, Element};
use crate::reject::RejectReason;

/// Most columns that the names of a ZipMap make; beyond that the model is better exported without.
const NAMED_COLUMNS_MAX: usize = 256;
/// Most elements of a list.
const LIST_MAX: usize = 65_536;

/// The fields of `outputs`, in order.
pub(super) fn fields(outputs: &[Output]) -> Result<Vec<FieldRef>, OnnxError> {
    let mut fields: Vec<FieldRef> = Vec::new();
    for Output { name, kind, .. } in outputs {
        let refused = |problem: String| OnnxError::Output { output: shown(name), problem };
        let field = |name: String, kind| Arc::new(Field::new(name, kind, false));
        let element = match kind.element {
            Element::F32 => DataType::Float32,
            Element::F64 => DataType::Float64,
            Element::Int => DataType::Int64,
            Element::Bool => DataType::Boolean,
            Element::Text => DataType::Utf8,
        };
        match (&kind.labels, kind.width()) {
            (Some(labels), _) if labels.len() > NAMED_COLUMNS_MAX => {
                let count = labels.len();
                return Err(refused(format!(
                    "is a map of {count} labels, of which at most {NAMED_COLUMNS_MAX} become columns; \
                     export the model with zipmap=False, or"
                )));
            }
            (Some(labels), _) => {
                let named = labels.iter().map(|label| format!("{name}_{label}"));
                fields.extend(named.map(|name| field(name, element.clone())));
            }
            (None, 1) => fields.push(field(name.clone(), element)),
            (None, _) if matches!(kind.element, Element::Text | Element::Bool) => {
                let what = kind.element.name();
                return Err(refused(format!("is a list of {what}, which cannot be written")));
            }
            (None, 0) => return Err(refused("has no elements".to_owned())),
            (None, width) if width > LIST_MAX => {
                return Err(refused(format!(
                    "has {width} elements, and at most {LIST_MAX} are written"
                )));
            }
            (None, width) => {
                let item = Arc::new(Field::new("item", element, false));
                fields.push(field(name.clone(), DataType::FixedSizeList(item, width as i32)));
            }
        }
    }
    let mut names = BTreeSet::new();
    match fields.iter().find(|field| !names.insert(field.name().as_str())) {
        Some(twice) => Err(OnnxError::Twice { value: shown(twice.name()) }),
        None => Ok(fields),
    }
}

/// The results of a batch while they are gathered.
pub(super) struct Results {
    all: Vec<Data>,
}

impl Results {
    /// Room for `rows` rows.
    pub(super) fn with_room(outputs: &[Output], rows: usize) -> Result<Self, TryReserveError> {
        let room = |output: &Output| -> Result<Data, TryReserveError> {
            let mut data = Data::with_room(output.kind.element, 0);
            let room = rows.saturating_mul(output.kind.width());
            match &mut data {
                Data::F32(all) => all.try_reserve_exact(room)?,
                Data::F64(all) => all.try_reserve_exact(room)?,
                Data::Int(all) => all.try_reserve_exact(room)?,
                Data::Bool(all) => all.try_reserve_exact(room)?,
                Data::Text(all) => all.try_reserve_exact(room)?,
            }
            Ok(data)
        };
        Ok(Self { all: outputs.iter().map(room).collect::<Result<_, _>>()? })
    }

    /// Appends what a block of `len` rows, from `first` on, has in output `at`. Rows that are not
    /// finite are rejected.
    pub(super) fn append(
        &mut self,
        at: usize,
        output: &Output,
        data: &Data,
        first: usize,
        rejects: &mut Rejects,
    ) {
        let width = output.kind.width().max(1);
        let mut check = |at: usize, value: f64| {
            if !value.is_finite() {
                let detail = || format!("{} holds {value}", output.name);
                rejects.reject(first + at / width, RejectReason::ResultNotFinite, None, detail);
            }
        };
        // To look at all of them at once is faster than to stop at the first.
        match data {
            Data::F32(all) if !all.iter().fold(true, |fine, x| fine & x.is_finite()) => {
                all.iter().enumerate().for_each(|(at, x)| check(at, (*x).into()));
            }
            Data::F64(all) if !all.iter().fold(true, |fine, x| fine & x.is_finite()) => {
                all.iter().enumerate().for_each(|(at, x)| check(at, *x));
            }
            _ => {}
        }
        if let Some(to) = self.all.get_mut(at) {
            to.append(data, 0, data.len());
        }
    }

    /// The columns; rejected rows hold 0 or empty text.
    pub(super) fn into_columns(
        self,
        outputs: &[Output],
        rejects: &Rejects,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = Vec::new();
        for (mut data, output) in self.all.into_iter().zip(outputs) {
            let width = output.kind.width().max(1);
            for row in rejects.0.keys() {
                clear(&mut data, row * width..(row + 1) * width);
            }
            if let Some(labels) = &output.kind.labels {
                let rows = data.len() / width;
                for at in 0..labels.len() {
                    columns.push(array(data.pick((0..rows).map(|row| row * width + at))));
                }
                continue;
            }
            let values = array(data);
            columns.push(match width {
                1 => values,
                width => {
                    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
                    Arc::new(FixedSizeListArray::try_new(item, width as i32, values, None)?)
                }
            });
        }
        Ok(columns)
    }
}

fn clear(data: &mut Data, places: std::ops::Range<usize>) {
    fn fill<T: Clone>(all: &mut [T], places: std::ops::Range<usize>, value: T) {
        all.get_mut(places).unwrap_or_default().fill(value);
    }
    match data {
        Data::F32(all) => fill(all, places, 0.0),
        Data::F64(all) => fill(all, places, 0.0),
        Data::Int(all) => fill(all, places, 0),
        Data::Bool(all) => fill(all, places, false),
        Data::Text(all) => fill(all, places, Arc::from("")),
    }
}

fn array(data: Data) -> ArrayRef {
    match data {
        Data::F32(all) => Arc::new(Float32Array::from(all)),
        Data::F64(all) => Arc::new(Float64Array::from(all)),
        Data::Int(all) => Arc::new(Int64Array::from(all)),
        Data::Bool(all) => Arc::new(BooleanArray::from(all)),
        Data::Text(all) => Arc::new(StringArray::from_iter_values(all)),
    }
}
