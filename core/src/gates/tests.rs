use super::*;
use crate::conclusion::Tally;
use crate::ids::{Generation, Partition, ShardIndex};
use crate::plan::Plan;
use crate::record::{Record, Verdict};
use crate::rehearsal;
use crate::scores::Collector;

const RULES: &str = "
rows: equal
max_reject_ratio: 0.01
max_null_ratio: 0
mean_shift: { max: 0.5, unit: std }
quantile_shift: { quantiles: [0.5], max: 0.1, unit: relative }
";

fn rules(text: &str) -> Gates {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let spec = format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: flights }}\nspec:\n  \
         input: {{ uri: \"d/date={{date}}/*.parquet\", id: [id] }}\n  model: {{ uri: m }}\n  \
         task: {{ kind: tabular }}\n  output: {{ uri: out }}\n  gates:\n{indented}"
    );
    crate::spec::Spec::parse("spec.yaml", &spec).unwrap().gates.unwrap()
}

fn scores(values: &[f64]) -> Scores {
    let mut collector = Collector::new(["delay"]);
    collector.add(0, values, 0);
    collector.finish().unwrap()
}

fn gate(text: &str, reference: Option<&[f64]>) -> GatePlan {
    let run: RunId = "flights-2013-01-01-g1".parse().unwrap();
    let reference = reference.map(|values| Reference { run, scores: scores(values) });
    GatePlan { rules: rules(text), reference }
}

fn plan(gate: Option<GatePlan>, rows: u64, shards: u32) -> Plan {
    Plan { gate, ..rehearsal::plan(rows, shards) }
}

/// The record of a shard whose rows scored `values`; rows beyond them were rejected.
fn record(plan: &Plan, shard: u32, values: &[f64]) -> Record {
    let rows = plan.shard(ShardIndex(shard)).unwrap().rows();
    let mut record = rehearsal::record(plan, shard, rows - values.len() as u64, true);
    let Verdict::Committed(committed) = &mut record.verdict else { panic!("it is committed") };
    committed.scores = Some(scores(values));
    record
}

/// What the gate says of a run of one shard with these rows and values.
fn judged(gate: GatePlan, rows: u64, values: &[f64]) -> GateOutcome {
    let plan = plan(Some(gate), rows, 1);
    let mut tally = Tally::new(&plan);
    tally.add(ShardIndex(0), &record(&plan, 0, values)).unwrap();
    tally.finish().unwrap().gate.unwrap()
}

const BEFORE: [f64; 4] = [10.0, 20.0, 30.0, 40.0];

#[test]
fn what_is_like_before_passes() {
    let outcome = judged(gate(RULES, Some(&BEFORE)), 4, &[11.0, 21.0, 29.0, 41.0]);
    assert_eq!(outcome.verdict, GateVerdict::Passed, "{}", outcome.reasons());
    assert_eq!(outcome.reference.unwrap().to_string(), "flights-2013-01-01-g1");
    assert_eq!(outcome.checks.len(), 6);
}

/// One thing wrong at a time, and which rule says so.
#[test]
fn every_rule_withholds() {
    let cases: [(u64, &[f64], Rule); 5] = [
        (5, &BEFORE, Rule::Rows),
        (5, &BEFORE, Rule::RejectRatio),
        (4, &[10.0, 20.0, f64::NAN, 40.0], Rule::NullRatio),
        (4, &[10.0, 20.0, 30.0, 90.0], Rule::MeanShift),
        (4, &[10.0, 30.0, 30.0, 40.0], Rule::QuantileShift),
    ];
    for (rows, values, rule) in cases {
        let outcome = judged(gate(RULES, Some(&BEFORE)), rows, values);
        assert_eq!(outcome.verdict, GateVerdict::Withheld, "{rule:?}");
        let failed: Vec<Rule> = outcome.failed().map(|check| check.rule).collect();
        assert!(failed.contains(&rule), "{rule:?}: {failed:?}");
    }
}

#[test]
fn without_an_accepted_run_nothing_is_compared() {
    let outcome = judged(gate(RULES, None), 4, &[1e9, 1e9, -1e9, 0.0]);
    assert_eq!(outcome.verdict, GateVerdict::Passed, "{}", outcome.reasons());
    let notes = outcome.checks.iter().filter(|check| check.text.contains("accepted yet"));
    assert_eq!(notes.count(), 2);
}

#[test]
fn what_cannot_be_compared_is_withheld() {
    let constant = [5.0; 4];
    let std = "mean_shift: { max: 100, unit: std }";
    let outcome = judged(gate(std, Some(&constant)), 4, &[6.0; 4]);
    assert_eq!(outcome.verdict, GateVerdict::Withheld);
    assert_eq!(outcome.failed().next().unwrap().value, None);
    let same = judged(gate(std, Some(&constant)), 4, &constant);
    assert_eq!(same.verdict, GateVerdict::Passed, "{}", same.reasons());
    let named = "columns: { risk: { max_null_ratio: 0 } }";
    let lacking = judged(gate(named, Some(&BEFORE)), 4, &BEFORE);
    assert_eq!(lacking.reasons(), "the output has no numeric column `risk`");
}

