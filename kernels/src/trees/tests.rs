use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// A tree as a caller would write it by hand.
#[derive(Debug, Clone)]
enum Tree {
    Leaf,
    Branch(Split, Box<[Tree; 2]>),
}

#[derive(Debug, Clone, Copy)]
struct Split {
    column: u32,
    compare: Compare,
    threshold: f32,
    missing_left: bool,
}

impl Split {
    fn at_most(column: u32, threshold: f32) -> Self {
        Self { column, compare: Compare::AtMost, threshold, missing_left: false }
    }

    fn is_left<T: Number>(self, value: T, threshold: T) -> bool {
        let is_left = match self.compare {
            Compare::AtMost => value <= threshold,
            Compare::Equal => value == threshold,
        };
        is_left || value.is_missing() && self.missing_left
    }
}

fn branch(split: Split, left: Tree, right: Tree) -> Tree {
    Tree::Branch(split, Box::new([left, right]))
}

/// A number that a row or a threshold may be.
trait Made: Number {
    fn of(number: f32) -> Self;
}

impl Made for f32 {
    fn of(number: f32) -> Self {
        number
    }
}

impl Made for f64 {
    fn of(number: f32) -> Self {
        number.into()
    }
}

impl Tree {
    fn depth(&self) -> usize {
        match self {
            Self::Leaf => 0,
            Self::Branch(_, children) => 1 + children.iter().map(Self::depth).max().unwrap(),
        }
    }

    /// Writes the tree down, level by level.
    fn add<T: Made>(&self, nodes: &mut Nodes<T>) {
        nodes.begin(self.depth());
        let mut next = VecDeque::from([self]);
        let mut known = 1;
        while let Some(tree) = next.pop_front() {
            match tree {
                Self::Leaf => nodes.leaf(),
                Self::Branch(split, children) => {
                    let Split { column, compare, threshold, missing_left } = *split;
                    let own = (known, known + 1);
                    nodes.branch(column, compare, T::of(threshold), missing_left, own);
                    known += 2;
                    next.extend(children.iter());
                }
            }
        }
    }

    /// The number of the leaf that `row` ends in, level by level.
    fn leaf<T: Made>(&self, row: &[T]) -> usize {
        let mut level = vec![self];
        let (mut first, mut place) = (0, 0);
        loop {
            let Self::Branch(split, _) = level[place] else { return first + place };
            let value = row.get(split.column as usize).copied().unwrap_or(T::MISSING);
            let side = usize::from(!split.is_left(value, T::of(split.threshold)));
            let is_branch = |tree: &&&Tree| matches!(tree, Self::Branch(..));
            place = 2 * level[..place].iter().filter(is_branch).count() + side;
            first += level.len();
            let children = level.iter().flat_map(|tree| match tree {
                Self::Leaf => Vec::new(),
                Self::Branch(_, children) => children.iter().collect(),
            });
            level = children.collect();
        }
    }
}

/// The leaves of `rows` in each of `trees`, tree by tree, counted over the nodes of each.
fn found<T: Made>(isa: Isa, trees: &[Tree], rows: &[T], width: usize) -> Vec<Vec<usize>> {
    let mut nodes = Nodes::default();
    let mut firsts = Vec::new();
    for tree in trees {
        firsts.push(nodes.count());
        tree.add(&mut nodes);
    }
    let trees = Trees::of(isa, &nodes, |node| node as u32);
    let find = |tiles: Vec<Tile<T>>| {
        let mut leaves = vec![vec![usize::MAX; rows.len() / width]; firsts.len()];
        trees.evaluate(&tiles, &mut Workspace::default(), |tile, tree, labels| {
            for (row, label) in labels.iter().enumerate().take(tiles[tile].len()) {
                leaves[tree][tile * TILE + row] = *label as usize - firsts[tree];
            }
        });
        leaves
    };
    let leaves = find(Tile::of_rows(&trees, rows, width));
    let by_column: Vec<T> =
        (0..width).flat_map(|at| rows[at..].iter().step_by(width)).copied().collect();
    let again = find(Tile::of_columns(&trees, &by_column, rows.len() / width));
    assert!(leaves == again, "rows and columns hold the same");
    leaves
}

