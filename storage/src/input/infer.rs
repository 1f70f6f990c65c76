//! The type of a column in a format that has none: evidence from its first values.

use nightshift_core::plan::ColumnKind;

/// Rows at the start of each text file whose values decide the types.
pub const SAMPLE_ROWS: u64 = 1_000;

/// What has been seen in one column; evidence of several files adds up.
///
/// Integers become [`ColumnKind::Int`] only if each is written as an integer is written: `007`
/// and numbers beyond 64 bits stay text, since they are identifiers whose digits must survive.
/// `NaN` and `inf` count as numbers only beside a number, since they are also names. A column
/// without any value is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    int: bool,
    float: bool,
    not_finite: bool,
    boolean: bool,
    text: bool,
    present: bool,
}

impl Evidence {
    /// Evidence of a column that a header names, before any value.
    pub fn declared() -> Self {
        Self { present: true, ..Self::default() }
    }

    /// A field of a CSV file. An empty field is a missing value and says nothing.
    pub fn see_field(&mut self, field: &[u8]) {
        self.present = true;
        let Ok(text) = std::str::from_utf8(field) else {
            self.text = true;
            return;
        };
        let text = text.trim();
        if text.is_empty() {
        } else if parse_bool(text).is_some() {
            self.boolean = true;
        } else if is_plain_integer(text) {
            if parse_int(text).is_some() { self.int = true } else { self.text = true }
        } else if let Some(number) = parse_float(text).filter(|_| !has_leading_zero(text)) {
            if number.is_finite() || text.contains(|c: char| c.is_ascii_digit()) {
                self.float = true;
            } else {
                self.not_finite = true;
            }
        } else {
            self.text = true;
        }
    }

    /// A value of a JSON object.
    pub fn see_json(&mut self, value: &serde_json::Value) {
        self.present = true;
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Bool(_) => self.boolean = true,
            serde_json::Value::Number(number) if number.is_i64() => self.int = true,
            serde_json::Value::Number(number) if number.is_u64() => self.text = true,
            serde_json::Value::Number(_) => self.float = true,
            _ => self.text = true,
        }
    }

    /// Adds what another file has shown.
    pub fn merge(&mut self, other: Self) {
        self.int |= other.int;
        self.float |= other.float;
        self.not_finite |= other.not_finite;
        self.boolean |= other.boolean;
        self.text |= other.text;
        self.present |= other.present;
    }

    /// Whether the column was there at all, with or without values.
    pub fn is_present(self) -> bool {
        self.present
    }

    /// The narrowest type that holds all that was seen.
    pub fn kind(self) -> ColumnKind {
        let number = self.int || self.float;
        match self {
            Self { text: true, .. } => ColumnKind::Text,
            Self { boolean: true, not_finite, .. } if number || not_finite => ColumnKind::Text,
            Self { boolean: true, .. } => ColumnKind::Bool,
            Self { not_finite: true, .. } if !number => ColumnKind::Text,
            Self { float: true, .. } | Self { not_finite: true, .. } => ColumnKind::Float,
            Self { int: true, .. } => ColumnKind::Int,
            _ => ColumnKind::Text,
        }
    }
}

/// `true` and `false` in any case.
pub fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A 64-bit integer, with or without a sign.
pub fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A decimal number with or without exponent, `NaN`, `inf` or `infinity` in any case.
pub fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Digits with at most a minus sign, and no zero in front of another digit.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && !has_leading_zero(text)
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']).as_bytes();
    matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
}

#[cfg(test)]
mod tests;
