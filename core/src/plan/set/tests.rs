use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

proptest! {
    /// It is a set: what a B-tree of the same numbers says, in the same order.
    #[test]
    fn it_holds_what_was_put_in(
        shards in prop::collection::vec(prop_oneof![0_u32..300, 0..SHARDS_MAX], 0..80),
        asked in prop_oneof![0_u32..300, any::<u32>()],
    ) {
        let mut set = ShardSet::default();
        let mut expected = BTreeSet::new();
        for &shard in &shards {
            let shard = ShardIndex(shard);
            prop_assert_eq!(set.insert(shard), expected.insert(shard));
        }
        prop_assert_eq!(set.len() as usize, expected.len());
        prop_assert_eq!(set.is_empty(), expected.is_empty());
        prop_assert_eq!(set.contains(ShardIndex(asked)), expected.contains(&ShardIndex(asked)));
        prop_assert!(set.iter().eq(expected.iter().copied()));
        let backwards: ShardSet = expected.iter().rev().copied().collect();
        prop_assert_eq!(backwards, set);
    }
}

#[test]
fn no_number_makes_it_large() {
    let strays = [SHARDS_MAX, SHARDS_MAX + 1, u32::MAX].map(ShardIndex);
    let mut set: ShardSet = strays.into_iter().collect();
    assert!(set.is_empty() && strays.iter().all(|stray| !set.contains(*stray)));
    assert!(set.insert(ShardIndex(SHARDS_MAX - 1)));
    assert!(set.words.len() * size_of::<u64>() <= 125_008);
}

#[test]
fn sets_of_the_same_shards_are_equal_however_far_they_reach() {
    let one: ShardSet = [ShardIndex(1)].into_iter().collect();
    let far: ShardSet = [ShardIndex(1), ShardIndex(900)].into_iter().collect();
    assert_ne!(one, far);
    assert_eq!(format!("{far:?}"), "{1, 900}");
}