/// Every way of `trees` finds the leaves that a hand finds, for floats of both sizes.
fn check(trees: &[Tree], rows: &[f32], width: usize) {
    check_as::<f32>(trees, rows, width);
    check_as::<f64>(trees, rows, width);
}

fn check_as<T: Made>(trees: &[Tree], rows: &[f32], width: usize) {
    let rows: Vec<T> = rows.iter().map(|x| T::of(*x)).collect();
    let wanted: Vec<Vec<usize>> = trees
        .iter()
        .map(|tree| rows.chunks_exact(width).map(|row| tree.leaf(row)).collect())
        .collect();
    for isa in Isa::available() {
        assert!(found(isa, trees, &rows, width) == wanted, "{} {trees:?} {rows:?}", isa.name());
    }
}

const NUMBERS: [f32; 12] = [
    f32::NEG_INFINITY,
    f32::MIN,
    -1.5,
    -0.0,
    0.0,
    f32::MIN_POSITIVE,
    0.5,
    0.500_000_06,
    1.0,
    16_777_216.0,
    f32::MAX,
    f32::INFINITY,
];
const WIDTH: u32 = 5;

fn split() -> impl Strategy<Value = Split> {
    // Every fourth tree or so compares for equality.
    let compare = prop_oneof![9 => Just(Compare::AtMost), 1 => Just(Compare::Equal)];
    // Some columns are beyond the rows.
    let parts = (0..WIDTH + 1, compare, prop::sample::select(&NUMBERS[..]), any::<bool>());
    parts.prop_map(|(column, compare, threshold, missing_left)| Split {
        column,
        compare,
        threshold,
        missing_left,
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let bushy = Just(Tree::Leaf).prop_recursive(9, 400, 2, |below| {
        (split(), below.clone(), below).prop_map(|(split, left, right)| branch(split, left, right))
    });
    // What hangs on long branches to one side or the other.
    let long = (prop::collection::vec((split(), any::<bool>()), 0..90), bushy.clone());
    let long = long.prop_map(|(splits, end)| {
        splits.into_iter().fold(end, |end, (split, is_left)| match is_left {
            true => branch(split, end, Tree::Leaf),
            false => branch(split, Tree::Leaf, end),
        })
    });
    prop_oneof![bushy, long]
}

fn rows(with_missing: bool) -> impl Strategy<Value = Vec<f32>> {
    let missing = u32::from(with_missing);
    let number = prop_oneof![
        12 => prop::sample::select(&NUMBERS[..]),
        missing => Just(f32::NAN),
        1 => any::<f32>().prop_filter("missing", move |x| with_missing || !x.is_nan()),
    ];
    prop::collection::vec(number, WIDTH as usize * 150).prop_flat_map(|numbers| {
        (1..numbers.len() / WIDTH as usize)
            .prop_map(move |rows| numbers[..rows * WIDTH as usize].to_vec())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_way_finds_the_leaf_that_a_hand_finds(
        trees in prop::collection::vec(tree(), 1..4),
        rows in any::<bool>().prop_flat_map(rows),
    ) {
        check(&trees, &rows, WIDTH as usize);
    }
}

/// Numbers without dice: a generator of Lehmer.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed * 2 + 1;
    move || {
        state = state * 48_271 % 2_147_483_647;
        state as f32 / 1_073_741_824.0 - 1.0
    }
}

/// A tree with so many leaves, some of them far from the root.
fn large(leaves: usize, next: &mut impl FnMut() -> f32) -> Tree {
    if leaves < 2 {
        return Tree::Leaf;
    }
    let split = Split {
        missing_left: next() > 0.0,
        ..Split::at_most(((next() + 1.0) * 15.0) as u32, next())
    };
    let left = ((next() + 1.0) / 2.0 * (leaves - 1) as f32) as usize;
    let left = left.clamp(1, leaves - 1);
    branch(split, large(left, next), large(leaves - left, next))
}

#[test]
fn trees_of_every_size_find_it_too() {
    let mut next = numbers(1);
    let sizes = [1, 2, 31, 32, 33, 64, 65, 127, 500, 511, 512, 513, 700, 4000];
    let trees: Vec<Tree> = sizes.iter().map(|leaves| large(*leaves, &mut next)).collect();
    let mut rows: Vec<f32> = (0..30 * 300).map(|_| next()).collect();
    check(&trees, &rows, 30);
    rows.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
    check(&trees, &rows, 30);
}

#[test]
fn a_row_finds_the_same_alone_and_beside_others() {
    let mut next = numbers(2);
    let trees = [large(40, &mut next), large(900, &mut next)];
    let rows: Vec<f32> =
        (0..30 * 131).map(|at| if at % 11 == 0 { f32::NAN } else { next() }).collect();
    for isa in Isa::available() {
        let together = found(isa, &trees, &rows, 30);
        for (row, numbers) in rows.chunks_exact(30).enumerate() {
            let alone = found(isa, &trees, numbers, 30);
            let wanted: Vec<_> = together.iter().map(|leaves| vec![leaves[row]]).collect();
            assert_eq!(alone, wanted, "{} {row}", isa.name());
        }
    }
}

#[test]
fn very_many_columns_find_it_too() {
    let mut next = numbers(3);
    let stumps: Vec<Tree> = (0..9000)
        .map(|column| branch(Split::at_most(column * 2, next()), Tree::Leaf, Tree::Leaf))
        .collect();
    let rows: Vec<f32> = (0..18_000 * 3).map(|_| next()).collect();
    check(&stumps, &rows, 18_000);
    // A tree whose columns cannot be packed.
    let mut far = large(700, &mut next);
    for column in 0..3000 {
        far = branch(Split::at_most(column, -0.9 + next() / 10.0), Tree::Leaf, far);
    }
    check(&[far], &rows, 18_000);
}

#[test]
fn a_node_may_have_two_parents() {
    let mut nodes = Nodes::default();
    nodes.begin(2);
    nodes.branch(0, Compare::Equal, 1.0_f32, false, (2, 1));
    nodes.branch(0, Compare::Equal, 4.0, false, (2, 3));
    nodes.leaf();
    nodes.leaf();
    // So many that each way to the leaf is not written down by itself.
    nodes.begin(40);
    for level in 0..40 {
        let next = (2 * level + 1, 2 * level + 2);
        nodes.branch(0, Compare::AtMost, level as f32, false, next);
        if level > 0 {
            nodes.branch(0, Compare::AtMost, -1.0, false, next);
        }
    }
    nodes.leaf();
    nodes.leaf();
    let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 4.0, f32::NAN];
    for isa in Isa::available() {
        let trees = Trees::of(isa, &nodes, |node| node as u32);
        let tiles = Tile::of_rows(&trees, &rows, 1);
        let mut found = vec![Vec::new(); 2];
        trees.evaluate(&tiles, &mut Workspace::default(), |_, tree, labels| {
            found[tree] = labels[..rows.len()].to_vec();
        });
        assert_eq!(found[0], [3, 2, 3, 3, 2, 3, 2, 2, 3], "{}", isa.name());
        assert_eq!(found[1], [83, 84, 84, 84, 84, 84, 84, 84, 84], "{}", isa.name());
    }
}

#[test]
fn floats_are_added_to_the_sums_of_their_rows() {
    let mut next = numbers(4);
    let floats: [f32; TILE] = std::array::from_fn(|_| next());
    let labels = floats.map(f32::to_bits);
    for isa in Isa::available() {
        let mut sums: [f64; TILE] = std::array::from_fn(|row| row as f64 / 3.0);
        add_floats(isa, &labels, &mut sums);
        for (row, (sum, float)) in sums.iter().zip(floats).enumerate() {
            assert_eq!(*sum, row as f64 / 3.0 + f64::from(float), "{}", isa.name());
        }
    }
}
