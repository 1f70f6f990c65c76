//! Cron schedules as Kubernetes reads them: five fields, `@hourly` and its like, `@every`.
//!
//! The grammar is that of the library inside the CronJob controller
//! (<https://pkg.go.dev/github.com/robfig/cron/v3#hdr-CRON_Expression_Format>).

/// What is wrong with a schedule.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It names a time zone, which Kubernetes refuses here.
    Zone(String),
    /// It is no schedule.
    Syntax(String),
    /// No calendar has such a day.
    Never(String),
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: MONTHS },
    Field { name: "day of the week", min: 0, max: 6, names: DAYS },
];
/// Longest month of each name, leap years included.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Longer texts are no schedules, and a list of a million numbers is no use.
const MAX_BYTES: usize = 1000;

/// Checks a schedule.
pub(super) fn check(schedule: &str) -> Result<(), Fault> {
    if schedule.len() > MAX_BYTES {
        return Err(Fault::Syntax(format!("it is longer than {MAX_BYTES} bytes")));
    }
    if let Some(rest) = ["CRON_TZ=", "TZ="].iter().find_map(|tz| schedule.strip_prefix(tz)) {
        return Err(Fault::Zone(rest.split_whitespace().next().unwrap_or_default().to_owned()));
    }
    if let Some(name) = schedule.strip_prefix('@') {
        return descriptor(name);
    }
    let words: Vec<&str> = schedule.split_whitespace().collect();
    if words.len() != FIELDS.len() {
        let hint = if words.len() == 6 { "; Kubernetes has no field for seconds" } else { "" };
        return Err(Fault::Syntax(format!("it has {} fields, not 5{hint}", words.len())));
    }
    let mut sets = [0u64; 5];
    for ((set, field), word) in sets.iter_mut().zip(&FIELDS).zip(&words) {
        *set = values(field, word).map_err(Fault::Syntax)?;
    }
    let [_, _, days, months, _] = sets;
    let any_weekday = is_star(words[4]);
    // With both day fields given, either one is enough, so only the other case can be empty.
    let possible = (1..=12u32)
        .zip(LONGEST)
        .any(|(month, longest)| months & (1 << month) != 0 && days.trailing_zeros() <= longest);
    if any_weekday && !possible {
        return Err(Fault::Never(format!("no month `{}` has a day `{}`", words[3], words[2])));
    }
    Ok(())
}

fn descriptor(name: &str) -> Result<(), Fault> {
    const NAMES: &[&str] =
        &["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];
    let every = name.strip_prefix("every ").is_some_and(is_duration);
    if NAMES.contains(&name) || every {
        return Ok(());
    }
    Err(Fault::Syntax(format!("`@{name}` is none of @{}, @every 1h30m", NAMES.join(", @"))))
}

/// A duration as Go writes it, such as `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - unit.len()];
        let units = ["ns", "us", "ms", "h", "m", "s"];
        let Some(next) = units.iter().find_map(|name| unit.strip_prefix(name)) else {
            return false;
        };
        if number.parse::<f64>().is_err() {
            return false;
        }
        rest = next;
    }
    !text.is_empty()
}

fn is_star(word: &str) -> bool {
    word.split(',').any(|part| matches!(part, "*" | "?" | "*/1" | "?/1"))
}

/// The values of a field as bits.
fn values(field: &Field, word: &str) -> Result<u64, String> {
    let mut set = 0;
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (low, high) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (field.min, field.max),
            Some((low, high)) => (value(field, low)?, value(field, high)?),
            None => {
                let low = value(field, range)?;
                (low, if step.is_some() { field.max } else { low })
            }
        };
        let step = match step {
            None => 1,
            Some(step) => step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(|| {
                format!("the step `/{step}` of the {} is no number above 0", field.name)
            })?,
        };
        if low > high {
            return Err(format!("the {} `{range}` runs backwards", field.name));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        (low..=high).step_by(step).for_each(|value| set |= 1u64 << value);
    }
    Ok(set)
}

fn value(field: &Field, word: &str) -> Result<u32, String> {
    let lower = word.to_ascii_lowercase();
    let named = field.names.iter().position(|name| *name == lower);
    let number = match named {
        Some(index) => u32::try_from(index).ok().map(|index| index + field.min),
        None if word.bytes().all(|byte| byte.is_ascii_digit()) => word.parse().ok(),
        None => None,
    };
    number.filter(|number| (field.min..=field.max).contains(number)).ok_or_else(|| {
        let hint = if field.max == 6 && word == "7" { "; Sunday is 0" } else { "" };
        let Field { name, min, max, .. } = field;
        format!("the {name} `{word}` is not between {min} and {max}{hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_that_fire_pass() {
        for schedule in [
            "0 3 * * *",
            "*/15 0-6,22 1 jan-MAR ?",
            "0 0 29 2 *",
            "0 0 31 2 1",
            "@daily",
            "@every 1h30m",
            "5/10 * * * mon,fri",
            "0 0 31 1,2 *",
        ] {
            assert_eq!(check(schedule), Ok(()), "{schedule}");
        }
    }

    #[test]
    fn the_others_are_refused_with_a_reason() {
        let syntax = [
            "",
            "* * * *",
            "0 0 3 * * *",
            "60 * * * *",
            "* * * * 7",
            "* * 0 * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "@fortnightly",
            "@every",
            "@every 5",
            "+1 * * * *",
            "1, * * * *",
        ];
        for schedule in syntax {
            assert!(matches!(check(schedule), Err(Fault::Syntax(_))), "{schedule}");
        }
        for schedule in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 apr ?"] {
            assert!(matches!(check(schedule), Err(Fault::Never(_))), "{schedule}");
        }
        assert_eq!(check("TZ=Europe/Rome 0 3 * * *"), Err(Fault::Zone("Europe/Rome".into())));
    }
}
