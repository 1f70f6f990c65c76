use super::*;
use crate::dot::{Pair, Quad};
use crate::matmul::Panel;
use model::Model;

#[cfg(target_arch = "x86_64")]
mod detection {
    use super::super::detect::{by, is_right, wanted};
    use super::*;
    use crate::simd::Isa;

    #[test]
    fn the_switch_is_on_or_off() {
        assert_eq!([None, Some(""), Some("on")].map(wanted), [Ok(()), Ok(()), Ok(())]);
        assert_eq!(wanted(Some("off")), Err(NoTiles::Off));
        let error = wanted(Some("0")).unwrap_err();
        assert!(error.is_odd() && error.to_string().contains("NIGHTSHIFT_AMX is \"0\""));
    }

    #[test]
    fn one_wrong_number_of_a_product_is_noticed() {
        for isa in Isa::available() {
            assert!(is_right(by(isa)), "{}", isa.name());
        }
        for wrong in [0, 16, 33 * 33 - 1] {
            assert!(!is_right(|matrix, rows, depth| {
                let mut out = by(Isa::detect())(matrix, rows, depth);
                out[wrong] += 1.0;
                out
            }));
        }
        assert!(!is_right(|_, _, _| Vec::new()));
    }

    #[test]
    fn a_process_has_tiles_or_a_reason() {
        let found = Isa::available().any(|isa| isa.name() == "avx512+amx");
        assert_eq!(missing().is_none(), found);
        assert!(missing().is_none_or(|reason| !reason.to_string().is_empty()));
    }
}

/// One step of the model, with numbers that were computed by hand.
#[test]
fn the_model_multiplies_a_row_and_a_column() {
    let (mut row, mut columns) = (Tile::default(), [Panel::default(); SIDE]);
    row.0[2][0] = Pair::of(3.0, 5.0);
    row.0[2][15] = Pair::of(-1.0, 0.5);
    columns[0].0[20] = Pair::of(2.0, 7.0);
    columns[15].0[20] = Pair::of(4.0, 8.0);
    let mut sums = [[Panel::default(); SIDE]; 2];
    let mut model = Model::default();
    Tiles::<Pair>::begin::<2>(&mut model, &Panel([100.0; 32]));
    model.add([&Tile::default(), &row], &columns);
    Tiles::<Pair>::give(&mut model, &mut sums);
    let mut wanted = [[Panel([100.0; 32]); SIDE]; 2];
    wanted[1][2].0[20] = 100.0 + 6.0 + 35.0 - 4.0 + 4.0;
    assert_eq!(sums.map(|sums| sums.map(|row| row.0)), wanted.map(|sums| sums.map(|row| row.0)));

    let (mut row, mut columns) = (Tile::default(), [Panel::default(); SIDE]);
    row.0[15][1] = Quad(u32::from_le_bytes([255, 1, 0, 2]));
    columns[1].0[0] = Quad(u32::from_le_bytes([0x80, 3, 9, 0xFF]));
    let mut sums = [[Panel::default(); SIDE]];
    let mut model = Model::default();
    Tiles::<Quad>::begin::<1>(&mut model, &Panel([-1; 32]));
    model.add([&row], &columns);
    Tiles::<Quad>::give(&mut model, &mut sums);
    assert_eq!((sums[0][15].0[0], sums[0][15].0[1]), (-1 - 255 * 128 + 3 - 2, -1));
}

/// Needs a processor with AMX; `tests/amx/emulated.sh` emulates one.
#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "needs a processor with AMX"]
fn the_instructions_do_what_the_model_does_with_any_bits() {
    use crate::dot::Word;
    use crate::matmul::tests::numbers;
    use model::TileWord;

    /// Sums after a few steps, as bits.
    fn sums<W: TileWord, const N: usize>(
        mut tiles: impl Tiles<W>,
        words: &[W],
        start: W::Sum,
    ) -> [Sums<W::Sum>; N] {
        let mut word = words.iter().copied().cycle();
        let mut sums = [[Panel::default(); SIDE]; N];
        tiles.begin::<N>(&Panel([start; 32]));
        for _ in 0..3 {
            let mut rows = [Tile::default(); N];
            rows.iter_mut()
                .flat_map(|tile| &mut tile.0)
                .flatten()
                .for_each(|to| *to = word.next().unwrap());
            let mut columns = [Panel::default(); SIDE];
            columns
                .iter_mut()
                .flat_map(|step| &mut step.0)
                .for_each(|to| *to = word.next().unwrap());
            tiles.add(rows.each_ref(), &columns);
            tiles.give(&mut sums);
            tiles.take(&sums);
        }
        sums
    }

    fn same<W: TileWord>(amx: Amx, words: &[W], start: W::Sum, bits: impl Fn(W::Sum) -> u32)
    where
        Model<W::Sum>: Tiles<W> + Default,
        x86::Configured: Tiles<W>,
    {
        let bits = |sums: &[Sums<W::Sum>]| -> Vec<u32> {
            sums.iter().flatten().flat_map(|row| row.0).map(&bits).collect()
        };
        let one = bits(&sums::<W, 1>(amx.configure(), words, start));
        assert_eq!(one, bits(&sums::<W, 1>(Model::default(), words, start)));
        let two = bits(&sums::<W, 2>(amx.configure(), words, start));
        assert_eq!(two, bits(&sums::<W, 2>(Model::default(), words, start)));
    }

    let amx = amx().unwrap();
    for seed in 1..6 {
        let random = numbers(seed, 3 * 32 * 64);
        let quads: Vec<_> =
            random.iter().map(|number| Quad((number * 1e9) as i32 as u32)).collect();
        same(amx, &quads, -7, i32::cast_unsigned);
        // Of every size that a product of two may have without being infinite.
        let size = |at: usize| f32::powi(2.0, (at * 37 % 120) as i32 - 60);
        let sized: Vec<_> =
            random.iter().enumerate().map(|(at, number)| number * size(at)).collect();
        let pairs: Vec<_> = sized.as_chunks().0.iter().map(|[a, b]| Pair::of(*a, *b)).collect();
        assert_eq!(Pair::NUMBERS, 2);
        same(amx, &pairs, 0.5, f32::to_bits);
        // And so small that products, sums or the numbers themselves are not normal.
        let tiny: Vec<_> = sized.iter().map(|number| number * 1e-20).collect();
        let pairs: Vec<_> = tiny.as_chunks().0.iter().map(|[a, b]| Pair::of(*a, *b)).collect();
        same(amx, &pairs, 1e-39, f32::to_bits);
    }
}
