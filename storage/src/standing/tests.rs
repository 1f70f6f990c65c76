use nightshift_core::ids::RunId;

use super::*;
use crate::concluding::conclude;
use crate::opening::{Opener, open_epoch, take};
use crate::rehearsal::{Stage, give_up, open, opener, partition, plan, records, work};
use nightshift_core::backfill::{Dead, Work};

/// Long after everything that the stage's processes do.
const LATE: &str = "2026-01-02T00:00:00Z";

fn onlooker(who: &str, now: &str) -> Onlooker {
    let join_after = SignedDuration::from_mins(10);
    Onlooker { who: who.to_owned(), now: now.parse().unwrap(), join_after }
}

async fn standing(stage: &Stage, onlooker: &Onlooker) -> Stored {
    let name = opener("a").name;
    stage.root.standing(&name, partition(), onlooker).await.unwrap().stored
}

#[tokio::test]
async fn a_verdict_is_told_with_model_and_retries() {
    let stage = Stage::new().await;
    let late = onlooker("here:1", LATE);
    assert_eq!(standing(&stage, &late).await, Stored::default());
    let again = Opener { retry: 2, ..opener("a") };
    let first = open(&stage.root, &again, plan(2, 7)).await.plan;
    work(&stage.root, &first, 0, true).await;
    give_up(&stage.root, &first, 1).await;
    let report = conclude(&stage.root, &first, &records(&stage.root, &first).await).await.unwrap();
    let found = stage.root.standing(&again.name, partition(), &late).await.unwrap();
    assert_eq!(found.verdict, Some(report.verdict));
    let concluded = found.stored.concluded.unwrap();
    assert_eq!((concluded.state, concluded.retries), (FinalState::Partial, 2));
    assert_eq!((concluded.model, concluded.fingerprint), (first.model.digest, first.fingerprint));
    assert_eq!(found.stored.open, None);
}

#[tokio::test]
async fn a_holder_on_another_host_is_dead_when_it_gives_no_sign() {
    let stage = Stage::new().await;
    let run = open(&stage.root, &opener("there:7"), plan(2, 1)).await.plan;
    let soon = onlooker("here:1", "2026-01-01T00:09:00Z");
    let open_run = standing(&stage, &soon).await.open.unwrap();
    assert!(open_run.is_alive && open_run.planned.is_none());
    let late = onlooker("here:1", LATE);
    let open_run = standing(&stage, &late).await.open.unwrap();
    assert!(!open_run.is_alive);
    assert_eq!((open_run.holder.as_str(), open_run.epoch), ("there:7", 0));
    assert_eq!(open_run.planned, Some(run.model.digest));
    // A record is a sign of life; it has today's date, so look from today.
    work(&stage.root, &run, 0, true).await;
    let today = Onlooker { now: Timestamp::now(), ..late };
    assert!(standing(&stage, &today).await.open.unwrap().is_alive);
}

#[tokio::test]
async fn a_holder_that_has_ended_between_two_looks_has_left_nothing_unfinished() {
    let stage = Stage::new().await;
    let before = Standing::default();
    let run = open(&stage.root, &opener("there:7"), plan(1, 1)).await.plan;
    work(&stage.root, &run, 0, true).await;
    let look = async || {
        let (name, late) = (opener("a").name, onlooker("here:1", "2099-01-01T00:00:00Z"));
        let generation = Generation::FIRST;
        let root = &stage.root;
        root.held_or_over(&name, partition(), generation, &late, before.clone()).await.unwrap()
    };
    assert!(!look().await.stored.open.unwrap().is_alive);
    let report = conclude(&stage.root, &run, &records(&stage.root, &run).await).await.unwrap();
    // The final was not seen by the first look, and is there at the second.
    let found = look().await;
    assert_eq!((found.verdict, found.stored.open), (Some(report.verdict), None));
}

#[tokio::test]
async fn the_newest_epoch_says_who_holds_a_run() {
    let stage = Stage::new().await;
    let run: RunId = open(&stage.root, &opener("there:7"), plan(2, 1)).await.plan.run.clone();
    let later = Opener { now: LATE.parse().unwrap(), ..opener("elsewhere:8") };
    assert_eq!(open_epoch(&stage.root, &later, &run).await.unwrap(), 1);
    let held = standing(&stage, &onlooker("here:1", LATE)).await.open.unwrap();
    assert_eq!((held.holder.as_str(), held.epoch, held.is_alive), ("elsewhere:8", 1, true));
}

#[tokio::test]
async fn on_its_own_host_the_process_table_knows() {
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let looker = onlooker("here:1", LATE);
    let sleeping = format!("here:{}", other.id());
    assert_eq!(looker.process(&sleeping), Process::Gone, "no program of Nightshift");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(looker.process(&sleeping), Process::Gone);
    assert_eq!(looker.process("here:1"), Process::Gone, "it looks, so it does not work");
    assert_eq!(looker.process("coordinator there:1"), Process::Elsewhere);
    assert_eq!(looker.process("somebody"), Process::Elsewhere);
    // This test is a program of Nightshift.
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    let expected = if comm.starts_with(PROGRAMS) { Process::Runs } else { Process::Gone };
    assert_eq!(looker.process(&format!("coordinator here:{}", std::process::id())), expected);
}

#[tokio::test]
async fn of_many_that_take_a_run_one_has_it() {
    let stage = Stage::new().await;
    let start =
        Work::Start { generation: Generation::FIRST, inherit: None, retry: 0, instead_of: None };
    let dead = Dead { generation: Generation::FIRST, epoch: 3 };
    let later = Dead { epoch: 7, ..dead };
    let instead = Work::Start {
        generation: Generation::FIRST.next(),
        inherit: None,
        retry: 0,
        instead_of: Some(later),
    };
    for work in [start, Work::Join(dead), instead] {
        let taken = futures::future::join_all((0..10).map(async |n| {
            let root = stage.another().await;
            take(&root, &opener(&format!("p{n}")), partition(), work).await.unwrap()
        }));
        assert_eq!(taken.await.iter().filter(|taken| **taken).count(), 1, "{work:?}");
    }
}

#[tokio::test]
async fn a_run_in_whose_place_another_was_claimed_is_not_joined() {
    let stage = Stage::new().await;
    let first = Dead { generation: Generation::FIRST, epoch: 0 };
    let join = async |who: &str, epoch| {
        let dead = Dead { epoch, ..first };
        take(&stage.root, &opener(who), partition(), Work::Join(dead)).await.unwrap()
    };
    open(&stage.root, &opener("a"), plan(2, 1)).await;
    assert!(join("b", 0).await);
    let instead_of = Some(Dead { epoch: 1, ..first });
    let generation = Generation::FIRST.next();
    let instead = Work::Start { generation, inherit: None, retry: 0, instead_of };
    assert!(take(&stage.root, &opener("c"), partition(), instead).await.unwrap());
    // Who looked at the claims before that, and at the epochs after.
    assert!(!join("d", 2).await);
}
