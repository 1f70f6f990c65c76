//! The table of the states of dates, and what it comes to.

use nightshift_core::describe::cut;
use nightshift_worker::front::failure::Failure;

use super::{Line, Overview, PaceView, Totals};
use crate::command::print;
use crate::prose;
use crate::table::{Align, Table, thousands};

/// Characters of a state, so that a row fits 80 columns.
const STATE_MAX_CHARS: usize = 30;

pub(super) fn tell(overview: &Overview) -> Result<(), Failure> {
    let sum = prose::wrap(&sum(&overview.totals, overview.pace.as_ref()), prose::WIDTH);
    print(&format!("{}\n{sum}", table(&overview.dates)))
}

fn table(lines: &[Line]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("state", Left),
        ("gen", Right),
        ("rows", Right),
        ("shards", Right),
        ("min", Right),
        ("do", Left),
    ]);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), thousands);
    for line in lines {
        table.row([
            line.partition.to_string(),
            cut(&prose::one_line(&line.shown), STATE_MAX_CHARS - 1),
            number(line.generation.map(u64::from)),
            number(line.rows),
            number(line.shards),
            minutes(line),
            line.action.to_owned(),
        ]);
    }
    table.render()
}

/// Minutes of a date that something is to be done about.
fn minutes(line: &Line) -> String {
    match line.minutes {
        Some(minutes) if line.tick.is_some() => rounded(minutes),
        _ => "-".to_owned(),
    }
}

/// Minutes with the digits that a forecast has.
fn rounded(minutes: f64) -> String {
    match minutes {
        0.0 => "0".to_owned(),
        less if less < 0.1 => "<0.1".to_owned(),
        few if few < 10.0 => format!("{few:.1}"),
        many => thousands(many.round() as u64),
    }
}

/// How many dates stand how, and what is left to do.
fn sum(totals: &Totals, pace: Option<&PaceView>) -> String {
    let noun = |count: u64, one: &str, many: &str| {
        format!("{} {}", thousands(count), if count == 1 { one } else { many })
    };
    let states = totals.states.iter().map(|(state, count)| format!("{count} {state}"));
    let states = states.collect::<Vec<_>>().join(", ");
    let mut text = format!("{}: {states}.", noun(totals.dates as u64, "date", "dates"));
    if totals.to_do == 0 {
        text.push_str(" There is nothing to do now.");
        return text;
    }
    let dates = noun(totals.to_do as u64, "date", "dates");
    let rows = noun(totals.rows_to_do, "row", "rows");
    let ticks = noun(totals.ticks.into(), "backfill", "backfills");
    text.push_str(&format!(" To do: {dates} with {rows}, in {ticks}"));
    match (totals.minutes, pace) {
        (Some(minutes), Some(PaceView { rows_per_s, runs })) => {
            let of = match runs {
                1 => "as the last run had".to_owned(),
                _ => format!("the median of the last {runs} runs"),
            };
            let pace = thousands(*rows_per_s as u64);
            let noun = if rounded(minutes) == "1.0" { "minute" } else { "minutes" };
            let minutes = rounded(minutes).replace('<', "less than ");
            text.push_str(&format!(": {minutes} {noun} at {pace} rows a second, {of}."));
        }
        _ => text.push_str("; how long that takes nobody can say, since no run has succeeded yet."),
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn minutes_have_the_digits_of_a_forecast() {
        let shown = [0.0, 0.03, 0.1, 3.06, 9.99, 10.4, 12_345.6].map(rounded);
        assert_eq!(shown, ["0", "<0.1", "0.1", "3.1", "10.0", "10", "12,346"]);
    }

    #[test]
    fn the_sum_says_what_is_left() {
        let mut totals = Totals {
            dates: 3,
            states: BTreeMap::from([("done", 1), ("missing", 2)]),
            to_do: 2,
            ticks: 2,
            rows_to_do: 1_800,
            minutes: None,
        };
        let without = "3 dates: 1 done, 2 missing. To do: 2 dates with 1,800 rows, in 2 backfills; \
             how long that takes nobody can say, since no run has succeeded yet.";
        assert_eq!(sum(&totals, None), without);
        totals.minutes = Some(1.5);
        let pace = |runs| PaceView { rows_per_s: 20.4, runs };
        let many = sum(&totals, Some(&pace(5)));
        assert!(many.ends_with("1.5 minutes at 20 rows a second, the median of the last 5 runs."));
        let one = sum(&totals, Some(&pace(1)));
        assert!(one.ends_with("as the last run had."), "{one}");
        totals.to_do = 0;
        assert_eq!(sum(&totals, None), "3 dates: 1 done, 2 missing. There is nothing to do now.");
    }
}
