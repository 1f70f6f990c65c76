//! The charts of the page, as SVG without a script: numbers in, markup out.

use std::fmt::Write;

use crate::figures::{duration, percent, thousands};
use crate::report::study::{Bar, ShardTimes};

/// Width of a chart, in units of its own; the page scales it.
const WIDTH: f64 = 800.0;
/// Width of a histogram: two stand side by side.
const HALF: f64 = 390.0;
/// Height of the bars of a chart.
const HEIGHT: f64 = 120.0;
/// Room on the left for the labels of the axis.
const LEFT: f64 = 56.0;
/// Room below for the labels of the axis and the marks.
const BELOW: f64 = 26.0;
/// Height of a bar that shows parts of a whole.
const STACK_HEIGHT: f64 = 18.0;

/// One part of a whole.
pub(super) struct Part {
    /// What it is, for people.
    pub(super) name: &'static str,
    /// Its class in the style sheet, which gives the colour.
    pub(super) class: &'static str,
    /// How much it is.
    pub(super) value: f64,
    /// The same for people.
    pub(super) shown: String,
}

/// One bar of parts, and a legend with their sizes.
pub(super) fn stack(parts: &[Part], label: &str) -> String {
    let whole: f64 = parts.iter().map(|part| part.value).sum();
    let mut svg = open(WIDTH, STACK_HEIGHT, label);
    let mut x = 0.0;
    let mut legend = String::new();
    for part in parts {
        let Part { name, class, value, shown } = part;
        let share = percent(*value, whole);
        if *value > 0.0 && whole > 0.0 {
            // At least a hair, so that what is there is seen.
            let width = (WIDTH * value / whole).max(1.0).min(WIDTH - x);
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="0" width="{width:.1}" height="{STACK_HEIGHT}"><title>{name}: {shown} ({share})</title></rect>"#
            );
            x += width;
        }
        let _ = write!(
            legend,
            r#"<span><i class="{class}"></i>{name} <b>{shown}</b> <span class="soft">{share}</span></span>"#
        );
    }
    format!(r#"{svg}</svg><div class="legend">{legend}</div>"#)
}

/// Seconds of every shard, split into reading, scoring and writing.
pub(super) fn shards(times: &ShardTimes) -> String {
    let top = times.bars.iter().map(mean_s).fold(0.0, f64::max);
    let top = round_up(if times.shards_per_bar > 1 { top.max(times.longest_s) } else { top });
    let mut svg = open(WIDTH, HEIGHT + BELOW + 8.0, "seconds of each shard");
    axis(&mut svg, WIDTH, top, duration);
    let step = (WIDTH - LEFT) / times.bars.len().max(1) as f64;
    // A gap between bars, unless they are too thin for one; few shards make no walls.
    let width = if step > 4.0 { (step - 1.5).min(48.0) } else { step };
    for (at, bar) in times.bars.iter().enumerate() {
        let x = LEFT + step * at as f64 + (step - width) / 2.0;
        column(&mut svg, bar, times.shards_per_bar, x, width, top);
    }
    let last = times.bars.last().map_or(0, |bar| bar.first + bar_shards(bar).max(1) - 1);
    ends(&mut svg, WIDTH, "shard 0", &format!("shard {}", thousands(last.into())));
    let mut legend = String::new();
    for (class, name) in [("read", "read"), ("infer", "score"), ("write", "write")] {
        key(&mut legend, class, name);
    }
    if times.bars.iter().any(|bar| bar.inherited > 0) {
        key(&mut legend, "kept", "taken over from an earlier generation");
    }
    if times.bars.iter().any(|bar| bar.quarantined > 0) {
        key(&mut legend, "lost", "given up");
    }
    if times.shards_per_bar > 1 {
        let _ = write!(
            legend,
            r#"<span class="soft">each bar: mean of {} shards; line: the longest of them</span>"#,
            thousands(times.shards_per_bar.into())
        );
    }
    format!(r#"{svg}</svg><div class="legend">{legend}</div>"#)
}

/// One bar of the chart of shards, and the marks below it.
fn column(svg: &mut String, bar: &Bar, per_bar: u32, x: f64, width: f64, top: f64) {
    let scale = |seconds: f64| if top > 0.0 { HEIGHT * seconds / top } else { 0.0 };
    let scored = f64::from(bar.scored.max(1));
    let mut y = HEIGHT + 8.0;
    let _ = write!(svg, "<g><title>{}</title>", told(bar, per_bar));
    for (class, seconds) in [("read", bar.read_s), ("infer", bar.infer_s), ("write", bar.write_s)] {
        let height = scale(seconds / scored);
        y -= height;
        if height > 0.0 {
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.2}" width="{width:.1}" height="{height:.2}"/>"#
            );
        }
    }
    if per_bar > 1 && bar.longest_s > 0.0 {
        let (middle, end) = (x + width / 2.0, HEIGHT + 8.0 - scale(bar.longest_s));
        let _ = write!(
            svg,
            r#"<line class="whisker" x1="{middle:.1}" x2="{middle:.1}" y1="{y:.2}" y2="{end:.2}"/>"#
        );
    }
    for (class, count, below) in [("kept", bar.inherited, 3.0), ("lost", bar.quarantined, 3.0)] {
        if count > 0 {
            let y = HEIGHT + 8.0 + below;
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="4"/>"#
            );
        }
    }
    svg.push_str("</g>");
}

