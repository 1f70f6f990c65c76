//! Which accepted run a later one is compared with.

use std::cmp::Reverse;

use crate::ids::{Generation, Partition};

/// Puts concluded generations in the order in which they are asked whether they were accepted.
///
/// An earlier generation of the same date comes first, the newest before all: it has the same
/// rows, so that what moved was the model. Then come earlier dates, the nearest first, then later
/// ones, since a date may be filled in behind others.
pub fn preferred_references(
    partition: Partition,
    concluded: impl IntoIterator<Item = (Partition, Generation)>,
) -> Vec<(Partition, Generation)> {
    let mut order: Vec<(Partition, Generation)> = concluded.into_iter().collect();
    order.sort_by_key(|&(other, generation)| {
        let (rank, apart) = match (partition, other) {
            (Partition::Date(date), Partition::Date(other)) if date != other => {
                let days = other.duration_since(date).as_hours() / 24;
                (if days < 0 { 1 } else { 2 }, days.abs())
            }
            (this, other) if this == other => (0, 0),
            _ => (3, 0),
        };
        (rank, apart, Reverse(generation))
    });
    order
}
