//! How wrong a set of predictions is.

/// Closest that a probability may come to 0 or 1 in [`log_loss`], so that one confident mistake
/// costs a lot and not everything.
const PROBABILITY_FLOOR: f64 = 1e-7;

/// Mean absolute error, in the unit of the values.
pub fn mae(predicted: &[f64], truth: &[f64]) -> f64 {
    mean(predicted.iter().zip(truth).map(|(p, t)| (p - t).abs()))
}

/// Root of the mean squared error, in the unit of the values.
pub fn rmse(predicted: &[f64], truth: &[f64]) -> f64 {
    mean(predicted.iter().zip(truth).map(|(p, t)| (p - t).powi(2))).sqrt()
}

/// Mean negative logarithm of the probability given to what happened, in nats.
pub fn log_loss(probability: &[f64], happened: &[bool]) -> f64 {
    mean(probability.iter().zip(happened).map(|(&p, &happened)| {
        let given = if happened { p } else { 1.0 - p };
        -given.clamp(PROBABILITY_FLOOR, 1.0).ln()
    }))
}

/// Area under the ROC curve: the chance that a row where it happened scores above one where it did
/// not, ties counting half. Computed from ranks (Mann and Whitney). NaN when one side is empty.
pub fn auc(score: &[f64], happened: &[bool]) -> f64 {
    let mut rows: Vec<(f64, bool)> = score.iter().copied().zip(happened.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut below) = (0.0, 0.0);
    for ties in rows.chunk_by(|a, b| a.0 == b.0) {
        let positives = ties.iter().filter(|(_, happened)| *happened).count() as f64;
        let size = ties.len() as f64;
        rank_sum += positives * (below + (size + 1.0) / 2.0);
        below += size;
    }
    let positives = happened.iter().filter(|&&happened| happened).count() as f64;
    let negatives = happened.len() as f64 - positives;
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

/// Arithmetic mean; NaN for no values.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn errors_of_a_worked_example() {
        let (predicted, truth) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 3.0, 10.0]);
        assert_eq!(mae(&predicted, &truth), 2.0);
        assert_eq!(rmse(&predicted, &truth), 10.0_f64.sqrt());
        let certain = log_loss(&[0.5, 0.25], &[true, false]);
        assert!((certain - (2.0_f64.ln() + (4.0_f64 / 3.0).ln()) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_confident_mistake_has_a_finite_cost() {
        assert!(log_loss(&[0.0], &[true]).is_finite());
    }

    proptest! {
        #[test]
        fn auc_counts_pairs(rows in prop::collection::vec((0_i8..6, any::<bool>()), 2..40)) {
            let score: Vec<f64> = rows.iter().map(|(s, _)| f64::from(*s)).collect();
            let happened: Vec<bool> = rows.iter().map(|(_, h)| *h).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (s, _) in rows.iter().filter(|(_, h)| *h) {
                for (other, _) in rows.iter().filter(|(_, h)| !*h) {
                    pairs += 1.0;
                    won += if s > other { 1.0 } else if s == other { 0.5 } else { 0.0 };
                }
            }
            prop_assume!(pairs > 0.0);
            prop_assert!((auc(&score, &happened) - won / pairs).abs() < 1e-9);
        }
    }
}
