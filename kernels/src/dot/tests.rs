use proptest::prelude::*;

use super::*;
use crate::matmul::tests::{bits, numbers};

#[test]
fn a_number_becomes_the_nearest_of_bfloat16() {
    let float = |bits: u16| f32::from_bits(u32::from(bits) << 16);
    for (number, wanted) in [(1.0, 0x3F80), (-2.5, 0xC020), (0.0, 0), (f32::INFINITY, 0x7F80)] {
        assert_eq!(bf16(number), wanted, "{number}");
    }
    // Halfway between two the even one, above it the next, and from the largest on infinity.
    assert_eq!(bf16(f32::from_bits(0x3F80_8000)), 0x3F80);
    assert_eq!(bf16(f32::from_bits(0x3F81_8000)), 0x3F82);
    assert_eq!(bf16(f32::from_bits(0x3F80_8001)), 0x3F81);
    assert_eq!(bf16(f32::MAX), 0x7F80);
    for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7FFF_FFFF), f32::from_bits(0x7F80_0001)] {
        assert!(float(bf16(nan)).is_nan());
    }
}

struct Chain<'a, W: Word>(&'a [[W; 16]], &'a [[W; 16]]);

impl<W: Word> DotKernel<W> for Chain<'_, W> {
    type Output = [W::Sum; 16];

    #[inline(always)]
    fn run<S: Dot<W, Sum = W::Sum>>(self, simd: S) -> Self::Output {
        let mut out = [W::Sum::default(); 16];
        for index in 0..16 / S::WIDTH {
            let mut sums = simd.sums(&out, index);
            for (left, right) in self.0.iter().zip(self.1) {
                sums = simd.dot(simd.words(left, index), simd.words(right, index), sums);
            }
            simd.put(&mut out, index, sums);
        }
        out
    }
}

proptest! {
    #[test]
    fn sums_of_pairs_have_the_same_bits_everywhere(seed in any::<u64>(), length in 1_usize..50) {
        let lanes = |seed: u64| -> Vec<[Pair; 16]> {
            let numbers = numbers(seed, length * 32);
            let pairs: Vec<Pair> = numbers.chunks(2).map(|two| Pair::of(two[0], two[1])).collect();
            pairs.as_chunks().0.to_vec()
        };
        let (left, right) = (lanes(seed), lanes(!seed));
        let wanted = Pair::run(Isa::Portable(Portable), Chain(&left, &right));
        for isa in Isa::available() {
            prop_assert_eq!(bits(&Pair::run(isa, Chain(&left, &right))), bits(&wanted), "{}", isa.name());
        }
    }

    #[test]
    fn sums_of_quads_are_the_same_everywhere(words in prop::collection::vec(any::<[[u32; 16]; 2]>(), 1..50)) {
        let side = |at: usize| words.iter().map(|both| both[at].map(Quad)).collect::<Vec<_>>();
        let (left, right) = (side(0), side(1));
        let wanted = Quad::run(Isa::Portable(Portable), Chain(&left, &right));
        for isa in Isa::available() {
            prop_assert_eq!(Quad::run(isa, Chain(&left, &right)), wanted, "{}", isa.name());
        }
    }
}
