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

/// A program without an interpreter whose dynamic section has one entry of the kind `tag`.
fn program_that_needs(tag: u8) -> Vec<u8> {
    /// Where the program header and the section begin.
    const HEADER: usize = 64;
    const SECTION: usize = HEADER + 56;
    let mut bytes = program(256);
    bytes[32] = HEADER as u8;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[HEADER] = 2;
    bytes[HEADER + 8] = SECTION as u8;
    bytes[HEADER + 32] = 32;
    bytes[SECTION] = tag;
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
    std::fs::write(&worker, program_that_needs(1)).unwrap();
    let needy = make(folder.path(), "out");
    assert!(needy.stderr.contains("needs shared libraries"), "{needy}");
    std::fs::write(&worker, program_that_needs(0)).unwrap();
    make(folder.path(), "out").expect(0);

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

/// The lines of a Dockerfile, those that end with a backslash joined with the next.
fn instructions(name: &str) -> Vec<String> {
    let file = name.strip_prefix("nightshift-").unwrap_or(name);
    let path = repository().join(format!("deploy/images/{file}.Dockerfile"));
    let text = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn dockerfiles_build_what_make_static_builds() {
    let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
    let flags = "RUSTFLAGS=\"-C target-feature=+crt-static\"";
    assert!(makefile.contains(flags), "the Makefile builds with other flags");
    let packages: Vec<String> = std::fs::read_to_string(repository().join("Cargo.toml"))
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .map(|members| members.split('"').skip(1).step_by(2).map(str::to_owned).collect())
        .unwrap();
    let ignored = std::fs::read_to_string(repository().join(".dockerignore")).unwrap();
    for package in packages {
        let top = package.split('/').next().unwrap();
        assert!(
            ignored.lines().any(|line| line == format!("!{top}")),
            "{top} is not in the context"
        );
    }
    for name in IMAGES {
        let lines = instructions(name);
        let package = if name == "nightshift" { "nightshift-cli" } else { name };
        assert!(makefile.contains(&format!("-p {package}")), "make static leaves {package} out");
        let build = lines.iter().find(|line| line.contains("cargo build")).unwrap();
        for part in [flags, "--release --locked --target", &format!("-p {package} ")] {
            assert!(build.contains(part), "{name}: `{build}` lacks `{part}`");
        }
        assert!(build.contains(&format!("release/{name}\" /{name}")), "{name}: `{build}`");
        for line in lines.iter().filter(|line| line.starts_with("COPY ")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["COPY", ".", "."] => {}
                ["COPY", from, to] => {
                    assert!(repository().join(from).exists(), "{name}: `{line}`: no such file");
                    assert_eq!(to, format!("/{from}"), "{name}: `{line}`");
                }
                // Of the build: the program, its root, or the authorities of its base.
                ["COPY", "--from=build", from, to] => {
                    let known = ["/root-fs/".to_owned(), format!("/{name}")]
                        .contains(&from.to_owned())
                        || from == "/etc/ssl/certs/ca-certificates.crt";
                    assert!(known && (from == to || from == "/root-fs/"), "{name}: `{line}`");
                }
                _ => panic!("{name}: `{line}` is not understood"),
            }
        }
        // The same images have authorities, whoever makes them.
        let made = std::fs::read_to_string(repository().join("deploy/images/oci.py")).unwrap();
        let entry = made.lines().find(|line| line.contains(&format!("\"{name}\": ("))).unwrap();
        let copied = lines.iter().any(|line| line.contains("ca-certificates.crt"));
        assert_eq!(entry.contains("True"), copied, "{name}: {entry}");
    }
}