/// A histogram: counts of equal steps, and what stands at both ends of its axis.
pub(super) fn histogram(counts: &[f64], ends_shown: (&str, &str), label: &str) -> String {
    let top = round_up(counts.iter().copied().fold(0.0, f64::max));
    let mut svg = open(HALF, HEIGHT + BELOW + 8.0, label);
    axis(&mut svg, HALF, top, |count| thousands(count.round() as u64));
    let step = (HALF - LEFT) / counts.len().max(1) as f64;
    for (at, count) in counts.iter().enumerate() {
        let height = HEIGHT * count / top;
        let (x, y, width) = (LEFT + step * at as f64, HEIGHT + 8.0 - height, step - 1.0);
        if height > 0.0 {
            let _ = write!(
                svg,
                r#"<rect class="infer" x="{x:.1}" y="{y:.2}" width="{width:.1}" height="{height:.2}"/>"#
            );
        }
    }
    ends(&mut svg, HALF, ends_shown.0, ends_shown.1);
    svg.push_str("</svg>");
    svg
}

/// The start of a chart of this height.
fn open(width: f64, height: f64, label: &str) -> String {
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">"#)
}

/// Three lines with their values: nothing, the half and the top.
fn axis(svg: &mut String, width: f64, top: f64, shown: impl Fn(f64) -> String) {
    for part in [0.0, 0.5, 1.0] {
        let y = 8.0 + HEIGHT * (1.0 - part);
        let (end, base) = (LEFT - 6.0, y + 4.0);
        let value = if part == 0.0 { "0".to_owned() } else { shown(top * part) };
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{width}" y1="{y}" y2="{y}"/><text x="{end}" y="{base}" text-anchor="end">{value}</text>"#
        );
    }
}

/// What stands at both ends of the horizontal axis.
fn ends(svg: &mut String, width: f64, first: &str, last: &str) {
    let y = HEIGHT + 8.0 + BELOW - 6.0;
    let _ = write!(
        svg,
        r#"<text x="{LEFT}" y="{y}">{first}</text><text x="{width}" y="{y}" text-anchor="end">{last}</text>"#
    );
}

fn key(legend: &mut String, class: &str, name: &str) {
    let _ = write!(legend, r#"<span><i class="{class}"></i>{name}</span>"#);
}

fn bar_shards(bar: &Bar) -> u32 {
    bar.scored + bar.inherited + bar.quarantined
}

/// Mean seconds of a scored shard of the bar.
fn mean_s(bar: &Bar) -> f64 {
    (bar.read_s + bar.infer_s + bar.write_s) / f64::from(bar.scored.max(1))
}

/// A bar in words, shown when somebody points at it.
fn told(bar: &Bar, per_bar: u32) -> String {
    let shards = match per_bar {
        1 => format!("shard {}", bar.first),
        _ => format!("shards {} to {}", bar.first, bar.first + bar_shards(bar).max(1) - 1),
    };
    let mut text = shards;
    if bar.scored > 0 {
        let _ = write!(text, ": {}", duration(mean_s(bar)));
    }
    if per_bar > 1 && bar.scored > 0 {
        let _ = write!(text, " each, at most {}", duration(bar.longest_s));
    }
    for (count, what) in [(bar.inherited, "taken over"), (bar.quarantined, "given up")] {
        match (count, per_bar) {
            (0, _) => {}
            (_, 1) => _ = write!(text, ": {what}"),
            (count, _) => _ = write!(text, ", {count} {what}"),
        }
    }
    text
}

/// The next number that is a round one: one of [`STEPS`] times a power of ten.
fn round_up(value: f64) -> f64 {
    /// Whose halves are round, too, and none of which leaves half of a chart empty.
    const STEPS: [f64; 8] = [1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 6.0, 10.0];
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let round = STEPS.map(|step| step * power).into_iter().find(|step| *step >= value);
    round.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn axes_end_at_round_numbers() {
        let tops = [0.0, 0.034, 0.9, 1.0, 1.1, 4.2, 73.0, f64::INFINITY, f64::NAN].map(round_up);
        assert_eq!(tops, [1.0, 0.04, 1.0, 1.0, 1.2, 6.0, 100.0, 1.0, 1.0]);
    }
}
