use futures::TryStreamExt;
use futures::future::join_all;
use nightshift_core::decide::Decision;
use nightshift_core::gates::{GatePlan, Gates, RowsRule, ScoreRules};
use nightshift_core::ids::ShardIndex;
use nightshift_core::layout::Prefix;
use nightshift_core::plan::Plan;
use nightshift_core::scores::{Collector, Scores};
use proptest::prelude::*;

use super::*;
use crate::concluding::conclude_stored;
use crate::opening::decision_for;
use crate::rehearsal::{Stage, give_up, open, opener, partition, plan, work};
use crate::root::Reader;
use crate::verifying::verify_run;

const SHARDS: u32 = 3;

/// A gate that these runs pass.
fn open_gate() -> Gates {
    Gates { rows: Some(RowsRule::Equal), ..Gates::default() }
}

/// A gate that they do not: their output has no number to look at.
fn closed_gate() -> Gates {
    Gates {
        scores: ScoreRules { max_null_ratio: Some(0.0), ..ScoreRules::default() },
        ..Gates::default()
    }
}

fn gated(rules: Gates) -> Plan {
    Plan { gate: Some(GatePlan { rules, reference: None }), ..plan(SHARDS, 1) }
}

async fn scored(root: &Probed, rules: Gates) -> Plan {
    let run = open(root, &opener("a"), gated(rules)).await.plan;
    for shard in 0..SHARDS {
        work(root, &run, shard, true).await;
    }
    (*run).clone()
}

fn asked(plan: &Plan, judgement: Judgement) -> Asked {
    Asked {
        run: plan.run.clone(),
        judgement,
        who: format!("somebody who says {judgement}"),
        now: plan.planned_at,
        reason: "because".to_owned(),
    }
}

/// Names of what readers see.
async fn visible(root: &Reader) -> Vec<String> {
    let run = plan(SHARDS, 1).run;
    let listed = root.list(&Prefix::Visible(run.partition, run.generation));
    let mut names: Vec<String> = listed.map_ok(|listed| listed.path).try_collect().await.unwrap();
    names.sort();
    names
}

async fn is_whole(root: &Reader, run: &Plan) -> bool {
    let names = visible(root).await;
    let (partition, generation) = (run.partition(), run.generation());
    let success = Object::Success { partition, generation }.path();
    names.len() == SHARDS as usize + 1 && names.contains(&success)
}

#[tokio::test]
async fn what_passes_is_published_after_the_final() {
    let stage = Stage::new().await;
    let run = scored(&stage.root, open_gate()).await;
    assert_eq!(visible(&stage.root).await, [""; 0], "nothing is seen before the verdict");
    let report = conclude_stored(&stage.root, &run).await.unwrap();
    assert!(!report.verdict.is_withheld());
    assert!(is_whole(&stage.root, &run).await);
    assert!(verify_run(&stage.root, &run.run).await.unwrap().passed());
}

#[tokio::test]
async fn what_is_withheld_is_seen_only_after_an_approval() {
    let stage = Stage::new().await;
    let run = scored(&stage.root, closed_gate()).await;
    let report = conclude_stored(&stage.root, &run).await.unwrap();
    assert!(report.verdict.waits_for_approval());
    assert_eq!(visible(&stage.root).await, [""; 0]);
    let generation = run.generation();
    let decision = async || decision_for(&stage.root, partition(), false).await.unwrap();
    assert_eq!(decision().await, Decision::Withheld(generation));
    assert!(verify_run(&stage.root, &run.run).await.unwrap().passed());

    let judged = judge(&stage.root, asked(&run, Judgement::Approved)).await.unwrap();
    assert!(judged.first);
    assert!(is_whole(&stage.root, &run).await);
    assert_eq!(decision().await, Decision::Done(generation));
    let another = Asked { who: "another".to_owned(), ..asked(&run, Judgement::Approved) };
    let again = judge(&stage.root, another).await.unwrap();
    assert_eq!((again.first, again.approval), (false, judged.approval));
    let other = judge(&stage.root, asked(&run, Judgement::Rejected)).await.unwrap_err();
    assert!(matches!(other, JudgeError::DecidedOtherwise { .. }), "{other}");
    assert!(verify_run(&stage.root, &run.run).await.unwrap().passed());
}

