//! Image archives that are made without Docker.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use nightshift_tests::binaries::repository;
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::tools;

const IMAGES: [&str; 4] =
    ["nightshift", "nightshift-coordinator", "nightshift-sidecar", "nightshift-worker"];

/// The least that is a static program: the header of one, for x86-64.
fn program(size: u64) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[18] = 62;
    bytes.resize(usize::try_from(size).unwrap().max(64), 0);
    bytes
}

fn make(folder: &Path, out: &str) -> Finished {
    Program::new(tools::python())
        .arg(repository().join("deploy/images/oci.py"))
        .arg("--binaries")
        .arg(folder)
        .arg("--out")
        .arg(folder.join(out))
        .arg("--authorities")
        .arg(repository().join("LICENSE"))
        .run()
}

fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in IMAGES {
        std::fs::write(folder.path().join(name), program(64)).unwrap();
    }
    folder
}

#[test]
fn the_same_programs_give_the_same_archives() {
    let folder = programs();
    make(folder.path(), "one").expect(0);
    make(folder.path(), "two").expect(0);
    for name in IMAGES {
        let read =
            |out: &str| std::fs::read(folder.path().join(out).join(format!("{name}.tar"))).unwrap();
        assert!(read("one") == read("two"), "{name} differs");
    }
}

#[test]
fn an_archive_is_what_docker_and_containerd_read() {
    let folder = programs();
    make(folder.path(), "out").expect(0);
    for name in IMAGES {
        let seen = tools::script(
            "deploy/archive.py",
            [folder.path().join("out").join(format!("{name}.tar"))],
        );
        assert_eq!(seen["faults"], serde_json::json!([]), "{name}");
        assert_eq!(
            seen["tags"],
            serde_json::json!([format!("ghcr.io/nightshift-dev/{name}:0.1.0")])
        );
        assert_eq!(seen["entrypoint"], serde_json::json!([format!("/{name}")]));
        assert_eq!(seen["user"], "65532:65532");
        let files: BTreeMap<String, String> =
            serde_json::from_value(seen["files"].clone()).unwrap();
        assert_eq!(files[name], "755");
        assert_eq!(files["tmp"], "1777");
        assert!(files.contains_key("etc/passwd"), "{files:?}");
        let shell = files.keys().find(|file| file.contains("bin/") || file.ends_with("sh"));
        assert_eq!(shell, None, "an image has a shell");
    }
}

#[test]
fn what_would_not_run_or_is_too_big_is_refused() {
    let folder = programs();
    let worker = folder.path().join("nightshift-worker");
    std::fs::copy(tools::python(), &worker).unwrap();
    let dynamic = make(folder.path(), "out");
    assert_eq!(dynamic.code(), Some(1), "{dynamic}");
    assert!(dynamic.stderr.contains("linked dynamically"), "{dynamic}");

    std::fs::write(&worker, program(64)).unwrap();
    let sidecar = folder.path().join("nightshift-sidecar");
    File::options().write(true).open(&sidecar).unwrap().set_len(10_000_001).unwrap();
    let big = make(folder.path(), "out");
    assert_eq!(big.code(), Some(1), "{big}");
    assert!(big.stderr.contains("nightshift-sidecar is larger"), "{big}");

    std::fs::remove_file(&sidecar).unwrap();
    let missing = make(folder.path(), "out");
    assert!(missing.stderr.contains("make static"), "{missing}");
}

#[test]
fn every_image_that_is_deployed_is_made() {
    let text: String = crate::rendering::all().into_iter().map(|rendered| rendered.text).collect();
    let ours = text.split("ghcr.io/nightshift-dev/").skip(1);
    let mut deployed: Vec<_> =
        ours.filter_map(|rest| rest.split_once(':')).map(|(it, _)| it).collect();
    deployed.sort_unstable();
    deployed.dedup();
    assert_eq!(deployed, IMAGES);
    for name in IMAGES {
        let file = name.strip_prefix("nightshift-").unwrap_or(name);
        let path = repository().join(format!("deploy/images/{file}.Dockerfile"));
        let text = std::fs::read_to_string(path).unwrap();
        for line in ["FROM scratch", "USER 65532:65532", &format!("ENTRYPOINT [\"/{name}\"]")] {
            assert!(text.lines().any(|each| each == line), "{file}.Dockerfile lacks `{line}`");
        }
    }
}
