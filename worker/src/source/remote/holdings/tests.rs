use std::collections::BTreeSet;

use nightshift_core::record::FailureClass;
use proptest::prelude::*;

use super::super::fixtures::{ROWS, SHARDS, grant, works};
use super::*;
use crate::identity::new_attempt;

fn failed() -> Ended {
    let outcome = Outcome::Failed(ReportedFailure {
        class: FailureClass::Transient,
        reason: "read".parse().unwrap(),
        message: String::new(),
    });
    Ended {
        attempt: new_attempt().unwrap(),
        outcome,
        batch_size: None,
        span: tracing::Span::none(),
    }
}

/// Holdings of `threads` threads with shards `0..count` of the first run, ready to begin.
fn ready(works: &[Arc<RunWork>], threads: usize, count: u32, now: Instant) -> Holdings {
    let mut holdings = Holdings::new(threads);
    for shard in 0..count {
        let grant = grant(&works[0], shard);
        assert!(holdings.granted(&grant, now));
        assert!(!holdings.granted(&grant, now), "a grant that comes again is the same lease");
        holdings.opened(&WorkKey::of(&grant), &works[0], now);
    }
    holdings
}

fn ids(work: &RunWork, shards: impl IntoIterator<Item = u32>) -> Vec<LeaseId> {
    shards.into_iter().map(|shard| grant(work, shard).lease).collect()
}

fn phases(holdings: &Holdings) -> Vec<(u32, Phase)> {
    holdings.progress().iter().map(|one| (one.lease.shard.0, one.phase)).collect()
}

#[test]
fn threads_share_what_waits_and_get_neighbours_of_one_run() {
    let (works, now) = (works(), Instant::now());
    let mut holdings = ready(&works, 2, 6, now);
    let other = grant(&works[1], 0);
    assert!(holdings.granted(&other, now));
    assert_eq!(phases(&holdings).len(), 7);
    let shards = |holdings: &mut Holdings, max| {
        let (work, leases) = holdings.take(max)?;
        let shards: Vec<u32> = leases.iter().map(|lease| lease.shard.0).collect();
        Some((work.run().generation.get(), shards))
    };
    assert_eq!(shards(&mut holdings, 16), Some((1, vec![0, 1, 2])), "half of what waits");
    holdings.opened(&WorkKey::of(&other), &works[1], now);
    assert_eq!(shards(&mut holdings, 1), Some((1, vec![3])));
    assert_eq!(shards(&mut holdings, 16), Some((1, vec![4, 5])));
    assert_eq!(shards(&mut holdings, 16), Some((2, vec![0])), "never two runs at once");
    assert_eq!(shards(&mut holdings, 16), None);
}

#[test]
fn an_attempt_says_what_batches_it_came_down_to() {
    let (works, now) = (works(), Instant::now());
    let mut holdings = ready(&works, 1, 2, now);
    let id = ids(&works[0], 0..2);
    while holdings.take(1).is_some() {}
    let reader = works[0].scorer.reader();
    assert!(holdings.begun(&id[0], reader.batch_rows(), now));
    assert_eq!(holdings.learned(&id[0], reader.batch_rows()), None, "nothing was halved");
    reader.limit_batches(512);
    assert_eq!(holdings.learned(&id[0], reader.batch_rows()).map(BatchSize::get), Some(512));
    // The next one begins with what fits, which is no news.
    assert!(holdings.begun(&id[1], reader.batch_rows(), now));
    assert_eq!(holdings.learned(&id[1], reader.batch_rows()), None);
}