#[tokio::test]
async fn what_is_rejected_is_neither_seen_nor_run_again() {
    let stage = Stage::new().await;
    let run = scored(&stage.root, closed_gate()).await;
    conclude_stored(&stage.root, &run).await.unwrap();
    judge(&stage.root, asked(&run, Judgement::Rejected)).await.unwrap();
    assert_eq!(visible(&stage.root).await, [""; 0]);
    let rejected = decision_for(&stage.root, partition(), false).await.unwrap();
    assert_eq!(rejected, Decision::Rejected(run.generation()));
    assert!(verify_run(&stage.root, &run.run).await.unwrap().passed());
}

#[tokio::test]
async fn there_is_nothing_to_decide_about_other_runs() {
    let stage = Stage::new().await;
    let run = scored(&stage.root, open_gate()).await;
    let approve = || judge(&stage.root, asked(&run, Judgement::Approved));
    assert!(matches!(approve().await, Err(JudgeError::NoVerdict { .. })));
    conclude_stored(&stage.root, &run).await.unwrap();
    assert!(matches!(approve().await, Err(JudgeError::NotWithheld { .. })));

    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), gated(closed_gate())).await.plan;
    work(&stage.root, &run, 0, true).await;
    give_up(&stage.root, &run, 1).await;
    give_up(&stage.root, &run, 2).await;
    conclude_stored(&stage.root, &*run).await.unwrap();
    let refused = judge(&stage.root, asked(&run, Judgement::Approved)).await;
    assert!(matches!(refused, Err(JudgeError::Incomplete { given_up: 2, .. })), "{refused:?}");
    assert_eq!(visible(&stage.root).await, [""; 0], "a part of a run is not seen either");
}

#[tokio::test]
async fn a_death_between_two_steps_is_made_good_by_whoever_comes_next() {
    // After the final, before the files.
    let stage = Stage::new().await;
    let run = scored(&stage.root, open_gate()).await;
    let records = stage.root.records(&run.run, run.indexes()).await.unwrap();
    let verdict = Final::conclude(&run, &records).unwrap();
    let (partition, generation) = (run.partition(), run.generation());
    let _ = stage.root.create_once(&Object::Final { partition, generation }, &verdict).await;
    assert_eq!(visible(&stage.root).await, [""; 0]);
    complete(&stage.another().await, &run, verdict).await.unwrap();
    assert!(is_whole(&stage.root, &run).await);

    // After the approval, before the files; and after one file of them.
    let stage = Stage::new().await;
    let run = scored(&stage.root, closed_gate()).await;
    let verdict = conclude_stored(&stage.root, &run).await.unwrap().verdict;
    let Asked { run: name, judgement, who, now, reason } = asked(&run, Judgement::Approved);
    let (version, decided_by, decided_at) = (Approval::VERSION, who, now);
    let approval = Approval { version, run: name, judgement, decided_by, decided_at, reason };
    let _ = stage.root.create_once(&Object::Approval { partition, generation }, &approval).await;
    assert_eq!(visible(&stage.root).await, [""; 0]);
    assert!(!verify_run(&stage.root, &run.run).await.unwrap().passed(), "it is half published");
    complete(&stage.root, &run, verdict).await.unwrap();
    assert!(is_whole(&stage.root, &run).await);
    let part = stage.root.path_of(&Object::part(&run, ShardIndex(1)));
    std::fs::remove_file(part).unwrap();
    judge(&stage.another().await, asked(&run, Judgement::Approved)).await.unwrap();
    assert!(is_whole(&stage.root, &run).await);
}

