use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use nightshift_core::layout::StagedName;
use nightshift_core::plan::OutputFormat;
use nightshift_core::settle::Backoff;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::error::Class;
use crate::faulty::{Fault, Faulty, Seen};
use crate::root::OutputRoot;
use crate::sync::Durability;

/// A record as these tests need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    version: u32,
    attempt: AttemptId,
    words: String,
}

impl Document for Verdict {
    const KIND: Kind = Kind::Record;
    const VERSION: u32 = 1;
    fn version(&self) -> u32 {
        self.version
    }
}

/// Bounds without waits.
const AT_ONCE: Backoff =
    Backoff { first: Duration::ZERO, longest: Duration::ZERO, creates_max: 4, unreadable_max: 3 };

fn run() -> RunId {
    "flights-2013-01-31-g1".parse().unwrap()
}

fn record() -> Object {
    Object::Record { run: run(), shard: ShardIndex(17) }
}

fn attempt() -> AttemptId {
    ulid::Ulid::generate().to_string().parse().unwrap()
}

fn verdict(attempt: &AttemptId) -> Verdict {
    Verdict { version: 1, attempt: attempt.clone(), words: String::new() }
}

async fn root(directory: &tempfile::TempDir) -> Probed {
    let uri = directory.path().to_str().unwrap();
    let root = OutputRoot::open(uri, Durability::Full).await.unwrap();
    root.probe().await.unwrap().with_backoff(AT_ONCE)
}

fn faulty(root: &Probed, script: impl IntoIterator<Item = Fault>) -> Probed {
    root.clone().with_store(|inner| Arc::new(Faulty::new(inner).with_creates(script)))
}

fn staged(root: &Probed, attempt: &AttemptId) -> crate::staged::StagedObject {
    use std::io::Write;
    let staging = root.stage(&run(), ShardIndex(17), attempt).unwrap();
    let mut file = staging.create(StagedName::Data(OutputFormat::Csv)).unwrap();
    file.write_all(b"id\n1\n").unwrap();
    file.finish().unwrap()
}

async fn stored(root: &Probed) -> Option<Verdict> {
    root.read(&record()).await.unwrap()
}

const REPLIES: [Seen; 12] = [
    Seen::Truth,
    Seen::AlreadyExists,
    Seen::Precondition,
    Seen::Conflict409,
    Seen::Precondition412,
    Seen::NotModified304,
    Seen::ServerError,
    Seen::Timeout,
    Seen::Reset,
    Seen::Unauthenticated401,
    Seen::Forbidden403,
    Seen::NoSpace,
];

fn is_denial(seen: Seen) -> bool {
    matches!(seen, Seen::Unauthenticated401 | Seen::Forbidden403 | Seen::NoSpace)
}

#[tokio::test]
async fn every_reply_to_a_create_is_settled_by_what_is_stored() {
    for sees in REPLIES {
        for happens in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let root = root(&directory).await;
            let mine = verdict(&attempt());
            let store = faulty(&root, [Fault { happens, sees }]);
            let outcome = store.create_once(&record(), &mine).await;
            let found = stored(&root).await;
            if is_denial(sees) {
                let class = outcome.unwrap_err().class();
                let wanted = if sees == Seen::NoSpace { Class::Io } else { Class::Permission };
                assert_eq!(class, wanted, "{sees:?}");
                assert_eq!(found, happens.then_some(mine), "{sees:?}: nothing is deleted");
            } else {
                assert_eq!(outcome.unwrap(), Settled::Created, "{sees:?}, happens: {happens}");
                assert_eq!(found, Some(mine), "{sees:?}, happens: {happens}");
            }
        }
    }
}

#[tokio::test]
async fn every_reply_to_a_loser_names_the_winner() {
    for sees in REPLIES {
        for happens in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let root = root(&directory).await;
            let winner = verdict(&attempt());
            assert_eq!(root.create_once(&record(), &winner).await.unwrap(), Settled::Created);
            let store = faulty(&root, [Fault { happens, sees }]);
            let outcome = store.create_once(&record(), &verdict(&attempt())).await;
            if is_denial(sees) {
                outcome.unwrap_err();
            } else {
                assert_eq!(outcome.unwrap(), Settled::Existing(winner.clone()), "{sees:?}");
            }
            assert_eq!(stored(&root).await, Some(winner), "{sees:?}");
        }
    }
}

