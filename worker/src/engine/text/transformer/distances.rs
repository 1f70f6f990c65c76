//! What the distance of two tokens is worth, in models that learned a number for each.

use nightshift_kernels::attention::Bias;

use crate::engine::tabular::WeightsError;
use crate::engine::text::shape::Shape;
use crate::engine::text::weights::Weights;

/// The table of a number for each bucket and head.
const TABLE: &str = "encoder.relative_attention_bias.weight";
/// From this distance on all are one bucket: no configuration says so, the code does.
pub(in crate::engine::text) const FARTHEST: usize = 128;

/// The numbers of all distances, for a model of `shape` that has them.
pub(super) fn bias(shape: &Shape, weights: &Weights<'_>) -> Result<Option<Bias>, WeightsError> {
    Ok(numbers(shape, weights)?.map(|numbers| Bias::new(FARTHEST, numbers)))
}

/// For each head a number for each distance, from [`FARTHEST`] back to as far ahead, for a model of
/// `shape` that has them.
pub(in crate::engine::text) fn numbers(
    shape: &Shape,
    weights: &Weights<'_>,
) -> Result<Option<Vec<f32>>, WeightsError> {
    let (buckets, heads) = (shape.buckets, shape.heads.heads.count);
    if buckets == 0 {
        return Ok(None);
    }
    let table = weights.take(TABLE, &[buckets, heads])?;
    let number = |head: usize, distance: i64| {
        table.get(bucket(buckets, distance) * heads + head).copied().unwrap_or(0.0)
    };
    let distances = -(FARTHEST as i64)..=FARTHEST as i64;
    let of_head = |head| distances.clone().map(move |distance| number(head, distance));
    Ok(Some((0..heads).flat_map(of_head).collect()))
}

/// The bucket of a distance, key less query: those of keys that come first, then the others.
///
/// Near distances have a bucket each, far ones share them by logarithm (T5, as MPNet has it).
fn bucket(buckets: usize, distance: i64) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let size = distance.unsigned_abs() as usize;
    let own = if size < exact {
        size
    } else {
        // ln(size / exact) / ln(farthest / exact) × far, rounded down: without logarithms, which
        // round the powers of two differently from machine to machine.
        let far = half - exact;
        let power = (size as f64 / exact as f64).powi(far as i32);
        let step = FARTHEST as f64 / exact as f64;
        let reached = |at: &usize| power >= step.powi(*at as i32);
        (exact + (1..=far).take_while(reached).count()).min(half - 1)
    };
    if distance > 0 { half + own } else { own }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn distances_have_the_buckets_of_the_reference() {
        // Where `MPNetEncoder.relative_position_bucket` of transformers 5.24 begins a new bucket.
        let begins = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        for distance in 0..600_i64 {
            let own = begins.iter().rposition(|begin| *begin <= distance).unwrap();
            assert_eq!(bucket(32, -distance), own, "distance {distance}");
            let ahead = if distance > 0 { own + 16 } else { own };
            assert_eq!(bucket(32, distance), ahead, "distance {distance}");
        }
    }
}
