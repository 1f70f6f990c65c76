use proptest::prelude::*;

use super::*;
use crate::ids::{AttemptId, Digest};
use crate::layout::{Object, StagedName};
use crate::plan::{ModelIdentity, OutputFormat, Sharding, TaskSettings, cut};
use crate::record::{Committed, Quarantined, StoredFile, Timing};

fn plan(rows: u64, shards: u32) -> Plan {
    Plan {
        version: Plan::VERSION,
        run: "flights-2013-01-01-g1".parse().unwrap(),
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        fingerprint: Digest([1; 32]),
        model: ModelIdentity {
            uri: "/m".into(),
            version: None,
            digest: Digest([2; 32]),
            files: Vec::new(),
        },
        task: TaskSettings {
            kind: "tabular".into(),
            id: vec!["id".into()],
            keep: Vec::new(),
            output_format: OutputFormat::Parquet,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 4,
        },
        inputs: Vec::new(),
        rows,
        shards: cut(&[rows], Sharding::Count(shards)).unwrap(),
        inherits: None,
    }
}

fn record(plan: &Plan, shard: u32, rejected: u64, committed: bool) -> Record {
    let shard = ShardIndex(shard);
    let rows = plan.shard(shard).unwrap().rows();
    let rejected = rejected.min(rows);
    let attempt: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let output = StoredFile {
        staged: Object::Staged {
            run: plan.run.clone(),
            shard,
            attempt: attempt.clone(),
            file: StagedName::Data(OutputFormat::Parquet),
        },
        visible: Object::part(plan, shard),
        size_bytes: 10,
        sha256: Digest([3; 32]),
    };
    let verdict = if committed {
        Verdict::Committed(Box::new(Committed {
            rows_in: rows,
            rows_out: rows - rejected,
            rows_rejected: rejected,
            rejects_by_reason: BTreeMap::from([("bad_value".to_owned(), rejected)]),
            output,
            rejects: None,
            model_digest: plan.model.digest,
            timing: Timing::default(),
        }))
    } else {
        Verdict::Quarantined(Quarantined {
            class: FailureClass::Data,
            reason: "r".into(),
            message: "m".into(),
            attempts: 1,
        })
    };
    Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard,
        attempt,
        worker: "w".into(),
        decided_at: plan.planned_at,
        inherited_from: None,
        verdict,
    }
}

proptest! {
    /// I1 over a run: rows in = rows out + rejected + quarantined; and the final exists exactly
    /// when every shard is decided, whatever the order in which records were seen.
    #[test]
    fn every_row_has_one_place(
        shards in prop::collection::vec((0_u64..5, any::<bool>(), any::<bool>()), 1..30),
        rows in 30_u64..500,
    ) {
        let plan = plan(rows, shards.len() as u32);
        let mut records = BTreeMap::new();
        for (shard, (rejected, committed, present)) in shards.iter().enumerate() {
            if *present {
                let shard = shard as u32;
                records.insert(ShardIndex(shard), record(&plan, shard, *rejected, *committed));
            }
        }
        match Final::conclude(&plan, &records) {
            Ok(verdict) => {
                prop_assert!(shards.iter().all(|(_, _, present)| *present));
                let t = &verdict.totals;
                prop_assert_eq!(t.rows_in, t.rows_out + t.rows_rejected + t.rows_quarantined);
                prop_assert_eq!(t.shards, t.committed + t.quarantined);
                prop_assert_eq!(verdict.state == FinalState::Succeeded, t.quarantined == 0);
                prop_assert_eq!(verdict.state == FinalState::Failed, t.committed == 0);
                let json = serde_json::to_string(&verdict).unwrap();
                prop_assert_eq!(serde_json::from_str::<Final>(&json).unwrap(), verdict);
            }
            Err(NotConcluded::Undecided { undecided, .. }) => {
                let missing = shards.iter().filter(|(_, _, present)| !present).count() as u64;
                prop_assert_eq!(undecided, missing);
                prop_assert!(missing > 0);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_record_that_loses_or_invents_rows_is_refused() {
    let plan = plan(100, 4);
    for (rows_in, rows_out, rejected) in [(25, 24, 0), (25, 25, 1), (24, 24, 0), (25, 0, u64::MAX)]
    {
        let mut bad = record(&plan, 0, 0, true);
        if let Verdict::Committed(c) = &mut bad.verdict {
            (c.rows_in, c.rows_out, c.rows_rejected) = (rows_in, rows_out, rejected);
        }
        assert!(bad.check(&plan, ShardIndex(0)).is_err(), "{rows_in} {rows_out} {rejected}");
    }
    let good = record(&plan, 0, 3, true);
    assert_eq!(good.check(&plan, ShardIndex(0)), Ok(()));
    assert!(good.check(&plan, ShardIndex(1)).is_err(), "a record of another shard");
    let mut other_model = good;
    if let Verdict::Committed(c) = &mut other_model.verdict {
        c.model_digest = Digest([9; 32]);
    }
    assert!(other_model.check(&plan, ShardIndex(0)).is_err());
}
