use proptest::prelude::*;

use super::*;
use crate::record::RECORD_MAX_BYTES;

fn one(values: &[f64], nulls: u64) -> Scores {
    let mut collector = Collector::new(["score"]);
    collector.add(0, values, nulls);
    collector.finish().unwrap()
}

fn sketch(scores: &Scores) -> &Sketch {
    scores.column("score").unwrap().sketch()
}

/// Any bits at all, and numbers as models give them.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => -50.0..400.0_f64,
        2 => 0.0..1.0_f64,
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, 5e-324,
        ]),
    ]
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 0..600)
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1e-300)
}

/// Cases of a property: each has hundreds of values already.
const CASES: u32 = 64;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Bins, extremes and counts are those of one pass, however the values are divided and in
    /// whatever order the parts are merged; moments are so within rounding.
    #[test]
    fn merging_equals_one_pass(parts in prop::collection::vec(values(), 1..6), nulls in 0_u64..9) {
        let whole = one(&parts.concat(), nulls * parts.len() as u64);
        let parts: Vec<Scores> = parts.iter().map(|part| one(part, nulls)).collect();
        let forward = parts.iter().fold(Scores::default(), |mut sum, part| { sum.merge(part); sum });
        let (left, right) = parts.split_at(parts.len() / 2);
        let mut grouped = Scores::default();
        for half in [right, left] {
            let mut sum = Scores::default();
            half.iter().for_each(|part| sum.merge(part));
            grouped.merge(&sum);
        }
        let whole = whole.column("score").unwrap();
        for merged in [forward, grouped] {
            let merged = merged.column("score").unwrap();
            prop_assert_eq!(merged.sketch(), whole.sketch());
            prop_assert_eq!(
                (merged.nulls(), merged.not_finite(), merged.rows()),
                (whole.nulls(), whole.not_finite(), whole.rows())
            );
            if let (Some(a), Some(b)) = (merged.range(), whole.range()) {
                prop_assert_eq!((a.min, a.max), (b.min, b.max));
                // Sums beyond the largest float are replaced by bounds, which depend on the parts.
                if b.max.abs().max(b.min.abs()) < 1e150 {
                    let scale = b.max.abs().max(b.min.abs());
                    prop_assert!(close(a.mean, b.mean, scale), "{a:?} {b:?}");
                    prop_assert!((a.std - b.std).abs() <= 1e-7 * scale, "{a:?} {b:?}");
                }
            }
        }
    }

    /// A quantile is as near to the value with its rank as the sketch promises.
    #[test]
    fn quantiles_keep_their_bound(values in values(), q in 0.0..=1.0_f64) {
        let scores = one(&values, 0);
        let column = scores.column("score").unwrap();
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let Some(found) = column.quantile(q) else {
            prop_assert!(sorted.is_empty());
            return Ok(());
        };
        let exact = sorted[(q * (sorted.len() - 1) as f64) as usize];
        let resolution = column.sketch().resolution();
        // Around 0 the bin has the width of the smallest floats.
        let allowed = exact.abs() * resolution + f64::MIN_POSITIVE * resolution.max(1.0);
        prop_assert!((found - exact).abs() <= allowed, "{found} for {exact}, {resolution}");
        prop_assert!(column.sketch().bins().all(|(low, high, count)| low <= high && count > 0));
    }

    /// Moments are those of the textbook.
    #[test]
    fn moments_are_right(values in prop::collection::vec(-1e6..1e6_f64, 1..600)) {
        let range = one(&values, 0).column("score").unwrap().range().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        prop_assert!(close(range.mean, mean, 1e6) && close(range.std, std, 1e6), "{range:?}");
    }

    /// What is written is read back as it was, and written again as the same bytes.
    #[test]
    fn json_comes_back(values in values(), nulls in 0_u64..3) {
        let scores = one(&values, nulls);
        let text = serde_json::to_string(&scores).unwrap();
        let back: Scores = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &scores);
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    /// Statistics of any values in all columns leave room for the rest of a record.
    #[test]
    fn records_stay_small(bits in prop::collection::vec(any::<u64>(), 3_000)) {
        let name = |column: usize| format!("{column:0>width$}", width = COLUMN_NAME_MAX_BYTES);
        let names: Vec<String> = (0..COLUMNS_MAX + 3).map(name).collect();
        let mut collector = Collector::new(names.iter().map(String::as_str));
        for column in 0..names.len() {
            collector.add(column, &bits.iter().map(|b| f64::from_bits(*b)).collect::<Vec<_>>(), 1);
        }
        let scores = collector.finish().unwrap();
        prop_assert_eq!(scores.columns().len(), COLUMNS_MAX);
        let size_bytes = serde_json::to_vec(&scores).unwrap().len();
        prop_assert!(size_bytes < 40 << 10, "{size_bytes}");
        prop_assert!(size_bytes < RECORD_MAX_BYTES);
    }

    /// Text that somebody else wrote is refused or is statistics that can be used.
    #[test]
    fn hostile_sketches_do_no_harm(
        joined in 0_u8..20,
        first in any::<i32>(),
        counts in prop::collection::vec(prop_oneof![any::<i64>(), -3_i64..9], 0..300),
    ) {
        let text = serde_json::json!({ "joined": joined, "first": first, "counts": counts });
        if let Ok(mut sketch) = serde_json::from_value::<Sketch>(text) {
            let copy = sketch.clone();
            sketch.merge(&copy, BINS_MAX);
            prop_assert!(sketch.bins().count() <= BINS_MAX);
            prop_assert!(sketch.quantile(0.5).is_none_or(f64::is_finite));
        }
    }
}

