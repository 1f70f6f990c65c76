use std::sync::Arc;

use jiff::SignedDuration;
use nightshift_core::decide::{Decision, decide};
use nightshift_core::ids::{AttemptId, ShardIndex};
use nightshift_core::layout::StagedName;
use nightshift_core::plan::{OutputFormat, Plan};
use nightshift_core::retention::Removal;
use proptest::prelude::*;

use super::*;
use crate::concluding::conclude;
use crate::rehearsal::{Stage, give_up, open, opener, partition, plan, records, work};
use crate::root::Probed;
use crate::verifying::verify_run;

/// Rules that keep one success and no failure, long after everything in these tests.
fn rules() -> Rules {
    Rules {
        name: "numbers".parse().unwrap(),
        retention: Retention {
            succeeded: 1,
            failed: 0,
            superseded: SignedDuration::from_hours(24),
        },
        now: "2026-02-01T00:00:00Z".parse().unwrap(),
        who: "collector".to_owned(),
    }
}

/// Opens the next run of the date, forced if `force` says so.
async fn begin(root: &Probed, who: &str, force: bool) -> Arc<Plan> {
    let mut opener = opener(who);
    opener.force = force.then(|| "a test".to_owned());
    open(root, &opener, plan(3, 1)).await.plan
}

/// Decides every undecided shard of a run, giving up those of `lost`, and concludes it.
async fn finish(root: &Probed, run: &Plan, lost: &[u32]) {
    let decided = root.decided_shards(&run.run).await.unwrap();
    for shard in (0..3).filter(|shard| !decided.contains(ShardIndex(*shard))) {
        match lost.contains(&shard) {
            true => give_up(root, run, shard).await,
            false => _ = work(root, run, shard, shard != 1).await,
        }
    }
    conclude(root, run, &records(root, run).await).await.unwrap();
}

async fn passes(root: &Probed, run: &RunId) {
    let found = verify_run(root, run).await.unwrap();
    assert!(found.passed(), "{run}: {:?}", found.faults);
}

