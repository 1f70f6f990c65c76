//! Names and labels as Prometheus wants them, after the rules of OpenTelemetry's "Prometheus and
//! OpenMetrics Compatibility".

pub use nightshift_telemetry::exposition::Labels;

use crate::dropped::Dropped;
use crate::settings::{LABEL_VALUE_MAX_BYTES, LABELS_MAX, LABELS_MAX_BYTES, NAME_MAX_BYTES};
use crate::store::Kind;

/// What no exporter may say, because the sidecar itself says it.
const RESERVED: [&str; 3] = ["nightshift_sidecar_", "nightshift_cgroup_", "nightshift_build_info"];

/// The family's name without `_total`: characters replaced, the unit appended.
///
/// # Errors
/// If the name is empty, too long, or the sidecar's own.
pub fn family(name: &str, unit: &str, kind: Kind) -> Result<String, Dropped> {
    if name.is_empty() || name.len() > NAME_MAX_BYTES || unit.len() > NAME_MAX_BYTES {
        return Err(Dropped::Name);
    }
    let mut made = cleaned(name, |c| c.is_ascii_alphanumeric() || c == ':');
    if kind == Kind::Counter {
        made.truncate(made.strip_suffix("_total").map_or(made.len(), str::len));
    }
    for suffix in unit_suffixes(unit, kind) {
        let present = made.split('_').any(|word| word == suffix) || made.ends_with(&suffix);
        if !present {
            made.push('_');
            made.push_str(&suffix);
        }
    }
    if made.starts_with(|c: char| c.is_ascii_digit()) {
        made.insert(0, '_');
    }
    if made.bytes().all(|byte| byte == b'_') {
        return Err(Dropped::Name);
    }
    let theirs = |own: &&str| made.starts_with(*own) || made == own.trim_end_matches('_');
    if RESERVED.iter().any(theirs) {
        return Err(Dropped::Reserved);
    }
    Ok(made)
}

/// Words that a unit (UCUM) adds to a name: `By/s` gives `bytes`, `per_second`.
fn unit_suffixes(unit: &str, kind: Kind) -> Vec<String> {
    // `{row}` is an annotation: it names what is counted and is no unit.
    let mut bare = String::new();
    let mut depth = 0_u32;
    for c in unit.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let bare = bare.trim();
    if bare == "1" {
        return if kind == Kind::Gauge { vec!["ratio".to_owned()] } else { Vec::new() };
    }
    let (over, under) = bare.split_once('/').map_or((bare, None), |(a, b)| (a, Some(b)));
    let mut suffixes = Vec::new();
    let main = unit_word(over.trim());
    if !main.is_empty() {
        suffixes.push(main);
    }
    let per = under.map(|under| per_word(under.trim())).unwrap_or_default();
    if !per.is_empty() {
        suffixes.push(format!("per_{per}"));
    }
    suffixes
}

fn unit_word(unit: &str) -> String {
    let word = match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        "1" => "",
        other => return cleaned(other, |c| c.is_ascii_alphanumeric()).trim_matches('_').to_owned(),
    };
    word.to_owned()
}

fn per_word(unit: &str) -> String {
    let word = match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => return unit_word(other),
    };
    word.to_owned()
}

/// Everything that is not allowed becomes one underscore, however many there are in a row.
fn cleaned(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let mut made = String::with_capacity(text.len());
    for c in text.chars() {
        if allowed(c) {
            made.push(c);
        } else if !made.ends_with('_') {
            made.push('_');
        }
    }
    made
}

/// A label's name; `le` and `quantile` belong to the formats.
fn label(key: &str) -> Option<String> {
    if key.is_empty() || key.len() > NAME_MAX_BYTES {
        return None;
    }
    let made = cleaned(key, |c| c.is_ascii_alphanumeric());
    if made == "le" || made == "quantile" {
        return Some(format!("exported_{made}"));
    }
    match made.chars().next() {
        Some(c) if c.is_ascii_digit() => Some(format!("key_{made}")),
        Some('_') if made.len() == 1 => None,
        _ => Some(made),
    }
}

/// Labels of attributes. Two keys that become one name share it, as in `a;b`.
///
/// # Errors
/// If there are too many, or one is too long or has no name.
pub fn labels<'a>(
    attributes: impl IntoIterator<Item = (&'a str, String)>,
) -> Result<Labels, Dropped> {
    let mut labels = Labels::new();
    let mut bytes = 0;
    for (key, value) in attributes {
        let name = label(key).ok_or(Dropped::LabelLength)?;
        bytes += name.len() + value.len();
        if value.len() > LABEL_VALUE_MAX_BYTES || bytes > LABELS_MAX_BYTES {
            return Err(Dropped::LabelLength);
        }
        match labels.binary_search_by(|(known, _)| known.as_str().cmp(&name)) {
            Ok(at) => {
                if let Some((_, known)) = labels.get_mut(at) {
                    known.push(';');
                    known.push_str(&value);
                }
            }
            Err(at) => labels.insert(at, (name, value)),
        }
        if labels.len() > LABELS_MAX {
            return Err(Dropped::LabelCount);
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests;
