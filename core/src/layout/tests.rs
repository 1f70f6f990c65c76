use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn partition() -> impl Strategy<Value = Partition> {
    prop_oneof![
        Just(Partition::All),
        (1_i16..9999, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| Partition::Date(date(y, m, d))),
    ]
}

fn generation() -> impl Strategy<Value = Generation> {
    (1_u32..).prop_map(|n| Generation::new(n).unwrap())
}

fn run() -> impl Strategy<Value = RunId> {
    ("[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", partition(), generation()).prop_map(
        |(name, partition, generation)| RunId {
            name: name.parse().unwrap(),
            partition,
            generation,
        },
    )
}

fn shard() -> impl Strategy<Value = ShardIndex> {
    prop_oneof![0_u32..1000, any::<u32>()].prop_map(ShardIndex)
}

fn attempt() -> impl Strategy<Value = AttemptId> {
    "[0-7][0-9A-HJKMNP-TV-Z]{25}".prop_map(|text| text.parse().unwrap())
}

fn channel() -> impl Strategy<Value = Channel> {
    prop::sample::select(Channel::ALL.to_vec())
}

fn format() -> impl Strategy<Value = OutputFormat> {
    prop_oneof![Just(OutputFormat::Parquet), Just(OutputFormat::Jsonl), Just(OutputFormat::Csv)]
}

fn object() -> impl Strategy<Value = Object> {
    let staged_name = prop_oneof![format().prop_map(StagedName::Data), Just(StagedName::Rejects)];
    prop_oneof![
        Just(Object::Root),
        Just(Object::Holder),
        (partition(), generation())
            .prop_map(|(partition, generation)| Object::Claim { partition, generation }),
        (partition(), generation())
            .prop_map(|(partition, generation)| Object::Final { partition, generation }),
        (partition(), generation())
            .prop_map(|(partition, generation)| Object::Approval { partition, generation }),
        (partition(), generation())
            .prop_map(|(partition, generation)| Object::Success { partition, generation }),
        (partition(), generation())
            .prop_map(|(partition, generation)| Object::Removal { partition, generation }),
        run().prop_map(|run| Object::Plan { run }),
        (run(), any::<u64>()).prop_map(|(run, number)| Object::Epoch { run, number }),
        (run(), channel(), any::<u32>()).prop_map(|(run, channel, number)| Object::Try {
            run,
            channel,
            number
        }),
        (run(), channel()).prop_map(|(run, channel)| Object::Told { run, channel }),
        run().prop_map(|run| Object::Served { name: run.name }),
        (run(), shard()).prop_map(|(run, shard)| Object::Record { run, shard }),
        (run(), shard(), attempt(), staged_name)
            .prop_map(|(run, shard, attempt, file)| Object::Staged { run, shard, attempt, file }),
        (partition(), generation(), shard(), any::<u32>(), format()).prop_map(
            |(partition, generation, shard, shards, format)| {
                Object::Part { partition, generation, shard, shards, format }
            }
        ),
        (partition(), generation(), shard(), any::<u32>()).prop_map(
            |(partition, generation, shard, shards)| {
                Object::Rejects { partition, generation, shard, shards }
            }
        ),
    ]
}

