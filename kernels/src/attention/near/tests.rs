use super::*;
use crate::attention::attend;
use crate::dot::Pair;
use crate::matmul::tests::numbers;

fn attended<W: Numbers>(isa: Isa, grouped: Grouped, near: &Near, qkv: &[f32]) -> Vec<f32> {
    let tokens = qkv.len() / grouped.stride();
    let mut out = vec![f32::NAN; tokens * grouped.heads.hidden()];
    attend_near(isa, &mut Scratch::<W>::default(), grouped, near, qkv, &mut out);
    out
}

/// The same in double precision, token by token.
fn reference(grouped: Grouped, near: &Near, qkv: &[f32]) -> Vec<f64> {
    let Grouped { heads: Heads { count, width }, keys } = grouped;
    let stride = grouped.stride();
    let tokens = qkv.len() / stride;
    let mut out = Vec::new();
    for query in 0..tokens {
        for head in 0..count {
            let at = |token: usize, part: usize, n: usize| {
                f64::from(qkv[token * stride + part * width + n])
            };
            let group = head / (count / keys);
            let is_seen = |key: usize| {
                near.back.is_none_or(|back| query <= key + back)
                    && near.ahead.is_none_or(|ahead| key <= query + ahead)
            };
            let score = |key: usize| {
                if !is_seen(key) {
                    return 0.0;
                }
                let terms = (0..width).map(|n| at(query, head, n) * at(key, count + group, n));
                let bias = near.bias.as_ref().map_or(0.0, |bias| {
                    let reach = bias.reach as i64;
                    let distance = (key as i64 - query as i64).clamp(-reach, reach);
                    let place = head as i64 * (2 * reach + 1) + distance + reach;
                    f64::from(bias.numbers[place as usize])
                });
                (terms.sum::<f64>() / (width as f64).sqrt() + bias).exp()
            };
            let scores: Vec<f64> = (0..tokens).map(score).collect();
            let sum: f64 = scores.iter().sum();
            for n in 0..width {
                let terms = (0..tokens).map(|key| scores[key] * at(key, count + keys + group, n));
                out.push(terms.sum::<f64>() / sum);
            }
        }
    }
    out
}

#[test]
fn attention_is_limited_and_weighted_by_distance() {
    // Fewer, as many and more tokens than a block of queries, whose edges the windows cross.
    for (tokens, count, keys, width) in
        [(1, 2, 1, 4), (7, 2, 2, 8), (193, 4, 2, 16), (400, 3, 1, 8)]
    {
        let grouped = Grouped { heads: Heads { count, width }, keys };
        let qkv = numbers(11, tokens * grouped.stride());
        let qkv: Vec<f32> = qkv.iter().map(|x| x * 3.0).collect();
        let bias = |reach: usize| Bias::new(reach, numbers(3, count * (2 * reach + 1)));
        let kinds = [
            Near::default(),
            Near { ahead: Some(0), ..Near::default() },
            Near { back: Some(5), ahead: Some(5), bias: None },
            Near { back: Some(64), ahead: Some(64), bias: None },
            Near { back: Some(1_000), ahead: Some(1_000), bias: None },
            Near { bias: Some(bias(128)), ..Near::default() },
            Near { back: Some(90), ahead: Some(0), bias: Some(bias(3)) },
        ];
        for near in &kinds {
            let found = attended::<f32>(Isa::detect(), grouped, near, &qkv);
            for isa in Isa::available() {
                let other = attended::<f32>(isa, grouped, near, &qkv);
                assert!(other.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
            let wanted = reference(grouped, near, &qkv);
            let pairs = attended::<Pair>(Isa::detect(), grouped, near, &qkv);
            for (found, wanted) in pairs.iter().zip(&wanted) {
                assert!(
                    (f64::from(*found) - wanted).abs() < 0.05,
                    "{tokens} tokens, {near:?}, pairs: {found} for {wanted}"
                );
            }
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(
                    (f64::from(*found) - wanted).abs() < 1e-5,
                    "{tokens} tokens, {near:?}: {found} for {wanted}"
                );
            }
        }
        // Without limits it is what all tokens see.
        if keys == count {
            let mut plain = vec![0.0; tokens * grouped.heads.hidden()];
            attend(Isa::detect(), &mut Scratch::<f32>::default(), grouped.heads, &qkv, &mut plain);
            let unlimited = attended::<f32>(Isa::detect(), grouped, &kinds[0], &qkv);
            // Sums are taken in another order.
            for (found, wanted) in unlimited.iter().zip(plain) {
                assert!((found - wanted).abs() < 1e-5, "{found} for {wanted}");
            }
        }
    }
}

#[test]
fn a_causal_token_does_not_depend_on_what_follows() {
    causal::<f32>();
    causal::<Pair>();
}

fn causal<W: Numbers>() {
    let grouped = Grouped { heads: Heads { count: 2, width: 8 }, keys: 1 };
    let near = Near { ahead: Some(0), ..Near::default() };
    let stride = grouped.stride();
    let mut qkv = numbers(5, 20 * stride);
    let before = attended::<W>(Isa::detect(), grouped, &near, &qkv);
    qkv[10 * stride..].iter_mut().for_each(|number| *number *= 50.0);
    let after = attended::<W>(Isa::detect(), grouped, &near, &qkv);
    assert_eq!(before[..10 * 16], after[..10 * 16]);
    assert_ne!(before[10 * 16..], after[10 * 16..]);
}
