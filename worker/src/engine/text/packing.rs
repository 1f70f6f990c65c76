//! Which rows are computed together.

/// Tokens of a pass on a processor: enough for products to run at full speed, few enough to stay in
/// the cache.
pub(super) const PASS_TOKENS: usize = 512;

/// How the rows of a pass lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// One after the other.
    Tight,
    /// Each as long as the longest, all of them at most so many tokens with that.
    #[cfg(any(test, feature = "cuda"))]
    Padded { tokens: usize },
}

/// Rows that go together so far.
#[derive(Default)]
struct Pass {
    rows: Vec<usize>,
    tokens: usize,
    /// Tokens of the longest row, which is the first.
    #[cfg(any(test, feature = "cuda"))]
    longest: usize,
}

impl Pass {
    /// Whether a row of `length` tokens may join.
    fn has_room(&self, packing: Packing, length: usize) -> bool {
        match packing {
            Packing::Tight => self.tokens + length <= PASS_TOKENS,
            // Of a row of less than half of the longest, more than half would be padding.
            #[cfg(any(test, feature = "cuda"))]
            Packing::Padded { tokens } => {
                (self.rows.len() + 1) * self.longest <= tokens && 2 * length >= self.longest
            }
        }
    }
}

/// Puts rows of these lengths into passes that have room for them, or of one row. Long rows come
/// first, so that a pass holds rows of about one length. Each row is in one pass.
pub(super) fn passes(lengths: &[usize], packing: Packing) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..lengths.len()).collect();
    let length = |row: usize| lengths.get(row).copied().unwrap_or(0);
    // Stable: rows of one length keep their order.
    rows.sort_by_key(|&row| std::cmp::Reverse(length(row)));
    let (mut passes, mut pass) = (Vec::new(), Pass::default());
    for row in rows {
        if !pass.rows.is_empty() && !pass.has_room(packing, length(row)) {
            passes.push(std::mem::take(&mut pass).rows);
        }
        #[cfg(any(test, feature = "cuda"))]
        if pass.rows.is_empty() {
            pass.longest = length(row);
        }
        pass.rows.push(row);
        pass.tokens += length(row);
    }
    if !pass.rows.is_empty() {
        passes.push(pass.rows);
    }
    passes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_row_is_in_one_pass_and_no_pass_is_too_long(
            lengths in proptest::collection::vec(1_usize..700, 0..200),
        ) {
            for packing in [Packing::Tight, Packing::Padded { tokens: 2_000 }] {
                let passes = passes(&lengths, packing);
                let mut rows: Vec<usize> = passes.concat();
                rows.sort_unstable();
                prop_assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
                for pass in &passes {
                    let own = || pass.iter().map(|&row| lengths[row]);
                    let (tokens, longest) = (own().sum::<usize>(), own().max().unwrap());
                    match packing {
                        Packing::Tight => prop_assert!(tokens <= PASS_TOKENS || pass.len() == 1),
                        Packing::Padded { tokens: most } => {
                            let padded = longest * pass.len();
                            prop_assert!(padded <= most && 2 * tokens >= padded);
                        }
                    }
                }
            }
        }
    }
}
