//! Speed of products of the shapes of MiniLM on one core: `cargo bench -p nightshift-kernels`.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use nightshift_kernels::Isa;
use nightshift_kernels::matmul::{Finish, Left, Out, Right, Scratch, product};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (rows, depth, columns) in [
        (508, 384, 1152),
        (508, 384, 384),
        (508, 384, 1536),
        (508, 1536, 384),
        (108, 32, 108),
        (12, 384, 1536),
    ] {
        let numbers =
            |count: usize| (0..count).map(|at| (at % 17) as f32 * 0.01).collect::<Vec<_>>();
        let (x, weights) = (numbers(rows * depth), numbers(columns * depth));
        let right = Right::of_weights(columns, depth, &weights, &[]);
        let mut result = vec![0.0; rows * columns];
        let (mut left, mut scratch) = (Left::default(), Scratch::default());
        write!(out, "{rows:4} x {depth:4} x {columns:4}")?;
        for isa in Isa::available() {
            let (mut best, mut calls) = (f64::INFINITY, 0);
            let begun = Instant::now();
            while calls < 3 || begun.elapsed().as_millis() < 300 {
                let started = Instant::now();
                left.fill(rows, depth, 1.0, |row| &x[row * depth..(row + 1) * depth]);
                let to = Out { numbers: &mut result, stride: columns, offset: 0 };
                product(isa, &mut scratch, &left, &right, Finish::Identity, to);
                best = best.min(started.elapsed().as_secs_f64());
                calls += 1;
            }
            black_box(&result);
            let speed = 2.0 * (rows * depth * columns) as f64 / best / 1e9;
            write!(out, "  {} {speed:6.1} GFLOP/s", isa.name())?;
        }
        writeln!(out)?;
    }
    Ok(())
}