proptest! {
    #[test]
    fn a_path_reads_back_as_its_object(object in object()) {
        prop_assert_eq!(Object::parse(&object.path()), Some(object));
    }

    #[test]
    fn no_path_leaves_the_root(object in object()) {
        let path = object.path();
        for segment in path.split('/') {
            prop_assert!(!segment.is_empty() && segment != "." && segment != "..", "{}", path);
            prop_assert!(segment.bytes().all(|c| c.is_ascii_graphic() && c != b'\\' && c != b'#'));
        }
    }

    #[test]
    fn readers_skip_everything_that_is_not_visible_data(object in object()) {
        let hidden = object.path().split('/').any(|segment| segment.starts_with('_'));
        let data = matches!(object, Object::Part { .. } | Object::Rejects { .. });
        prop_assert_eq!(hidden, !data);
    }

    #[test]
    fn two_objects_never_share_a_path(a in object(), b in object()) {
        prop_assert_eq!(a == b, a.path() == b.path());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text: String) {
        let _ = Object::parse(&text);
        let _ = Object::parse(&format!("_nightshift/v1/{text}"));
        let _ = Object::parse(&format!("date=2013-01-01/gen=1/{text}"));
    }

    #[test]
    fn only_exact_spellings_parse(object in object(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let path = object.path();
        let at = at.index(path.len() + 1);
        let changed = format!("{}{with}{}", &path[..at], &path[at..]);
        if let Some(other) = Object::parse(&changed) {
            prop_assert_eq!(other.path(), changed);
        }
    }

    #[test]
    fn listings_of_records_sort_in_shard_order(run in run(), a in 0_u32..1_000_000, b in 0_u32..1_000_000) {
        let record = |shard| Object::Record { run: run.clone(), shard: ShardIndex(shard) }.path();
        prop_assert_eq!(a.cmp(&b), record(a).cmp(&record(b)));
    }

    #[test]
    fn listings_of_parts_sort_in_shard_order(shards in 2_u32..2_000_000, a: u32, b: u32) {
        let part = |shard| Object::Part {
            partition: Partition::All,
            generation: Generation::FIRST,
            shard: ShardIndex(shard),
            shards,
            format: OutputFormat::Csv,
        }.path();
        let (a, b) = (a % shards, b % shards);
        prop_assert_eq!(a.cmp(&b), part(a).cmp(&part(b)));
    }
}

fn flights() -> RunId {
    "flights-2013-01-31-g2".parse().unwrap()
}

#[test]
fn the_layout_is_the_documented_one() {
    let run = flights();
    let (partition, generation) = (run.partition, run.generation);
    let shard = ShardIndex(17);
    let attempt: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let staged = |file| Object::Staged { run: run.clone(), shard, attempt: attempt.clone(), file };
    let paths = [
        (Object::Root, "_nightshift/v1/root.json"),
        (Object::Served { name: run.name.clone() }, "_nightshift/v1/served/flights.json"),
        (Object::Claim { partition, generation }, "_nightshift/v1/claims/2013-01-31/g2.json"),
        (Object::Plan { run: run.clone() }, "_nightshift/v1/runs/flights-2013-01-31-g2/plan.json"),
        (
            Object::Epoch { run: run.clone(), number: 3 },
            "_nightshift/v1/runs/flights-2013-01-31-g2/epoch/3.json",
        ),
        (
            Object::Record { run: run.clone(), shard },
            "_nightshift/v1/runs/flights-2013-01-31-g2/records/0000017.json",
        ),
        (Object::Final { partition, generation }, "_nightshift/v1/finals/2013-01-31/g2.json"),
        (Object::Removal { partition, generation }, "_nightshift/v1/removals/2013-01-31/g2.json"),
        (Object::Approval { partition, generation }, "_nightshift/v1/approvals/2013-01-31/g2.json"),
        (
            staged(StagedName::Data(OutputFormat::Parquet)),
            "_nightshift/v1/attempts/flights-2013-01-31-g2/0000017/01ARZ3NDEKTSV4RRFFQ69G5FAV/data.parquet",
        ),
        (
            staged(StagedName::Rejects),
            "_nightshift/v1/attempts/flights-2013-01-31-g2/0000017/01ARZ3NDEKTSV4RRFFQ69G5FAV/rejects.jsonl",
        ),
        (
            Object::Part {
                partition,
                generation,
                shard,
                shards: 200,
                format: OutputFormat::Parquet,
            },
            "date=2013-01-31/gen=2/part-00017-of-00200.parquet",
        ),
        (
            Object::Rejects { partition, generation, shard, shards: 200 },
            "date=2013-01-31/gen=2/rejects-00017-of-00200.jsonl",
        ),
        (Object::Success { partition, generation }, "date=2013-01-31/gen=2/_SUCCESS"),
        (
            Object::Part {
                partition: Partition::All,
                generation,
                shard,
                shards: 1_000_000,
                format: OutputFormat::Jsonl,
            },
            "all/gen=2/part-0000017-of-1000000.jsonl",
        ),
    ];
    for (object, path) in paths {
        assert_eq!(object.path(), path);
        assert_eq!(Object::parse(path), Some(object));
    }
}

#[test]
fn objects_lie_under_their_prefix() {
    let run = flights();
    let shard = ShardIndex(3);
    let attempt: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let (partition, generation) = (run.partition, run.generation);
    let staged = Object::Staged {
        run: run.clone(),
        shard,
        attempt: attempt.clone(),
        file: StagedName::Rejects,
    };
    let pairs = [
        (Prefix::Claims(partition), Object::Claim { partition, generation }),
        (Prefix::Finals(partition), Object::Final { partition, generation }),
        (Prefix::AllFinals, Object::Final { partition, generation }),
        (Prefix::Removals(partition), Object::Removal { partition, generation }),
        (Prefix::Run(run.clone()), Object::Epoch { run: run.clone(), number: 1 }),
        (Prefix::Epochs(run.clone()), Object::Epoch { run: run.clone(), number: 1 }),
        (Prefix::AllServed, Object::Served { name: run.name.clone() }),
        (Prefix::Records(run.clone()), Object::Record { run: run.clone(), shard }),
        (Prefix::Attempts(run.clone()), staged.clone()),
        (Prefix::ShardAttempts(run.clone(), shard), staged.clone()),
        (Prefix::Attempt(run.clone(), shard, attempt), staged),
        (Prefix::Visible(partition, generation), Object::Success { partition, generation }),
    ];
    for (prefix, object) in pairs {
        let path = object.path();
        let rest = path.strip_prefix(&format!("{}/", prefix.path()));
        let rest = rest.unwrap_or_else(|| panic!("{path} is not under {}", prefix.path()));
        assert_eq!(prefix.is_flat(), !rest.contains('/'), "{prefix:?}");
    }
}

#[test]
fn temporary_names_and_probes_are_told_from_strangers() {
    let temporary = "_nightshift/v1/finals/2013-01-31/g2.json#17";
    assert!(is_temporary(temporary));
    for path in ["#17", "notes#17", "_nightshift/v1/root.json#", "_nightshift/v1/root.json#1a"] {
        assert!(!is_temporary(path), "{path}");
    }
    let token: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let directory = probe_directory(&token);
    let (private, probe) = directory.rsplit_once('/').unwrap();
    assert_eq!(private, private_directory());
    assert!(is_probe_directory(probe) && !is_probe_directory("probe-mine"));
}

#[test]
fn strangers_are_not_taken_for_objects() {
    for path in [
        "",
        "/",
        "_nightshift/v1/root.json/",
        "_nightshift/v2/root.json",
        "_nightshift/v1/runs/flights-2013-01-31-g2/records/17.json",
        "_nightshift/v1/runs/flights-2013-01-31-g2/records/0000017.json#1",
        "_nightshift/v1/runs/flights-2013-01-31-g2/records/+000017.json",
        "_nightshift/v1/finals/2013-01-31/g02.json",
        "_nightshift/v1/claims/2013-02-30/g1.json",
        "date=2013-01-31/gen=0/_SUCCESS",
        "date=2013-01-31/gen=2/part-17-of-200.parquet",
        "date=2013-01-31/gen=2/part-00017-of-00200.exe",
        "date=../gen=2/_SUCCESS",
    ] {
        assert_eq!(Object::parse(path), None, "{path:?}");
    }
}
