//! The columns that are written of the numbers of a text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int8Array, StringArray,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use half::f16;
use nightshift_core::plan::Precision;

/// The column of vectors.
const EMBEDDING: &str = "embedding";
/// The column of what whole numbers are multiplied by.
const EMBEDDING_SCALE: &str = "embedding_scale";
/// The column of the best label.
const LABEL: &str = "label";
/// The column of its score, or of that of a pair.
const SCORE: &str = "score";
/// The column of the scores of all labels.
const SCORES: &str = "scores";
/// The largest whole number of an embedding; the least is its opposite, so that a vector and its
/// opposite stay opposites.
const WHOLE_MAX: f32 = 127.0;

/// What is written of the numbers of a text.
pub(super) enum Output {
    /// All of them, as one list.
    Embedding(Precision),
    /// The name of the largest, and it; with the list of all of them if asked for.
    Label { labels: Vec<String>, all_scores: bool },
    /// The only one.
    Score,
}

impl Output {
    /// The columns, for texts of `width` numbers.
    pub(super) fn fields(&self, width: usize) -> Vec<FieldRef> {
        let field = |name: &str, kind| Arc::new(Field::new(name, kind, false));
        match self {
            Self::Embedding(precision) => {
                let item = match precision {
                    Precision::Float32 => DataType::Float32,
                    Precision::Float16 => DataType::Float16,
                    Precision::Int8 => DataType::Int8,
                };
                let scale = field(EMBEDDING_SCALE, DataType::Float32);
                let scale = (*precision == Precision::Int8).then_some(scale);
                [field(EMBEDDING, list_of(item, width))].into_iter().chain(scale).collect()
            }
            Self::Score => vec![field(SCORE, DataType::Float32)],
            Self::Label { all_scores, .. } => {
                let own = [field(LABEL, DataType::Utf8), field(SCORE, DataType::Float32)];
                let all = all_scores.then(|| field(SCORES, list_of(DataType::Float32, width)));
                own.into_iter().chain(all).collect()
            }
        }
    }

    /// The column that a message names.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Embedding(_) => EMBEDDING,
            Self::Label { .. } => SCORES,
            Self::Score => SCORE,
        }
    }

    /// Whether `number` can be written.
    pub(super) fn holds(&self, number: f32) -> bool {
        match self {
            Self::Embedding(Precision::Float16) => f16::from_f32(number).is_finite(),
            _ => number.is_finite(),
        }
    }

    /// The columns of `numbers`, of which each row has `width`.
    pub(super) fn columns(
        &self,
        numbers: Vec<f32>,
        width: usize,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let floats = |numbers: Vec<f32>| -> ArrayRef { Arc::new(Float32Array::from(numbers)) };
        match self {
            Self::Embedding(Precision::Float32) => Ok(vec![lists(floats(numbers), width)?]),
            Self::Embedding(Precision::Float16) => {
                let halves = numbers.into_iter().map(f16::from_f32);
                let halves: ArrayRef = Arc::new(Float16Array::from_iter_values(halves));
                Ok(vec![lists(halves, width)?])
            }
            Self::Embedding(Precision::Int8) => {
                let (whole, scales) = whole_numbers(&numbers, width);
                let whole: ArrayRef = Arc::new(Int8Array::from(whole));
                Ok(vec![lists(whole, width)?, floats(scales)])
            }
            Self::Score => Ok(vec![floats(numbers)]),
            Self::Label { labels, all_scores } => {
                let best = numbers.chunks_exact(width.max(1)).map(|scores| {
                    // The first of equal ones.
                    let best = scores
                        .iter()
                        .enumerate()
                        .reduce(|best, next| if next.1 > best.1 { next } else { best });
                    best.map_or((0, 0.0), |(at, score)| (at, *score))
                });
                let best: Vec<(usize, f32)> = best.collect();
                let names = best.iter().map(|(at, _)| labels.get(*at).map_or("", String::as_str));
                let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
                let scores = best.iter().map(|(_, score)| *score).collect();
                let mut columns = vec![names, floats(scores)];
                if *all_scores {
                    columns.push(lists(floats(numbers), width)?);
                }
                Ok(columns)
            }
        }
    }
}

/// A list of so many numbers.
fn list_of(item: DataType, width: usize) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new("item", item, false)), width as i32)
}

/// Lists of `width` of the numbers `values`.
fn lists(values: ArrayRef, width: usize) -> Result<ArrayRef, ArrowError> {
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    Ok(Arc::new(FixedSizeListArray::try_new(item, width as i32, values, None)?))
}

/// Each vector of `width` numbers as whole numbers from -127 to 127, and what they are multiplied
/// by: the largest of them in size is 127 or -127. A vector of zeros has a factor of 0.
fn whole_numbers(numbers: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let vectors = numbers.chunks_exact(width.max(1));
    let (mut whole, mut scales) = (Vec::with_capacity(numbers.len()), Vec::new());
    for vector in vectors {
        let most = vector.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        // Divided by the largest first: a factor below the least normal number would lose bits.
        let rounded = |number: &f32| (number / most * WHOLE_MAX).round_ties_even() as i8;
        match most > 0.0 {
            true => whole.extend(vector.iter().map(rounded)),
            false => whole.extend(vector.iter().map(|_| 0)),
        }
        scales.push(most / WHOLE_MAX);
    }
    (whole, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_the_vector_to_half_a_step() {
        let numbers = [0.5, -0.25, 0.001, 0.0, 0.0, 0.0, -3e-39, 1e-39, 2e-39, 3e38, -3e38, 1.0];
        let (whole, scales) = whole_numbers(&numbers, 3);
        assert_eq!(whole[..3], [127, -64, 0]);
        assert_eq!((&whole[3..6], scales[1]), (&[0_i8; 3][..], 0.0));
        assert_eq!(whole[6..9], [-127, 42, 85]);
        for ((number, whole), scale) in
            numbers.iter().zip(&whole).zip(scales.iter().flat_map(|scale| [scale; 3]))
        {
            let back = f64::from(*whole) * f64::from(*scale);
            assert!((back - f64::from(*number)).abs() <= f64::from(*scale) * 0.51 + 1e-44);
        }
    }
}
