//! Two deployments that write to the same name at the same moment: whatever they do to each
//! other, a ledger that says whose it is holds that one's facts and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightshift_core::ids::ShardIndex;
use nightshift_core::root::RootId;
use nightshift_ledger::{Changes, DateEntry, Ledger, LedgerError, Stamp, Writer};
use nightshift_tests::redis::{Connection, RedisServer, Reply};

use crate::stage::{name, redis_at, run, verdict};

/// Rebuilds of each deployment.
const REBUILDS: u32 = 200;

/// Takes the ledger again and again, and writes shards from `first` on and one date.
async fn take_it(ledger: Arc<dyn Ledger>, root: RootId, first: u32, day: u32) -> u32 {
    let writer = Writer::random();
    let mut sequence = 0;
    let mut stamp = |is_rebuild: bool| {
        let expected = (!is_rebuild).then_some(sequence);
        sequence += 1;
        Stamp { root: root.clone(), writer: writer.clone(), expected, sequence }
    };
    let changes = |shard: u32| {
        let mut changes = Changes::default();
        changes.done.insert(run(1, 1), vec![ShardIndex(first + shard)]);
        changes.conclude(DateEntry::new(&root, &verdict(&run(day, 1))));
        changes
    };
    let mut finished = 0;
    for round in 0..REBUILDS {
        let rebuilt = async {
            ledger.begin(&name(), &stamp(true)).await?;
            // What a rebuild removes: everything that is not of this root.
            let mut wrong = Changes::default();
            for (date, entry) in ledger.entries(&name()).await? {
                if entry.root != root {
                    wrong.false_dates.insert(date, entry);
                }
            }
            let others = ledger.done(&run(1, 1)).await?;
            let others = others.into_iter().filter(|shard| shard.0 / 1000 != first / 1000);
            wrong.false_done = BTreeMap::from([(run(1, 1), others.collect())]);
            ledger.apply(&name(), &stamp(true), &wrong).await?;
            ledger.apply(&name(), &stamp(true), &changes(round % 500)).await?;
            ledger.finish(&name(), &stamp(true)).await?;
            for more in 0..5 {
                ledger.apply(&name(), &stamp(false), &changes(500 + more)).await?;
            }
            Ok::<_, LedgerError>(())
        };
        match rebuilt.await {
            Ok(()) => finished += 1,
            Err(LedgerError::Lost(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    finished
}

/// One look at everything at one moment.
fn judge(to: &mut Connection, roots: &[(RootId, u32, u32)]) -> bool {
    let key = |rest: &str| format!("nightshift:{{numbers}}:{rest}");
    let commands: [&[&str]; 4] = [
        &["MULTI"],
        &["HGET", &key("meta"), "root_id"],
        &["SMEMBERS", &key("run:numbers-2013-01-01-g1:done")],
        &["HKEYS", &key("dates")],
    ];
    for command in commands {
        to.ask(command).unwrap();
    }
    let Reply::List(Some(answers)) = to.ask(&["EXEC"]).unwrap() else { panic!() };
    let [owner, shards, dates] = answers.try_into().unwrap();
    let Reply::Text(Some(owner)) = owner else { return false };
    let (_, first, day) = roots.iter().find(|(root, ..)| root.to_string() == owner).unwrap();
    for shard in shards.texts() {
        let shard: u32 = shard.parse().unwrap();
        assert_eq!(shard / 1000, first / 1000, "{owner} has shard {shard}");
    }
    for date in dates.texts() {
        assert_eq!(date, format!("2013-01-{day:02}"), "{owner} has {date}");
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_outputs_are_never_mixed() {
    let server = RedisServer::start();
    let root = || -> RootId { ulid::Ulid::generate().to_string().parse().unwrap() };
    let roots = [(root(), 1000, 2), (root(), 2000, 3)];
    let (one, two) = (roots[0].clone(), roots[1].clone());
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let judge = std::thread::spawn({
        let (mut to, ended) = (server.connect(), Arc::clone(&ended));
        move || {
            let mut judged = 0;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                judged += u32::from(judge(&mut to, &roots));
            }
            judged
        }
    });
    let take = |(root, first, day): (RootId, u32, u32)| {
        let ledger = redis_at(&server.url());
        nightshift_telemetry::spawn("deployment", take_it(ledger, root, first, day))
    };
    let (one, two) = (take(one), take(two));
    let finished = (one.await.unwrap(), two.await.unwrap());
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    let judged = judge.join().unwrap();
    assert!(judged > 0 && finished.0 + finished.1 > 0, "{judged} {finished:?}");
}