#[test]
fn bins_are_those_of_the_leading_bits() {
    let scores = one(&[1.0, 1.031, 1.0625, -2.0, 0.0, -0.0], 0);
    let bins: Vec<_> = sketch(&scores).bins().collect();
    let expected = [(-2.0625, -2.0, 1), (-f64::MIN_POSITIVE / 32.0, f64::MIN_POSITIVE / 32.0, 2)];
    assert_eq!(bins[..2], expected);
    assert_eq!(bins[2..], [(1.0, 1.03125, 2), (1.0625, 1.09375, 1)]);
}

#[test]
fn far_values_are_counted_as_near_ones_are() {
    let near = [0.5, 0.25, 0.5, -0.5];
    let (far, few) = ([1e-200, 1e200], [0.5, 0.25, 0.5, -0.5, 1e-200, 1e200]);
    let mut parts = one(&near, 0);
    parts.merge(&one(&far, 0));
    assert_eq!(sketch(&parts), sketch(&one(&few, 0)));
}

#[test]
fn values_without_use_are_counted_apart() {
    let scores = one(&[1.0, f64::NAN, f64::NEG_INFINITY], 2);
    let column = scores.column("score").unwrap();
    assert_eq!((column.rows(), column.nulls(), column.not_finite()), (5, 2, 2));
    assert_eq!(column.quantile(1.0), Some(1.0));
    assert_eq!(one(&[f64::NAN], 0).column("score").unwrap().range(), None);
}

#[test]
fn statistics_that_contradict_themselves_are_refused() {
    let wrong = [
        r#"[{"column":"a","rows":2,"min":1.0,"max":1.0,"mean":1.0,"std":0.0,"sketch":{"first":1,"counts":[1]}}]"#,
        r#"[{"column":"a","rows":1,"min":2.0,"max":1.0,"mean":1.0,"std":0.0,"sketch":{"first":1,"counts":[1]}}]"#,
        r#"[{"column":"a","rows":1,"sketch":{"first":1,"counts":[1]}}]"#,
        r#"[{"column":"a","rows":0,"min":1.0}]"#,
        r#"[{"column":"a","rows":1,"nulls":1},{"column":"a","rows":1,"nulls":1}]"#,
        r#"[{"column":"a","rows":1,"min":1.0,"max":1.0,"mean":1.0,"std":0.0,"sketch":{"first":99999,"counts":[1]}}]"#,
    ];
    for text in wrong {
        assert!(serde_json::from_str::<Scores>(text).is_err(), "{text}");
    }
}
