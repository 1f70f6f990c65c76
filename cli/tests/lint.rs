//! `nightshift lint` as a command: what it reads, prints and mends, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const WARNED: &str = "\
# nightly
apiVersion: batch/v1\r
kind: CronJob\r
metadata: { name: nightly }\r
spec:\r
  schedule: '0 2 * * *' # at two\r
  jobTemplate:\r
    spec:\r
      backoffLimit: 2\r
      template: { spec: { restartPolicy: Never, containers: [] } }\r
";
const WRONG: &str =
    "apiVersion: batch/v1\nkind: CronJob\nmetadata: { name: a }\nspec: { schedule: never }\n";

fn lint(folder: &Path, words: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nightshift"))
        .arg("lint")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn the_exit_code_says_whether_there_is_an_error() {
    let folder = folder(&[("warned.yaml", WARNED.as_bytes()), ("wrong.yaml", WRONG.as_bytes())]);
    let path = folder.path();
    assert!(ends(&lint(path, &["warned.yaml"], b""), 0).contains("time-zone"));
    assert!(ends(&lint(path, &["wrong.yaml"], b""), 1).contains("error schedule"));
    ends(&lint(path, &["warned.yaml", "wrong.yaml"], b""), 1);
    ends(&lint(path, &["missing.yaml"], b""), 66);
    ends(&lint(path, &[], b""), 64);
    ends(&lint(path, &["--rules"], b""), 0);
}

#[test]
fn standard_input_is_read_and_cannot_be_mended_in_place() {
    let folder = folder(&[]);
    let said = ends(&lint(folder.path(), &["-"], WRONG.as_bytes()), 1);
    assert!(said.starts_with("<stdin>:4:"), "{said}");
    ends(&lint(folder.path(), &["-"], b""), 0);
    ends(&lint(folder.path(), &["--fix", "-"], WARNED.as_bytes()), 64);
    let diff = ends(&lint(folder.path(), &["--fix", "--dry-run", "-"], WARNED.as_bytes()), 0);
    assert!(diff.contains("+  timeZone: Etc/UTC"), "{diff}");
}

#[test]
fn a_folder_means_its_yaml_files() {
    let wrong = WRONG.as_bytes();
    let folder = folder(&[
        ("a/b/deep.yml", wrong),
        ("a/one.yaml", wrong),
        ("a/notes.txt", wrong),
        ("a/.hidden/x.yaml", wrong),
    ]);
    let said = ends(&lint(folder.path(), &["a", "a/one.yaml"], b""), 1);
    assert!(said.contains("a/b/deep.yml:4:") && said.contains("a/one.yaml:4:"), "{said}");
    assert!(said.contains("in 2 workloads of 2 files"), "{said}");
}

#[test]
fn json_and_sarif_tell_the_same() {
    let folder = folder(&[("wrong.yaml", WRONG.as_bytes())]);
    let print = |format| {
        let done = lint(folder.path(), &["wrong.yaml", "--output-format", format], b"");
        serde_json::from_str::<Value>(&ends(&done, 1)).unwrap()
    };
    let (json, sarif) = (print("json"), print("sarif"));
    let findings = json["findings"].as_array().unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(!findings.is_empty());
    for (finding, result) in findings.iter().zip(results) {
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert_eq!(finding["rule"], result["ruleId"]);
        assert_eq!(finding["line"], region["startLine"]);
        assert_eq!(finding["file"], "wrong.yaml");
    }
    assert_eq!(findings.len(), results.len());
    assert_eq!((&json["workloads"], &json["files"]), (&1.into(), &1.into()));
}

#[test]
fn mending_keeps_comments_and_line_ends_and_is_done_once() {
    let two = format!("{WARNED}---\r\n{WARNED}");
    let folder = folder(&[("two.yaml", two.as_bytes())]);
    let read = || std::fs::read_to_string(folder.path().join("two.yaml")).unwrap();
    let planned = ends(&lint(folder.path(), &["two.yaml", "--fix", "--dry-run"], b""), 0);
    assert_eq!(read(), two, "a dry run wrote");
    assert!(planned.contains("+  timeZone: Etc/UTC"), "{planned}");
    ends(&lint(folder.path(), &["two.yaml", "--fix"], b""), 0);
    let mended = read();
    assert_eq!(mended.matches("timeZone: Etc/UTC\r\n").count(), 2, "{mended}");
    assert_eq!(mended.matches("# at two\r\n").count(), 2, "{mended}");
    assert_eq!(mended.matches("# nightly\n").count(), 2, "{mended}");
    let again = ends(&lint(folder.path(), &["two.yaml", "--fix"], b""), 0);
    assert!(!again.contains(" made"), "{again}");
    assert_eq!(read(), mended);
}

#[test]
fn a_file_that_is_not_utf_8_is_an_error_and_stays_as_it_is() {
    let mut latin = WARNED.replace("# nightly", "# n?chtlich").into_bytes();
    let at = latin.iter().position(|byte| *byte == b'?').unwrap();
    latin[at] = 0xe4;
    let folder = folder(&[("latin.yaml", &latin)]);
    let said = ends(&lint(folder.path(), &["latin.yaml", "--fix"], b""), 1);
    assert!(said.contains("latin.yaml:1:4: error unreadable"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("latin.yaml")).unwrap(), latin);
}

#[test]
fn files_beyond_the_limits_are_findings() {
    let folder =
        folder(&[("big.yaml", &vec![b'a'; (10 << 20) + 1]), ("deep.yaml", &vec![b'['; 10_000])]);
    let said = ends(&lint(folder.path(), &["."], b""), 1);
    assert!(said.contains("big.yaml:1:1: error unreadable"), "{said}");
    assert!(said.contains("deep.yaml:1:"), "{said}");
}
