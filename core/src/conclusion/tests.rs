use proptest::prelude::*;

use super::*;
use crate::ids::Digest;
use crate::plan::{Plan, Shard};
use crate::record::{Timing, Verdict};
use crate::rehearsal::{plan, record};
use crate::scores::Collector;

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

/// What [`Final::conclude`] was before it counted one record at a time: the definition.
fn all_at_once(plan: &Plan, records: &BTreeMap<ShardIndex, Record>) -> Result<Final, NotConcluded> {
    let missing: Vec<_> = plan.indexes().filter(|shard| !records.contains_key(shard)).collect();
    if let Some(first) = missing.first() {
        return Err(NotConcluded::Undecided {
            undecided: missing.len() as u64,
            shards: plan.shard_count().into(),
            first: *first,
        });
    }
    for (&shard, record) in records {
        record.check(plan, shard).map_err(|source| NotConcluded::Invalid { shard, source })?;
    }
    let rows = |shard: &ShardIndex| plan.shard(*shard).map_or(0, Shard::rows);
    let given_up = || {
        records.iter().filter_map(|(shard, record)| match &record.verdict {
            Verdict::Quarantined(q) => Some((*shard, q)),
            Verdict::Committed(_) => None,
        })
    };
    let committed = || records.values().filter_map(|r| Some((r, r.committed()?)));
    let own = || committed().filter(|(r, _)| r.inherited_from.is_none()).map(|(_, c)| c.timing);
    let mut totals = Totals {
        shards: plan.shard_count().into(),
        committed: committed().count() as u64,
        quarantined: given_up().count() as u64,
        inherited: committed().filter(|(r, _)| r.inherited_from.is_some()).count() as u64,
        rows_in: plan.rows,
        rows_out: committed().map(|(_, c)| c.rows_out).sum(),
        rows_rejected: committed().map(|(_, c)| c.rows_rejected).sum(),
        rows_quarantined: given_up().map(|(shard, _)| rows(&shard)).sum(),
        rejects_by_reason: BTreeMap::new(),
        output_bytes: committed().map(|(_, c)| c.output.size_bytes).sum(),
        read_s: own().fold(0.0, |sum, t| sum + t.read_s),
        infer_s: own().fold(0.0, |sum, t| sum + t.infer_s),
        write_s: own().fold(0.0, |sum, t| sum + t.write_s),
    };
    for (reason, count) in committed().flat_map(|(_, c)| &c.rejects_by_reason) {
        *totals.rejects_by_reason.entry(reason.clone()).or_default() += count;
    }
    Ok(Final {
        version: Final::VERSION,
        run: plan.run.clone(),
        state: match (totals.committed, totals.quarantined) {
            (_, 0) => FinalState::Succeeded,
            (0, _) => FinalState::Failed,
            _ => FinalState::Partial,
        },
        fingerprint: plan.fingerprint,
        model_digest: plan.model.digest,
        planned_at: plan.planned_at,
        decided_at: records.values().map(|r| r.decided_at).fold(plan.planned_at, Timestamp::max),
        totals,
        quarantined: given_up()
            .take(QUARANTINED_SHOWN_MAX)
            .map(|(shard, q)| QuarantinedShard {
                shard,
                rows: rows(&shard),
                class: q.class,
                reason: q.reason.clone(),
                message: q.message.clone(),
            })
            .collect(),
        scores: None,
        gate: None,
    })
}

/// One record as a test draws it: rejected rows, whether it is committed, present, inherited,
/// lies about its rows, and its clock and timing.
type Drawn = (u64, bool, bool, bool, bool, (i64, f64));

fn drawn() -> impl Strategy<Value = Drawn> {
    let often = |p| prop::bool::weighted(p);
    let clock = (-1_000_i64..1_000, 0.0..100.0_f64);
    (0_u64..5, often(0.8), often(0.98), any::<bool>(), often(0.01), clock)
}

fn draw(plan: &Plan, shard: u32, drawn: Drawn) -> Record {
    let (rejected, committed, _, inherited, lies, (seconds, spent)) = drawn;
    let mut record = record(plan, shard, rejected, committed);
    record.decided_at += jiff::SignedDuration::from_secs(seconds);
    record.inherited_from = inherited.then(|| "flights-2013-01-01-g9".parse().unwrap());
    if let Verdict::Committed(c) = &mut record.verdict {
        c.timing =
            Timing { read_s: spent, infer_s: spent / 3.0, write_s: spent / 7.0, overhead: None };
        c.rows_in += u64::from(lies);
        c.rejects_by_reason.insert(format!("reason {}", shard % 3), u64::from(shard));
    }
    record
}

