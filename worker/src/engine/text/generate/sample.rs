//! Choosing a token by its score.

use nightshift_kernels::Isa;
use nightshift_kernels::rows::shares;
use sha2::{Digest, Sha256};

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    /// What scores are divided by; 0 takes the largest.
    pub(super) temperature: f64,
    /// Share of the likeliest tokens that one is drawn from.
    pub(super) top_p: f64,
    pub(super) seed: u64,
}

/// What the draws of a row are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Sampling {
    /// The key of a prompt: what is drawn depends on nothing else.
    pub(super) fn key(&self, prompt: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(prompt);
        Key(hash.finalize().into())
    }

    /// Token number `at` of a row: a position in `scores`, which are all numbers.
    pub(super) fn choose(
        &self,
        isa: Isa,
        key: Key,
        at: u32,
        scores: &[f32],
        memory: &mut Memory,
    ) -> u32 {
        if self.temperature <= 0.0 || self.top_p <= 0.0 {
            return best(scores);
        }
        let Memory { shares: own, order } = memory;
        own.clear();
        own.extend_from_slice(scores);
        // The largest score first becomes 0: what a small temperature makes of it stays a number.
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, score| most.max(*score));
        own.iter_mut().for_each(|score| *score -= most);
        let scale = (1.0 / self.temperature).min(f64::from(f32::MAX)) as f32;
        shares(isa, own, scale);
        let share = |at: &u32| f64::from(own.get(*at as usize).copied().unwrap_or(0.0));
        order.clear();
        order.extend(0..own.len() as u32);
        let kept = match self.top_p < 1.0 {
            true => {
                // By share, and by number between two of one share: the same order each time.
                order.sort_unstable_by(|a, b| share(b).total_cmp(&share(a)).then(a.cmp(b)));
                let mut sum = 0.0;
                let enough = order.iter().position(|at| {
                    sum += share(at);
                    sum >= self.top_p
                });
                enough.map_or(order.len(), |last| last + 1)
            }
            false => order.len(),
        };
        let kept = order.get(..kept).unwrap_or_default();
        let total: f64 = kept.iter().map(share).sum();
        let drawn = draw(key, at) * total;
        let mut sum = 0.0;
        let chosen = kept.iter().find(|at| {
            sum += share(at);
            sum > drawn
        });
        // Rounding may leave the last sum at what was drawn.
        chosen.or(kept.last()).copied().unwrap_or(0)
    }
}

/// Memory for shares, used again and again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    shares: Vec<f32>,
    order: Vec<u32>,
}

/// The first of the largest scores.
fn best(scores: &[f32]) -> u32 {
    let largest =
        scores.iter().zip(0..).reduce(|best, next| if *next.0 > *best.0 { next } else { best });
    largest.map_or(0, |(_, at)| at)
}

/// Draw number `at` of a row: at least 0 and below 1, evenly.
fn draw(key: Key, at: u32) -> f64 {
    let mut hash = Sha256::new();
    hash.update(key.0);
    hash.update(at.to_le_bytes());
    let bits = hash.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each token is drawn, of 20 000 prompts.
    fn drawn(temperature: f64, top_p: f64, seed: u64, scores: &[f32]) -> Vec<f64> {
        const PROMPTS: u32 = 20_000;
        let sampling = Sampling { temperature, top_p, seed };
        let mut memory = Memory::default();
        let mut counts = vec![0.0; scores.len()];
        for prompt in 0..PROMPTS {
            let key = sampling.key(&prompt.to_string());
            let at = sampling.choose(Isa::detect(), key, prompt % 7, scores, &mut memory);
            counts[at as usize] += 1.0 / f64::from(PROMPTS);
        }
        counts
    }

    #[test]
    fn tokens_are_drawn_as_often_as_their_share() {
        // Shares of 1/2, 1/4, 1/8 and 1/8.
        let scores = [3.0, 2.0, 1.0, 1.0].map(|power: f32| power * std::f32::consts::LN_2);
        for (temperature, top_p, wanted) in [
            (1.0, 1.0, [0.5, 0.25, 0.125, 0.125]),
            (0.5, 1.0, [16.0 / 22.0, 4.0 / 22.0, 1.0 / 22.0, 1.0 / 22.0]),
            (1.0, 0.7, [2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]),
            (1.0, 0.8, [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0, 0.0]),
            (1.0, 0.1, [1.0, 0.0, 0.0, 0.0]),
            (0.0, 1.0, [1.0, 0.0, 0.0, 0.0]),
        ] {
            for seed in [0, 1] {
                let found = drawn(temperature, top_p, seed, &scores);
                for (found, wanted) in found.iter().zip(wanted) {
                    // Four standard deviations of a share of 1/2.
                    assert!((found - wanted).abs() < 0.0142, "{temperature} {top_p}: {found}");
                    assert!(wanted != 0.0 || *found == 0.0);
                }
            }
        }
    }

    #[test]
    fn draws_depend_on_seed_prompt_and_number_alone() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 7 };
        let key = sampling.key("late");
        assert_eq!(draw(key, 3), draw(sampling.key("late"), 3));
        assert_ne!(draw(key, 3), draw(key, 4));
        assert_ne!(key, sampling.key("late "));
        assert_ne!(key, Sampling { seed: 8, ..sampling }.key("late"));
    }

    #[test]
    fn a_small_temperature_is_none_and_the_first_of_equals_is_taken() {
        let scores = [-2e30, 3.0, 3e3, 3e3];
        assert_eq!(best(&scores), 2);
        let found = drawn(1e-300, 1.0, 0, &scores[..3]);
        assert_eq!(found[2].round(), 1.0, "{found:?}");
    }
}
