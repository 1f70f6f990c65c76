//! Decision trees: from rows of numbers to the leaf of each.
//!
//! The nodes of a tree lie level by level, and a node is 16 bytes with 32-bit thresholds. A leaf
//! leads to itself. A node may have several parents, as comparisons with one category after the
//! other have. [`LANES`] rows go down a tree side by side, so that the processor waits for the
//! memory of all of them at once; each has its own path, whatever rows are beside it.

/// Rows that go down a tree side by side.
pub const LANES: usize = 8;
/// Steps between two looks at whether all rows have arrived.
const STEPS: usize = 4;
/// Where a missing value goes to the left.
const MISSING_LEFT: u32 = 1 << 31;
/// Where the comparison is for the same number.
const EQUAL: u32 = 1 << 30;
/// Most columns that a tree looks at.
pub const COLUMNS_MAX: usize = EQUAL as usize;

/// A number that rows are made of.
pub trait Number: Copy + PartialOrd + Default + Send + Sync + 'static {
    /// The largest number below this one; itself where there is none.
    fn below(self) -> Self;
    /// Whether it is not a number.
    fn is_missing(self) -> bool;
}

macro_rules! number {
    ($($float:ty)*) => {$(
        impl Number for $float {
            #[inline]
            fn below(self) -> Self {
                self.next_down()
            }

            #[inline]
            fn is_missing(self) -> bool {
                self.is_nan()
            }
        }
    )*};
}

number!(f32 f64);

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
struct Node<T> {
    threshold: T,
    /// The column that is compared, with [`MISSING_LEFT`] and [`EQUAL`].
    column: u32,
    /// The children, counted from the root. A leaf is its own.
    left: u32,
    right: u32,
}

/// Trees, each of at least one node.
#[derive(Debug)]
pub struct Trees<T> {
    nodes: Vec<Node<T>>,
    /// Where each tree begins, and how many steps its longest path has.
    roots: Vec<Root>,
    has_equal: bool,
    columns: usize,
}

#[derive(Debug, Clone, Copy)]
struct Root {
    first: usize,
    len: usize,
    depth: usize,
}

impl<T: Number> Default for Trees<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), roots: Vec::new(), has_equal: false, columns: 0 }
    }
}

impl<T: Number> Trees<T> {
    /// Begins a tree whose longest path has `depth` steps. Its nodes follow, level by level.
    pub fn begin(&mut self, depth: usize) {
        self.roots.push(Root { first: self.nodes.len(), len: 0, depth });
    }

    /// Adds a node with children `left` and `right`, counted from the root.
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
        self.has_equal |= compare == Compare::Equal;
        self.columns = self.columns.max(column as usize + 1);
        self.push(Node { threshold, column: column | equal | missing, left, right });
    }

    /// Adds a leaf.
    pub fn leaf(&mut self) {
        let left = self.roots.last().map_or(0, |root| root.len as u32);
        self.push(Node { threshold: T::default(), column: 0, left, right: left });
    }

    fn push(&mut self, node: Node<T>) {
        if let Some(root) = self.roots.last_mut() {
            root.len += 1;
            self.nodes.push(node);
        }
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
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Columns that the trees look at, from the first to the last.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.roots)
    }

    /// Sends `rows`, each of `width` numbers, down tree `tree`. `arrived` is called with the
    /// position of each row and its leaf, counted over the nodes of all trees in the order in
    /// which they were added.
    ///
    /// A value in a column beyond `width` counts as missing.
    pub fn descend(
        &self,
        tree: usize,
        rows: &[T],
        width: usize,
        arrived: impl FnMut(usize, usize),
    ) {
        if self.has_equal {
            self.descend_with::<true>(tree, rows, width, arrived);
        } else {
            self.descend_with::<false>(tree, rows, width, arrived);
        }
    }

    #[inline]
    fn descend_with<const EQUALS: bool>(
        &self,
        tree: usize,
        rows: &[T],
        width: usize,
        mut arrived: impl FnMut(usize, usize),
    ) {
        let Some(root) = self.roots.get(tree) else { return };
        let nodes = self.nodes.get(root.first..root.first + root.len).unwrap_or_default();
        let width = width.max(1);
        let mut groups = rows.chunks_exact(width * LANES);
        let mut row = 0;
        for group in &mut groups {
            let mut at = [0_u32; LANES];
            let mut left = root.depth;
            while left > 0 {
                let before = at;
                for _ in 0..STEPS.min(left) {
                    for (lane, at) in at.iter_mut().enumerate() {
                        *at = step::<T, EQUALS>(nodes, *at, &group[lane * width..], width);
                    }
                }
                left -= STEPS.min(left);
                if at == before {
                    break;
                }
            }
            for at in at {
                arrived(row, root.first + at as usize);
                row += 1;
            }
        }
        for numbers in groups.remainder().chunks_exact(width) {
            let mut at = 0;
            for _ in 0..root.depth {
                at = step::<T, EQUALS>(nodes, at, numbers, width);
            }
            arrived(row, root.first + at as usize);
            row += 1;
        }
    }
}

/// One step down.
#[inline(always)]
fn step<T: Number, const EQUALS: bool>(nodes: &[Node<T>], at: u32, row: &[T], width: usize) -> u32 {
    let Some(node) = nodes.get(at as usize) else { return at };
    let column = (node.column & !(MISSING_LEFT | EQUAL)) as usize;
    let missing_left = node.column & MISSING_LEFT != 0;
    let is_left = match row.get(column) {
        Some(value) if column < width => {
            let is_left = if EQUALS && node.column & EQUAL != 0 {
                *value == node.threshold
            } else {
                *value <= node.threshold
            };
            is_left | (value.is_missing() & missing_left)
        }
        _ => missing_left,
    };
    if is_left { node.left } else { node.right }
}

#[cfg(test)]
mod tests;
