use proptest::prelude::*;

use super::*;
use crate::matmul::quads::{LeftQuads, product_of_quads};
use crate::matmul::tests::{bits, numbers};
use crate::matmul::{Left, Scratch, product};
use crate::simd::{Isa, Portable};
use crate::tiles::model::{Model, apart, normal};

/// A product of the tests: row-major rows, and weights with a row for each column.
struct Case {
    depth: usize,
    columns: usize,
    rows: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn of(seed: u64, rows: usize, depth: usize, columns: usize) -> Self {
        let (rows, weights) = (numbers(seed, rows * depth), numbers(!seed, columns * depth));
        Self { depth, columns, rows, weights, bias: numbers(seed ^ 7, columns) }
    }

    /// The result of `run`, which gets where it goes.
    fn result(&self, run: impl FnOnce(Out<'_>)) -> Vec<f32> {
        let mut out = vec![f32::NAN; self.rows.len() / self.depth * self.columns];
        run(Out { numbers: &mut out, stride: self.columns, offset: 0 });
        out
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * self.depth..][..self.depth]
    }

    fn pairs(&self, rows: &[f32], finish: Finish, tiles: impl Tiles<Pair>, out: Out<'_>) {
        let right = Right::of_weights(self.columns, self.depth, &self.weights, &self.bias);
        let (depth, memory, right) = (self.depth, &mut Tiled::default(), &right);
        Isa::detect().run(Product { tiles, memory, rows, depth, right, finish, out });
    }

    fn quads(&self, finish: Finish, tiles: impl Tiles<Quad>, out: Out<'_>) {
        let right = RightQuads::of_weights(self.columns, self.depth, &self.weights, &self.bias);
        let (depth, memory, right) = (self.depth, &mut Tiled::default(), &right);
        Isa::detect().run(Product { tiles, memory, rows: &self.rows, depth, right, finish, out });
    }

    fn pairs_by_model(&self) -> Vec<f32> {
        self.result(|out| self.pairs(&self.rows, Finish::Identity, Model::default(), out))
    }

    fn quads_without_tiles(&self, isa: Isa, finish: Finish) -> Vec<f32> {
        let right = RightQuads::of_weights(self.columns, self.depth, &self.weights, &self.bias);
        let (mut left, mut scratch) = (LeftQuads::default(), Scratch::default());
        left.fill(isa, self.rows.len() / self.depth, self.depth, |at| self.row(at));
        self.result(|out| product_of_quads(isa, &mut scratch, &left, &right, finish, out))
    }

    fn floats(&self) -> Vec<f32> {
        let isa = Isa::detect();
        let right = Right::<f32>::of_weights(self.columns, self.depth, &self.weights, &self.bias);
        let (mut left, mut scratch) = (Left::default(), Scratch::default());
        left.fill(isa, self.rows.len() / self.depth, self.depth, 1.0, |at| self.row(at));
        self.result(|out| product(isa, &mut scratch, &left, &right, Finish::Identity, out))
    }

    /// The product of pairs, number by number in the order of tiles.
    fn in_order(&self) -> Vec<f32> {
        let words = |numbers: &[f32]| {
            let mut words = Vec::new();
            Pair::extend(&mut words, numbers, 1.0);
            words.resize(words.len().next_multiple_of(SIDE), Pair::default());
            words
        };
        let columns: Vec<_> = self.weights.chunks(self.depth).map(words).collect();
        let rows = self.rows.chunks(self.depth).map(words);
        let of_row = |row: Vec<Pair>| -> Vec<f32> {
            columns.iter().zip(&self.bias).map(|(column, bias)| dot(*bias, &row, column)).collect()
        };
        rows.flat_map(of_row).collect()
    }
}

