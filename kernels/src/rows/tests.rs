use super::*;
use crate::matmul::tests::numbers;

#[test]
fn rows_are_normalised_whatever_their_width() {
    for width in [1, 2, 31, 32, 33, 96, 384] {
        let (weight, bias) = (numbers(1, width), numbers(2, width));
        let norm = LayerNorm::new(&weight, &bias, 1e-12);
        let (rows, residual) = (numbers(3, 3 * width), numbers(4, 3 * width));
        let mut found: Vec<Vec<f32>> = Vec::new();
        for isa in Isa::available() {
            let mut rows = rows.clone();
            norm.apply(isa, &mut rows, &residual);
            found.push(rows);
        }
        let same =
            |other: &Vec<f32>| other.iter().zip(&found[0]).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(found.iter().all(same), "width {width}");
        for row in 0..3 {
            let x = |at: usize| f64::from(rows[row * width + at] + residual[row * width + at]);
            let mean = (0..width).map(x).sum::<f64>() / width as f64;
            let variance = (0..width).map(|at| (x(at) - mean).powi(2)).sum::<f64>() / width as f64;
            for at in 0..width {
                let y = (x(at) - mean) / (variance + 1e-12).sqrt();
                let wanted = y * f64::from(weight[at]) + f64::from(bias[at]);
                let found = f64::from(found[0][row * width + at]);
                assert!((found - wanted).abs() < 2e-5, "width {width}: {found} for {wanted}");
            }
        }
    }
}