/// Every file below the root, with the bytes that it shares with no other name counted once.
fn files(root: &Probed) -> Vec<String> {
    fn gather(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => gather(&path, found),
                false => found.push(path.display().to_string()),
            }
        }
    }
    let mut found = Vec::new();
    gather(std::path::Path::new(root.place()), &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn a_superseded_generation_goes_and_stays_known() {
    let Stage { root, .. } = &Stage::new().await;
    let first = begin(root, "a", false).await;
    finish(root, &first, &[]).await;
    let sizes = records(root, &first).await;
    let parts: u64 = sizes.values().map(|one| one.committed().unwrap().output.size_bytes).sum();
    let RunId { partition: date, generation, .. } = first.run;
    let marker = root.path_of(&Object::Success { partition: date, generation });
    let marker = marker.metadata().unwrap().len();
    let second = begin(root, "b", true).await;
    finish(root, &second, &[]).await;
    let before = files(root);

    let found = survey(root, &rules(), partition()).await.unwrap();
    assert_eq!(files(root), before, "a survey touches nothing");
    let [only] = found.as_slice() else { panic!("{found:?}") };
    // A part and its staged data are one file with two names; and there is the marker.
    assert_eq!((only.run.clone(), only.files), (first.run.clone(), 7));
    assert_eq!((only.freed_bytes, only.action), (parts + marker, Action::Remove));

    let done = collect(root, &rules(), partition()).await.unwrap();
    assert_eq!(done, found);
    let gone: Vec<&String> = before.iter().filter(|file| !files(root).contains(file)).collect();
    assert_eq!(gone.len() as u64, only.files, "{gone:?}");
    assert!(!root.path_of_prefix(&Prefix::Attempts(first.run.clone())).exists());
    assert!(!root.path_of_prefix(&Prefix::Visible(partition(), first.run.generation)).exists());

    let verified = verify_run(root, &first.run).await.unwrap();
    assert!(verified.removed && verified.passed(), "{:?}", verified.faults);
    passes(root, &second.run).await;
    let facts = root.partition_facts(partition()).await.unwrap();
    assert_eq!(decide(facts, false), Decision::Done(second.run.generation));
    assert_eq!(collect(root, &rules(), partition()).await.unwrap(), []);
}

#[tokio::test]
async fn folders_that_a_killed_collector_has_emptied_go() {
    let Stage { root, .. } = &Stage::new().await;
    let first = begin(root, "a", false).await;
    finish(root, &first, &[]).await;
    finish(root, &*begin(root, "b", true).await, &[]).await;
    let judged = judge_partition(root, &rules(), partition()).await.unwrap();
    let sweep = Sweep::prepare(root, &judged).await.unwrap();
    removing::begin(root, &rules(), &sweep).await.unwrap();
    sweep.go_through(root, Hand::Remove).await.unwrap();
    let attempts = root.path_of_prefix(&Prefix::Attempts(first.run.clone()));
    let visible = root.path_of_prefix(&Prefix::Visible(partition(), first.run.generation));
    assert!(attempts.exists() && visible.exists());

    assert_eq!(collect(root, &rules(), partition()).await.unwrap(), []);
    assert!(!attempts.exists() && !visible.exists());
}

#[tokio::test]
async fn what_a_later_generation_has_inherited_stays() {
    let Stage { root, .. } = &Stage::new().await;
    let first = begin(root, "a", false).await;
    finish(root, &first, &[2]).await;
    let second = begin(root, "b", false).await;
    finish(root, &second, &[]).await;

    let done = collect(root, &rules(), partition()).await.unwrap();
    // The two parts of the first are the second's too, so nothing is free without their names.
    let [only] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((only.run.clone(), only.files, only.freed_bytes), (first.run.clone(), 2, 0));
    assert!(root.path_of_prefix(&Prefix::Attempts(first.run.clone())).exists());
    passes(root, &second.run).await;

    // When the second goes as well, so does what it has inherited.
    let third = begin(root, "c", true).await;
    finish(root, &third, &[]).await;
    let done = collect(root, &rules(), partition()).await.unwrap();
    assert_eq!(done.len(), 2, "{done:?}");
    for run in [&first.run, &second.run] {
        assert!(!root.path_of_prefix(&Prefix::Attempts(run.clone())).exists());
    }
    passes(root, &third.run).await;
}

#[tokio::test]
async fn lost_attempts_go_and_undecided_runs_are_left_alone() {
    let Stage { root, .. } = &Stage::new().await;
    let run = begin(root, "a", false).await;
    let attempt: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let staging = root.stage(&run.run, ShardIndex(0), &attempt).unwrap();
    drop(staging.create(StagedName::Data(OutputFormat::Csv)).unwrap());
    work(root, &run, 0, true).await;
    let open = files(root);
    assert_eq!(collect(root, &rules(), partition()).await.unwrap(), []);
    assert_eq!(files(root), open);

    finish(root, &run, &[]).await;
    let mut young = rules();
    young.now = "2026-01-01T23:00:00Z".parse().unwrap();
    assert_eq!(collect(root, &young, partition()).await.unwrap(), [], "it may still be at work");
    let done = collect(root, &rules(), partition()).await.unwrap();
    let [only] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((only.action, only.files), (Action::Sweep, 1));
    assert!(
        !root.path_of_prefix(&Prefix::Attempt(run.run.clone(), ShardIndex(0), attempt)).exists()
    );
    passes(root, &run.run).await;
}

#[tokio::test]
async fn what_cannot_be_read_stops_before_the_first_file() {
    let Stage { root, .. } = &Stage::new().await;
    let first = begin(root, "a", false).await;
    finish(root, &first, &[2]).await;
    let second = begin(root, "b", false).await;
    finish(root, &second, &[]).await;
    let record = root.path_of(&Object::Record { run: second.run.clone(), shard: ShardIndex(1) });
    let text = std::fs::read(&record).unwrap();

    std::fs::remove_file(&record).unwrap();
    let before = files(root);
    let error = collect(root, &rules(), partition()).await.unwrap_err();
    assert!(matches!(error, CollectError::RecordMissing { shard: ShardIndex(1), .. }), "{error}");
    std::fs::write(&record, &text[..text.len() / 2]).unwrap();
    let error = collect(root, &rules(), partition()).await.unwrap_err();
    assert!(matches!(error, CollectError::Store(StoreError::Malformed { .. })), "{error}");
    std::fs::remove_file(&record).unwrap();
    assert_eq!(files(root), before);

    std::fs::write(&record, text).unwrap();
    assert_eq!(collect(root, &rules(), partition()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn files_of_other_people_stay() {
    let Stage { root, .. } = &Stage::new().await;
    let first = begin(root, "a", false).await;
    finish(root, &first, &[]).await;
    let notes = root.path_of_prefix(&Prefix::Visible(partition(), first.run.generation));
    let notes = notes.join("notes.txt");
    std::fs::write(&notes, "mine").unwrap();
    finish(root, &*begin(root, "b", true).await, &[]).await;
    let done = collect(root, &rules(), partition()).await.unwrap();
    assert_eq!(done[0].foreign, 1);
    assert!(notes.exists());
}

#[tokio::test]
async fn what_killed_processes_left_goes_when_it_is_old() {
    let Stage { root, .. } = &Stage::new().await;
    let run = begin(root, "a", false).await;
    let private = std::path::Path::new(root.place()).join("_nightshift/v1");
    let temporary = private.join(format!("runs/{}/records/0000001.json#7", run.run));
    let probe = private.join("probe-01ARZ3NDEKTSV4RRFFQ69G5FAV");
    std::fs::create_dir(&probe).unwrap();
    std::fs::create_dir_all(temporary.parent().unwrap()).unwrap();
    std::fs::write(&temporary, "half").unwrap();
    let strays = async || {
        let mut found = collect_strays(root, &rules(), Place::Top).await.unwrap();
        found.add(collect_strays(root, &rules(), Place::Date(partition())).await.unwrap());
        found
    };
    assert_eq!(strays().await, Strays::default(), "they are young");

    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3_700);
    for path in [&temporary, &probe] {
        std::fs::File::open(path).unwrap().set_modified(old).unwrap();
    }
    let found = strays().await;
    assert_eq!((found.files, found.probes), (0, 1), "the run is under way");
    finish(root, &run, &[]).await;
    std::fs::File::open(&temporary).unwrap().set_modified(old).unwrap();
    let found = strays().await;
    assert_eq!((found.files, found.freed_bytes), (1, 4));
    assert!(!temporary.exists() && !probe.exists());
}

/// One thing that happens to a date.
#[derive(Debug, Clone)]
enum Step {
    /// A run is opened, forced or not, and brought to its end with some shards given up.
    Run { force: bool, lost: Vec<u32> },
    /// As before, with a collector at work all the while.
    RunBesideCollector { force: bool, lost: Vec<u32> },
    /// A run is opened, decides one shard, and dies.
    Abandon { force: bool },
    /// A collector runs, and is killed after so many shards.
    KilledCollector { after: usize },
    /// Two collectors run at once.
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let lost = || proptest::collection::vec(0_u32..3, 0..3);
    prop_oneof![
        (any::<bool>(), lost()).prop_map(|(force, lost)| Step::Run { force, lost }),
        (any::<bool>(), lost()).prop_map(|(force, lost)| Step::RunBesideCollector { force, lost }),
        any::<bool>().prop_map(|force| Step::Abandon { force }),
        (0_usize..3).prop_map(|after| Step::KilledCollector { after }),
        Just(Step::Collect),
    ]
}

async fn perform(root: &Probed, number: usize, step: &Step) {
    let who = format!("p{number}");
    match step {
        Step::Run { force, lost } => finish(root, &*begin(root, &who, *force).await, lost).await,
        Step::RunBesideCollector { force, lost } => {
            let run = async { finish(root, &*begin(root, &who, *force).await, lost).await };
            let (rules, date) = (rules(), partition());
            let collector = async {
                for _ in 0..3 {
                    let _ = collect(root, &rules, date).await.unwrap();
                }
            };
            tokio::join!(run, collector);
        }
        Step::Abandon { force } => {
            let run = begin(root, &who, *force).await;
            if root.decided_shards(&run.run).await.unwrap().is_empty() {
                work(root, &run, 0, false).await;
            }
        }
        Step::KilledCollector { after } => {
            let (rules, date) = (rules(), partition());
            let judged = judge_partition(root, &rules, date).await.unwrap();
            let mut sweep = Sweep::prepare(root, &judged).await.unwrap();
            removing::begin(root, &rules, &sweep).await.unwrap();
            sweep.shards = sweep.shards.iter().take(*after).collect();
            let _ = sweep.go_through(root, Hand::Remove).await.unwrap();
        }
        Step::Collect => {
            let (rules, date) = (rules(), partition());
            let both = tokio::join!(collect(root, &rules, date), collect(root, &rules, date));
            both.0.unwrap();
            both.1.unwrap();
        }
    }
}

/// Every run that has its final, and was not removed, is as it was decided.
async fn everything_that_stays_is_whole(root: &Probed) {
    let judged = judge_partition(root, &rules(), partition()).await.unwrap();
    for one in judged.runs.iter().filter(|one| one.state.is_some()) {
        let RunId { partition, generation, .. } = one.run;
        let removed = Object::Removal { partition, generation };
        if root.read::<Removal>(&removed).await.unwrap().is_none() {
            passes(root, &one.run).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_what_stays(steps in proptest::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Stage { root, .. } = &Stage::new().await;
            for (number, step) in steps.iter().enumerate() {
                perform(root, number, step).await;
                everything_that_stays_is_whole(root).await;
            }
            // Whatever is open can be finished, and then as much goes as may go.
            finish(root, &*begin(root, "last", false).await, &[]).await;
            collect(root, &rules(), partition()).await.unwrap();
            everything_that_stays_is_whole(root).await;
            prop_assert_eq!(collect(root, &rules(), partition()).await.unwrap(), []);
            Ok(())
        })?;
    }
}
