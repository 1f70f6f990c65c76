//! Speed of products of the shapes of MiniLM on one core: `cargo bench -p nightshift-kernels`.
//!
//! A column for each instruction set and precision, in GFLOP/s with the packing of the rows; those by
//! tiles, where they are, with the clearing of the result too.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use nightshift_kernels::Isa;
use nightshift_kernels::dot::Pair;
use nightshift_kernels::matmul::quads::{LeftQuads, RightQuads, product_of_quads};
use nightshift_kernels::matmul::{Finish, Left, Numbers, Out, Right, Scratch, product};
use nightshift_kernels::matrix::{Matrix, Precision, Workspace};

/// Rows, depth and columns.
type Shape = (usize, usize, usize);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let shapes = [
        (508, 384, 1152),
        (508, 384, 384),
        (508, 384, 1536),
        (508, 1536, 384),
        (108, 32, 108),
        (12, 384, 1536),
    ];
    for shape @ (rows, depth, columns) in shapes {
        write!(out, "{rows:4} x {depth:4} x {columns:4}")?;
        for isa in Isa::available() {
            if isa.has_tiles() {
                let [bf16, int8] = [Precision::Bf16, Precision::Int8].map(|p| tiled(isa, p, shape));
                write!(out, "  {} bf16 {bf16:6.1} int8 {int8:6.1}", isa.name())?;
                continue;
            }
            let speeds = [floats::<f32>(isa, shape), floats::<Pair>(isa, shape), quads(isa, shape)];
            let [f32, bf16, int8] = speeds;
            write!(out, "  {} f32 {f32:6.1} bf16 {bf16:6.1} int8 {int8:6.1}", isa.name())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn floats<W: Numbers>(isa: Isa, (rows, depth, columns): Shape) -> f64 {
    let (x, weights) = (numbers(rows * depth), numbers(columns * depth));
    let right = Right::<W>::of_weights(columns, depth, &weights, &[]);
    let (mut left, mut scratch) = (Left::default(), Scratch::default());
    speed((rows, depth, columns), |numbers| {
        left.fill(isa, rows, depth, 1.0, |row| &x[row * depth..(row + 1) * depth]);
        let to = Out { numbers, stride: columns, offset: 0 };
        product(isa, &mut scratch, &left, &right, Finish::Identity, to);
    })
}

fn quads(isa: Isa, (rows, depth, columns): Shape) -> f64 {
    let (x, weights) = (numbers(rows * depth), numbers(columns * depth));
    let right = RightQuads::of_weights(columns, depth, &weights, &[]);
    let (mut left, mut scratch) = (LeftQuads::default(), Scratch::default());
    speed((rows, depth, columns), |numbers| {
        left.fill(isa, rows, depth, |row| &x[row * depth..(row + 1) * depth]);
        let to = Out { numbers, stride: columns, offset: 0 };
        product_of_quads(isa, &mut scratch, &left, &right, Finish::Identity, to);
    })
}

fn tiled(isa: Isa, precision: Precision, (rows, depth, columns): Shape) -> f64 {
    let (x, weights) = (numbers(rows * depth), numbers(columns * depth));
    let matrix = Matrix::pack(precision, columns, depth, &weights, &[]);
    let (mut workspace, mut result) = (Workspace::default(), Vec::new());
    speed((rows, depth, columns), |_| {
        matrix.multiply(isa, &mut workspace, &x, depth, Finish::Identity, &mut result);
    })
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at % 17) as f32 * 0.01).collect()
}

/// GFLOP/s of the fastest call.
fn speed((rows, depth, columns): Shape, mut call: impl FnMut(&mut [f32])) -> f64 {
    let mut result = vec![0.0; rows * columns];
    let (mut best, mut calls) = (f64::INFINITY, 0);
    let begun = Instant::now();
    while calls < 3 || begun.elapsed().as_millis() < 200 {
        let started = Instant::now();
        call(&mut result);
        best = best.min(started.elapsed().as_secs_f64());
        calls += 1;
    }
    black_box(&result);
    2.0 * (rows * depth * columns) as f64 / best / 1e9
}