#[tokio::test]
async fn a_store_that_loses_every_create_leaves_it_unsettled() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let fault = Fault { happens: false, sees: Seen::Timeout };
    let store = faulty(&root, [fault; AT_ONCE.creates_max as usize]);
    let error = store.create_once(&record(), &verdict(&attempt())).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unsettled { creates, .. } if creates == AT_ONCE.creates_max)
    );
    assert_eq!(error.class(), Class::Unavailable);
    assert_eq!(stored(&root).await, None);
}

#[tokio::test]
async fn a_read_back_that_fails_is_repeated_and_then_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let unclear = Fault { happens: true, sees: Seen::Reset };
    let with_reads = |failing: usize| {
        root.clone().with_store(|inner| {
            let store = Faulty::new(inner).with_creates([unclear]);
            Arc::new(store.with_failing_reads(std::iter::repeat_n(true, failing)))
        })
    };
    let mine = verdict(&attempt());
    let error = with_reads(4).create_once(&record(), &mine).await.unwrap_err();
    assert!(matches!(error, StoreError::Unsettled { .. }), "{error:?}");
    assert_eq!(stored(&root).await, Some(mine.clone()), "nothing is deleted");
    // The same attempt asks once more and learns that it had won.
    assert_eq!(with_reads(3).create_once(&record(), &mine).await.unwrap(), Settled::Created);
}

#[tokio::test]
async fn the_winner_of_a_commit_gets_the_permit_of_its_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let (first, second) = (attempt(), attempt());
    let sealed = root.seal(vec![staged(&root, &first)]).await.unwrap();
    let Committed::Won(permit) = root.commit(&sealed, &verdict(&first)).await.unwrap() else {
        panic!("the only attempt lost")
    };
    assert_eq!((permit.run(), permit.shard(), permit.attempt()), (&run(), ShardIndex(17), &first));
    let sealed = root.seal(vec![staged(&root, &second)]).await.unwrap();
    let lost = root.commit(&sealed, &verdict(&second)).await.unwrap();
    assert_eq!(lost, Committed::Lost(verdict(&first)));
    let late = root.quarantine(&run(), ShardIndex(17), &second, &verdict(&second)).await.unwrap();
    assert_eq!(late, Settled::Existing(verdict(&first)));
}

#[tokio::test]
async fn documents_that_cannot_be_trusted_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let path = root.path_of(&record());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    let id = attempt();
    let read = async || root.read::<Verdict>(&record()).await.unwrap_err();

    for bytes in [&b""[..], b"{", b"[]", b"{}", b"\xff\xfe", b"{\"version\":1}", &[b'['; 5000]] {
        write(bytes);
        let error = read().await;
        assert!(matches!(error, StoreError::Malformed { .. }), "{bytes:?}: {error:?}");
        assert!(error.to_string().contains(&record().path()), "{error}");
    }
    for version in ["2", "0", "4294967296"] {
        write(format!("{{\"version\":{version},\"new\":[]}}").as_bytes());
        assert!(matches!(read().await, StoreError::UnknownVersion { .. }), "{version}");
    }
    write(serde_json::to_string(&Verdict { version: 7, ..verdict(&id) }).unwrap().as_bytes());
    assert!(matches!(read().await, StoreError::UnknownVersion { found: 7, known: 1, .. }));
    write(&vec![b' '; Kind::Record.size_max_bytes() as usize + 1]);
    assert!(matches!(read().await, StoreError::TooLarge { .. }));
    // Whoever comes to create it finds the same.
    let error = root.create_once(&record(), &verdict(&id)).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error:?}");
    write(b"{");
    let error = root.create_once(&record(), &verdict(&id)).await.unwrap_err();
    assert!(matches!(error, StoreError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_document_beyond_its_bound_is_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let words = "x".repeat(Kind::Record.size_max_bytes() as usize);
    let large = Verdict { words, ..verdict(&attempt()) };
    let error = root.create_once(&record(), &large).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error:?}");
    assert!(!root.exists(&record()).await.unwrap());
}

