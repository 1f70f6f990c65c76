use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;
use crate::conclusion::Tally;
use crate::ids::Digest;
use crate::layout::{Object, Prefix, StagedName};
use crate::plan::{
    Column, Lineage, LineageTarget, ModelIdentity, OutputFormat, Plan, Reporting, Webhook,
};
use crate::record::{Committed, FailureClass, Overhead, Quarantined, StoredFile, Timing};
use crate::rehearsal;
use crate::scores::{Collector, Scores};

/// A plan of `shards` shards of ten rows.
pub(crate) fn plan(shards: u32) -> Plan {
    let plan = rehearsal::plan(u64::from(shards) * 10, shards.max(1));
    let model = ModelIdentity {
        uri: "/models/delay".into(),
        version: Some("v3".into()),
        ..plan.model.clone()
    };
    Plan { model, reporting: Some(reporting()), ..plan }
}

/// A plan's wish to tell everybody.
pub(crate) fn reporting() -> Reporting {
    Reporting {
        input: "/data/date=2013-01-01/*.parquet".into(),
        output: "/out".into(),
        folder: Some("/reports".into()),
        webhook: Some(Webhook {
            url: crate::endpoint::Endpoint::parse("https://example.com/hook").unwrap(),
            secret_env: None,
        }),
        lineage: Some(Lineage {
            target: LineageTarget::File("/lineage.jsonl".into()),
            namespace: "flights".into(),
            columns: vec![Column { name: "distance".into(), kind: "Int64".into() }],
        }),
    }
}

/// Statistics of the eight predictions of a shard: a step up with each.
fn scores(shard: u32) -> Scores {
    let mut collector = Collector::new(["delay"]);
    let values: Vec<f64> = (0..8).map(|row| f64::from(shard * 8 + row) / 10.0).collect();
    collector.add(0, &values, 0);
    collector.finish().unwrap()
}

/// A record of a shard that took `seconds`; nothing of them where it was given up.
pub(crate) fn record(plan: &Plan, shard: u32, seconds: f64, committed: bool) -> Record {
    let shard = ShardIndex(shard);
    let attempt: crate::ids::AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let file = StagedName::Data(OutputFormat::Parquet);
    let staged = Object::Staged { run: plan.run.clone(), shard, attempt: attempt.clone(), file };
    let output = StoredFile {
        staged,
        visible: Object::part(plan, shard),
        size_bytes: 100,
        sha256: Digest([3; 32]),
    };
    let overhead = Overhead { load_s: 0.5, lost_s: 0.25, idle_s: 0.125 };
    let verdict = if committed {
        Verdict::Committed(Box::new(Committed {
            rows_in: 10,
            rows_out: 8,
            rows_rejected: 2,
            rejects_by_reason: BTreeMap::from([
                ("bad_value".to_owned(), 1),
                ("unknown_category".to_owned(), 1),
            ]),
            rows_cut: u64::from(shard.0),
            output,
            rejects: None,
            model_digest: plan.model.digest,
            timing: Timing {
                read_s: seconds / 2.0,
                infer_s: seconds / 4.0,
                write_s: seconds / 4.0,
                overhead: Some(overhead),
            },
            scores: Some(scores(shard.0)),
        }))
    } else {
        Verdict::Quarantined(Quarantined {
            class: FailureClass::Data,
            reason: "rejects_over_budget".into(),
            message: "10 of 10 rows were rejected, 2 are allowed".into(),
            attempts: 1,
        })
    };
    Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard,
        attempt,
        worker: format!("host:{}", shard.0 % 3),
        decided_at: plan.planned_at + SignedDuration::from_secs(1 + i64::from(shard.0)),
        inherited_from: None,
        verdict,
    }
}

/// The full report of a run whose records are `records`.
pub(crate) fn study(plan: &Plan, records: impl IntoIterator<Item = Record>) -> FullReport {
    let (mut study, mut tally) = (Study::new(plan), Tally::new(plan));
    for record in records {
        study.add(&record);
        tally.add(record.shard, &record).unwrap();
    }
    let output = Prefix::Visible(plan.run.partition, plan.run.generation).path();
    study.finish(Report::new(plan, tally.finish().unwrap(), output))
}

