//! A small reader of both text formats, which refuses what the formats forbid.

use std::collections::HashSet;

/// Checks a page; `is_open` for OpenMetrics.
pub(crate) fn check(page: &str, is_open: bool) {
    assert!(page.ends_with('\n'), "the last line ends");
    let mut families = HashSet::new();
    let mut series = HashSet::new();
    let mut family = (String::new(), String::new());
    let mut buckets: Option<(String, f64, f64)> = None;
    for (at, line) in page.lines().enumerate() {
        let here = format!("line {}: {line}", at + 1);
        if line == "# EOF" {
            assert!(is_open && at + 1 == page.lines().count(), "{here}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{here}"));
            assert!(is_name(name), "{here}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{here}");
            assert!(families.insert(name.to_owned()), "a family twice, {here}");
            assert_eq!(name.ends_with("_total"), kind == "counter" && !is_open, "{here}");
            family = (name.to_owned(), kind.to_owned());
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(is_name(rest.split_once(' ').unwrap().0), "{here}");
        } else {
            let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("{here}"));
            let suffix = name.strip_prefix(family.0.as_str()).unwrap_or_else(|| panic!("{here}"));
            let allowed: &[&str] = match family.1.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "counter" if is_open => &["_total"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "{here}");
            let mut names = HashSet::new();
            for (name, _) in &labels {
                assert!(is_name(name) && !name.contains(':'), "{here}");
                assert!(names.insert(name), "a label twice, {here}");
            }
            assert!(series.insert(format!("{name}{labels:?}")), "a series twice, {here}");
            if suffix == "_bucket" {
                let (last, le) = labels.last().unwrap();
                assert_eq!(last, "le", "{here}");
                let key = format!("{name}{:?}", &labels[..labels.len() - 1]);
                let le: f64 = le.parse().unwrap();
                if let Some((_, bound, count)) = buckets.take_if(|(known, ..)| *known == key) {
                    assert!(le > bound && value >= count, "buckets rise, {here}");
                }
                buckets = Some((key, le, value));
            } else if suffix == "_count" {
                let (_, bound, count) = buckets.take().unwrap();
                assert!(bound == f64::INFINITY && count == value, "{here}");
            } else if family.1 == "counter" {
                assert!(value >= 0.0, "{here}");
            }
        }
    }
    assert_eq!(page.ends_with("# EOF\n"), is_open);
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

type Labels = Vec<(String, String)>;

fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            match after.split_at_checked(1)? {
                (",", after) => rest = after,
                ("}", after) => {
                    rest = after;
                    break;
                }
                _ => return None,
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    is_name(name).then_some((name, labels, value.parse().ok()?))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}
