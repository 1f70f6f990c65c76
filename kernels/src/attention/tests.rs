use super::*;
use crate::dot::Pair;
use crate::matmul::tests::numbers;

fn attended<W: Numbers>(isa: Isa, heads: Heads, qkv: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; qkv.len() / 3];
    attend(isa, &mut Scratch::<W>::default(), heads, qkv, &mut out);
    out
}

#[test]
fn attention_is_the_softmax_of_scores_times_values() {
    softmax_of_scores_times_values::<f32>(1e-5);
    // A score is the sum of up to 64 products of numbers up to 3, of which it gets an eighth.
    softmax_of_scores_times_values::<Pair>(0.05);
}

fn softmax_of_scores_times_values<W: Numbers>(most: f64) {
    for (tokens, count, width) in [(1, 1, 4), (2, 2, 32), (33, 3, 8), (200, 2, 64)] {
        let heads = Heads { count, width };
        let hidden = heads.hidden();
        let qkv: Vec<f32> = numbers(9, tokens * 3 * hidden).iter().map(|x| x * 3.0).collect();
        let found = attended::<W>(Isa::detect(), heads, &qkv);
        for isa in Isa::available() {
            let other = attended::<W>(isa, heads, &qkv);
            assert!(other.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        let at = |token: usize, part: usize, head: usize, n: usize| {
            f64::from(qkv[token * 3 * hidden + part * hidden + head * width + n])
        };
        for head in 0..count {
            for query in 0..tokens {
                let score = |key: usize| {
                    let terms = (0..width).map(|n| at(query, 0, head, n) * at(key, 1, head, n));
                    (terms.sum::<f64>() / (width as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = (0..tokens).map(score).collect();
                let sum: f64 = scores.iter().sum();
                for n in 0..width {
                    let terms = (0..tokens).map(|key| scores[key] * at(key, 2, head, n));
                    let wanted = terms.sum::<f64>() / sum;
                    let found = f64::from(found[query * hidden + head * width + n]);
                    assert!((found - wanted).abs() < most, "{found} for {wanted}");
                }
            }
        }
    }
}
