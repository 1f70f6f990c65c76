use object_store::{Error, ObjectStoreExt};
use rustix::io::Errno;

use super::*;

fn volume(root: &Path) -> Volume {
    Volume::new(root, Syncer::new(root.canonicalize().unwrap(), Durability::Full)).unwrap()
}

async fn create(volume: &Volume, path: &str, bytes: &'static [u8]) -> Result<PutResult, Error> {
    let payload = PutPayload::from_static(bytes);
    volume.put_opts(&path.into(), payload, PutMode::Create.into()).await
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_second_create_is_refused_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let volume = volume(root.path());
    create(&volume, "a/b/one.json", b"first").await.unwrap();
    let error = create(&volume, "a/b/one.json", b"second").await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error:?}");
    let read = volume.get(&"a/b/one.json".into()).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "first");
    assert_eq!(names(&root.path().join("a/b")), ["one.json"]);
}

#[tokio::test]
async fn what_a_killed_process_left_is_neither_listed_nor_in_the_way() {
    use futures::TryStreamExt;
    let root = tempfile::tempdir().unwrap();
    let volume = volume(root.path());
    let next = volume.temporary.load(Ordering::Relaxed);
    std::fs::write(root.path().join(format!("one.json#{next}")), b"half").unwrap();
    create(&volume, "one.json", b"whole").await.unwrap();
    let listed: Vec<_> = volume.list(None).map_ok(|o| o.location).try_collect().await.unwrap();
    assert_eq!(listed, ["one.json".into()]);
}

#[tokio::test]
async fn a_file_in_the_way_of_a_directory_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a"), b"").unwrap();
    let error = create(&volume(root.path()), "a/one.json", b"x").await.unwrap_err();
    assert!(matches!(error, Error::Generic { .. }), "{error:?}");
}

#[test]
fn without_hard_links_the_file_is_moved_and_never_over_another() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    for code in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK] {
        let no_links = |_: &Path, _: &Path| Err(code.into());
        std::fs::write(&from, b"mine").unwrap();
        std::fs::write(&to, b"theirs").unwrap();
        let error = place_by(no_links, &from, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"theirs");
        std::fs::remove_file(&to).unwrap();
        assert_eq!(place_by(no_links, &from, &to).unwrap(), Placed::Moved);
        assert_eq!(std::fs::read(&to).unwrap(), b"mine");
        assert!(!from.exists());
        std::fs::remove_file(&to).unwrap();
    }
}

#[test]
fn other_failures_of_a_link_are_not_worked_around() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    std::fs::write(&from, b"mine").unwrap();
    let full = |_: &Path, _: &Path| Err(Errno::NOSPC.into());
    assert_eq!(place_by(full, &from, &to).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(!to.exists());
    assert_eq!(place(&from, &to).unwrap(), Placed::Linked);
    assert!(from.exists());
}
