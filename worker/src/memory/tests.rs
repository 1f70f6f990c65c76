use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StringViewArray};

use super::*;

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().cloned()).unwrap()
}

#[test]
fn without_a_limit_everything_passes() {
    let guard = Guard::new(Vec::new());
    assert!(!guard.is_bounded() && guard.tightest().is_none());
    let admission = guard.admit(8_192);
    admission.read(&batch(&[("n", Arc::new(Int64Array::from_iter_values(0..10)))]));
    assert_eq!(admission.rows(), 8_192);
    assert_eq!(guard.counts(), Counts::default());
}

#[test]
fn a_limit_that_is_reached_makes_batches_small_and_is_told_once() {
    // This process has more than a mebibyte resident, whatever it does.
    let guard = Guard::new(vec![Bound::named(1 << 20).unwrap()]);
    let first = guard.admit(8_192);
    assert_eq!(first.rows(), 256);
    assert_eq!(guard.admit(8_192).rows(), 256);
    assert_eq!(guard.counts(), Counts { smaller: 1, larger: 0 });
    assert!(guard.lock().promised > 0);
    drop(first);
    assert_eq!(guard.lock().promised, 0);
}

#[test]
fn the_tightest_limit_counts() {
    let bounds = [1 << 45, 1 << 20, 1 << 40].map(|limit| Bound::named(limit).unwrap());
    let guard = Guard::new(bounds.into());
    let (bound, room) = guard.tightest().unwrap();
    assert_eq!(
        (room.limit_bytes, bound.to_string().as_str()),
        (1 << 20, "NIGHTSHIFT_MEMORY_LIMIT")
    );
    assert!(room.used_bytes > 1 << 20);
}

#[test]
fn rows_are_weighed_and_not_the_buffers_behind_them() {
    let texts: Vec<String> = (0..1_000).map(|row| format!("{row:0100}")).collect();
    let plain: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let whole = batch(&[("a", plain), ("b", views), ("c", numbers)]);
    let (all, tenth) = (decoded_bytes(&whole), decoded_bytes(&whole.slice(500, 100)));
    // 100 + 4, 100 + 16, 8.
    assert!((228_000..229_000).contains(&all), "{all}");
    assert!((22_800..23_000).contains(&tenth), "{tenth}");
}

/// What a batch pays for being looked at, printed; the bound is a hundred times what it is.
#[test]
fn a_look_costs_next_to_nothing() {
    const LOOKS: u32 = 2_000;
    let cost = |guard: &Guard| {
        let started = std::time::Instant::now();
        (0..LOOKS).for_each(|_| drop(guard.admit(8_192)));
        started.elapsed() / LOOKS
    };
    let tree = tempfile::tempdir().unwrap();
    for (name, text) in [("memory.max", "1073741824\n"), ("memory.current", "1048576\n")] {
        std::fs::write(tree.path().join(name), text).unwrap();
    }
    let groups = cgroups::of("0::/\n", tree.path());
    let bounds = groups.into_iter().map(Bound::Group).collect::<Vec<_>>();
    let (none, group) = (cost(&Guard::new(Vec::new())), cost(&Guard::new(bounds)));
    let named = cost(&Guard::new(vec![Bound::named(1 << 40).unwrap()]));
    eprintln!("a look: {none:?} without a limit, {group:?} of a group, {named:?} of a size");
    assert!(none.as_micros() < 100 && group.as_millis() < 5 && named.as_millis() < 5);
}
