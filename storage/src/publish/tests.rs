use std::io::Write;

use nightshift_core::ids::{AttemptId, Generation, RunId, ShardIndex};
use nightshift_core::layout::StagedName;
use nightshift_core::plan::OutputFormat;

use super::*;
use crate::root::OutputRoot;
use crate::sync::Durability;

const SHARD: ShardIndex = ShardIndex(17);
const FORMAT: OutputFormat = OutputFormat::Csv;

fn run() -> RunId {
    "flights-2013-01-31-g1".parse().unwrap()
}

fn part(shard: ShardIndex, generation: u32) -> Object {
    Object::Part {
        partition: run().partition,
        generation: Generation::new(generation).unwrap(),
        shard,
        shards: 200,
        format: FORMAT,
    }
}

struct Fixture {
    _directory: tempfile::TempDir,
    root: Probed,
    permit: CommitPermit,
    file: Publication,
}

impl Fixture {
    /// An attempt that has sealed a file and whose record is taken to have won.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let uri = directory.path().to_str().unwrap();
        let root = OutputRoot::open(uri, Durability::Full).await.unwrap().probe().await.unwrap();
        let attempt: AttemptId = ulid::Ulid::generate().to_string().parse().unwrap();
        let staging = root.stage(&run(), SHARD, &attempt).unwrap();
        let mut file = staging.create(StagedName::Data(FORMAT)).unwrap();
        file.write_all(b"id\n1\n").unwrap();
        let sealed = root.seal(vec![file.finish().unwrap()]).await.unwrap();
        let [file] = sealed.files() else { panic!("{sealed:?}") };
        let file = Publication {
            staged: file.object.clone(),
            visible: part(SHARD, 1),
            size_bytes: file.size_bytes,
            sha256: file.sha256,
        };
        let permit = CommitPermit::from_stored_record(run(), SHARD, attempt);
        Self { _directory: directory, root, permit, file }
    }

    async fn publish(&self) -> Result<(), StoreError> {
        self.root.publish(&self.permit, std::slice::from_ref(&self.file)).await
    }

    async fn state(&self) -> VisibleState {
        let files = vec![(self.file.visible.clone(), self.file.size_bytes)];
        self.root.verify_visible(files).await.unwrap()[0]
    }

    fn visible(&self) -> PathBuf {
        self.root.path_of(&self.file.visible)
    }

    fn staged(&self) -> PathBuf {
        self.root.path_of(&self.file.staged)
    }
}

#[tokio::test]
async fn a_committed_file_becomes_visible_once_however_often_it_is_published() {
    let f = Fixture::new().await;
    assert_eq!(f.state().await, VisibleState::Missing);
    let racing = (0..8).map(|_| f.publish());
    for end in futures::future::join_all(racing).await {
        end.unwrap();
    }
    f.publish().await.unwrap();
    assert_eq!(f.state().await, VisibleState::Right);
    assert_eq!(std::fs::read(f.visible()).unwrap(), b"id\n1\n");
    assert_eq!(f.root.digest(&f.file.visible).await.unwrap(), Some((5, f.file.sha256)));
    assert_eq!(std::fs::read_dir(f.visible().parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_copy_with_the_same_content_is_accepted() {
    let f = Fixture::new().await;
    std::fs::create_dir_all(f.visible().parent().unwrap()).unwrap();
    std::fs::copy(f.staged(), f.visible()).unwrap();
    f.publish().await.unwrap();
}

#[tokio::test]
async fn other_content_under_the_name_is_refused_and_kept() {
    let f = Fixture::new().await;
    std::fs::create_dir_all(f.visible().parent().unwrap()).unwrap();
    for other in [&b"id\n2\n"[..], b"longer than that\n"] {
        std::fs::write(f.visible(), other).unwrap();
        let error = f.publish().await.unwrap_err();
        assert!(matches!(error, StoreError::VisibleDiffers { .. }), "{error:?}");
        assert_eq!(std::fs::read(f.visible()).unwrap(), other);
    }
    assert_eq!(f.state().await, VisibleState::WrongSize { found_bytes: 17 });
}

#[tokio::test]
async fn a_file_that_was_moved_is_published_already() {
    let f = Fixture::new().await;
    std::fs::create_dir_all(f.visible().parent().unwrap()).unwrap();
    std::fs::rename(f.staged(), f.visible()).unwrap();
    f.publish().await.unwrap();
    std::fs::remove_file(f.visible()).unwrap();
    let error = f.publish().await.unwrap_err();
    assert!(matches!(error, StoreError::StagedMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_staged_file_is_not_published() {
    let f = Fixture::new().await;
    File::options().write(true).open(f.staged()).unwrap().set_len(1).unwrap();
    let error = f.publish().await.unwrap_err();
    assert!(matches!(error, StoreError::StagedDamaged { .. }), "{error:?}");
    assert_eq!(f.state().await, VisibleState::Missing);
}

#[tokio::test]
async fn a_permit_is_good_for_its_own_attempt_shard_and_date_only() {
    let f = Fixture::new().await;
    let other: AttemptId = ulid::Ulid::generate().to_string().parse().unwrap();
    let permit = |run: &str, shard, attempt: &AttemptId| {
        CommitPermit::from_stored_record(run.parse().unwrap(), shard, attempt.clone())
    };
    let own = f.permit.attempt();
    for permit in [
        permit("flights-2013-01-31-g1", SHARD, &other),
        permit("flights-2013-01-31-g1", ShardIndex(18), own),
        permit("flights-2013-01-31-g2", SHARD, own),
        permit("flights-2013-01-30-g1", SHARD, own),
    ] {
        let error = f.root.publish(&permit, std::slice::from_ref(&f.file)).await.unwrap_err();
        assert!(matches!(error, StoreError::NotPermitted { .. }), "{permit:?}: {error:?}");
    }
    let success = Object::Success { partition: run().partition, generation: run().generation };
    for visible in [part(ShardIndex(18), 1), success, Object::Root] {
        let file = Publication { visible, ..f.file.clone() };
        let error = f.root.publish(&f.permit, &[file]).await.unwrap_err();
        assert!(matches!(error, StoreError::NotPermitted { .. }), "{error:?}");
    }
    assert_eq!(f.state().await, VisibleState::Missing);
}

#[tokio::test]
async fn a_later_generation_inherits_by_another_link() {
    let f = Fixture::new().await;
    let inherited = Publication { visible: part(SHARD, 2), ..f.file.clone() };
    f.root.publish(&f.permit, &[f.file.clone(), inherited.clone()]).await.unwrap();
    assert!(f.root.exists(&inherited.visible).await.unwrap());
    assert_eq!(f.state().await, VisibleState::Right);
}