proptest! {
    /// Counting one record at a time gives the same bytes, or the same refusal, as before.
    #[test]
    fn a_tally_says_what_all_records_together_say(
        drawn in prop::collection::vec(drawn(), 1..60),
        stray in prop::option::weighted(0.05, 0_u32..100),
        rows in 60_u64..500,
    ) {
        let plan = plan(rows, drawn.len() as u32);
        let present = (0..).zip(&drawn).filter(|(_, drawn)| drawn.2);
        let mut records: BTreeMap<_, _> = present
            .map(|(shard, drawn)| (ShardIndex(shard), draw(&plan, shard, *drawn)))
            .collect();
        if let Some(stray) = stray {
            records.entry(ShardIndex(stray)).or_insert_with(|| record(&plan, 0, 0, true));
        }
        let expected = all_at_once(&plan, &records);
        let json = |verdict: &Final| serde_json::to_string(verdict).unwrap();
        let concluded = Final::conclude(&plan, &records);
        prop_assert_eq!(
            concluded.as_ref().map(json).map_err(Clone::clone),
            expected.as_ref().map(json).map_err(Clone::clone)
        );
        // Counted without a look ahead: a gap is found too, in the end.
        let mut tally = Tally::new(&plan);
        let counted = records.iter().try_for_each(|(shard, record)| tally.add(*shard, record));
        match counted {
            Ok(()) => prop_assert_eq!(tally.finish(), expected),
            Err(refused) => {
                let invalid = matches!(refused, NotConcluded::Invalid { .. });
                prop_assert!(invalid, "{}", refused);
            }
        }
    }
}

#[test]
fn the_order_of_records_cannot_change_the_final() {
    let plan = plan(100, 4);
    let record = |shard| record(&plan, shard, 0, true);
    let mut tally = Tally::new(&plan);
    assert_eq!(tally.add(ShardIndex(2), &record(2)), Ok(()));
    for shard in [0, 1, 2] {
        let shard = ShardIndex(shard);
        assert_eq!(tally.add(shard, &record(shard.0)), Err(NotConcluded::OutOfOrder { shard }));
    }
    assert_eq!(tally.add(ShardIndex(3), &record(3)), Ok(()));
    let first = ShardIndex(0);
    let undecided = NotConcluded::Undecided { undecided: 2, shards: 4, first };
    assert_eq!(tally.finish(), Err(undecided));
}

#[test]
fn records_that_claim_absurd_numbers_do_not_overflow() {
    let plan = plan(2, 2);
    let mut tally = Tally::new(&plan);
    for shard in 0..2 {
        let mut absurd = record(&plan, shard, 0, true);
        if let Verdict::Committed(c) = &mut absurd.verdict {
            c.output.size_bytes = u64::MAX;
            c.rejects_by_reason.insert("bad_value".into(), u64::MAX);
        }
        tally.add(ShardIndex(shard), &absurd).unwrap();
    }
    let totals = tally.finish().unwrap().totals;
    assert_eq!(totals.output_bytes, u64::MAX);
    assert_eq!(totals.rejects_by_reason["bad_value"], u64::MAX);
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

#[test]
fn the_statistics_of_the_run_are_those_of_its_committed_shards() {
    let plan = plan(3, 3);
    let scores = |values: &[f64]| {
        let mut collector = Collector::new(["delay"]);
        collector.add(0, values, 0);
        collector.finish()
    };
    let mut records: BTreeMap<ShardIndex, Record> =
        (0..3).map(|n| (ShardIndex(n), record(&plan, n, 0, n < 2))).collect();
    for (shard, value) in [(0, 1.5), (1, -4.0)] {
        let Some(Record { verdict: Verdict::Committed(committed), .. }) =
            records.get_mut(&ShardIndex(shard))
        else {
            panic!("shard {shard} is committed");
        };
        committed.scores = scores(&[value]);
    }
    let verdict = Final::conclude(&plan, &records).unwrap();
    assert_eq!(verdict.scores, scores(&[1.5, -4.0]));

    let Verdict::Committed(first) = &mut records.get_mut(&ShardIndex(0)).unwrap().verdict else {
        panic!("shard 0 is committed");
    };
    first.scores = scores(&[1.0, 2.0]);
    let refused = Final::conclude(&plan, &records).unwrap_err();
    let source = InvalidRecord::Scores { column: "delay".into(), found: 2, rows_out: 1 };
    assert_eq!(refused, NotConcluded::Invalid { shard: ShardIndex(0), source });
}
