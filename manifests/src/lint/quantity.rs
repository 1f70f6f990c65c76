//! Quantities of Kubernetes: `500m`, `2Gi`, `1e3`.

/// The number that a quantity means; `None` where it is none.
///
/// Only good for comparing: a float keeps 53 bits.
pub(super) fn amount(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, suffix) = match text.parse::<f64>() {
        // `1e3` is a number; `inf` and `nan` are none here.
        Ok(number) if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => (number, ""),
        _ => (digits.parse().ok()?, &text[digits.len()..]),
    };
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_compare() {
        assert!(amount("1Gi") > amount("1G"));
        assert!(amount("500m") < amount("1"));
        assert_eq!(amount("1e3"), amount("1k"));
        assert_eq!(amount("0.5"), amount("500m"));
        for text in ["", "Gi", "inf", "nan", "1X", "1 Gi"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
