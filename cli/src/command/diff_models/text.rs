//! A comparison for people: a few lines, a table and a histogram, at most 80 columns wide.

use nightshift_core::agreement::{Bar, Labels, Numbers, Spread, Vectors};
use nightshift_worker::comparing::{Agreement, Comparison};

use crate::table::{Align, Table, thousands};

/// Longest bar, in characters: with its labels a line fits 80 columns.
const BAR_MAX: usize = 38;

pub(super) fn render(found: &Comparison) -> String {
    let Comparison { sample, shards, rows, .. } = found;
    let mut text = format!(
        "model A   {}\nmodel B   {}\nsample    {} of {} shards, {} rows, drawn by `{}`\nrejected  A {}, B {}\n",
        found.model_a.uri,
        found.model_b.uri,
        thousands(sample.len() as u64),
        thousands((*shards).into()),
        thousands(*rows),
        found.seed,
        thousands(found.rejected_a),
        thousands(found.rejected_b),
    );
    if found.model_a.digest == found.model_b.digest {
        text.push_str("Both are the same model: their files have the same digest\n");
    }
    for output in &found.unmatched {
        text.push_str(&format!("unmatched {output}\n"));
    }
    for compared in &found.outputs {
        text.push_str(&format!("\n{}\n", compared.output));
        match &compared.agreement {
            Agreement::Numbers(numbers) => text.push_str(&of_numbers(numbers)),
            Agreement::Labels(labels) => text.push_str(&of_labels(labels)),
            Agreement::Vectors(vectors) => text.push_str(&of_vectors(vectors)),
            Agreement::Nothing => text.push_str("  no row has a number from both models\n"),
        }
    }
    text
}

fn of_numbers(found: &Numbers) -> String {
    let mut text = format!(
        "  agree        {} of rows, within {}\n  flips        {} of rows change sides of {}\n  correlation  {}\n  difference   mean size {}, largest {}\n",
        percent(found.agree, found.rows),
        number(found.tolerance),
        percent(found.flips, found.rows),
        number(found.threshold),
        found.correlation.map_or("none: one of the two is constant".to_owned(), correlation),
        number(found.mean_abs_difference),
        number(found.max_abs_difference),
    );
    if found.incomparable > 0 {
        let rows = thousands(found.incomparable);
        text.push_str(&format!("  not finite   {rows} rows, left out\n"));
    }
    text.push('\n');
    text.push_str(&indented(&spreads(found)));
    text.push_str("\n  B - A\n");
    text.push_str(&histogram(&found.histogram));
    text
}

fn spreads(found: &Numbers) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[("", Left), ("A", Right), ("B", Right), ("B - A", Right)]);
    let all = [&found.a, &found.b, &found.difference];
    let mut row = |name: String, value: &dyn Fn(&Spread) -> f64| {
        table.row(std::iter::once(name).chain(all.iter().map(|spread| number(value(spread)))));
    };
    row("mean".to_owned(), &|spread| spread.mean);
    row("std".to_owned(), &|spread| spread.std);
    row("min".to_owned(), &|spread| spread.min);
    for (at, quantile) in found.a.quantiles.iter().enumerate() {
        let name = format!("{}%", number(quantile.share * 100.0));
        row(name, &|spread| spread.quantiles.get(at).map_or(f64::NAN, |q| q.value));
    }
    row("max".to_owned(), &|spread| spread.max);
    table.render()
}

fn histogram(bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or_default().max(1);
    let line = |bar: &Bar| {
        let length = (bar.count as f64 / most as f64 * BAR_MAX as f64).ceil() as usize;
        let (from, to) = (number(bar.from), number(bar.to));
        let text = format!("  {from:>10} to {to:>10}  {}", "#".repeat(length));
        format!("{text:<66}{:>12}\n", thousands(bar.count))
    };
    bars.iter().map(line).collect()
}

fn of_labels(found: &Labels) -> String {
    let mut text = format!(
        "  agree        {} of rows\n  flips        {} of rows\n",
        percent(found.agree, found.rows),
        percent(found.flips, found.rows)
    );
    for change in &found.changes {
        let (from, to) = (clip(&change.from), clip(&change.to));
        text.push_str(&format!("  {:>11}  {from} -> {to}\n", thousands(change.rows)));
    }
    text
}

fn of_vectors(found: &Vectors) -> String {
    let (least, mean) = (found.least_cosine, found.mean_cosine);
    let mut text = format!("  cosine       least {least:.6}, mean {mean:.6}\n");
    if found.incomparable > 0 {
        let rows = thousands(found.incomparable);
        text.push_str(&format!("  incomparable {rows} rows, left out\n"));
    }
    text
}

/// A label as far as a line has room for two.
fn clip(label: &str) -> String {
    /// Characters that are shown.
    const SHOWN: usize = 28;
    label.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.2} %", part as f64 / all.max(1) as f64 * 100.0)
}

/// A correlation with digits enough to tell a very high one from a perfect one.
fn correlation(correlation: f64) -> String {
    format!("{correlation:.6}")
}

/// Four digits that mean something, at most ten characters.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_a_terminal_and_every_row_is_under_a_bar() {
        let a: Vec<f64> = (0..5_000).map(|n| f64::from(n) * 1234.567).collect();
        let b: Vec<f64> = a.iter().map(|value| -value * 1.7e3).collect();
        let found = Numbers::compare(&a, &b, 0.0, None).unwrap();
        let text = of_numbers(&found);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.matches(" to ").count(), found.histogram.len());
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (1234.5678, "1235"),
            (-0.012345, "-0.01235"),
            (1e-9, "1.00e-9"),
            (-1.5e300, "-1.50e300"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
