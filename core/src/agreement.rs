//! How far two models agree about the same rows: the numbers behind `nightshift diff-models`.

use serde::Serialize;

/// Quantiles that are told.
const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Bars of a histogram: few enough for a screen, enough to see a shape.
const BARS: usize = 15;
/// Pairs of labels that are told, the most frequent ones.
const PAIRS_SHOWN_MAX: usize = 10;

/// Two models' numbers for the same rows. A row counts where both gave a finite number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// Rows compared.
    pub rows: u64,
    /// Rows in which one of the two gave no finite number.
    pub incomparable: u64,
    /// The largest difference that still counts as agreement.
    pub tolerance: f64,
    /// Rows that agree.
    pub agree: u64,
    /// The border that tells two decisions apart.
    pub threshold: f64,
    /// Rows that are on another side of the border, and would be decided otherwise.
    pub flips: u64,
    /// The first model's numbers.
    pub a: Spread,
    /// The second model's numbers.
    pub b: Spread,
    /// Second minus first, row by row.
    pub difference: Spread,
    /// Mean size of the differences.
    pub mean_abs_difference: f64,
    /// The largest size of a difference.
    pub max_abs_difference: f64,
    /// Pearson's correlation; none where one of the two is constant.
    pub correlation: Option<f64>,
    /// How the differences are spread.
    pub histogram: Vec<Bar>,
}

/// Where numbers lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with their number as the divisor.
    pub std: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Quantiles.
    pub quantiles: Vec<Quantile>,
}

/// One quantile: the value with that rank, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// Share of the values that lie below, from 0 to 1.
    pub share: f64,
    /// The value.
    pub value: f64,
}

/// One bar of a histogram: the values from `from` up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// The lowest value.
    pub from: f64,
    /// The value at which the next bar begins; the last bar holds it too.
    pub to: f64,
    /// Values in between.
    pub count: u64,
}

/// Two models' labels for the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// Rows compared.
    pub rows: u64,
    /// Rows with the same label.
    pub agree: u64,
    /// Rows with another one.
    pub flips: u64,
    /// The most frequent changes.
    pub changes: Vec<Change>,
}

/// A label that became another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The first model's label.
    pub from: String,
    /// The second model's label.
    pub to: String,
    /// Rows.
    pub rows: u64,
}

/// Two models' vectors for the same rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vectors {
    /// Rows compared.
    pub rows: u64,
    /// Rows whose vectors have another length, or are no direction: 0, infinite, not a number.
    pub incomparable: u64,
    /// The least cosine of a row's two vectors.
    pub least_cosine: f64,
    /// The mean of all cosines.
    pub mean_cosine: f64,
}

impl Vectors {
    /// Of the cosines of rows; none if no row can be compared.
    pub fn of(cosines: &[Option<f64>]) -> Option<Self> {
        let known: Vec<f64> = cosines.iter().copied().flatten().collect();
        let least_cosine = known.iter().copied().reduce(f64::min)?;
        let mean_cosine = known.iter().sum::<f64>() / known.len() as f64;
        let (rows, incomparable) = (known.len() as u64, (cosines.len() - known.len()) as u64);
        Some(Self { rows, incomparable, least_cosine, mean_cosine })
    }
}

/// The cosine of the angle of two vectors, unless one of them has no direction or they do not lie
/// in one space.
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = product(a, b) / (product(a, a) * product(b, b)).sqrt();
    (a.len() == b.len() && cosine.is_finite()).then(|| cosine.clamp(-1.0, 1.0))
}

impl Numbers {
    /// Compares two lists of numbers, row by row; none if no row can be compared.
    ///
    /// Without a `threshold` it is 0.5 for numbers that are all shares, and 0 for all others: the
    /// border between late and early, gain and loss.
    pub fn compare(a: &[f64], b: &[f64], tolerance: f64, threshold: Option<f64>) -> Option<Self> {
        let given = a.len().min(b.len()) as u64;
        let finite = |(a, b): &(&f64, &f64)| a.is_finite() && b.is_finite();
        let (a, b): (Vec<f64>, Vec<f64>) = a.iter().zip(b).filter(finite).unzip();
        let all = a.iter().chain(&b);
        let shares = all.clone().all(|value| (0.0..=1.0).contains(value));
        let threshold = threshold.unwrap_or(if shares { 0.5 } else { 0.0 });
        let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        let sizes = difference.iter().map(|by| by.abs());
        let flips = a.iter().zip(&b).filter(|(a, b)| (**a >= threshold) != (**b >= threshold));
        let (flips, agree) = (flips.count(), sizes.clone().filter(|by| *by <= tolerance).count());
        let (spread_a, spread_b) = (Spread::of(&a)?, Spread::of(&b)?);
        let rows = a.len() as u64;
        Some(Self {
            rows,
            incomparable: given - rows,
            tolerance,
            agree: agree as u64,
            threshold,
            flips: flips as u64,
            correlation: correlation((&a, &spread_a), (&b, &spread_b)),
            difference: Spread::of(&difference)?,
            mean_abs_difference: sizes.clone().sum::<f64>() / rows as f64,
            max_abs_difference: sizes.fold(0.0, f64::max),
            histogram: histogram(&difference),
            a: spread_a,
            b: spread_b,
        })
    }
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let quantile = |share: f64| {
            let rank = (share * (count - 1.0)) as usize;
            sorted.get(rank).map(|value| Quantile { share, value: *value })
        };
        let quantiles = QUANTILES.into_iter().filter_map(quantile).collect();
        Some(Self { mean, std: variance.sqrt(), min, max, quantiles })
    }
}

