//! How the predictions are spread: a histogram for each of the first output columns.

use super::TEXT_SHOWN;
use super::charts;
use super::text::Safe;
use crate::describe::cut;
use crate::figures::{number, percent, thousands};
use crate::scores::{ColumnScores, Range, Scores};

/// Columns that have a histogram; `report.json` has them all.
const COLUMNS_SHOWN: usize = 2;
/// Steps of a histogram.
const STEPS: usize = 40;
/// Share of the values at each end that may lie beyond the histogram: a single value far away
/// would leave one bar of it.
const TAIL: f64 = 0.005;

/// The section about the scores; nothing where the records have no statistics.
pub(super) fn section(scores: Option<&Scores>) -> String {
    let columns = scores.map(Scores::columns).unwrap_or_default();
    let shown: Vec<String> = columns.iter().take(COLUMNS_SHOWN).filter_map(column).collect();
    match shown.is_empty() {
        true => String::new(),
        false => format!("<section class=\"pair\">{}</section>", shown.concat()),
    }
}

fn column(scores: &ColumnScores) -> Option<String> {
    let Range { mean, std, min, max } = scores.range()?;
    let (least, most) = (scores.quantile(TAIL)?, scores.quantile(1.0 - TAIL)?);
    // Where the ends are near, all of it is shown.
    let near = (max - min) <= 1.5 * (most - least);
    let (least, most) = if near { (min, max) } else { (least, most) };
    let beyond = if near { "" } else { "; 1 of 100 values lies beyond the ends" };
    let missing = match scores.missing() {
        0 => String::new(),
        missing => format!(
            ", {} without a value ({})",
            thousands(missing),
            percent(missing as f64, scores.rows() as f64)
        ),
    };
    let quantile = |q| scores.quantile(q).map(number).unwrap_or_default();
    let chart = charts::histogram(
        &steps(scores, least, most),
        (&number(least), &number(most)),
        "how many rows have which score",
    );
    Some(format!(
        "<div><h2>Scores: {}</h2>{chart}<p class=\"soft\">mean {}, deviation {}, median {}; 9 of 10 from {} to {}{missing}{beyond}</p></div>",
        Safe(cut(scores.name(), TEXT_SHOWN)),
        number(mean),
        number(std),
        quantile(0.5),
        quantile(0.05),
        quantile(0.95),
    ))
}

/// Values in each of [`STEPS`] equal steps from `least` to `most`; what lies beyond is left out.
/// The values of a bin that lies across several steps are shared out evenly.
fn steps(scores: &ColumnScores, least: f64, most: f64) -> Vec<f64> {
    let mut counts = vec![0.0; STEPS];
    let width = (most - least) / STEPS as f64;
    for (low, high, count) in scores.sketch().bins() {
        let (low, high) = (low.min(high), low.max(high));
        if high < least || low > most {
            continue;
        }
        let step = |value: f64| (((value - least) / width).max(0.0) as usize).min(STEPS - 1);
        // All values are one, or the range is no range: one step has them.
        if !(width > 0.0 && width.is_finite()) || high - low <= 0.0 {
            let at = if width > 0.0 { step(low) } else { STEPS / 2 };
            counts[at] += count as f64;
            continue;
        }
        for (at, sum) in counts.iter_mut().enumerate().take(step(high) + 1).skip(step(low)) {
            let from = least + width * at as f64;
            let shared = high.min(from + width) - low.max(from);
            *sum += count as f64 * (shared.max(0.0) / (high - low)).min(1.0);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::Collector;

    fn collected(values: &[f64]) -> Scores {
        let mut collector = Collector::new(["<b>score"]);
        collector.add(0, values, 1);
        collector.finish().unwrap()
    }

    #[test]
    fn every_value_within_has_its_place() {
        let values: Vec<f64> = (0..1_000).map(f64::from).collect();
        let scores = collected(&values);
        let counts = steps(&scores.columns()[0], 0.0, 999.0);
        let all: f64 = counts.iter().sum();
        assert!((all - 1_000.0).abs() < 20.0, "{all}");
        assert!(counts.iter().all(|count| (5.0..30.0).contains(count)), "{counts:?}");
    }

    #[test]
    fn any_values_make_a_section_or_none() {
        for values in [
            &[][..],
            &[0.0],
            &[7.5; 9],
            &[f64::MIN, f64::MAX],
            &[f64::NAN, f64::INFINITY],
            &[-1e-300, 1e300, 3.0],
        ] {
            let html = section(Some(&collected(values)));
            assert!(!html.contains("NaN") && !html.contains("<b>"), "{html}");
            assert_eq!(html.is_empty(), values.iter().all(|value| !value.is_finite()));
        }
        assert_eq!(section(None), "");
    }
}