/// `start` and the products of two lines of words in the order of tiles: even and odd numbers of 32
/// apart, then together, then added.
fn dot(start: f32, left: &[Pair], right: &[Pair]) -> f32 {
    left.chunks(SIDE).zip(right.chunks(SIDE)).fold(start, |sum, (left, right)| {
        let [even, odd] = [0, 1].map(|at| {
            left.iter().zip(right).fold(0.0_f32, |sum, (left, right)| {
                let (left, right) = (normal(apart(*left)[at]), normal(apart(*right)[at]));
                normal(left.mul_add(right, sum))
            })
        });
        normal(normal(sum) + normal(even + odd))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Depths that end within a tile, and of several blocks.
    #[test]
    fn pairs_are_summed_in_the_order_of_tiles(
        seed in any::<u64>(), rows in 1_usize..70, depth in 1_usize..900, columns in 1_usize..70,
    ) {
        let case = Case::of(seed, rows, depth, columns);
        let found = case.pairs_by_model();
        prop_assert_eq!(bits(&found), bits(&case.in_order()));
        for (found, wanted) in found.iter().zip(case.floats()) {
            // Either number of a product is off by at most 1 of 512.
            prop_assert!((found - wanted).abs() < depth as f32 / 255.0, "{found} for {wanted}");
        }
    }

    #[test]
    fn a_row_of_pairs_has_the_same_bits_alone_and_in_any_place(
        seed in any::<u64>(), rows in 2_usize..70, depth in 1_usize..500, columns in 1_usize..40,
    ) {
        let case = Case::of(seed, rows, depth, columns);
        let together = case.pairs_by_model();
        for (at, wanted) in together.chunks(columns).enumerate() {
            let mut alone = vec![f32::NAN; columns];
            let out = Out { numbers: &mut alone, stride: columns, offset: 0 };
            case.pairs(case.row(at), Finish::Identity, Model::default(), out);
            prop_assert_eq!(bits(&alone), bits(wanted));
        }
        let turned = (0..rows).rev().flat_map(|at| case.row(at).to_vec()).collect();
        let turned = Case { rows: turned, ..case }.pairs_by_model();
        for (found, wanted) in turned.chunks(columns).rev().zip(together.chunks(columns)) {
            prop_assert_eq!(bits(found), bits(wanted));
        }
    }

    #[test]
    fn quads_have_the_bits_of_any_instruction_set(
        seed in any::<u64>(), rows in 1_usize..70, depth in 1_usize..1700, columns in 1_usize..70,
        finish in prop::sample::select(vec![Finish::Identity, Finish::Gelu, Finish::Relu]),
    ) {
        let case = Case::of(seed, rows, depth, columns);
        let found = case.result(|out| case.quads(finish, Model::default(), out));
        prop_assert_eq!(bits(&found), bits(&case.quads_without_tiles(Isa::detect(), finish)));
    }
}

/// Numbers that are smaller than the smallest normal float, before and after they are summed.
fn small(rows: usize, depth: usize, columns: usize) -> Case {
    let mut case = Case::of(11, rows, depth, columns);
    let shrink = |(at, number): (usize, &mut f32)| *number *= [1e-39, 1e-20, 2e-19, 1.0][at % 4];
    case.rows.iter_mut().enumerate().for_each(shrink);
    case.weights.iter_mut().enumerate().for_each(shrink);
    case.bias.iter_mut().for_each(|bias| *bias *= 1e-39);
    case
}

#[test]
fn what_is_smaller_than_any_normal_float_is_nothing() {
    let case = small(33, 70, 33);
    let found = case.pairs_by_model();
    assert_eq!(bits(&found), bits(&case.in_order()));
    assert!(found.iter().all(|number| !number.is_subnormal()));
}

#[test]
fn what_is_no_number_spoils_its_row_and_no_other() {
    let mut case = Case::of(5, 40, 90, 40);
    case.rows[17 * 90 + 3] = f32::NAN;
    for found in
        [case.pairs_by_model(), case.result(|out| case.quads(Finish::Gelu, Model::default(), out))]
    {
        for (row, found) in found.chunks(40).enumerate() {
            assert_eq!(found.iter().any(|number| number.is_nan()), row == 17);
            assert_eq!(found.iter().all(|number| number.is_nan()), row == 17);
        }
    }
}

#[test]
fn rows_and_columns_beside_a_product_are_left_as_they_are() {
    let case = Case::of(9, 3, 40, 5);
    let mut out = vec![7.0; 6 * 9];
    case.pairs(
        &case.rows,
        Finish::Identity,
        Model::default(),
        Out { numbers: &mut out, stride: 9, offset: 2 },
    );
    let wanted = case.in_order();
    for (row, found) in out.chunks(9).enumerate() {
        let expected = wanted.get(row * 5..(row + 1) * 5).map_or([7.0; 5].as_slice(), |row| row);
        assert_eq!(
            (&found[..2], &found[2..7], &found[7..]),
            (&[7.0; 2][..], expected, &[7.0; 2][..])
        );
    }
}

/// Needs a processor with AMX; `tests/amx/emulated.sh` emulates one.
#[cfg(target_arch = "x86_64")]
mod with_amx {
    use super::*;
    use crate::matrix::{Matrix, Precision, Workspace};
    use crate::tiles::amx;

    /// Rows, depth and columns: less than a tile, whole tiles, rests of each, several blocks.
    const SHAPES: [(usize, usize, usize); 7] = [
        (1, 1, 1),
        (3, 40, 5),
        (16, 32, 16),
        (32, 64, 32),
        (33, 70, 33),
        (50, 801, 40),
        (17, 1600, 65),
    ];

    #[test]
    #[ignore = "needs a processor with AMX"]
    fn the_instructions_sum_pairs_in_the_order_of_the_model() {
        let amx = amx().unwrap();
        let cases = SHAPES.map(|(rows, depth, columns)| Case::of(3, rows, depth, columns));
        for case in cases.into_iter().chain([small(33, 70, 33), small(5, 900, 20)]) {
            let found = case.result(|out| {
                case.pairs(&case.rows, Finish::Identity, amx.configure(), out);
            });
            assert_eq!(bits(&found), bits(&case.pairs_by_model()));
            assert_eq!(bits(&found), bits(&case.in_order()));
        }
    }

    #[test]
    #[ignore = "needs a processor with AMX"]
    fn the_instructions_sum_quads_as_any_do() {
        let amx = amx().unwrap();
        for (rows, depth, columns) in SHAPES {
            let case = Case::of(4, rows, depth, columns);
            let found = case.result(|out| case.quads(Finish::Gelu, amx.configure(), out));
            let wanted = case.quads_without_tiles(Isa::Portable(Portable), Finish::Gelu);
            assert_eq!(bits(&found), bits(&wanted));
        }
    }

    #[test]
    #[ignore = "needs a processor with AMX"]
    fn threads_that_are_interrupted_keep_their_tiles() {
        let isa = Isa::detect();
        assert_eq!(isa.name(), "avx512+amx");
        let wanted: Vec<_> = (0..4).map(|seed| Case::of(seed, 40, 300, 40)).collect();
        std::thread::scope(|scope| {
            for case in &wanted {
                scope.spawn(move || {
                    let matrix = |precision| {
                        let Case { depth, columns, rows, weights, bias } = case;
                        let matrix = Matrix::pack(precision, *columns, *depth, weights, bias);
                        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
                        matrix.multiply(
                            isa,
                            &mut workspace,
                            rows,
                            *depth,
                            Finish::Identity,
                            &mut out,
                        );
                        bits(&out)
                    };
                    let pairs = bits(&case.in_order());
                    let quads = bits(&case.quads_without_tiles(isa, Finish::Identity));
                    for _ in 0..20 {
                        assert_eq!(matrix(Precision::Bf16), pairs);
                        assert_eq!(matrix(Precision::Int8), quads);
                        std::thread::yield_now();
                    }
                });
            }
        });
    }
}
