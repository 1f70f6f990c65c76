//! Rotary embeddings of places (Su et al., 2021): pairs of numbers are turned by an angle that
//! grows with the place.

use std::f32::consts::TAU;

/// Cosines and sines of the angles of each place.
#[derive(Debug)]
pub struct Rotary {
    /// Half of the numbers of a head.
    half: usize,
    /// For each place, `half` pairs of cosine and sine.
    turns: Vec<(f32, f32)>,
}

/// How fast the pairs of a model turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// The base: pair n turns by theta^(-2n / width) from one place to the next.
    pub theta: f64,
    /// What is done to that.
    pub scaling: Scaling,
}

/// How frequencies were changed for texts that are longer than those of the first training.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All are divided by the factor (Chen et al., 2023).
    Linear {
        /// How much longer texts have become.
        factor: f32,
    },
    /// As in Llama 3.1: pairs that turn less than `low` times in a text of the first training are
    /// divided by the factor, those that turn more than `high` times stay, and others are between.
    Llama3 {
        /// How much longer texts have become.
        factor: f32,
        /// Turns below which a pair is slowed down.
        low: f32,
        /// Turns above which a pair stays.
        high: f32,
        /// Tokens of a text in the first training.
        trained: f32,
    },
    /// Each is divided by its own factor, as llama.cpp stores what has become of Llama 3.1's.
    Each(Vec<f32>),
}

impl Frequencies {
    /// Those of heads of `width` numbers, in 32 bits, step by step as transformers computes them.
    fn of(&self, width: usize) -> Vec<f32> {
        let plain = |n: usize| {
            let power = self.theta.powf((2 * n) as f64 / width as f64) as f32;
            1.0 / power
        };
        (0..width / 2).map(|n| self.scaling.scaled(n, plain(n))).collect()
    }
}

impl Scaling {
    fn scaled(&self, n: usize, frequency: f32) -> f32 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Each(factors) => frequency / factors.get(n).copied().unwrap_or(1.0),
            &Self::Llama3 { factor, low, high, trained } => {
                let length = TAU / frequency;
                if length < trained / high {
                    frequency
                } else if length > trained / low {
                    frequency / factor
                } else {
                    let smooth = (trained / length - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }
}

impl Rotary {
    /// Angles for heads of `width` numbers, an even number, at the first `places` places: that of
    /// a pair is place × its frequency.
    ///
    /// Frequencies and angles are rounded to 32 bits before anything is taken of them, as
    /// transformers does it: far from the first place the rounding is what a model was trained on.
    pub fn new(frequencies: &Frequencies, width: usize, places: usize) -> Self {
        let half = width / 2;
        let frequencies = frequencies.of(width);
        let turn = |place: usize, frequency: &f32| {
            let angle = f64::from(place as f32 * frequency);
            (angle.cos() as f32, angle.sin() as f32)
        };
        let turns = (0..places).flat_map(|place| frequencies.iter().map(move |f| turn(place, f)));
        Self { half, turns: turns.collect() }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.turns)
    }

    /// Turns each head of `heads` to `place`: number n and number n + width / 2 are a pair.
    ///
    /// Sums and products of single numbers, each rounded: the same bits everywhere.
    pub fn turn(&self, place: usize, heads: &mut [f32]) {
        let turns = self.turns.get(place * self.half..(place + 1) * self.half).unwrap_or_default();
        for head in heads.chunks_exact_mut(2 * self.half.max(1)) {
            let (firsts, seconds) = head.split_at_mut(self.half);
            for ((first, second), (cos, sin)) in firsts.iter_mut().zip(seconds).zip(turns) {
                (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_turned_by_angles_that_grow_with_the_place() {
        let plain = Frequencies { theta: 10_000.0, scaling: Scaling::None };
        let rotary = Rotary::new(&plain, 4, 3);
        let mut heads = [1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 0.0];
        rotary.turn(0, &mut heads);
        assert_eq!(heads, [1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 0.0]);
        rotary.turn(2, &mut heads);
        let (cos, sin) = (2.0_f32.cos(), 2.0_f32.sin());
        // The second pair is turned by 2 × 10000^(-1/2).
        let (slow_cos, slow_sin) = (0.02_f32.cos(), 0.02_f32.sin());
        let wanted = [
            cos - 3.0 * sin,
            2.0 * slow_cos - 4.0 * slow_sin,
            3.0 * cos + sin,
            4.0 * slow_cos + 2.0 * slow_sin,
            cos,
            0.0,
            sin,
            0.0,
        ];
        for (found, wanted) in heads.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{heads:?} for {wanted:?}");
        }
    }

    #[test]
    fn slow_pairs_are_slowed_down_for_longer_texts() {
        let of = |scaling| Frequencies { theta: 10_000.0, scaling }.of(8);
        let plain = of(Scaling::None);
        assert_eq!(
            of(Scaling::Linear { factor: 4.0 }),
            plain.iter().map(|f| f / 4.0).collect::<Vec<_>>()
        );
        assert_eq!(
            of(Scaling::Each(vec![1.0, 2.0])),
            [plain[0], plain[1] / 2.0, plain[2], plain[3]]
        );
        // In 1000 tokens the pairs turn 159, 15.9, 1.59 and 0.159 times.
        let llama = of(Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, trained: 1000.0 });
        assert_eq!(llama[..2], plain[..2]);
        assert_eq!(llama[3], plain[3] / 8.0);
        let smooth = (1000.0 * plain[2] / TAU - 1.0) / 3.0;
        let wanted = plain[2] * ((1.0 - smooth) / 8.0 + smooth);
        assert!((llama[2] - wanted).abs() < 1e-8 && llama[2] < plain[2], "{llama:?}");
    }
}
