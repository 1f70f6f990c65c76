use super::*;

/// Two trees: a branch with two leaves, and a leaf alone.
const FIRSTS: [usize; 2] = [0, 3];
const LEAVES: [bool; 4] = [false, true, true, true];

#[test]
fn one_weight_a_leaf_that_is_a_float_becomes_its_label() {
    let found = [(1, 0, 0.5), (2, 0, -2.0), (3, 1, 0.25)];
    let (weights, labels) = Weights::of(&found, &FIRSTS, &LEAVES);
    assert_eq!(weights, Weights::Floats(vec![0, 1]));
    assert_eq!(labels[1..4], [0.5_f32, -2.0, 0.25].map(f32::to_bits));
}

#[test]
fn a_weight_that_is_no_float_keeps_all_of_its_bits() {
    let found = [(1, 0, 0.5), (2, 0, 0.1), (3, 0, 0.25)];
    let (weights, labels) = Weights::of(&found, &FIRSTS, &LEAVES);
    let targets = vec![vec![0], vec![0]];
    assert_eq!(weights, Weights::Even { targets, weights: vec![0.5, 0.1, 0.25] });
    assert_eq!(labels[1..4], [0, 1, 2]);
}

#[test]
fn leaves_of_a_tree_with_the_same_targets_are_even() {
    let found = [(1, 2, 0.5), (1, 0, 1.0), (2, 2, 3.0), (2, 0, 4.0), (3, 1, 5.0), (3, 1, 6.0)];
    let (weights, labels) = Weights::of(&found, &FIRSTS, &LEAVES);
    let targets = vec![vec![2, 0], vec![1, 1]];
    assert_eq!(weights, Weights::Even { targets, weights: vec![0.5, 1.0, 3.0, 4.0, 5.0, 6.0] });
    assert_eq!(labels[1..4], [0, 2, 4]);
}

#[test]
fn other_leaves_have_lists() {
    // The same targets in another order, a leaf with fewer, and one without any.
    let cases: [&[(u32, u32, f64)]; 3] = [
        &[(1, 0, 1.0), (1, 1, 2.0), (2, 1, 3.0), (2, 0, 4.0), (3, 0, 5.0)],
        &[(1, 0, 1.0), (1, 1, 2.0), (2, 0, 3.0), (3, 0, 5.0)],
        &[(1, 0, 1.0), (2, 0, 2.0)],
    ];
    for found in cases {
        let (weights, labels) = Weights::of(found, &FIRSTS, &LEAVES);
        let Weights::Lists { starts, weights } = weights else { panic!("{weights:?}") };
        for (node, label) in labels.iter().take(LEAVES.len()).enumerate() {
            let own = starts[*label as usize] as usize..starts[*label as usize + 1] as usize;
            let wanted: Vec<(u32, f64)> = found
                .iter()
                .filter(|(at, _, _)| *at as usize == node)
                .map(|(_, target, weight)| (*target, *weight))
                .collect();
            assert_eq!(weights[own], wanted);
        }
    }
}