#[test]
fn what_commits_is_neither_revoked_nor_let_go() {
    let (works, now) = (works(), Instant::now());
    let mut holdings = ready(&works, 1, 4, now);
    let id = ids(&works[0], 0..4);
    while holdings.take(1).is_some() {}
    assert!(holdings.begun(&id[0], 100, now) && holdings.scored(&id[0], ROWS, now));
    assert!(holdings.may_commit(&id[0], now));
    assert!(holdings.begun(&id[1], 100, now));
    let revoked =
        |lease: &LeaseId| LeaseAnswer { lease: lease.clone(), state: LeaseState::Revoked };
    assert_eq!(holdings.answered(revoked(&id[0]), now), None);
    assert_eq!(holdings.answered(revoked(&id[2]), now), Some(id[2].clone()));
    holdings.let_go();
    assert_eq!(holdings.take_released(), [id[1].clone(), id[3].clone()]);
    assert!(!holdings.scored(&id[1], ROWS, now) && !holdings.may_commit(&id[1], now));
    assert!(!holdings.begun(&id[2], 100, now), "its thread is told when it begins");
    assert_eq!(phases(&holdings), [(0, Phase::Committing)]);
    for stopped in &id[1..] {
        holdings.given_up(stopped);
    }
    holdings.given_back(2);
    holdings.end(&id[0], failed());
    assert_eq!(holdings.next_to_tell().map(|(id, _)| id), Some(id[0].clone()));
    assert!(holdings.next_to_tell().is_none(), "somebody is telling it");
    assert!(!holdings.is_empty());
    holdings.told(&id[0]);
    assert!(holdings.is_empty());
}

#[test]
fn what_waits_for_too_long_goes_back_and_what_a_thread_has_does_not() {
    let (works, start) = (works(), Instant::now());
    let mut holdings = ready(&works, 1, 3, start);
    let id = ids(&works[0], 0..3);
    holdings.take(1).unwrap();
    let longest = Duration::from_secs(1);
    assert_eq!(holdings.give_back_waiting(longest, start + longest), 0);
    assert_eq!(holdings.give_back_waiting(longest, start + longest * 2), 2);
    assert_eq!(holdings.take_released(), id[1..]);
    assert_eq!(phases(&holdings), [(0, Phase::Waiting)]);
}

#[test]
fn a_run_that_cannot_be_opened_fails_its_leases_alone() {
    let (works, now) = (works(), Instant::now());
    let mut holdings = ready(&works, 1, 1, now);
    let other = grant(&works[1], 7);
    holdings.granted(&other, now);
    assert!(holdings.may_be_taken());
    holdings.unopened(&WorkKey::of(&other), |_| Some(failed()));
    assert_eq!(holdings.next_to_tell().map(|(id, _)| id), Some(other.lease));
    assert!(holdings.take(1).is_some());
}

#[test]
fn a_lease_that_may_be_over_is_named_once_for_each_silence() {
    let (works, start) = (works(), Instant::now());
    let mut holdings = ready(&works, 1, 1, start);
    let id = ids(&works[0], [0]);
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(holdings.overdue(at(30)), []);
    assert_eq!(holdings.overdue(at(31)), id);
    assert_eq!(holdings.overdue(at(32)), []);
    let answer = LeaseAnswer { lease: id[0].clone(), state: LeaseState::Ok };
    holdings.answered(answer.clone(), at(32));
    assert_eq!(holdings.overdue(at(62)), []);
    assert_eq!(holdings.overdue(at(63)), id);
    let unknown = LeaseAnswer { state: LeaseState::Unknown, ..answer };
    assert_eq!(holdings.answered(unknown, at(64)), None, "it is worked on all the same");
    assert!(holdings.take(1).is_some());
}

/// Something that happens to the lease of one shard, or to all.
#[derive(Debug, Clone, Copy)]
enum Step {
    Grant,
    Open,
    Take,
    Begin,
    Score,
    MayCommit,
    End,
    Revoke,
    LetGo,
    GiveBackWaiting,
    Release,
    Tell,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{
        Begin, End, GiveBackWaiting, Grant, LetGo, MayCommit, Open, Release, Revoke, Score, Take,
        Tell,
    };
    prop_oneof![
        6 => prop::sample::select(vec![Grant, Open, Take, Begin, Score, MayCommit, End, Tell]),
        1 => prop::sample::select(vec![Revoke, LetGo, GiveBackWaiting, Release]),
    ]
}

