use proptest::prelude::*;

use super::*;
use crate::plan::{Compression, InputFormat, Mark, PartitionColumn, Pin, Sharding, Slice, cut};

/// A plan of files with these rows.
fn plan(files: &[u64], sharding: Sharding) -> Plan {
    let inputs = files.iter().enumerate().map(|(n, &rows)| InputFile {
        uri: format!("/in/{n}.csv"),
        format: InputFormat::Csv,
        compression: Compression::Gzip,
        pin: Pin { size_bytes: rows * 7, version: "mtime:1".into() },
        rows,
        partition_columns: vec![PartitionColumn { name: "d".into(), value: "x".into() }],
        columns: Vec::new(),
    });
    let rows = files.iter().sum();
    let plan = crate::rehearsal::plan(rows, 1);
    Plan {
        run: "flights-2013-01-01-g2".parse().unwrap(),
        model: ModelIdentity { version: Some("v3".into()), ..plan.model.clone() },
        task: TaskSettings { rejects_max_ratio: 0.5, ..plan.task.clone() },
        inputs: inputs.collect(),
        shards: cut(files, sharding).unwrap(),
        ..plan
    }
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

fn sharding() -> impl Strategy<Value = Sharding> {
    prop_oneof![(1_u64..900).prop_map(Sharding::Rows), Just(Sharding::File)]
}

proptest! {
    /// The outline of the stored bytes is the outline of the plan, and both give the plan's
    /// numbers.
    #[test]
    fn an_outline_says_what_the_plan_says(
        files in prop::collection::vec(0_u64..3_000, 0..12),
        sharding in sharding(),
        mark in any::<bool>(),
        inherited in prop::option::of(prop::collection::vec(0_u32..9, 0..4)),
    ) {
        let mut plan = plan(&files, sharding);
        if let (true, Some(shard)) = (mark, plan.shards.first_mut()) {
            shard.slices.iter_mut().for_each(|slice| slice.seek = Some(Mark { row: 0, byte: 9 }));
        }
        plan.inherits = inherited.map(|shards| Inheritance {
            from: "flights-2013-01-01-g1".parse().unwrap(),
            shards: shards.into_iter().map(ShardIndex).collect(),
        });
        let json = json(&plan);
        prop_assert_eq!(&serde_json::from_str::<Plan>(&json).unwrap(), &plan);
        let outline: Outline = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&outline, &Outline::of(&plan));
        prop_assert_eq!(outline.shard_count(), plan.shard_count());
        for shard in outline.indexes() {
            prop_assert_eq!(outline.shard_rows(shard), plan.shard(shard).map(Shard::rows));
        }
        prop_assert_eq!(outline.shard_rows(ShardIndex(plan.shard_count())), None);
        prop_assert_eq!(outline.input(), plan.input());
        prop_assert_eq!(outline.input.files as usize, files.len());
    }

    /// Bytes that were changed anywhere give the plan's refusal: what cannot be read as a plan
    /// has no outline, and the other way round.
    #[test]
    fn an_outline_is_as_strict_as_the_plan(
        files in prop::collection::vec(0_u64..3_000, 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut_off in any::<bool>(),
    ) {
        let mut json = json(&plan(&files, Sharding::Rows(700))).into_bytes();
        let at = at.index(json.len());
        json[at] = byte;
        if cut_off {
            json.truncate(at);
        }
        let plan = serde_json::from_slice::<Plan>(&json);
        let outline = serde_json::from_slice::<Outline>(&json);
        prop_assert_eq!(plan.as_ref().ok().map(Outline::of), outline.ok());
    }
}

proptest! {
    /// Long shards are those beyond the bound, each once, in the order of their rows.
    #[test]
    fn long_shards_are_told_longest_first(rows in prop::collection::vec(1_u64..100, 0..60)) {
        let outline = Outline::of(&plan(&rows, Sharding::File));
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        let bound = sorted.get(rows.len() / 2).map_or(0, |median| median * LONG_MEDIANS);
        let mut expected: Vec<_> = (0..).zip(&rows).filter(|(_, rows)| **rows > bound).collect();
        expected.sort_by_key(|(shard, rows)| (std::cmp::Reverse(**rows), *shard));
        let expected: Vec<_> = expected.into_iter().map(|(shard, _)| ShardIndex(shard)).collect();
        prop_assert_eq!(outline.long_shards(), expected);
    }
}

#[test]
fn absurd_numbers_of_rows_are_kept_as_far_as_they_go() {
    let mut plan = plan(&[10], Sharding::Rows(4));
    let huge = Slice { input: 0, start: 0, rows: u64::MAX, seek: None };
    plan.shards[1].slices = vec![huge.clone(), huge].into();
    let outline: Outline = serde_json::from_str(&json(&plan)).unwrap();
    let rows: Vec<_> = outline.indexes().filter_map(|shard| outline.shard_rows(shard)).collect();
    assert_eq!(rows, [4, u64::MAX, 2]);
}

#[test]
fn more_shards_than_a_run_may_have_are_refused_before_they_are_held() {
    let empty = json(&plan(&[], Sharding::File));
    let list = |shards: u32| {
        let shards = vec![r#"{"slices":[]}"#; shards as usize].join(",");
        empty.replace(r#""shards":[]"#, &format!(r#""shards":[{shards}]"#))
    };
    let most: Outline = serde_json::from_str(&list(SHARDS_MAX)).unwrap();
    assert_eq!(most.shard_count(), SHARDS_MAX);
    let more = list(SHARDS_MAX + 1);
    for refused in [
        serde_json::from_str::<Outline>(&more).unwrap_err(),
        serde_json::from_str::<Plan>(&more).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("a run has at most 1000000 shards"), "{refused}");
    }
}

#[test]
fn a_shard_of_one_slice_has_no_heap_block() {
    assert!(size_of::<Shard>() <= 48, "{} bytes a shard", size_of::<Shard>());
    let shards = cut(&[1_000_000], Sharding::Rows(10)).unwrap();
    assert!(shards.iter().all(|shard| {
        let (shard_at, slice_at) = (std::ptr::from_ref(shard), shard.slices.as_ptr());
        let distance = slice_at.addr().wrapping_sub(shard_at.addr());
        distance < size_of::<Shard>()
    }));
    let outline = Outline::of(&plan(&[1_000_000], Sharding::Rows(10)));
    let ShardRows::Narrow(rows) = outline.shard_rows else { panic!("few rows need few bytes") };
    assert_eq!(rows.capacity(), 100_000);
}
