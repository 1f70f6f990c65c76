use super::*;

/// A tree over two columns, as a caller would write it by hand.
fn by_hand(row: [f32; 2]) -> usize {
    match row {
        [a, _] if a <= 0.5 => 1,
        [_, 3.0] => 3,
        _ => 4,
    }
}

fn trees() -> Trees<f32> {
    let mut trees = Trees::default();
    // A tree that is one leaf comes first, so that leaves are counted over all trees.
    trees.begin(0);
    trees.leaf();
    trees.begin(2);
    trees.branch(0, Compare::AtMost, 0.5, true, (1, 2));
    trees.leaf();
    trees.branch(1, Compare::Equal, 3.0, false, (3, 4));
    trees.leaf();
    trees.leaf();
    trees
}

fn leaves(trees: &Trees<f32>, tree: usize, rows: &[f32]) -> Vec<usize> {
    let mut found = vec![usize::MAX; rows.len() / 2];
    trees.descend(tree, rows, 2, |row, leaf| found[row] = leaf);
    found
}

#[test]
fn every_row_finds_the_leaf_that_a_hand_finds_alone_and_beside_others() {
    let trees = trees();
    let rows: Vec<f32> = (0..27).flat_map(|at| [(at % 3) as f32 * 0.5, (at % 5) as f32]).collect();
    let together = leaves(&trees, 1, &rows);
    for (row, numbers) in rows.chunks_exact(2).enumerate() {
        let wanted = 1 + by_hand([numbers[0], numbers[1]]);
        assert_eq!(
            (together[row], leaves(&trees, 1, numbers)),
            (wanted, vec![wanted]),
            "{numbers:?}"
        );
    }
    assert_eq!(leaves(&trees, 0, &rows), [0; 27]);
    assert_eq!((trees.len(), trees.nodes(), trees.columns()), (2, 6, 2));
}

#[test]
fn a_missing_value_goes_where_its_node_says() {
    let nan = f32::NAN;
    assert_eq!(leaves(&trees(), 1, &[nan, 0.0]), [2]);
    assert_eq!(leaves(&trees(), 1, &[1.0, nan]), [5]);
    // A row that is too short has nothing there either.
    let mut found = 0;
    trees().descend(1, &[1.0], 1, |_, leaf| found = leaf);
    assert_eq!(found, 5);
}

#[test]
fn infinite_numbers_stay_in_their_leaf() {
    let mut trees = Trees::default();
    trees.begin(1);
    trees.branch(0, Compare::AtMost, 1.0, false, (1, 2));
    trees.leaf();
    trees.leaf();
    let mut found = Vec::new();
    let rows: Vec<f64> = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].repeat(5);
    trees.descend(0, &rows, 1, |_, leaf| found.push(leaf));
    assert_eq!(found, [2, 1, 2].repeat(5));
}

#[test]
fn a_node_may_have_two_parents() {
    let mut trees = Trees::default();
    trees.begin(2);
    trees.branch(0, Compare::Equal, 1.0_f32, false, (2, 1));
    trees.branch(0, Compare::Equal, 4.0, false, (2, 3));
    trees.leaf();
    trees.leaf();
    let mut found = Vec::new();
    trees.descend(0, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 4.0, f32::NAN], 1, |_, leaf| {
        found.push(leaf)
    });
    assert_eq!(found, [3, 2, 3, 3, 2, 3, 2, 2, 3]);
}
