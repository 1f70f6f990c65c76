//! Scalars: what may stand without quotes, and how the rest is quoted.
//!
//! Readers differ: to YAML 1.1 `no`, `12:30`, `0o7`, `1_000` and `2013-01-31` are a boolean, a
//! number or a date, to YAML 1.2 they are not. Only what no reader takes for anything but text
//! stays plain (<https://yaml.org/type/>, <https://yaml.org/spec/1.2.2/#103-core-schema>).

use std::fmt::Write as _;

use serde_json::Value;

/// Words that are a boolean or nothing to some reader, in small letters.
const RESERVED: [&str; 14] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nil", "none", "nan", "inf",
    "infinity",
];

/// Ends of Kubernetes quantities that keep digits from being a number: `1Gi`, `100m`.
const UNITS: [&str; 11] = ["m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];

/// Any scalar, or an empty map or list, on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Number(number) => with_point(&number.to_string()),
        other => other.to_string(),
    }
}

/// Text on one line, in quotes where it needs them.
pub(super) fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether text is written as a block literal: several lines that come back as they were.
pub(super) fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body.chars().all(|c| c == '\n' || is_printable(c))
        // Spaces that nobody sees are not left to the mercy of editors.
        && body.split('\n').all(|line| !line.ends_with(' '))
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts_well =
        first.is_ascii_alphabetic() || first == '/' || is_quantity(text) || is_flag(text);
    let fine = |c: char| c.is_ascii_alphanumeric() || " _./:@=,()+-".contains(c);
    starts_well
        && text.chars().all(fine)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

fn is_quantity(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < text.len() && UNITS.contains(&digits)
}

/// A flag of a command line, as in `--date`.
fn is_flag(text: &str) -> bool {
    text.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// YAML 1.1 wants a point and a sign in `1.0e+300`.
fn with_point(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once('e') else { return number.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let width = if code <= 0xff {
                    2
                } else if code <= 0xffff {
                    4
                } else {
                    8
                };
                let letter = match width {
                    2 => 'x',
                    4 => 'u',
                    _ => 'U',
                };
                // Writing to a String cannot fail.
                let _ = write!(out, "\\{letter}{code:0width$x}");
            }
        }
    }
    out.push('"');
    out
}

/// Characters that stand for themselves and that people can tell apart.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}');
    c >= ' ' && !invisible
}
