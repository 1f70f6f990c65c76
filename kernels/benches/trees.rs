//! How long rows take through trees, on one core: `cargo bench -p nightshift-kernels --bench trees`.
//!
//! Forests of 100 trees over 30 columns, in the shapes that libraries make: nanoseconds of a row in
//! a tree on each instruction set, with the sum of its leaves, the transposition of rows included.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use nightshift_kernels::Isa;
use nightshift_kernels::trees::{Compare, Lanes, Nodes, TILE, Tile, Trees, Workspace, add_floats};

const TREES: usize = 100;
const COLUMNS: usize = 30;
const ROWS: usize = 4 * TILE;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let isas: Vec<Isa> = Isa::available().collect();
    write!(out, "{:>32}", "ns of a row in a tree")?;
    isas.iter().try_for_each(|isa| write!(out, "{:>10}", isa.name()))?;
    writeln!(out)?;
    // Leaves of a tree, and which part of them lies to one side of a branch at least.
    let shapes = [
        ("depth 3", 8, 0.5),
        ("depth 6", 64, 0.5),
        ("depth 8", 256, 0.5),
        ("leaf-wise, 31 leaves", 31, 0.05),
        ("leaf-wise, 127 leaves", 127, 0.05),
        ("leaf-wise, 255 leaves", 255, 0.05),
        ("forest, 500 leaves", 500, 0.1),
        ("forest, 1000 leaves", 1000, 0.1),
        ("forest, 5000 leaves", 5000, 0.1),
    ];
    for (name, leaves, least) in shapes {
        write!(out, "{name:>32}")?;
        let mut dice = Dice(1);
        let mut nodes = Nodes::default();
        (0..TREES).for_each(|_| dice.tree(leaves, least, &mut nodes));
        let rows: Vec<f32> = (0..ROWS * COLUMNS).map(|_| dice.normal()).collect();
        for isa in &isas {
            let trees = Trees::of(*isa, &nodes, |node| (node as f32).to_bits());
            write!(out, "{:>10.2}", nanoseconds(*isa, &trees, &rows) / (TREES * ROWS) as f64)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The shortest of several times that all rows take through all trees.
fn nanoseconds(isa: Isa, trees: &Trees<f32>, rows: &[f32]) -> f64 {
    let mut workspace = Workspace::default();
    let mut once = || {
        let tiles = Tile::of_rows(trees, rows, COLUMNS);
        let mut sums = vec![Lanes::default(); tiles.len()];
        trees.evaluate(&tiles, &mut workspace, |tile, _, labels| {
            add_floats(isa, labels, &mut sums[tile].0);
        });
        black_box(&sums);
    };
    once();
    let times = (0..7).map(|_| {
        let started = Instant::now();
        once();
        started.elapsed().as_nanos() as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Numbers of a generator of Lehmer, the same in every run.
struct Dice(u64);

impl Dice {
    /// A number between 0 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 as f32 / 2_147_483_647.0
    }

    /// A number that is about normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.next()).sum::<f32>() - 6.0
    }

    /// Adds a tree of so many leaves, of which at least a part `least` is on each side of a branch.
    fn tree(&mut self, leaves: usize, least: f32, nodes: &mut Nodes<f32>) {
        let mut levels = vec![vec![leaves]];
        while let Some(level) = levels.last().filter(|level| level.iter().any(|it| *it > 1)) {
            let below = level.iter().filter(|leaves| **leaves > 1).flat_map(|leaves| {
                let part = least + (1.0 - 2.0 * least) * self.next();
                let left = ((*leaves as f32 * part) as usize).clamp(1, leaves - 1);
                [left, leaves - left]
            });
            let below = below.collect();
            levels.push(below);
        }
        nodes.begin(levels.len() - 1);
        let mut known = 1;
        for leaves in levels.into_iter().flatten() {
            if leaves < 2 {
                nodes.leaf();
                continue;
            }
            let column = (self.next() * COLUMNS as f32) as u32;
            // Below the root, thresholds are closer to the middle of what is left.
            nodes.branch(column, Compare::AtMost, self.normal(), false, (known, known + 1));
            known += 2;
        }
    }
}
