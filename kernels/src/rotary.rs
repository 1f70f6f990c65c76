//! Rotary embeddings of places (Su et al., 2021): pairs of numbers are turned by an angle that
//! grows with the place.

/// Cosines and sines of the angles of each place.
#[derive(Debug)]
pub struct Rotary {
    /// Half of the numbers of a head.
    half: usize,
    /// For each place, `half` pairs of cosine and sine.
    turns: Vec<(f32, f32)>,
}

impl Rotary {
    /// Angles for heads of `width` numbers, an even number, at the first `places` places: that of
    /// pair n is place × theta^(-2n / width).
    ///
    /// Frequencies and angles are rounded to 32 bits before anything is taken of them, as
    /// transformers does it: far from the first place the rounding is what a model was trained on.
    pub fn new(theta: f64, width: usize, places: usize) -> Self {
        let half = width / 2;
        let frequency = |n: usize| {
            let power = theta.powf((2 * n) as f64 / width as f64) as f32;
            1.0 / power
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
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
        let rotary = Rotary::new(10_000.0, 4, 3);
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
}
