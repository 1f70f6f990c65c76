//! Quantities of Kubernetes: `500m`, `2Gi`, `1e3`
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).

use serde_json::Value;

/// The number that a quantity means; `None` where it is none.
///
/// Only good for comparing: a float keeps 53 bits.
pub fn amount(text: &str) -> Option<f64> {
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

/// The number that a quantity in JSON means, which may be text or a number.
pub fn value(quantity: &Value) -> Option<f64> {
    match quantity {
        Value::String(text) => amount(text),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// Bytes as a memory quantity in whole mebibytes, never less than there are.
pub fn mebibytes(bytes: u64) -> String {
    format!("{}Mi", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_has_quantities_as_text_or_numbers() {
        assert_eq!(value(&json!("250m")), Some(0.25));
        assert_eq!(value(&json!(2)), Some(2.0));
        assert_eq!(value(&json!(null)), None);
    }

    #[test]
    fn memory_is_rounded_up() {
        assert_eq!(mebibytes(0), "0Mi");
        assert_eq!(mebibytes(1), "1Mi");
        assert_eq!(mebibytes(1 << 20), "1Mi");
        assert_eq!(mebibytes((1 << 20) + 1), "2Mi");
    }

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
