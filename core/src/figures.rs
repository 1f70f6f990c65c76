//! Numbers for people: the same wherever Nightshift writes one.

/// A whole number with a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a binary unit and three digits, as in `16.3 KiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

/// A span of time in the two units that matter, as in `0.35 s`, `4 min 10 s` or `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s.max(0.0) * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 0.1 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => {
            let whole = s.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
        s => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {:02} min", thousands(minutes / 60), minutes % 60)
        }
    }
}

/// A measured number with four digits that count, as in `-12.35` or `0.0004321`.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value:.0}");
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..12.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    // Both are small, so the difference is a small whole number.
    let decimals = (3.0 - magnitude).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// A part of a whole as a percentage; what is not nothing is never shown as nothing, and what is
/// not all never as all.
pub fn percent(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "0 %".to_owned();
    }
    match 100.0 * part / whole {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p >= 100.0 => "100 %".to_owned(),
        p if p > 99.9 => ">99.9 %".to_owned(),
        p if p < 10.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn sizes_have_three_digits() {
        let shown = [0, 1023, 1024, 16_722, 1 << 20, 1 << 30, u64::MAX].map(bytes);
        let expected =
            ["0 bytes", "1023 bytes", "1.00 KiB", "16.3 KiB", "1.00 MiB", "1.00 GiB", "16.0 EiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn spans_have_the_unit_that_matters() {
        let shown =
            [0.0, 0.000_35, 0.0025, 0.035, 0.35, 12.34, 59.97, 250.0, 3_599.9, 7_500.0, 4e6];
        let expected = [
            "0 µs",
            "350 µs",
            "2.5 ms",
            "35 ms",
            "0.35 s",
            "12.3 s",
            "1 min 00 s",
            "4 min 10 s",
            "1 h 00 min",
            "2 h 05 min",
            "1,111 h 07 min",
        ];
        assert_eq!(shown.map(duration), expected);
        assert_eq!(duration(-1.0), "0 µs");
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.0, 1.0, -12.345, 123_456.7, 0.000_432_1, 1e300, -1e-300, 0.5].map(number);
        let expected =
            ["0", "1.000", "-12.35", "123457", "0.0004321", "1.000e300", "-1.000e-300", "0.5000"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn little_is_not_nothing_and_most_is_not_all() {
        let shown = [0.0, 0.000_1, 3.0, 42.0, 99.95, 100.0].map(|part| percent(part, 100.0));
        assert_eq!(shown, ["0 %", "<0.1 %", "3.0 %", "42 %", ">99.9 %", "100 %"]);
        assert_eq!(percent(1.0, 0.0), "0 %");
    }
}
