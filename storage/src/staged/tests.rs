use nightshift_core::plan::OutputFormat;
use proptest::prelude::*;

use super::*;
use crate::root::OutputRoot;
use crate::sync::Durability;

const DATA: StagedName = StagedName::Data(OutputFormat::Parquet);

fn run() -> RunId {
    "flights-2013-01-31-g1".parse().unwrap()
}

fn attempt() -> AttemptId {
    ulid::Ulid::generate().to_string().parse().unwrap()
}

async fn root(directory: &tempfile::TempDir, durability: Durability) -> Probed {
    let uri = directory.path().to_str().unwrap();
    OutputRoot::open(uri, durability).await.unwrap().probe().await.unwrap()
}

fn write(root: &Probed, shard: u32, attempt: &AttemptId, bytes: &[u8]) -> StagedObject {
    let staging = root.stage(&run(), ShardIndex(shard), attempt).unwrap();
    let mut file = staging.create(DATA).unwrap();
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

#[tokio::test]
async fn sealed_files_are_the_bytes_that_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let attempt = attempt();
    let staging = root.stage(&run(), ShardIndex(3), &attempt).unwrap();
    let mut data = staging.create(DATA).unwrap();
    data.write_all(b"abc").unwrap();
    let rejects = staging.create(StagedName::Rejects).unwrap();
    let sealed = root.seal(vec![data.finish().unwrap(), rejects.finish().unwrap()]).await.unwrap();
    assert_eq!((sealed.run(), sealed.shard(), sealed.attempt()), (&run(), ShardIndex(3), &attempt));
    let [data, rejects] = sealed.files() else { panic!("{sealed:?}") };
    assert_eq!(data.size_bytes, 3);
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(data.sha256.to_string(), abc);
    assert_eq!(std::fs::read(root.path_of(&data.object)).unwrap(), b"abc");
    assert_eq!(rejects.size_bytes, 0);
    assert_eq!(root.digest(&data.object).await.unwrap(), Some((3, data.sha256)));
}

#[tokio::test]
async fn an_attempt_stages_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let attempt = attempt();
    let staging = root.stage(&run(), ShardIndex(3), &attempt).unwrap();
    let again = root.stage(&run(), ShardIndex(3), &attempt).unwrap_err();
    assert!(matches!(again, StoreError::AttemptReused { .. }), "{again:?}");
    let _file = staging.create(DATA).unwrap();
    staging.create(DATA).unwrap_err();
}

#[tokio::test]
async fn only_the_files_of_one_attempt_seal_together() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let none = root.seal(Vec::new()).await.unwrap_err();
    assert!(matches!(none, StoreError::InvalidSeal { .. }), "{none:?}");
    let two = vec![write(&root, 1, &attempt(), b"x"), write(&root, 1, &attempt(), b"y")];
    let mixed = root.seal(two).await.unwrap_err();
    assert!(matches!(mixed, StoreError::InvalidSeal { .. }), "{mixed:?}");
}

#[tokio::test]
async fn a_file_that_lost_bytes_is_not_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let object = write(&root, 1, &attempt(), b"whole");
    File::options().write(true).open(root.path_of(object.object())).unwrap().set_len(2).unwrap();
    let error = root.seal(vec![object]).await.unwrap_err();
    assert!(
        matches!(error, StoreError::StagedDamaged { found_bytes: 2, wanted_bytes: 5, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_write_that_failed_can_never_be_finished() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let staging = root.stage(&run(), ShardIndex(1), &attempt()).unwrap();
    let mut file = staging.create(DATA).unwrap();
    // Every write to this device fails for want of space.
    file.sink = Sink::File(File::options().write(true).open("/dev/full").unwrap());
    file.write_all(b"x").unwrap();
    assert_eq!(file.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.sink = Sink::File(File::create(directory.path().join("elsewhere")).unwrap());
    let error = file.finish().unwrap_err();
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
}

#[tokio::test]
async fn many_shards_sealed_at_once_share_the_syncs_of_their_directories() {
    const SHARDS: u32 = 100;
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::Full).await;
    let seals = (0..SHARDS).map(|shard| root.seal(vec![write(&root, shard, &attempt(), b"x")]));
    for sealed in futures::future::join_all(seals).await {
        sealed.unwrap();
    }
    let counters = root.sync_counters();
    assert_eq!(counters.files, u64::from(SHARDS));
    // Each attempt and shard has a directory of its own; the run's is shared.
    assert!(counters.directories >= u64::from(2 * SHARDS));
    assert!(counters.directories <= counters.directory_requests);
}

#[tokio::test]
async fn without_durability_everything_works_and_nothing_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(&directory, Durability::None).await;
    root.seal(vec![write(&root, 1, &attempt(), b"x")]).await.unwrap();
    assert_eq!(root.sync_counters(), crate::sync::SyncCounters::default());
    assert_eq!(root.durability(), Durability::None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However the bytes are cut into writes, and around the size of the buffer too, the file,
    /// its length and its digest are those of the whole.
    #[test]
    fn cuts_do_not_matter(cuts in prop::collection::vec(0..BUFFER_BYTES * 3 / 2, 0..6)) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let root = runtime.block_on(root(&directory, Durability::None));
        let staging = root.stage(&run(), ShardIndex(1), &attempt()).unwrap();
        let mut file = staging.create(DATA).unwrap();
        let mut whole = Vec::new();
        for (number, &length) in cuts.iter().enumerate() {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31 + number) as u8).collect();
            file.write_all(&bytes).unwrap();
            whole.extend_from_slice(&bytes);
            prop_assert_eq!(file.size_bytes(), whole.len() as u64);
        }
        let object = file.finish().unwrap();
        prop_assert_eq!(object.size_bytes(), whole.len() as u64);
        prop_assert_eq!(object.sha256(), Digest(Sha256::digest(&whole).into()));
        let stored = std::fs::read(root.path_of(object.object())).unwrap();
        prop_assert!(stored == whole);
    }
}
