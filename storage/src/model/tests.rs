use super::*;
use crate::error::Class;

/// Models of a process that has fetched none.
fn models() -> Models {
    Models::new(ModelSettings::default())
}

async fn resolve(directory: &Path) -> Result<ModelIdentity, ModelError> {
    let uri = ModelUri::Folder(directory.to_str().unwrap().to_owned());
    Ok(models().resolve(&uri, Some("v3")).await?.identity)
}

fn model() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    };
    write("model.safetensors", b"weights");
    write("config.json", b"{}");
    write("README.md", b"not part of the model");
    std::fs::create_dir(directory.path().join("nested.json")).unwrap();
    directory
}

#[tokio::test]
async fn the_digest_is_the_one_that_ordinary_tools_give() {
    let directory = model();
    let identity = resolve(directory.path()).await.unwrap();
    let names: Vec<_> = identity.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert_eq!(identity.version.as_deref(), Some("v3"));
    let shell = "sha256sum config.json model.safetensors | sha256sum";
    let output = std::process::Command::new("sh")
        .args(["-c", shell])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.split_whitespace().next().unwrap(), identity.digest.to_string());
}

#[tokio::test]
async fn the_digest_depends_on_names_and_bytes_and_on_nothing_else() {
    let directory = model();
    let first = resolve(directory.path()).await.unwrap().digest;
    std::fs::write(directory.path().join("README.md"), b"other words").unwrap();
    assert_eq!(resolve(directory.path()).await.unwrap().digest, first);
    std::fs::write(directory.path().join("model.safetensors"), b"Weights").unwrap();
    assert_ne!(resolve(directory.path()).await.unwrap().digest, first);
    std::fs::write(directory.path().join("model.safetensors"), b"weights").unwrap();
    std::fs::write(directory.path().join("vocab.txt"), b"").unwrap();
    assert_ne!(resolve(directory.path()).await.unwrap().digest, first);
}

#[tokio::test]
async fn linked_files_are_followed() {
    let (directory, cache) = (model(), tempfile::tempdir().unwrap());
    let plain = resolve(directory.path()).await.unwrap().digest;
    for name in ["config.json", "model.safetensors"] {
        let link = cache.path().join(name);
        std::os::unix::fs::symlink(directory.path().join(name), link).unwrap();
    }
    assert_eq!(resolve(cache.path()).await.unwrap().digest, plain);
}

#[tokio::test]
async fn what_is_no_model_is_named_with_a_remedy() {
    let directory = model();
    let missing = resolve(&directory.path().join("v9")).await.unwrap_err();
    assert!(matches!(missing, ModelError::Missing { .. }), "{missing:?}");
    let file = resolve(&directory.path().join("config.json")).await.unwrap_err();
    assert!(matches!(file, ModelError::NotADirectory { .. }), "{file:?}");
    std::fs::write(directory.path().join("odd\nname.json"), b"").unwrap();
    let odd = resolve(directory.path()).await.unwrap_err();
    assert!(matches!(odd, ModelError::OddName { .. }), "{odd:?}");
    assert!(!odd.to_string().contains('\n'));
    std::fs::remove_file(directory.path().join("config.json")).unwrap();
    std::fs::remove_file(directory.path().join("odd\nname.json")).unwrap();
    let bare = resolve(directory.path()).await.unwrap_err();
    assert!(matches!(bare, ModelError::NoConfig { .. }), "{bare:?}");
    assert!(bare.to_string().contains("model.uri"));
    assert_eq!(bare.class(), Class::Invalid);
}

#[tokio::test]
async fn module_folders_are_part_of_the_digest_and_other_folders_are_not() {
    let directory = model();
    let flat = resolve(directory.path()).await.unwrap().digest;
    for folder in ["onnx", "checkpoint-5", ".cache"] {
        std::fs::create_dir(directory.path().join(folder)).unwrap();
        std::fs::write(directory.path().join(folder).join("config.json"), b"{}").unwrap();
    }
    assert_eq!(resolve(directory.path()).await.unwrap().digest, flat);
    std::fs::create_dir(directory.path().join("1_Pooling")).unwrap();
    std::fs::write(directory.path().join("1_Pooling/config.json"), b"{}").unwrap();
    let nested = resolve(directory.path()).await.unwrap();
    assert_ne!(nested.digest, flat);
    let names: Vec<_> = nested.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["1_Pooling/config.json", "config.json", "model.safetensors"]);
}

#[tokio::test]
async fn a_link_that_moves_changes_nothing_for_a_plan() {
    let (v2, v3, place) = (model(), model(), tempfile::tempdir().unwrap());
    std::fs::write(v3.path().join("model.safetensors"), b"newer").unwrap();
    let latest = place.path().join("latest");
    std::os::unix::fs::symlink(v2.path(), &latest).unwrap();
    let planned = resolve(&latest).await.unwrap();
    let real = v2.path().canonicalize().unwrap();
    assert_eq!(planned.resolved(), real.display().to_string());
    assert_eq!(planned.uri, latest.display().to_string());

    std::fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink(v3.path(), &latest).unwrap();
    assert_eq!(models().fetch(&planned).await.unwrap(), real);

    // Where the planned folder is gone, the link has to lead to the same model.
    std::fs::rename(v2.path(), place.path().join("moved")).unwrap();
    let other = models().fetch(&planned).await.unwrap_err();
    let found = resolve(&latest).await.unwrap().digest;
    let told = other.to_string();
    assert!(
        told.contains(&planned.digest.to_string()) && told.contains(&found.to_string()),
        "{told}"
    );
    std::fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink(place.path().join("moved"), &latest).unwrap();
    models().fetch(&planned).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_changed_since_it_was_planned_is_refused_with_both_digests() {
    let directory = model();
    let planned = resolve(directory.path()).await.unwrap();
    assert_eq!(planned.pinned, None, "a plain folder needs no other name");
    models().fetch(&planned).await.unwrap();
    std::fs::write(directory.path().join("model.safetensors"), b"Weights").unwrap();
    let changed = models().fetch(&planned).await.unwrap_err();
    assert!(matches!(changed, ModelError::Changed { .. }), "{changed:?}");
    assert!(changed.to_string().contains(&planned.digest.to_string()));
}
