//! Columns of numbers where nothing is wrong: all rows of a block at once.

use arrow::array::types::Float32Type;
use arrow::array::{Array, AsArray};

use super::{Column, Rejects, Values};
use crate::engine::onnx::compile::{Input, Order};
use crate::reject::RejectReason;

/// A number that a graph reads.
pub(super) trait Float: Copy + 'static {
    const ZERO: Self;
    const NAN: Self;
    fn of_f32(value: f32) -> Self;
    fn of_f64(value: f64) -> Self;
    /// The value of a row, or why there is none.
    fn at(column: &Column<'_>, row: usize, input: &Input) -> Result<Self, RejectReason>;
    /// Whether all are finite, or else not a number where that is `allowed`. It looks at all of
    /// them: that is faster than to stop.
    fn are_usable(values: &[Self], allowed: bool) -> bool;
}

macro_rules! float {
    ($($float:ident)*) => {$(
        impl Float for $float {
            const ZERO: Self = 0.0;
            const NAN: Self = Self::NAN;

            fn of_f32(value: f32) -> Self {
                value as Self
            }

            fn of_f64(value: f64) -> Self {
                value as Self
            }

            fn at(column: &Column<'_>, row: usize, input: &Input) -> Result<Self, RejectReason> {
                column.$float(row, input)
            }

            fn are_usable(values: &[Self], allowed: bool) -> bool {
                if allowed {
                    !values.iter().fold(false, |found, x| found | (x.abs() == Self::INFINITY))
                } else {
                    values.iter().fold(true, |all, x| all & (x.abs() < Self::INFINITY))
                }
            }
        }
    )*};
}

float!(f32 f64);

/// The values of `len` rows from `first` on of the columns `own` of `input`, in its order.
pub(super) fn gather<F: Float>(
    own: &[&Column<'_>],
    input: &Input,
    first: usize,
    len: usize,
    rejects: &mut Rejects,
) -> Vec<F> {
    let width = own.len();
    let mut all = vec![F::ZERO; len * width];
    match input.order {
        Order::Columns => {
            for (column, to) in own.iter().zip(all.chunks_exact_mut(len.max(1))) {
                column.fill(input, first, to, rejects);
            }
        }
        Order::Rows => {
            let mut values = vec![F::ZERO; len];
            for (at, column) in own.iter().enumerate() {
                column.fill(input, first, &mut values, rejects);
                let places = all.iter_mut().skip(at).step_by(width.max(1));
                places.zip(&values).for_each(|(to, value)| *to = *value);
            }
        }
    }
    all
}

impl Column<'_> {
    /// Writes the values of rows from `first` on. Of those that are rejected something is left.
    fn fill<F: Float>(&self, input: &Input, first: usize, to: &mut [F], rejects: &mut Rejects) {
        if self.fill_plain(input, first, to).is_some() {
            return;
        }
        for (row, to) in (first..).zip(to) {
            match F::at(self, row, input) {
                Ok(value) => *to = value,
                Err(reason) => {
                    *to = F::ZERO;
                    self.reject(row, reason, rejects);
                }
            }
        }
    }

    /// The same where no row is rejected; nothing if that is not seen at a glance.
    fn fill_plain<F: Float>(&self, input: &Input, first: usize, to: &mut [F]) -> Option<()> {
        let rows = first..first + to.len();
        let nulls = match &self.values {
            Values::F32(array) => {
                let array = array.as_primitive::<Float32Type>();
                let values = array.values().get(rows)?;
                to.iter_mut().zip(values).for_each(|(to, value)| *to = F::of_f32(*value));
                array.nulls()
            }
            Values::F64(array) => {
                let values = array.values().get(rows)?;
                to.iter_mut().zip(values).for_each(|(to, value)| *to = F::of_f64(*value));
                array.nulls()
            }
            Values::Int(_) | Values::Text(_) => return None,
        };
        if let Some(nulls) = nulls.filter(|_| self.has_nulls) {
            let missing = (first..).zip(to.iter_mut()).filter(|(row, _)| nulls.is_null(*row));
            for (_, to) in missing {
                if !input.takes_missing {
                    return None;
                }
                *to = F::NAN;
            }
        }
        // Text that is no number is NaN too.
        let may_be_missing = input.takes_missing && self.array.data_type().is_primitive();
        F::are_usable(to, may_be_missing).then_some(())
    }
}