/// What a pool and a coordinator know about the leases, to compare with.
#[derive(Debug, Default)]
struct World {
    granted: BTreeSet<LeaseId>,
    /// In the hands of a thread.
    taken: BTreeSet<LeaseId>,
    may_commit: BTreeSet<LeaseId>,
    released: BTreeSet<LeaseId>,
    revoked: BTreeSet<LeaseId>,
    told: BTreeSet<LeaseId>,
    now: Option<Instant>,
}

impl World {
    fn apply(&mut self, holdings: &mut Holdings, work: &Arc<RunWork>, step: Step, shard: u32) {
        let grant = grant(work, shard);
        let id = grant.lease.clone();
        let now = self.now.unwrap();
        match step {
            Step::Grant => {
                if !self.granted.contains(&id) {
                    assert!(holdings.granted(&grant, now));
                    self.granted.insert(id);
                }
            }
            Step::Open => holdings.opened(&WorkKey::of(&grant), work, now),
            Step::Take => {
                for lease in holdings.take(4).into_iter().flat_map(|(_, leases)| leases) {
                    let id = LeaseId { shard: lease.shard, token: lease.token, ..id.clone() };
                    assert!(self.taken.insert(id), "taken twice");
                }
            }
            // From here on a pool speaks, of leases that a thread has.
            _ if matches!(step, Step::Begin | Step::Score | Step::MayCommit | Step::End)
                && !self.taken.contains(&id) => {}
            Step::Begin => {
                holdings.begun(&id, 100, now);
            }
            Step::Score => {
                holdings.scored(&id, 1, now);
            }
            Step::MayCommit => {
                if holdings.may_commit(&id, now) {
                    assert!(self.may_commit.insert(id), "allowed to commit twice");
                }
            }
            Step::End => {
                self.taken.remove(&id);
                if self.may_commit.contains(&id) {
                    holdings.end(&id, failed());
                } else {
                    holdings.given_up(&id);
                }
            }
            Step::Revoke => {
                let state = LeaseState::Revoked;
                self.revoked.extend(holdings.answered(LeaseAnswer { lease: id, state }, now));
            }
            Step::LetGo => holdings.let_go(),
            Step::GiveBackWaiting => {
                self.now = Some(now + Duration::from_secs(2));
                holdings.give_back_waiting(Duration::from_secs(1), self.now.unwrap());
            }
            Step::Release => {
                let released = holdings.take_released();
                holdings.given_back(released.len());
                for id in released {
                    assert!(self.released.insert(id), "given back twice");
                }
            }
            Step::Tell => {
                if let Some((id, _)) = holdings.next_to_tell() {
                    holdings.told(&id);
                    assert!(self.told.insert(id), "told twice");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens in whatever order: each lease ends in one way, and what commits is told.
    #[test]
    fn every_lease_ends_once(steps in prop::collection::vec((step(), 0..SHARDS), 0..400)) {
        let works = works();
        let mut holdings = Holdings::new(2);
        let mut world = World { now: Some(Instant::now()), ..World::default() };
        for (step, shard) in steps {
            world.apply(&mut holdings, &works[0], step, shard);
            prop_assert!(holdings.progress().len() <= world.granted.len());
        }
        // The process ends: everything is let go, every thread comes back, everything is told.
        holdings.let_go();
        for shard in 0..SHARDS {
            world.apply(&mut holdings, &works[0], Step::End, shard);
        }
        for _ in 0..2 * SHARDS {
            world.apply(&mut holdings, &works[0], Step::Tell, 0);
        }
        world.apply(&mut holdings, &works[0], Step::Release, 0);
        prop_assert!(holdings.is_empty(), "{holdings:?}");
        let World { granted, may_commit, released, revoked, told, .. } = &world;
        prop_assert_eq!(told, may_commit, "what commits is told, and nothing else here");
        prop_assert!(released.is_disjoint(may_commit));
        prop_assert!(revoked.is_disjoint(may_commit) && revoked.is_disjoint(released));
        let ended = told.len() + released.len() + revoked.len();
        prop_assert_eq!(ended, granted.len());
    }
}
