use super::*;
use crate::error::Class;

async fn probed(path: &Path) -> Probed {
    let root = OutputRoot::open(path.to_str().unwrap(), Durability::Full).await.unwrap();
    root.probe().await.unwrap()
}

fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn opening_makes_the_directory_and_the_probe_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/out");
    probed(&path).await;
    assert_eq!(tree(parent.path()), ["_nightshift", "deep", "out", "v1"]);
}

#[tokio::test]
async fn a_file_in_the_way_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, b"").unwrap();
    for path in [file.clone(), file.join("below")] {
        let uri = path.to_str().unwrap();
        let error = OutputRoot::open(uri, Durability::Full).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::NotADirectory { path } if *path == file.display().to_string()),
            "{error:?}"
        );
        assert_eq!(error.class(), Class::Invalid);
        assert!(matches!(Reader::open(uri).await, Err(StoreError::NotADirectory { .. })));
    }
}

#[tokio::test]
async fn looking_at_an_output_that_is_not_there_makes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("out");
    let error = Reader::open(path.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_the_system_refuses_has_a_class_and_a_remedy() {
    use rustix::io::Errno;
    for (code, class, words) in [
        (Errno::ROFS, Class::Permission, "read-only"),
        (Errno::ACCESS, Class::Permission, "permission denied"),
        (Errno::PERM, Class::Permission, "permission denied"),
        (Errno::NOSPC, Class::Io, "no space left"),
        (Errno::DQUOT, Class::Io, "no space left"),
        (Errno::IO, Class::Io, "cannot write"),
        (Errno::NOTDIR, Class::Invalid, "is not a directory"),
    ] {
        let error = StoreError::from_io("write", Path::new("/out/x"), code.into());
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("/out/x"), "{error}");
    }
}

#[tokio::test]
async fn a_root_belongs_to_the_first_spec_that_comes() {
    let directory = tempfile::tempdir().unwrap();
    let root = probed(directory.path()).await;
    let (flights, hotels) = ("flights".parse().unwrap(), "hotels".parse().unwrap());
    let first = root.identify(&flights).await.unwrap();
    assert_eq!(root.identify(&flights).await.unwrap(), first);
    let error = root.identify(&hotels).await.unwrap_err();
    assert!(matches!(error, StoreError::ForeignRoot { .. }), "{error:?}");
    assert!(error.to_string().contains("`flights`, not of `hotels`"), "{error}");
}

#[tokio::test]
async fn racing_starts_agree_on_the_identity() {
    let directory = tempfile::tempdir().unwrap();
    let root = probed(directory.path()).await;
    let name = "flights".parse().unwrap();
    let ids = futures::future::join_all((0..16).map(|_| root.identify(&name))).await;
    let ids: std::collections::BTreeSet<_> =
        ids.into_iter().map(|root| root.unwrap().root_id).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn roots_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Probed>();
    shared::<Reader>();
}