fn correlation((a, in_a): (&[f64], &Spread), (b, in_b): (&[f64], &Spread)) -> Option<f64> {
    let products = a.iter().zip(b).map(|(a, b)| (a - in_a.mean) * (b - in_b.mean));
    let covariance = products.sum::<f64>() / a.len() as f64;
    let correlation = covariance / (in_a.std * in_b.std);
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Bars of equal width from the smallest to the largest value; one bar of equal values.
fn histogram(values: &[f64]) -> Vec<Bar> {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (max - min) / BARS as f64;
    if values.is_empty() || !(width > 0.0 && width.is_finite()) {
        let count = values.len() as u64;
        return if count > 0 { vec![Bar { from: min, to: max, count }] } else { Vec::new() };
    }
    let from = |bar: usize| if bar == BARS { max } else { min + width * bar as f64 };
    let mut bars: Vec<Bar> =
        (0..BARS).map(|bar| Bar { from: from(bar), to: from(bar + 1), count: 0 }).collect();
    for value in values {
        let bar = (((value - min) / width) as usize).min(BARS - 1);
        if let Some(bar) = bars.get_mut(bar) {
            bar.count += 1;
        }
    }
    bars
}

impl Labels {
    /// Compares two lists of labels, row by row.
    pub fn compare(a: &[String], b: &[String]) -> Self {
        let mut changes = std::collections::BTreeMap::<(&str, &str), u64>::new();
        let pairs = a.iter().zip(b).filter(|(a, b)| a != b);
        pairs.for_each(|(a, b)| *changes.entry((a, b)).or_default() += 1);
        let rows = a.len().min(b.len()) as u64;
        let flips = changes.values().sum();
        let told = |((from, to), rows): (&(&str, &str), &u64)| Change {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            rows: *rows,
        };
        let mut changes: Vec<Change> = changes.iter().map(told).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.rows));
        changes.truncate(PAIRS_SHOWN_MAX);
        Self { rows, agree: rows - flips, flips, changes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_agree_by_their_directions() {
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-12;
        assert!(near(cosine(&[1.0, 2.0], &[2.0, 4.0]), 1.0));
        assert!(near(cosine(&[1.0, 0.0], &[1.0, 1.0]), 0.5_f64.sqrt()));
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 1.0]), None, "no direction");
        assert_eq!(cosine(&[1.0], &[1.0, 0.0]), None, "another space");
        assert_eq!(cosine(&[f64::NAN], &[1.0]), None);
        let found = Vectors::of(&[Some(0.5), None, Some(1.0)]).unwrap();
        assert_eq!((found.rows, found.incomparable), (2, 1));
        assert_eq!((found.least_cosine, found.mean_cosine), (0.5, 0.75));
        assert_eq!(Vectors::of(&[None]), None);
    }

    #[test]
    fn a_known_comparison() {
        let a = [1.0, 2.0, 3.0, -1.0, f64::NAN];
        let b = [1.0, 2.5, 5.0, 1.0, 0.0];
        let found = Numbers::compare(&a, &b, 0.5, None).unwrap();
        assert_eq!((found.rows, found.agree, found.flips, found.threshold), (4, 2, 1, 0.0));
        assert_eq!((found.max_abs_difference, found.mean_abs_difference), (2.0, 1.125));
        assert_eq!((found.a.mean, found.b.mean, found.difference.mean), (1.25, 2.375, 1.125));
        // By hand: covariance 2.03125, deviations 1.4790 and 1.6346.
        assert!((found.correlation.unwrap() - 0.8402).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn shares_are_decided_at_a_half() {
        let found = Numbers::compare(&[0.2, 0.6], &[0.4, 0.4], 0.0, None).unwrap();
        assert_eq!((found.threshold, found.flips), (0.5, 1));
        let asked = Numbers::compare(&[0.2, 0.6], &[0.4, 0.4], 0.0, Some(0.3)).unwrap();
        assert_eq!((asked.threshold, asked.flips), (0.3, 1));
        assert_eq!(Numbers::compare(&[f64::NAN], &[1.0], 0.0, None), None);
    }

    #[test]
    fn labels_that_changed_are_counted_by_pair() {
        let labels = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found =
            Labels::compare(&labels("late late early early"), &labels("late early late late"));
        assert_eq!((found.rows, found.agree, found.flips), (4, 1, 3));
        let first = Change { from: "early".into(), to: "late".into(), rows: 2 };
        assert_eq!(found.changes[0], first);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_bar_and_equal_models_agree(
            pairs in prop::collection::vec((-1e6..1e6_f64, -1e6..1e6_f64), 1..200),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let found = Numbers::compare(&a, &b, 0.0, None).unwrap();
            prop_assert_eq!(found.histogram.iter().map(|bar| bar.count).sum::<u64>(), found.rows);
            let same = Numbers::compare(&a, &a, 0.0, None).unwrap();
            prop_assert_eq!((same.agree, same.flips), (same.rows, 0));
            prop_assert!(same.correlation.is_none_or(|r| r > 0.999_999));
        }
    }
}
