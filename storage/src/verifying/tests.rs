use std::sync::Arc;

use nightshift_core::ids::ShardIndex;

use super::*;
use crate::concluding::conclude;
use crate::rehearsal::{Stage, open, opener, plan, records, work};

/// A concluded run of two shards.
async fn concluded() -> (Stage, Arc<Plan>) {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("a"), plan(2, 1)).await.plan;
    for shard in 0..2 {
        work(&stage.root, &run, shard, true).await;
    }
    conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    (stage, run)
}

async fn faults(stage: &Stage, plan: &Plan) -> Vec<String> {
    verify_run(&stage.root, &plan.run).await.unwrap().faults
}

/// Replaces a file's content, leaving alone the staged file that shares its bytes.
fn replace(path: &std::path::Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_run_that_was_left_alone_passes() {
    let (stage, plan) = concluded().await;
    let found = verify_run(&stage.root, &plan.run).await.unwrap();
    assert!(found.passed(), "{:?}", found.faults);
    assert_eq!((found.shards, found.files, found.rows_out), (2, 2, plan.rows));
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_named() {
    type Damage = fn(&Stage, &Plan);
    let part = |stage: &Stage, plan: &Plan| stage.root.path_of(&Object::part(plan, ShardIndex(1)));
    let damages: [(&str, Damage); 6] = [
        ("is not what was committed", |stage, plan| {
            let path = stage.root.path_of(&Object::part(plan, ShardIndex(1)));
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[3] ^= 1;
            replace(&path, &bytes);
        }),
        ("does not exist", |stage, plan| {
            std::fs::remove_file(stage.root.path_of(&Object::part(plan, ShardIndex(1)))).unwrap();
        }),
        ("no record names it", |stage, plan| {
            let path = stage.root.path_of(&Object::part(plan, ShardIndex(1)));
            std::fs::write(path.with_file_name("part-extra.csv"), b"n\n1\n").unwrap();
        }),
        ("1 of 2 shards are undecided", |stage, plan| {
            let object = Object::Record { run: plan.run.clone(), shard: ShardIndex(0) };
            std::fs::remove_file(stage.root.path_of(&object)).unwrap();
        }),
        ("there is no final", |stage, plan| {
            let (partition, generation) = (plan.partition(), plan.generation());
            let object = Object::Final { partition, generation };
            std::fs::remove_file(stage.root.path_of(&object)).unwrap();
        }),
        ("planned, but", |stage, plan| {
            let object = Object::Record { run: plan.run.clone(), shard: ShardIndex(0) };
            let path = stage.root.path_of(&object);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("\"rows_in\":5", "\"rows_in\":4")).unwrap();
        }),
    ];
    for (expected, damage) in damages {
        let (stage, plan) = concluded().await;
        assert!(part(&stage, &plan).exists());
        damage(&stage, &plan);
        let faults = faults(&stage, &plan).await;
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:?}");
    }
}
