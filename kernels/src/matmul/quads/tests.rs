use proptest::prelude::*;

use super::*;
use crate::matmul::tests::{bits, numbers};

fn multiply(isa: Isa, rows: &[&[f32]], right: &RightQuads, depth: usize) -> Vec<f32> {
    let (mut left, mut scratch) = (LeftQuads::default(), Scratch::default());
    left.fill(isa, rows.len(), depth, |row| rows[row]);
    let mut out = vec![f32::NAN; rows.len() * right.columns()];
    let to = Out { numbers: &mut out, stride: right.columns(), offset: 0 };
    product_of_quads(isa, &mut scratch, &left, right, Finish::Gelu, to);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_row_has_the_same_bits_beside_any_rows(
        seed in any::<u64>(), rows in 1_usize..40, depth in 1_usize..600, columns in 1_usize..100,
    ) {
        let (all, weights) = (numbers(seed, rows * depth), numbers(!seed, columns * depth));
        let right = RightQuads::of_weights(columns, depth, &weights, &numbers(seed ^ 7, columns));
        let rows: Vec<&[f32]> = all.chunks(depth).collect();
        let together = multiply(Isa::detect(), &rows, &right, depth);
        for isa in Isa::available() {
            prop_assert_eq!(bits(&multiply(isa, &rows, &right, depth)), bits(&together));
        }
        for (row, wanted) in rows.iter().zip(together.chunks(columns)) {
            prop_assert_eq!(bits(&multiply(Isa::detect(), &[row], &right, depth)), bits(wanted));
        }
    }

    /// Each of `depth` products is off by at most half a step on either side.
    #[test]
    fn a_product_is_near_the_sum_of_products(
        seed in any::<u64>(), depth in 1_usize..600, columns in 1_usize..70,
    ) {
        let (row, weights) = (numbers(seed, depth), numbers(!seed, columns * depth));
        let right = RightQuads::of_weights(columns, depth, &weights, &[]);
        let (mut left, mut scratch) = (LeftQuads::default(), Scratch::default());
        left.fill(Isa::detect(), 1, depth, |_| &row);
        let mut out = vec![f32::NAN; columns];
        let to = Out { numbers: &mut out, stride: columns, offset: 0 };
        product_of_quads(Isa::detect(), &mut scratch, &left, &right, Finish::Identity, to);
        let most = depth as f64 * (1.0 / 127.0 + 0.25 / 127.0 / 127.0);
        for (found, weights) in out.iter().zip(weights.chunks(depth)) {
            let terms = row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b));
            let wanted: f64 = terms.sum();
            prop_assert!((f64::from(*found) - wanted).abs() <= most, "{found} for {wanted}");
        }
    }
}

#[test]
fn largest_and_smallest_integers_are_exact() {
    // Every product is 127 × ±127: instructions that saturate would be found out.
    let row = vec![3.0; 64];
    let weights: Vec<f32> = [5.0, -5.0].iter().flat_map(|weight| [*weight; 64]).collect();
    let right = RightQuads::of_weights(2, 64, &weights, &[]);
    for isa in Isa::available() {
        let (mut left, mut scratch) = (LeftQuads::default(), Scratch::default());
        left.fill(isa, 1, 64, |_| &row);
        let mut out = vec![f32::NAN; 2];
        let to = Out { numbers: &mut out, stride: 2, offset: 0 };
        product_of_quads(isa, &mut scratch, &left, &right, Finish::Identity, to);
        for (found, wanted) in out.iter().zip([960.0, -960.0]) {
            assert!((found - wanted).abs() < 1e-3, "{}: {found}", isa.name());
        }
    }
}

#[test]
fn a_row_with_what_is_no_number_is_none() {
    let right = RightQuads::of_weights(3, 4, &[1.0; 12], &[]);
    for bad in [f32::NAN, f32::INFINITY] {
        let rows: [&[f32]; 2] = [&[1.0, bad, 0.0, 0.0], &[1.0; 4]];
        let out = multiply(Isa::detect(), &rows, &right, 4);
        assert!(out[..3].iter().all(|number| number.is_nan()), "{out:?}");
        assert!(out[3..].iter().all(|number| number.is_finite()), "{out:?}");
    }
    assert!(multiply(Isa::detect(), &[&[0.0; 4]], &right, 4).iter().all(|number| *number == 0.0));
}