#[test]
fn rules_of_a_column_go_before_those_of_all() {
    let text = "mean_shift: { max: 0.1 }\ncolumns: { delay: { mean_shift: { max: 5 } } }";
    let outcome = judged(gate(text, Some(&BEFORE)), 4, &[30.0, 40.0, 50.0, 60.0]);
    assert_eq!(outcome.verdict, GateVerdict::Passed, "{}", outcome.reasons());
}

#[test]
fn a_run_with_a_hole_is_never_published_by_itself() {
    let plan = plan(Some(gate("rows: { min_ratio: 0 }", None)), 4, 2);
    let mut tally = Tally::new(&plan);
    tally.add(ShardIndex(0), &record(&plan, 0, &[1.0, 2.0])).unwrap();
    let lost = rehearsal::record(&plan, 1, 0, false);
    tally.add(ShardIndex(1), &lost).unwrap();
    let verdict = tally.finish().unwrap();
    assert!(verdict.is_withheld());
    assert!(!verdict.waits_for_approval(), "it is run again, not approved");
}

#[test]
fn the_canary_is_judged_alone_and_may_stray_further() {
    let text = "mean_shift: { max: 0.5, unit: std }\ncanary: { shift_factor: 2 }";
    let plan = plan(Some(gate(text, Some(&BEFORE))), 12, 3);
    assert_eq!(canary(&plan, None), Canary::Awaited(ShardIndex(1)));
    // A deviation is 11.2: 8 away is more than a half of it and less than a whole one.
    let strays = record(&plan, 1, &[18.0, 28.0, 38.0, 48.0]);
    assert_eq!(canary(&plan, Some(&strays)), Canary::Passed);
    let fails = record(&plan, 1, &[110.0, 120.0, 130.0, 140.0]);
    let Canary::Failed { message } = canary(&plan, Some(&fails)) else { panic!("it is far off") };
    assert!(message.contains("canary shard 1 failed the gate: the mean of `delay`"), "{message}");
}

#[test]
fn without_a_gate_there_is_no_canary_and_no_outcome() {
    let plan = plan(None, 4, 1);
    assert_eq!(canary(&plan, None), Canary::None);
    let mut tally = Tally::new(&plan);
    tally.add(ShardIndex(0), &record(&plan, 0, &BEFORE)).unwrap();
    assert_eq!(tally.finish().unwrap().gate, None);
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("gate"), "plans without a gate are as they were: {text}");
}

#[test]
fn references_are_asked_from_the_same_date_backwards() {
    let date = |text: &str| Partition::Date(text.parse().unwrap());
    let generation = |n| Generation::new(n).unwrap();
    let all = [
        (date("2013-01-05"), generation(1)),
        (date("2013-01-01"), generation(1)),
        (date("2013-01-03"), generation(1)),
        (date("2013-01-03"), generation(2)),
        (date("2013-01-02"), generation(1)),
    ];
    let order = preferred_references(date("2013-01-03"), all);
    let order: Vec<String> =
        order.iter().map(|(partition, n)| format!("{partition}.{}", n.get())).collect();
    let expected = ["2013-01-03.2", "2013-01-03.1", "2013-01-02.1", "2013-01-01.1", "2013-01-05.1"];
    assert_eq!(order, expected);
}

#[test]
fn impossible_rules_are_refused_with_their_place() {
    let parse = |text: &str| {
        let spec = format!(
            "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: a }}\nspec:\n  \
             input: {{ uri: d, id: [id] }}\n  model: {{ uri: m }}\n  task: {{ kind: tabular }}\n  \
             output: {{ uri: out }}\n  gates: {text}"
        );
        crate::spec::Spec::parse("spec.yaml", &spec)
    };
    for (text, field) in [
        ("{ rows: most }", "spec.gates.rows"),
        ("{ rows: { min_ratio: 2 } }", "spec.gates.rows"),
        ("{ max_reject_ratio: 1.5 }", "spec.gates.max_reject_ratio"),
        ("{ mean_shift: { max: -1 } }", "spec.gates.mean_shift.max"),
        ("{ mean_shift: { max: 1, unit: sigma } }", "spec.gates.mean_shift.unit"),
        ("{ quantile_shift: { max: 1, quantiles: [2] } }", "spec.gates.quantile_shift.quantiles"),
        ("{ columns: { a: { max_null_ratio: 7 } } }", "spec.gates.columns.a.max_null_ratio"),
        ("{ canary: { shift_factor: 0 } }", "spec.gates.canary.shift_factor"),
        ("{ mean_shfit: { max: 1 } }", "spec.gates.mean_shfit"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.line > 1, "{error}");
    }
    assert!(parse("{ canary: true }").unwrap().gates.unwrap().canary.is_some());
    assert!(parse("{ canary: false }").unwrap().gates.unwrap().canary.is_none());
}