#[tokio::test]
async fn listings_give_objects_and_leave_out_temporary_names() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let prefix = Prefix::Records(run());
    let empty: Vec<Listed> = root.list(&prefix).try_collect().await.unwrap();
    assert_eq!(empty, []);
    for shard in 0..5 {
        let record = Object::Record { run: run(), shard: ShardIndex(shard) };
        let _ = root.create_once(&record, &verdict(&attempt())).await.unwrap();
    }
    let records = root.path_of_prefix(&prefix);
    std::fs::write(records.join("0000009.json#12"), b"half").unwrap();
    std::fs::write(records.join("notes.txt"), b"hello").unwrap();
    let listed: Vec<Listed> = root.list(&prefix).try_collect().await.unwrap();
    assert_eq!(listed.len(), 6);
    let shards: BTreeSet<_> =
        listed.iter().filter_map(|l| l.object.as_ref()?.shard()).map(|s| s.0).collect();
    assert_eq!(shards, (0..5).collect());
    let stranger = listed.iter().find(|l| l.object.is_none()).unwrap();
    assert!(stranger.path.ends_with("records/notes.txt") && stranger.size_bytes == 5);
}

#[tokio::test]
async fn a_loser_syncs_what_it_builds_on() {
    let directory = tempfile::tempdir().unwrap();
    let (winner, loser) = (root(&directory).await, root(&directory).await);
    let _ = winner.create_once(&record(), &verdict(&attempt())).await.unwrap();
    assert_eq!(loser.sync_counters().directories, 0);
    let _ = loser.create_once(&record(), &verdict(&attempt())).await.unwrap();
    assert!(loser.sync_counters().directories > 0);
    assert_eq!(loser.sync_counters().files, 0, "the winner's bytes were synced before the link");
}

#[tokio::test]
async fn bytes_are_put_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory).await;
    let success = Object::Success { partition: run().partition, generation: run().generation };
    assert_eq!(root.get(&success).await.unwrap(), None);
    assert_eq!(root.put_once(&success, "{}").await.unwrap(), Settled::Created);
    assert_eq!(root.put_once(&success, "{}").await.unwrap(), Settled::Created);
    let other = root.put_once(&success, "[]").await.unwrap();
    assert_eq!(other, Settled::Existing(Bytes::from_static(b"{}")));
    assert_eq!(root.get(&success).await.unwrap().unwrap(), "{}");
}

fn fault() -> impl Strategy<Value = Fault> {
    (any::<bool>(), prop::sample::select(&REPLIES[..]))
        .prop_map(|(happens, sees)| Fault { happens, sees })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Racing writers over a store that fails at random: at most one verdict, nobody is told
    /// "won" unless the stored bytes are theirs, and a loser is told the winner.
    #[test]
    fn racing_writers_never_disagree(scripts in prop::collection::vec(prop::collection::vec(fault(), 0..8), 2..6)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let root = root(&directory).await;
            let verdicts: Vec<Verdict> = scripts.iter().map(|_| verdict(&attempt())).collect();
            let ends = join_all(scripts.iter().zip(&verdicts).map(|(script, mine)| {
                let store = faulty(&root, script.iter().copied());
                async move { store.create_once(&record(), mine).await }
            })).await;
            let found = stored(&root).await;
            for (end, mine) in ends.iter().zip(&verdicts) {
                match end {
                    Ok(Settled::Created) => prop_assert_eq!(found.as_ref(), Some(mine)),
                    Ok(Settled::Existing(winner)) => {
                        prop_assert_eq!(found.as_ref(), Some(winner));
                        prop_assert_ne!(winner, mine);
                    }
                    Err(error) => prop_assert!(matches!(
                        error.class(), Class::Unavailable | Class::Permission | Class::Io
                    )),
                }
            }
            let won = ends.iter().filter(|end| matches!(end, Ok(Settled::Created))).count();
            prop_assert!(won <= 1);
            // With the truth told again, everybody learns the same verdict.
            for mine in &verdicts {
                match root.create_once(&record(), mine).await.unwrap() {
                    Settled::Created => {}
                    Settled::Existing(winner) => prop_assert_eq!(Some(winner), stored(&root).await),
                }
            }
            Ok(())
        })?;
    }
}
