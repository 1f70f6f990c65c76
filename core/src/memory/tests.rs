use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

fn rows(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).unwrap()
}

fn room(limit_mib: u64, used_mib: u64) -> Room {
    Room { limit_bytes: limit_mib * MIB, used_bytes: used_mib * MIB }
}

#[test]
fn a_batch_that_would_not_fit_is_halved_until_it_does() {
    let mut guard = BatchGuard::new(rows(8_192));
    guard.seen(1_000, 1_000 * 4_096);
    // 8,192 rows need 128 MiB and 90 MiB may be used, of which 40 are: a quarter of them fits.
    let admitted = guard.admit(rows(8_192), room(100, 40), 0);
    assert_eq!(admitted.change, Change::Smaller);
    assert_eq!((admitted.rows.get(), admitted.need_bytes), (2_048, 32 * MIB));
    // What others may still take counts too.
    assert_eq!(guard.admit(rows(8_192), room(100, 40), 40 * MIB).rows.get(), 512);
}

#[test]
fn batches_grow_again_slowly_when_there_is_room() {
    let mut guard = BatchGuard::new(rows(8_192));
    guard.seen(1, 4_096);
    assert_eq!(guard.admit(rows(8_192), room(100, 70), 0).rows.get(), 1_024);
    let mut sizes = Vec::new();
    for _ in 0..CALM_BATCHES * 4 {
        let admitted = guard.admit(rows(8_192), room(1_000, 100), 0);
        if admitted.change == Change::Larger {
            sizes.push(admitted.rows.get());
        }
    }
    assert_eq!(sizes, [2_048, 4_096, 8_192]);
    assert_eq!(guard.admit(rows(8_192), room(1_000, 100), 0).change, Change::None);
}

#[test]
fn a_single_moment_of_need_begins_the_wait_anew() {
    let mut guard = BatchGuard::new(rows(8_192));
    guard.seen(1, 4_096);
    guard.admit(rows(8_192), room(100, 70), 0);
    for _ in 0..CALM_BATCHES - 1 {
        assert_eq!(guard.admit(rows(8_192), room(1_000, 100), 0).change, Change::None);
    }
    assert_eq!(guard.admit(rows(8_192), room(100, 60), 0).change, Change::None);
    for _ in 0..CALM_BATCHES - 1 {
        assert_eq!(guard.admit(rows(8_192), room(1_000, 100), 0).change, Change::None);
    }
}

#[test]
fn narrow_rows_are_not_cut_into_crumbs_and_wide_ones_are() {
    let full = room(100, 200);
    let mut narrow = BatchGuard::new(rows(8_192));
    narrow.seen(1_000, 1_000 * 100);
    assert_eq!(narrow.admit(rows(8_192), full, 0).rows.get(), 256);
    let mut wide = BatchGuard::new(rows(8_192));
    wide.seen(1, 8 * MIB);
    assert_eq!(wide.admit(rows(8_192), full, 0).rows.get(), 1);
}

#[test]
fn a_stretch_of_narrow_rows_is_believed_little_by_little() {
    let mut guard = BatchGuard::new(rows(8_192));
    guard.seen(1, 1_000_000);
    guard.seen(1_000, 1_000);
    assert!(guard.need(rows(1)) > 900_000 * BATCH_COPIES);
    (0..400).for_each(|_| guard.seen(1_000, 16_000));
    assert_eq!(guard.need(rows(1)), 16 * BATCH_COPIES);
}

proptest! {
    /// Whatever is measured: never above the run's bound, never below what is worth halving, and
    /// above that floor only where it fits.
    #[test]
    fn batches_fit_or_are_as_small_as_is_worth_having(
        steps in prop::collection::vec(
            (1_u32..100_000, any::<u64>(), any::<u64>(), 0_u64..1 << 40, 0_u64..10_000, any::<u64>()),
            1..60,
        ),
        start in 1_u32..100_000,
    ) {
        let mut guard = BatchGuard::new(rows(start));
        for (most, limit_bytes, used_bytes, promised, seen_rows, seen_bytes) in steps {
            let before = guard.rows();
            let room = Room { limit_bytes, used_bytes };
            let admitted = guard.admit(rows(most), room, promised);
            prop_assert!(admitted.rows.get() <= most);
            let left = room.left_bytes().saturating_sub(promised);
            let is_floor = guard.half(admitted.rows).is_none();
            prop_assert!(admitted.need_bytes <= left || is_floor);
            match admitted.change {
                Change::Smaller => prop_assert!(guard.rows() < before),
                Change::Larger => prop_assert!(guard.rows() > before),
                Change::None => prop_assert_eq!(guard.rows(), before),
            }
            guard.seen(seen_rows, seen_bytes);
        }
    }

    /// With room enough nothing ever changes.
    #[test]
    fn no_limit_that_is_near_changes_nothing(
        widths in prop::collection::vec((1_u64..8_192, 0_u64..8 << 20), 1..100),
    ) {
        let mut guard = BatchGuard::new(rows(8_192));
        for (seen_rows, bytes) in widths {
            let room = Room { limit_bytes: 1 << 50, used_bytes: 1 << 30 };
            let admitted = guard.admit(rows(8_192), room, 0);
            prop_assert_eq!((admitted.rows.get(), admitted.change), (8_192, Change::None));
            guard.seen(seen_rows, bytes);
        }
    }
}
