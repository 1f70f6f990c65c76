use proptest::prelude::*;

use super::*;
use crate::dot::Pair;

/// Numbers between -1 and 1 that a seed makes.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn multiply<W: Numbers>(isa: Isa, rows: &[&[f32]], right: &Right<W>, finish: Finish) -> Vec<f32> {
    let (mut left, mut scratch) = (Left::default(), Scratch::default());
    left.fill(isa, rows.len(), rows[0].len(), 1.0, |row| rows[row]);
    let mut out = vec![f32::NAN; rows.len() * right.columns()];
    let to = Out { numbers: &mut out, stride: right.columns(), offset: 0 };
    product(isa, &mut scratch, &left, right, finish, to);
    out
}

pub(crate) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The promise of the crate: alone, among others, in another place, on every instruction set.
    #[test]
    fn a_row_has_the_same_bits_beside_any_rows(
        seed in any::<u64>(), rows in 1_usize..40, depth in 1_usize..300, columns in 1_usize..100,
    ) {
        same_bits_beside_any_rows::<f32>(seed, rows, depth, columns)?;
        same_bits_beside_any_rows::<Pair>(seed, rows, depth, columns)?;
    }

    #[test]
    fn a_product_is_the_sum_of_products(
        seed in any::<u64>(), rows in 1_usize..30, depth in 1_usize..300, columns in 1_usize..70,
    ) {
        near_the_sum_of_products::<f32>(seed, rows, depth, columns, 1e-4)?;
        // Either number of a product is off by at most 1 of 512.
        near_the_sum_of_products::<Pair>(seed, rows, depth, columns, depth as f64 / 255.0)?;
    }
}

fn same_bits_beside_any_rows<W: Numbers>(
    seed: u64,
    rows: usize,
    depth: usize,
    columns: usize,
) -> Result<(), TestCaseError> {
    let (all, weights) = (numbers(seed, rows * depth), numbers(!seed, columns * depth));
    let right = Right::<W>::of_weights(columns, depth, &weights, &numbers(seed ^ 7, columns));
    let rows: Vec<&[f32]> = all.chunks(depth).collect();
    let together = multiply(Isa::detect(), &rows, &right, Finish::Gelu);
    for isa in Isa::available() {
        prop_assert_eq!(bits(&multiply(isa, &rows, &right, Finish::Gelu)), bits(&together));
    }
    for (row, wanted) in rows.iter().zip(together.chunks(columns)) {
        prop_assert_eq!(bits(&multiply(Isa::detect(), &[row], &right, Finish::Gelu)), bits(wanted));
    }
    let turned: Vec<&[f32]> = rows.iter().rev().copied().collect();
    let turned = multiply(Isa::detect(), &turned, &right, Finish::Gelu);
    for (row, wanted) in turned.chunks(columns).rev().zip(together.chunks(columns)) {
        prop_assert_eq!(bits(row), bits(wanted));
    }
    Ok(())
}

fn near_the_sum_of_products<W: Numbers>(
    seed: u64,
    rows: usize,
    depth: usize,
    columns: usize,
    most: f64,
) -> Result<(), TestCaseError> {
    let (all, weights) = (numbers(seed, rows * depth), numbers(!seed, columns * depth));
    let bias = numbers(seed ^ 7, columns);
    let right = Right::<W>::of_weights(columns, depth, &weights, &bias);
    let lines: Vec<&[f32]> = all.chunks(depth).collect();
    let found = multiply(Isa::detect(), &lines, &right, Finish::Identity);
    for (at, found) in found.iter().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let terms = lines[row].iter().zip(&weights[column * depth..]);
        let sum: f64 = terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let wanted = sum + f64::from(bias[column]);
        prop_assert!((f64::from(*found) - wanted).abs() < most, "{found} for {wanted}");
    }
    Ok(())
}
