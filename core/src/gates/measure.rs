//! Distances between scores, and numbers in words.

use super::rules::Unit;

/// How far `now` is from `then`, whose column has the deviation `std`; none where the unit is 0
/// and the values differ.
pub(super) fn distance(now: f64, then: f64, unit: Unit, std: f64) -> Option<f64> {
    // Halves, so that the distance of two huge values is a number.
    let apart = (now / 2.0 - then / 2.0).abs();
    let one = match unit {
        Unit::Absolute => 1.0,
        Unit::Relative => then.abs(),
        Unit::Std => std,
    };
    let distance = if apart == 0.0 { 0.0 } else { apart / one * 2.0 };
    distance.is_finite().then_some(distance)
}

/// A distance in words.
pub(super) fn spoken(distance: Option<f64>, unit: Unit) -> String {
    match (distance, unit) {
        (None, Unit::Std) => "by any number of its deviations, since it had none".to_owned(),
        (None, _) => "by any share, since it was 0".to_owned(),
        (Some(by), Unit::Std) => format!("by {} standard deviations", short(by)),
        (Some(by), Unit::Relative) => format!("by {} of its value", short(by)),
        (Some(by), Unit::Absolute) => format!("by {}", short(by)),
    }
}

/// A number with at most four digits that mean something.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = 3 - (size.log10().floor() as i32).clamp(-3, 3);
    let text = format!("{value:.*}", digits.unsigned_abs() as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `part` of `all` as a share; 0 of nothing.
pub(super) fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