/// Four shards: one slow, one taken over, one given up.
pub(crate) fn partial() -> FullReport {
    let plan = plan(4);
    let mut kept = record(&plan, 2, 7.0, true);
    kept.inherited_from = Some("flights-2013-01-01-g9".parse().unwrap());
    let records = [record(&plan, 0, 1.0, true), record(&plan, 1, 3.0, true), kept];
    study(&plan, records.into_iter().chain([record(&plan, 3, 0.0, false)]))
}

#[test]
fn what_counts_is_told_from_what_does_not() {
    let report = partial();
    let effort = report.effort;
    assert_eq!((effort.useful_s, effort.retry_s, effort.load_s), (4.0, 0.5, 1.0));
    assert_eq!((effort.idle_s, effort.accounted), (0.25, 2));
    let times = &report.shards;
    assert_eq!((times.scored, times.median_s, times.p95_s, times.longest_s), (2, 1.0, 3.0, 3.0));
    let marks: Vec<_> = times.bars.iter().map(|b| (b.scored, b.inherited, b.quarantined)).collect();
    assert_eq!(marks, [(1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]);
    assert_eq!(times.slowest[0].shard, ShardIndex(1));
    assert_eq!(report.workers, 2);
    let useful = report.report.verdict.totals;
    assert_eq!(useful.read_s + useful.infer_s + useful.write_s, effort.useful_s);
}

#[test]
fn a_record_may_claim_any_span() {
    let plan = plan(3);
    let records = [f64::NAN, f64::NEG_INFINITY, 2.0];
    let records = (0..).zip(records).map(|(shard, seconds)| record(&plan, shard, seconds, true));
    let report = study(&plan, records);
    assert_eq!(report.effort.useful_s, 2.0);
    assert_eq!(report.shards.longest_s, 2.0);
}

#[test]
fn a_million_shards_make_a_bounded_report() {
    const SHARDS: u32 = crate::plan::SHARDS_MAX;
    let plan = plan(SHARDS);
    let mut study = Study::new(&plan);
    let mut record = record(&plan, 0, 1.0, true);
    for shard in 0..SHARDS {
        record.shard = ShardIndex(shard);
        if let Verdict::Committed(committed) = &mut record.verdict {
            committed.timing.read_s = f64::from(shard) / 1e6;
        }
        record.worker = format!("host-{}:1", shard / 50);
        study.add(&record);
    }
    assert!(study.seconds.capacity() * size_of::<f32>() <= 8 << 20);
    let partial = partial();
    let report = study.finish(partial.report);
    assert!(report.shards.bars.len() <= BARS_MAX as usize);
    assert_eq!(report.shards.bars.iter().map(|bar| u64::from(bar.scored)).sum::<u64>(), 1_000_000);
    assert!((report.shards.median_s - 1.0).abs() < 1e-3, "{}", report.shards.median_s);
    assert_eq!(report.shards.slowest.len(), SLOWEST_SHOWN);
    assert_eq!(report.shards.slowest[0].shard, ShardIndex(SHARDS - 1));
    assert_eq!(report.workers, WORKERS_MAX as u64);
    let page = crate::report::page::page(&report, None);
    assert!(page.len() < 200 << 10, "{} bytes", page.len());
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.len() < 100 << 10, "{} bytes", json.len());
}

#[test]
fn quantiles_are_of_the_nearest_rank() {
    let values = || [5.0, 1.0, 3.0, 2.0, 4.0];
    let quantiles = [0.0, 0.2, 0.5, 0.95, 1.0].map(|share| quantile(&mut values(), share));
    assert_eq!(quantiles, [1.0, 1.0, 3.0, 5.0, 5.0]);
    assert_eq!(quantile(&mut [], 0.5), 0.0);
}

#[test]
fn records_of_earlier_releases_say_nothing_of_texts_that_were_cut() {
    let plan = plan(2);
    let json = |shard| serde_json::to_string(&record(&plan, shard, 1.0, true)).unwrap();
    assert!(!json(0).contains("rows_cut") && json(1).contains("\"rows_cut\":1"));
    let old: Record = serde_json::from_str(&json(0)).unwrap();
    assert_eq!(old.committed().unwrap().rows_cut, 0);
    let new: Record = serde_json::from_str(&json(1)).unwrap();
    assert_eq!(study(&plan, [old, new]).rows_cut, 1);
}
