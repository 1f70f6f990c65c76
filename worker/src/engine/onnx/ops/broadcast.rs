//! Values of several shapes side by side.

use super::Site;
use crate::engine::onnx::WIDTH_MAX;
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::Operand;

/// How the elements of an operand are spread over those of a result.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    /// Elements from one row to the next: 0 for what is the same in all rows.
    stride: usize,
    /// The element of the operand for each of the result; none where they are the same.
    places: Option<Vec<u32>>,
}

/// The shape of a result, and how its operands are spread over it.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) shape: Vec<usize>,
    pub(super) width: usize,
    pub(super) spreads: Vec<Spread>,
}

impl Broadcast {
    /// Of the first `count` operands of a node.
    pub(super) fn of(site: &Site<'_>, count: usize) -> Result<Self, Refused> {
        let has_rows = site.has_rows();
        let mut shapes: Vec<(Vec<usize>, bool)> = Vec::with_capacity(count);
        for at in 0..count {
            shapes.push((site.kind(at)?.shape, site.is_rows(at)));
        }
        let rank_of = |shapes: &[(Vec<usize>, bool)], rows: bool| {
            shapes
                .iter()
                .filter(|(_, is_rows)| *is_rows == rows)
                .map(|(shape, _)| shape.len())
                .max()
        };
        let rank = match rank_of(&shapes, true) {
            Some(rank) => {
                if shapes.iter().any(|(shape, is_rows)| *is_rows && shape.len() != rank) {
                    return Err("it would spread rows over columns: its inputs have different \
                        numbers of axes"
                        .into());
                }
                rank
            }
            None => rank_of(&shapes, false).unwrap_or(0),
        };
        for (shape, is_rows) in &mut shapes {
            // A constant may have an axis for the rows, along which it does not change.
            if has_rows && !*is_rows {
                while shape.len() > rank && shape.first() == Some(&1) {
                    shape.remove(0);
                }
            }
            if shape.len() > rank {
                return Err("an input that is the same for all rows has an axis too many".into());
            }
            while shape.len() < rank {
                shape.insert(0, 1);
            }
        }
        let mut shape = vec![1; rank];
        for (own, _) in &shapes {
            for (to, from) in shape.iter_mut().zip(own) {
                match (*to, *from) {
                    (to, from) if to == from => {}
                    (1, _) => *to = *from,
                    (_, 1) => {}
                    (a, b) => {
                        return Err(
                            format!("its inputs have {a} and {b} elements along an axis").into()
                        );
                    }
                }
            }
        }
        let width = checked_width(&shape, has_rows)?;
        let spreads = shapes.iter().map(|(own, is_rows)| Spread::new(own, &shape, width, *is_rows));
        Ok(Self { spreads: spreads.collect(), shape, width })
    }
}

/// The number of elements of `shape`.
pub(super) fn checked_width(shape: &[usize], has_rows: bool) -> Result<usize, Refused> {
    let limit = if has_rows { WIDTH_MAX } else { crate::engine::onnx::CONSTANT_ELEMENTS_MAX };
    let width = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    width.filter(|width| *width <= limit).ok_or_else(|| {
        format!("it makes more than {limit} elements of a row: use a smaller model").into()
    })
}

impl Spread {
    fn new(own: &[usize], shape: &[usize], width: usize, is_rows: bool) -> Self {
        let own_width = own.iter().product();
        let stride = if is_rows { own_width } else { 0 };
        if own == shape {
            return Self { stride, places: None };
        }
        let mut places = vec![0_u32; width];
        for (at, place) in places.iter_mut().enumerate() {
            let (mut rest, mut position, mut step) = (at, 0, 1);
            for (length, own) in shape.iter().zip(own).rev() {
                if *own > 1 {
                    position += rest % length * step;
                }
                step *= own;
                rest /= (*length).max(1);
            }
            *place = position as u32;
        }
        Self { stride, places: Some(places) }
    }

    /// The elements for `rows` rows, `width` each.
    pub(super) fn each<'a, T: Clone>(
        &'a self,
        all: &'a [T],
        rows: usize,
        width: usize,
    ) -> impl Iterator<Item = T> + 'a {
        (0..rows).flat_map(move |row| {
            let start = row * self.stride;
            (0..width).filter_map(move |at| {
                let place = match &self.places {
                    None => at,
                    Some(places) => places.get(at).map_or(0, |place| *place as usize),
                };
                all.get(start + place).cloned()
            })
        })
    }
}

/// Whether an operand is of a node that depends on the input; only for messages and checks.
pub(super) fn is_constant(operand: Option<&Operand>) -> bool {
    matches!(operand, Some(Operand::Constant(_)))
}
