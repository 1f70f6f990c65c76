//! A sample of shards that everybody draws alike.

use sha2::{Digest, Sha256};

use crate::ids::ShardIndex;

/// `wanted` of `shards` shards, in order; all if there are no more. The same `seed` always gives
/// the same ones, and a larger sample holds the smaller one.
pub fn sample_shards(seed: &str, shards: u32, wanted: u32) -> Vec<ShardIndex> {
    let lot = |shard: u32| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(seed.as_bytes());
        hash.update([0]);
        hash.update(shard.to_be_bytes());
        hash.finalize().into()
    };
    let mut drawn: Vec<u32> = (0..shards).collect();
    drawn.sort_by_cached_key(|shard| lot(*shard));
    drawn.truncate(wanted as usize);
    drawn.sort_unstable();
    drawn.into_iter().map(ShardIndex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_more_holds_less() {
        let few = sample_shards("flights 2013-01-01", 1_000, 20);
        assert_eq!(few, sample_shards("flights 2013-01-01", 1_000, 20));
        assert_eq!(few.len(), 20);
        assert!(few.is_sorted());
        let more = sample_shards("flights 2013-01-01", 1_000, 50);
        assert!(few.iter().all(|shard| more.contains(shard)));
        assert_ne!(few, sample_shards("flights 2013-01-02", 1_000, 20));
        // Drawn from everywhere, not from one end.
        assert!(few.iter().any(|shard| shard.0 < 500) && few.iter().any(|shard| shard.0 >= 500));
        assert_eq!(sample_shards("a", 3, 20).len(), 3);
    }
}
