use futures::future::join_all;
use nightshift_core::conclusion::FinalState;

use super::*;
use crate::concluding::{conclude, conclude_stored};
use crate::rehearsal::{
    Stage, give_up, open, open_as, opener, partition, plan, records, require_send, work,
};

#[tokio::test]
async fn many_processes_open_one_run_with_one_plan() {
    let stage = Stage::new().await;
    let decision = Decision::Start { generation: Generation::FIRST, inherit: None };
    // Plans that differ, as of processes that listed the input at different moments.
    let opened = join_all((0..8).map(async |n| {
        let root = stage.another().await;
        open_as(&root, &opener(&format!("p{n}")), decision, plan(n % 3 + 1, n as u8)).await
    }))
    .await;
    assert_eq!(opened.iter().filter(|open| open.claimed).count(), 1, "one claim wins");
    let first = &opened[0].plan;
    assert!(opened.iter().all(|open| open.plan == *first), "all work from the stored plan");
    assert_eq!(first.run.to_string(), "numbers-2013-01-31-g1");
}

#[tokio::test]
async fn epochs_of_racing_processes_differ() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(2, 1)).await.plan.run.clone();
    let epochs = join_all((0..8).map(async |n| {
        open_epoch(&stage.another().await, &opener(&format!("p{n}")), &run).await.unwrap()
    }))
    .await;
    let mut sorted = epochs;
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn an_unfinished_run_is_joined_with_its_records() {
    let stage = Stage::new().await;
    let first = open(&stage.root, &opener("a"), plan(3, 1)).await;
    work(&stage.root, &first.plan, 1, true).await;
    let again = open(&stage.another().await, &opener("b"), plan(2, 9)).await;
    assert!(!again.claimed);
    assert_eq!(again.plan, first.plan, "the stored plan counts, not the fresh one");
    assert_eq!(again.records.keys().copied().collect::<Vec<_>>(), [ShardIndex(1)]);
}

