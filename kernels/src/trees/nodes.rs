//! Trees as they are written down.

use super::Number;

/// Where a missing value goes to the left.
const MISSING_LEFT: u32 = 1 << 31;
/// Where the comparison is for the same number.
const EQUAL: u32 = 1 << 30;
/// Most columns that a tree looks at.
pub const COLUMNS_MAX: usize = EQUAL as usize;

/// How a node compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// To the left where the value is at most the threshold.
    AtMost,
    /// To the left where it is the threshold.
    Equal,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Node<T> {
    pub(super) threshold: T,
    /// The column that is compared, with [`MISSING_LEFT`] and [`EQUAL`].
    column: u32,
    /// The children, counted from the root. A leaf is its own.
    pub(super) left: u32,
    pub(super) right: u32,
}

impl<T: Number> Node<T> {
    pub(super) fn column(&self) -> usize {
        (self.column & !(MISSING_LEFT | EQUAL)) as usize
    }

    pub(super) fn is_equal(&self) -> bool {
        self.column & EQUAL != 0
    }

    pub(super) fn is_missing_left(&self) -> bool {
        self.column & MISSING_LEFT != 0
    }

    /// Whether it is a leaf, being node `at`.
    pub(super) fn is_leaf(&self, at: usize) -> bool {
        (self.left as usize, self.right as usize) == (at, at)
    }

    /// Whether `value` goes to the left.
    #[inline(always)]
    pub(super) fn is_left(&self, value: T) -> bool {
        let is_left =
            if self.is_equal() { value == self.threshold } else { value <= self.threshold };
        is_left | (value.is_missing() & self.is_missing_left())
    }

    /// The same with its column as the place in `columns`, which has all that are looked at.
    pub(super) fn renumbered(self, columns: &[u32]) -> Self {
        let place = columns.partition_point(|column| (*column as usize) < self.column());
        Self { column: self.column & (MISSING_LEFT | EQUAL) | place as u32, ..self }
    }
}

/// Trees, each of at least one node. A node may have several parents, as comparisons with one
/// category after the other have.
#[derive(Debug)]
pub struct Nodes<T> {
    nodes: Vec<Node<T>>,
    roots: Vec<Root>,
}

/// Where a tree begins, and how many steps its longest path has.
#[derive(Debug, Clone, Copy)]
struct Root {
    first: usize,
    depth: usize,
}

impl<T> Default for Nodes<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), roots: Vec::new() }
    }
}

impl<T: Number> Nodes<T> {
    /// Begins a tree whose longest path has `depth` steps. Its nodes follow, level by level.
    pub fn begin(&mut self, depth: usize) {
        self.roots.push(Root { first: self.nodes.len(), depth });
    }

    /// Adds a node with children `left` and `right`, counted from the root. `threshold` is a number,
    /// infinite or not.
    pub fn branch(
        &mut self,
        column: u32,
        compare: Compare,
        threshold: T,
        missing_left: bool,
        (left, right): (u32, u32),
    ) {
        let equal = if compare == Compare::Equal { EQUAL } else { 0 };
        let missing = if missing_left { MISSING_LEFT } else { 0 };
        self.nodes.push(Node { threshold, column: column | equal | missing, left, right });
    }

    /// Adds a leaf.
    pub fn leaf(&mut self) {
        let first = self.roots.last().map_or(0, |root| root.first);
        let own = (self.nodes.len() - first) as u32;
        self.nodes.push(Node { threshold: T::default(), column: 0, left: own, right: own });
    }

    /// How many trees there are.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Nodes of all trees.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The first node, the depth and the nodes of each tree.
    pub(super) fn trees(&self) -> impl Iterator<Item = (usize, usize, &[Node<T>])> {
        let ends = self.roots.iter().skip(1).map(|root| root.first).chain([self.nodes.len()]);
        self.roots.iter().zip(ends).map(|(root, end)| {
            (root.first, root.depth, self.nodes.get(root.first..end).unwrap_or_default())
        })
    }

    /// The columns that are looked at, in order.
    pub(super) fn columns(&self) -> Vec<u32> {
        let branches = self
            .trees()
            .flat_map(|(_, _, own)| own.iter().enumerate().filter(|(at, node)| !node.is_leaf(*at)));
        let mut columns: Vec<u32> = branches.map(|(_, node)| node.column() as u32).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}
