use futures::future::join_all;

use super::*;
use crate::rehearsal::{Stage, give_up, open, opener, plan, records, require_send, work};

#[tokio::test]
async fn a_run_with_undecided_shards_has_no_verdict_and_no_trace_of_one() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(3, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    let refused = conclude(&stage.root, &run, &records(&stage.root, &run).await).await;
    assert!(matches!(refused, Err(ConcludeError::NotConcluded(_))), "{refused:?}");
    let (partition, generation) = (run.partition(), run.generation());
    for object in
        [Object::Final { partition, generation }, Object::Success { partition, generation }]
    {
        assert!(!stage.root.exists(&object).await.unwrap(), "{object}");
    }
}

#[tokio::test]
async fn what_a_dead_worker_left_unpublished_is_published_before_the_final() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(3, 1)).await.plan;
    for shard in 0..3 {
        work(&stage.root, &run, shard, shard == 1).await;
    }
    assert!(!stage.root.exists(&Object::part(&run, ShardIndex(0))).await.unwrap());
    conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    for shard in run.indexes() {
        assert!(stage.root.exists(&Object::part(&run, shard)).await.unwrap());
    }
}

#[tokio::test]
async fn records_that_stay_in_the_store_give_the_same_verdict() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(10, 1)).await.plan;
    for shard in 0..10 {
        if shard == 9 {
            let refused = conclude_stored(&stage.root, &run).await;
            let first = ShardIndex(9);
            let expected = NotConcluded::Undecided { undecided: 1, shards: 10, first };
            assert!(
                matches!(&refused, Err(ConcludeError::NotConcluded(found)) if *found == expected),
                "{refused:?}"
            );
        }
        match shard % 4 {
            3 => give_up(&stage.root, &run, shard).await,
            odd => _ = work(&stage.root, &run, shard, odd == 1).await,
        }
    }
    let expected = Final::conclude(&run, &records(&stage.root, &run).await).unwrap();
    let report = require_send(conclude_stored(&stage.root, &run)).await.unwrap();
    assert_eq!(report.verdict, expected);
    assert_eq!(report.verdict.state, FinalState::Partial);
    for shard in run.indexes() {
        let visible = stage.root.exists(&Object::part(&run, shard)).await.unwrap();
        assert_eq!(visible, shard.0 % 4 != 3, "shard {shard}");
    }
    let again = conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    assert_eq!(again, report);
}

#[tokio::test]
async fn nothing_is_published_for_a_record_that_contradicts_the_plan() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(2, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    let stored = work(&stage.root, &run, 1, false).await;
    let forged = serde_json::to_string(&stored).unwrap().replace("\"rows_in\":5", "\"rows_in\":6");
    let object = Object::Record { run: run.run.clone(), shard: ShardIndex(1) };
    std::fs::write(stage.root.path_of(&object), forged).unwrap();
    let refused = conclude_stored(&stage.root, &run).await;
    let Err(ConcludeError::NotConcluded(NotConcluded::Invalid { shard, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(shard, ShardIndex(1));
    assert!(!stage.root.exists(&Object::part(&run, ShardIndex(1))).await.unwrap());
    let (partition, generation) = (run.partition(), run.generation());
    assert!(!stage.root.exists(&Object::Final { partition, generation }).await.unwrap());
}

#[tokio::test]
async fn racing_processes_make_one_final() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(3, 1)).await.plan;
    for shard in 0..3 {
        work(&stage.root, &run, shard, false).await;
    }
    let reports = join_all((0..6).map(async |_| {
        let root = stage.another().await;
        conclude_stored(&root, &run).await.unwrap()
    }))
    .await;
    assert!(reports.iter().all(|report| *report == reports[0]));
    let (partition, generation) = (run.partition(), run.generation());
    let success = Object::Success { partition, generation };
    let bytes = stage.root.get(&success).await.unwrap().unwrap();
    let stored: Report = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(stored, reports[0]);
}

#[tokio::test]
async fn only_a_succeeded_run_is_marked_as_a_success() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(2, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    give_up(&stage.root, &run, 1).await;
    let report = conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    assert_eq!(report.verdict.state, FinalState::Partial);
    let (partition, generation) = (run.partition(), run.generation());
    assert!(!stage.root.exists(&Object::Success { partition, generation }).await.unwrap());
}

#[tokio::test]
async fn a_final_that_says_something_else_is_never_accepted() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(2, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    work(&stage.root, &run, 1, true).await;
    let records = records(&stage.root, &run).await;
    let mut forged = Final::conclude(&run, &records).unwrap();
    forged.totals.rows_out += 1;
    let (partition, generation) = (run.partition(), run.generation());
    let object = Object::Final { partition, generation };
    let _ = stage.root.create_once(&object, &forged).await.unwrap();
    let refused = conclude(&stage.root, &run, &records).await;
    assert!(matches!(refused, Err(ConcludeError::FinalDiffers { .. })), "{refused:?}");
}