#[tokio::test]
async fn of_racing_decisions_one_counts_and_the_others_are_told() {
    for _ in 0..8 {
        let stage = Stage::new().await;
        let run = scored(&stage.root, closed_gate()).await;
        let concluded = join_all(
            (0..4).map(async |_| conclude_stored(&stage.another().await, &run).await.unwrap()),
        );
        let reports = concluded.await;
        assert!(reports.iter().all(|report| *report == reports[0]));
        let racing = (0..8).map(|n| {
            let says = if n % 2 == 0 { Judgement::Approved } else { Judgement::Rejected };
            let (stage, run) = (&stage, &run);
            // The same words by the same person would be one decision.
            let asked = Asked { who: format!("person {n}"), ..asked(run, says) };
            async move { (says, judge(&stage.another().await, asked).await) }
        });
        let answers = join_all(racing).await;
        let first = answers.iter().filter(|(_, a)| a.as_ref().is_ok_and(|judged| judged.first));
        let winners: Vec<Judgement> = first.map(|(says, _)| *says).collect();
        assert_eq!(winners.len(), 1, "one is the first");
        for (says, answer) in &answers {
            match answer {
                Ok(judged) => assert_eq!(judged.approval.judgement, *says),
                Err(JudgeError::DecidedOtherwise { approval, .. }) => {
                    assert_eq!(approval.judgement, winners[0]);
                    assert_ne!(*says, winners[0]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        let approved = winners == [Judgement::Approved];
        assert_eq!(is_whole(&stage.root, &run).await, approved);
        assert_eq!(visible(&stage.root).await.is_empty(), !approved);
    }
}

fn scores(value: f64) -> Scores {
    let mut collector = Collector::new(["n"]);
    collector.add(0, &[value], 0);
    collector.finish().unwrap()
}

#[tokio::test]
async fn a_plan_pins_the_last_run_that_was_accepted() {
    let stage = Stage::new().await;
    // Two days before a run that passed, one day before one that was withheld.
    for (date, value, withheld) in [("2013-01-29", 1.0, false), ("2013-01-30", 2.0, true)] {
        let mut other = gated(if withheld { closed_gate() } else { open_gate() });
        other.run.partition = date.parse().unwrap();
        let template = scored(&Stage::new().await.root, open_gate()).await;
        let records = async {
            let elsewhere = Stage::new().await;
            let run = scored(&elsewhere.root, open_gate()).await;
            elsewhere.root.records(&run.run, run.indexes()).await.unwrap()
        };
        let mut verdict = Final::conclude(&template, &records.await).unwrap();
        verdict.run = other.run.clone();
        verdict.scores = Some(scores(value));
        if withheld {
            let gate = verdict.gate.as_mut().unwrap();
            gate.verdict = nightshift_core::gates::GateVerdict::Withheld;
        }
        let (partition, generation) = (other.partition(), other.generation());
        let _ = stage.root.create_once(&Object::Final { partition, generation }, &verdict).await;
    }
    let run = open(&stage.root, &opener("a"), gated(open_gate())).await.plan;
    let reference = run.gate.clone().unwrap().reference.unwrap();
    assert_eq!(reference.run.to_string(), "numbers-2013-01-29-g1");
    assert_eq!(reference.scores, scores(1.0));
}

/// Something that somebody does, at any time and in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Work(u32),
    Conclude,
    Judge(Judgement),
    LookAndComplete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SHARDS).prop_map(Step::Work),
        2 => Just(Step::Conclude),
        1 => Just(Step::Judge(Judgement::Approved)),
        1 => Just(Step::Judge(Judgement::Rejected)),
        1 => Just(Step::LookAndComplete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// I6 with a gate: a visible file is seen only of a run that was accepted, and `_SUCCESS` only
    /// beside all of them.
    #[test]
    fn nothing_is_seen_that_was_not_accepted(
        passes in any::<bool>(),
        steps in prop::collection::vec(step(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let stage = Stage::new().await;
            let rules = if passes { open_gate() } else { closed_gate() };
            let run = open(&stage.root, &opener("a"), gated(rules)).await.plan;
            let (partition, generation) = (run.partition(), run.generation());
            let verdict = Object::Final { partition, generation };
            for step in &steps {
                match *step {
                    Step::Work(shard) => _ = work(&stage.root, &run, shard, true).await,
                    Step::Conclude => _ = conclude_stored(&stage.root, &*run).await,
                    Step::Judge(says) => _ = judge(&stage.root, asked(&run, says)).await,
                    Step::LookAndComplete => {
                        if let Some(found) = stage.root.read::<Final>(&verdict).await.unwrap() {
                            complete(&stage.root, &*run, found).await.unwrap();
                        }
                    }
                }
                let found = stage.root.read::<Final>(&verdict).await.unwrap();
                let accepted = stage.root.is_published(&*run, found.as_ref()).await.unwrap();
                assert_eq!(visible(&stage.root).await.is_empty(), !accepted, "{steps:?}");
                assert_eq!(is_whole(&stage.root, &run).await, accepted, "{steps:?}");
            }
        });
    }
}
