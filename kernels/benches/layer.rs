//! Where the time of a layer of MiniLM goes, on one core: `cargo bench -p nightshift-kernels`.
//!
//! A pass of four texts of 127 tokens: microseconds of each step, for each precision.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use nightshift_kernels::Isa;
use nightshift_kernels::attention::{self, Heads, attend};
use nightshift_kernels::dot::Pair;
use nightshift_kernels::matmul::{Finish, Numbers};
use nightshift_kernels::matrix::{Matrix, Precision, Workspace};
use nightshift_kernels::rows::LayerNorm;

const TEXTS: usize = 4;
const TOKENS: usize = 127;
const HIDDEN: usize = 384;
const WIDE: usize = 1536;
const HEADS: Heads = Heads { count: 12, width: 32 };

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let isa = Isa::detect();
    writeln!(out, "{} tokens, microseconds on {}", TEXTS * TOKENS, isa.name())?;
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let steps = layer(isa, precision);
        let all: f64 = steps.iter().map(|(_, taken)| taken).sum();
        write!(out, "{precision:?}: {all:.0}")?;
        for (step, taken) in steps {
            write!(out, "  {step} {taken:.0} ({:.0} %)", 100.0 * taken / all)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn layer(isa: Isa, precision: Precision) -> Vec<(&'static str, f64)> {
    let rows = TEXTS * TOKENS;
    let matrix = |columns: usize, depth: usize| {
        let weights = numbers(columns * depth);
        Matrix::pack(precision, columns, depth, &weights, &numbers(columns))
    };
    let (qkv, attended) = (matrix(3 * HIDDEN, HIDDEN), matrix(HIDDEN, HIDDEN));
    let (up, down) = (matrix(WIDE, HIDDEN), matrix(HIDDEN, WIDE));
    let (states, wide, parts) =
        (numbers(rows * HIDDEN), numbers(rows * WIDE), numbers(rows * 3 * HIDDEN));
    let norm = LayerNorm::new(&numbers(HIDDEN), &numbers(HIDDEN), 1e-12);
    let mut workspace = Workspace::default();
    let mut into = Vec::new();
    let mut product = |matrix: &Matrix, from: &[f32], depth: usize, finish: Finish| {
        speed(|| matrix.multiply(isa, &mut workspace, from, depth, finish, &mut into))
    };
    let mut steps = vec![
        ("qkv", product(&qkv, &states, HIDDEN, Finish::Identity)),
        ("attended", product(&attended, &states, HIDDEN, Finish::Identity)),
        ("up", product(&up, &states, HIDDEN, Finish::Identity)),
    ];
    let with_gelu = product(&up, &states, HIDDEN, Finish::Gelu);
    steps.push(("gelu", with_gelu - steps[2].1));
    steps.push(("down", product(&down, &wide, WIDE, Finish::Identity)));
    let attention = match precision {
        Precision::F32 => attention_of::<f32>(isa, &parts),
        _ => attention_of::<Pair>(isa, &parts),
    };
    steps.push(("attention", attention));
    let mut normed = states.clone();
    steps.push(("norms", 2.0 * speed(|| norm.apply(isa, &mut normed, &states))));
    steps
}

fn attention_of<W: Numbers>(isa: Isa, parts: &[f32]) -> f64 {
    let mut scratch = attention::Scratch::<W>::default();
    let mut mixed = vec![0.0; TEXTS * TOKENS * HIDDEN];
    speed(|| {
        let own = parts.chunks_exact(TOKENS * 3 * HIDDEN);
        for (own, out) in own.zip(mixed.chunks_exact_mut(TOKENS * HIDDEN)) {
            attend(isa, &mut scratch, HEADS, own, out);
        }
        black_box(&mixed);
    })
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at % 17) as f32 * 0.01).collect()
}

/// Microseconds of the fastest call.
fn speed(mut call: impl FnMut()) -> f64 {
    let (mut best, mut calls) = (f64::INFINITY, 0);
    let begun = Instant::now();
    while calls < 3 || begun.elapsed().as_millis() < 300 {
        let started = Instant::now();
        call();
        best = best.min(started.elapsed().as_secs_f64());
        calls += 1;
    }
    best * 1e6
}