/// A run whose shard 1 was given up, concluded as partial.
async fn partial(stage: &Stage) -> Arc<Plan> {
    let run = open(&stage.root, &opener("a"), plan(3, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    give_up(&stage.root, &run, 1).await;
    work(&stage.root, &run, 2, true).await;
    let report = conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    assert_eq!(report.verdict.state, FinalState::Partial);
    run
}

#[tokio::test]
async fn a_partial_run_is_followed_by_a_generation_that_inherits_what_was_committed() {
    let stage = Stage::new().await;
    let first = partial(&stage).await;
    let second = open(&stage.root, &opener("b"), plan(3, 1)).await;
    assert_eq!(second.plan.run.to_string(), "numbers-2013-01-31-g2");
    assert_eq!(second.records.keys().map(|shard| shard.0).collect::<Vec<_>>(), [0, 2]);
    assert!(second.records.values().all(|record| record.inherited_from == Some(first.run.clone())));
    work(&stage.root, &second.plan, 1, true).await;
    let all = records(&stage.root, &second.plan).await;
    let report = conclude(&stage.root, &second.plan, &all).await.unwrap();
    assert_eq!(report.verdict.state, FinalState::Succeeded);
    assert_eq!(report.verdict.totals.inherited, 2);
    // The inherited files are visible under the new generation, too.
    for shard in second.plan.indexes() {
        assert!(stage.root.exists(&Object::part(&second.plan, shard)).await.unwrap());
    }
    let decision = decision_for(&stage.root, partition(), false).await.unwrap();
    assert_eq!(decision, Decision::Done(second.plan.generation()));
}

#[tokio::test]
async fn changed_input_or_model_inherits_nothing() {
    let stage = Stage::new().await;
    partial(&stage).await;
    let second = open(&stage.root, &opener("b"), plan(3, 2)).await;
    assert_eq!(second.plan.generation().get(), 2);
    assert!(second.plan.inherits.is_none() && second.records.is_empty());
}

#[tokio::test]
async fn shards_cut_otherwise_are_not_inherited() {
    let stage = Stage::new().await;
    partial(&stage).await;
    let second = open(&stage.root, &opener("b"), plan(5, 1)).await;
    assert!(second.plan.inherits.is_none() && second.records.is_empty());
}

#[tokio::test]
async fn force_starts_a_generation_even_beside_an_unfinished_one() {
    let stage = Stage::new().await;
    let first = open(&stage.root, &opener("a"), plan(3, 1)).await;
    work(&stage.root, &first.plan, 0, true).await;
    let forced = Opener { force: Some("because".into()), ..opener("b") };
    let second = open(&stage.root, &forced, plan(3, 1)).await;
    assert_eq!(second.plan.generation().get(), 2);
    assert!(second.claimed && second.records.is_empty());
    let claim = Object::Claim { partition: partition(), generation: second.plan.generation() };
    let claim: Claim = stage.root.read(&claim).await.unwrap().unwrap();
    assert_eq!(claim.forced.as_deref(), Some("because"));
}

#[tokio::test]
async fn who_joins_a_claim_without_a_plan_inherits_what_its_claimant_meant_to() {
    let stage = Stage::new().await;
    let first = partial(&stage).await;
    let generation = first.generation().next();
    let claim = Claim {
        version: Claim::VERSION,
        run: RunId { generation, ..first.run.clone() },
        request: "dead".into(),
        claimed_by: "dead".into(),
        claimed_at: first.planned_at,
        forced: None,
        inherits: Some(first.run.clone()),
        retry: 0,
    };
    let object = Object::Claim { partition: partition(), generation };
    let _ = stage.root.create_once(&object, &claim).await.unwrap();
    let second = open(&stage.root, &opener("b"), plan(3, 1)).await;
    assert!(!second.claimed);
    assert_eq!(second.plan.inherits.as_ref().map(|from| &from.from), Some(&first.run));
    assert_eq!(second.records.len(), 2);
}

/// What a coordinator holds of a run, which it opens as `open` opens it for a worker.
async fn outlined(root: &Probed, opener: &Opener, fresh: Plan) -> OpenOutline {
    let decision = decision_for(root, partition(), opener.force.is_some()).await.unwrap();
    require_send(open_outline(root, opener, partition(), decision, fresh)).await.unwrap()
}

#[tokio::test]
async fn coordinators_and_workers_open_one_run_with_one_plan() {
    let stage = Stage::new().await;
    let decision = Decision::Start { generation: Generation::FIRST, inherit: None };
    let racing = join_all((0..8_u8).map(async |n| {
        let (root, opener) = (stage.another().await, opener(&format!("p{n}")));
        let fresh = plan(u32::from(n % 3) + 1, n);
        if n % 2 == 0 {
            let open = open_as(&root, &opener, decision, fresh).await;
            return (open.claimed, Outline::of(&open.plan), None);
        }
        let open = open_outline(&root, &opener, partition(), decision, fresh).await.unwrap();
        (open.claimed, (*open.outline).clone(), Some(open.plan_sha256))
    }))
    .await;
    assert_eq!(racing.iter().filter(|(claimed, ..)| *claimed).count(), 1, "one claim wins");
    let (_, outline, _) = &racing[0];
    let stored = stage.root.path_of(&Object::Plan { run: outline.run.clone() });
    let digest = crate::publish::hash_file(&stored).unwrap().1;
    for (_, other, sha256) in &racing {
        assert_eq!(other, outline, "all work from the stored plan");
        assert!(sha256.is_none_or(|sha256| sha256 == digest), "{sha256:?}");
    }
}

#[tokio::test]
async fn a_restarted_coordinator_finds_what_was_decided_without_its_predecessor() {
    let stage = Stage::new().await;
    let first = outlined(&stage.root, &opener("a"), plan(3, 1)).await;
    assert!(first.claimed && first.decided.is_empty());
    let run = open(&stage.root, &opener("w"), plan(3, 1)).await.plan;
    work(&stage.root, &run, 1, true).await;
    give_up(&stage.root, &run, 2).await;
    let again = require_send(reopen(&stage.another().await, &run.run)).await.unwrap().unwrap();
    assert_eq!((&again.outline, again.plan_sha256), (&first.outline, first.plan_sha256));
    assert_eq!(again.decided.iter().map(|shard| shard.0).collect::<Vec<_>>(), [1, 2]);
    work(&stage.root, &run, 0, false).await;
    let report = conclude_stored(&stage.root, &again.outline).await.unwrap();
    assert_eq!(
        report,
        conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap()
    );
    let unplanned = RunId { generation: run.generation().next(), ..run.run.clone() };
    assert!(reopen(&stage.root, &unplanned).await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_that_only_leases_inherits_as_one_that_scores() {
    let stage = Stage::new().await;
    let first = partial(&stage).await;
    let second = outlined(&stage.root, &opener("b"), plan(3, 1)).await;
    assert_eq!(second.outline.run.to_string(), "numbers-2013-01-31-g2");
    assert_eq!(second.outline.inherits.as_ref().map(|from| &from.from), Some(&first.run));
    assert_eq!(second.decided.iter().map(|shard| shard.0).collect::<Vec<_>>(), [0, 2]);
    let joined = open(&stage.root, &opener("c"), plan(3, 1)).await;
    assert_eq!(Outline::of(&joined.plan), *second.outline);
    assert!(joined.records.values().all(|record| record.inherited_from == Some(first.run.clone())));
    let third = Opener { force: Some("because".into()), ..opener("d") };
    let third = outlined(&stage.root, &third, plan(3, 1)).await;
    assert!(third.outline.inherits.is_none() && third.decided.is_empty());
}

#[tokio::test]
async fn damaged_plans_are_refused_whoever_reads_them() {
    let stage = Stage::new().await;
    let run = outlined(&stage.root, &opener("a"), plan(3, 1)).await.outline.run.clone();
    let path = stage.root.path_of(&Object::Plan { run: run.clone() });
    let good = std::fs::read_to_string(&path).unwrap();
    let version = good.replace("\"version\":1", "\"version\":2,\"more\":0");
    for (bad, why) in [
        (version.as_str(), "version 2"),
        (&good[..good.len() / 2], "malformed"),
        (&good.replace("\"rows\"", "\"row\""), "malformed"),
    ] {
        std::fs::write(&path, bad).unwrap();
        let refused = reopen(&stage.root, &run).await.unwrap_err();
        let expected = match why {
            "malformed" => matches!(refused, StoreError::Malformed { .. }),
            _ => matches!(refused, StoreError::UnknownVersion { found: 2, .. }),
        };
        assert!(expected, "{why}: {refused:?}");
    }
}
