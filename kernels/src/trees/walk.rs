//! Rows that go down a tree by themselves, some side by side so that the processor waits for the
//! memory of all of them at once.

use super::nodes::Node;
use super::tile::{TILE, Tile};
use super::{Number, tile};

/// Rows side by side.
const LANES: usize = 8;
/// Steps between two looks at whether all rows have arrived.
const STEPS: usize = 4;

/// Sends the rows of `tile` down the tree of `nodes`, whose longest path has `depth` steps.
pub(super) fn descend<T: Number>(
    nodes: &[Node<T>],
    labels: &[u32],
    depth: usize,
    tile: &Tile<T>,
    reached: &mut [u32; TILE],
) {
    let (rows, width) = tile.rows();
    if tile::is_wide(width) {
        let number = |row: usize, column: usize| rows.get(row * width + column).copied();
        descend_with(nodes, labels, depth, tile.len(), number, reached);
    } else {
        let columns = tile.columns();
        let number = |row: usize, column: usize| columns.get(column)?.0.get(row).copied();
        descend_with(nodes, labels, depth, tile.len(), number, reached);
    }
}

#[inline(always)]
fn descend_with<T: Number>(
    nodes: &[Node<T>],
    labels: &[u32],
    depth: usize,
    len: usize,
    number: impl Fn(usize, usize) -> Option<T>,
    reached: &mut [u32; TILE],
) {
    let step = |at: u32, row: usize| -> u32 {
        let Some(node) = nodes.get(at as usize) else { return at };
        let number = number(row, node.column()).unwrap_or(T::MISSING);
        if node.is_left(number) { node.left } else { node.right }
    };
    for (group, reached) in reached.chunks_mut(LANES).enumerate() {
        let first = group * LANES;
        if first >= len {
            break;
        }
        let mut at = [0_u32; LANES];
        let mut left = depth;
        while left > 0 {
            let before = at;
            for _ in 0..STEPS.min(left) {
                for (lane, at) in at.iter_mut().enumerate() {
                    // A lane beyond the rows goes with the first one.
                    let row = if first + lane < len { first + lane } else { first };
                    *at = step(*at, row);
                }
            }
            left -= STEPS.min(left);
            if at == before {
                break;
            }
        }
        for (reached, at) in reached.iter_mut().zip(at) {
            *reached = labels.get(at as usize).copied().unwrap_or_default();
        }
    }
}
