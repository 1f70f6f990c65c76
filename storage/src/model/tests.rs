use super::*;

async fn resolve(directory: &Path) -> Result<ModelIdentity, ModelError> {
    resolve_model(directory.to_str().unwrap(), Some("v3")).await
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
    let remote = resolve_model("s3://bucket/model", None).await.unwrap_err();
    assert!(matches!(remote, ModelError::Location { .. }), "{remote:?}");
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
