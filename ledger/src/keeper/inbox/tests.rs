use super::*;

async fn inbox(directory: &tempfile::TempDir) -> (Inbox, SpecName) {
    let reader = Reader::open(directory.path().to_str().unwrap()).await.unwrap();
    let name: SpecName = "numbers".parse().unwrap();
    let root_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let inbox = Inbox::default();
    assert!(inbox.serve(ServedRoot { name: name.clone(), root_id, reader }));
    assert!(matches!(inbox.take(&name), Letter::Rebuild));
    (inbox, name)
}

fn run() -> RunId {
    "numbers-2013-01-01-g1".parse().unwrap()
}

fn waiting(inbox: &Inbox, name: &SpecName) -> usize {
    match inbox.take(name) {
        Letter::Write(changes) => changes.shards(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_kept_before_a_rebuild_begins() {
    let directory = tempfile::tempdir().unwrap();
    let (inbox, name) = inbox(&directory).await;
    inbox.shard(&run(), ShardIndex(1));
    assert_eq!(waiting(&inbox, &name), 0);
    inbox.open(&name);
    inbox.shard(&run(), ShardIndex(2));
    inbox.shard(&run(), ShardIndex(3));
    assert_eq!(inbox.advance().taken, None);
    assert_eq!(waiting(&inbox, &name), 2);
    assert_eq!(inbox.advance().taken, Some(inbox.told()));
    inbox.shut(&name);
    inbox.shard(&run(), ShardIndex(4));
    assert_eq!(waiting(&inbox, &name), 0);
}

#[tokio::test]
async fn more_than_is_kept_asks_for_a_rebuild() {
    let directory = tempfile::tempdir().unwrap();
    let (inbox, name) = inbox(&directory).await;
    inbox.open(&name);
    let fill = |count: usize| {
        (0..count).for_each(|shard| inbox.shard(&run(), ShardIndex(shard as u32)));
    };
    fill(PENDING_MAX);
    assert!(inbox.advance().is_calm);
    assert_eq!(waiting(&inbox, &name), PENDING_MAX);
    fill(PENDING_MAX + 1);
    let advance = inbox.advance();
    assert!(!advance.is_calm && advance.taken.is_none());
    assert!(matches!(inbox.take(&name), Letter::Overflowed));
    fill(10);
    assert_eq!(waiting(&inbox, &name), 0, "the rebuild will find them");
    // A rebuild begins: what is told from then on is kept again.
    inbox.open(&name);
    fill(10);
    assert_eq!(waiting(&inbox, &name), 10);
}

#[tokio::test]
async fn the_same_root_is_served_once() {
    let directory = tempfile::tempdir().unwrap();
    let (inbox, name) = inbox(&directory).await;
    let served = inbox.served(&name).unwrap();
    assert!(!inbox.serve(served.clone()));
    assert!(matches!(inbox.take(&name), Letter::Write(_)));
    let root_id = "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    assert!(inbox.serve(ServedRoot { root_id, ..served }));
    assert!(matches!(inbox.take(&name), Letter::Rebuild));
    assert!(inbox.reconcile(&name));
    assert!(matches!(inbox.take(&name), Letter::Rebuild));
    assert!(!inbox.reconcile(&"letters".parse().unwrap()));
}
