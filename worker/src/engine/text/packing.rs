//! Which rows are computed together.

/// Tokens of a pass: enough for products to run at full speed, few enough to stay in the cache.
const PASS_TOKENS: usize = 512;

/// Puts rows of these lengths into passes of at most [`PASS_TOKENS`] tokens, or of one row. Long
/// rows come first, so that a pass holds rows of about one length. Each row is in one pass.
pub(super) fn passes(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..lengths.len()).collect();
    let length = |row: usize| lengths.get(row).copied().unwrap_or(0);
    // Stable: rows of one length keep their order.
    rows.sort_by_key(|&row| std::cmp::Reverse(length(row)));
    let (mut passes, mut pass, mut tokens) = (Vec::new(), Vec::new(), 0);
    for row in rows {
        if !pass.is_empty() && tokens + length(row) > PASS_TOKENS {
            passes.push(std::mem::take(&mut pass));
            tokens = 0;
        }
        pass.push(row);
        tokens += length(row);
    }
    if !pass.is_empty() {
        passes.push(pass);
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
            let passes = passes(&lengths);
            let mut rows: Vec<usize> = passes.concat();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
            for pass in &passes {
                let tokens: usize = pass.iter().map(|&row| lengths[row]).sum();
                prop_assert!(tokens <= PASS_TOKENS || pass.len() == 1);
            }
        }
    }
}
