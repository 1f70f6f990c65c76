use futures::future::join_all;

use super::*;

fn syncer(root: &Path) -> Arc<Syncer> {
    Syncer::new(root.to_path_buf(), Durability::Full)
}

/// A queue that a task is taken to serve, so that requests join it.
fn occupy(syncer: &Syncer, directory: &Path) {
    syncer.queues.lock().unwrap().insert(directory.to_path_buf(), Vec::new());
}

#[tokio::test]
async fn requests_that_wait_share_one_sync() {
    const REQUESTS: usize = 50;
    let root = tempfile::tempdir().unwrap();
    let syncer = syncer(root.path());
    occupy(&syncer, root.path());
    let waits: Vec<_> = (0..REQUESTS).map(|_| syncer.request(root.path())).collect();
    assert_eq!(syncer.counters().directories, 0);
    syncer.serve(root.path());
    for wait in join_all(waits).await {
        wait.unwrap().unwrap();
    }
    let counters = syncer.counters();
    assert_eq!((counters.directory_requests, counters.directories), (REQUESTS as u64, 1));
    assert!(syncer.queues.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_never_rests_on_an_earlier_sync() {
    let root = tempfile::tempdir().unwrap();
    let syncer = syncer(root.path());
    for served in 1..=3 {
        syncer.request(root.path()).await.unwrap().unwrap();
        assert_eq!(syncer.counters().directories, served);
    }
}

#[tokio::test]
async fn a_dropped_request_leaves_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    let syncer = syncer(root.path());
    drop(syncer.request(root.path()));
    syncer.request(root.path()).await.unwrap().unwrap();
}

#[tokio::test]
async fn every_waiting_request_sees_the_failure() {
    let root = tempfile::tempdir().unwrap();
    let syncer = syncer(root.path());
    let missing = root.path().join("missing");
    let results = join_all((0..4).map(|_| syncer.sync_entries(&missing))).await;
    for result in results {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn directories_on_the_way_are_synced_once() {
    let root = tempfile::tempdir().unwrap();
    let syncer = syncer(root.path());
    let deep = root.path().join("a/b/c");
    std::fs::create_dir_all(&deep).unwrap();
    syncer.sync_entries(&deep).await.unwrap();
    // c for its entries, b, a and the root for the entries that lead to c.
    assert_eq!(syncer.counters().directories, 4);
    syncer.sync_entries(&deep).await.unwrap();
    assert_eq!(syncer.counters().directories, 5);
    let beside = root.path().join("a/b/d");
    std::fs::create_dir_all(&beside).unwrap();
    syncer.sync_entries(&beside).await.unwrap();
    assert_eq!(syncer.counters().directories, 7, "d for its entries, and b for the entry of d");
}

#[tokio::test]
async fn without_durability_nothing_is_synced() {
    let root = tempfile::tempdir().unwrap();
    let syncer = Syncer::new(root.path().to_path_buf(), Durability::None);
    syncer.sync_entries(&root.path().join("missing")).await.unwrap();
    syncer.sync_own_directory(&root.path().join("missing")).unwrap();
    let file = File::create(root.path().join("file")).unwrap();
    syncer.sync_file(&file).unwrap();
    assert_eq!(syncer.counters(), SyncCounters::default());
}
