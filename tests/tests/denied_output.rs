//! Outputs that cannot be written: no rights, a read-only volume, a full one.
//!
//! The tests may run as root, whom rights do not stop, so the program is run without the
//! capability that ignores them. Volumes are mounted in a mount namespace of the program's own,
//! which ends with it. Where that is not allowed (neither root nor user namespaces) the tests
//! say so, and rights and a limit on the size of files are what is tested.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::Program;
use nightshift_tests::refusal::{Case, in_order, judge};
use nightshift_tests::{log, store, tools};

/// `unshare` with the flags under which this user may mount, if there are any.
fn mounting() -> Option<[&'static str; 2]> {
    let works = |flags: &str| {
        let tried = ["sh", "-c", "mount -t tmpfs tmpfs /mnt"];
        let tried = Command::new("unshare").arg(flags).args(tried).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    ["-m", "-rm"].into_iter().find(|flags| works(flags)).map(|flags| ["unshare", flags])
}

/// `program` run by a shell that first does `before` with `$0` as the bench's output.
fn in_shell(program: Program, bench: &Bench, namespace: &[&str], script: &str) -> Program {
    let output = bench.output().display().to_string();
    program.wrapped(namespace.iter().copied().chain(["sh", "-c", script, &output]))
}

/// The wrapper that makes rights count, for root too.
fn without_override(program: Program) -> Program {
    let dropped = "--bounding-set=-dac_override,-dac_read_search";
    if rustix::process::geteuid().is_root() {
        program.wrapped(["setpriv", dropped])
    } else {
        program
    }
}

#[track_caller]
fn refused(case: &Case, bench: &Bench) {
    let program = (case.spoil)(bench);
    let before = bench.contents();
    let ended = program.run();
    let faults = judge(case, bench, &ended);
    assert!(faults.is_empty(), "{}: {faults:#?}\n{ended}", case.name);
    assert!(bench.contents() == before, "{}: it changed the folder: {ended}", case.name);
}

#[test]
fn an_output_without_rights_is_refused() {
    let bench = in_order();
    fs::create_dir(bench.output()).unwrap();
    fs::set_permissions(bench.output(), Permissions::from_mode(0o555)).unwrap();
    let case = Case {
        name: "no right to write",
        code: 77,
        says: &["BENCH/out", "permission denied", "give this user the right"],
        spoil: |bench| without_override(bench.command("run")),
    };
    refused(&case, &bench);
}

#[test]
fn a_parent_without_rights_is_refused() {
    let bench = in_order();
    let parent = bench.path("above");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, Permissions::from_mode(0o555)).unwrap();
    let case = Case {
        name: "no right to make the output",
        code: 77,
        says: &["BENCH/above", "permission denied", "give this user the right"],
        spoil: |bench| {
            without_override(bench.command("run").arg("--output").arg(bench.path("above/out")))
        },
    };
    refused(&case, &bench);
}

#[test]
fn a_read_only_volume_is_refused() {
    if mounting().is_none() {
        eprintln!("mounting is not allowed here; rights alone are tested");
        return;
    }
    let bench = in_order();
    fs::create_dir(bench.output()).unwrap();
    let case = Case {
        name: "a read-only volume",
        code: 77,
        says: &["BENCH/out", "read-only", "can be written"],
        spoil: |bench| {
            let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
            in_shell(bench.command("run"), bench, &mounting().unwrap(), script)
        },
    };
    refused(&case, &bench);
}

#[test]
fn an_output_that_is_a_file_is_refused() {
    let bench = in_order();
    fs::write(bench.output(), "a file of somebody's").unwrap();
    let case = Case {
        name: "a file where the output should be",
        code: 73,
        says: &["BENCH/out", "not a directory", "choose another output"],
        spoil: |bench| bench.command("run"),
    };
    refused(&case, &bench);
    assert_eq!(fs::read(bench.output()).unwrap(), b"a file of somebody's");
}

#[test]
fn the_output_of_another_spec_is_refused() {
    let bench = in_order();
    bench.command("run").run().expect(0);
    let text = fs::read_to_string(bench.spec()).unwrap();
    bench.write_spec(&text.replace("name: flights", "name: trains"));
    let case = Case {
        name: "an output that another spec writes to",
        code: 78,
        says: &["BENCH/out", "`flights`", "`trains`", "an output of its own"],
        spoil: |bench| bench.command("run"),
    };
    refused(&case, &bench);
}

#[test]
fn a_volume_that_fills_up_stops_the_run_and_damages_nothing() {
    if mounting().is_none() {
        eprintln!("mounting is not allowed here; only a limit on the size of files is tested");
        return;
    }
    let rows = 20_000;
    let spec = SpecText { sharding: "count: 40".to_owned(), ..SpecText::default() };
    let bench = Bench::with(&spec, "flights.parquet", rows);
    fs::create_dir(bench.output()).unwrap();
    let case = Case {
        name: "no space left",
        code: 74,
        says: &["BENCH/out", "space", "free some space"],
        spoil: |bench| {
            // A file takes at least a page of 4 kB, and each of the 40 shards has two: they
            // cannot all fit. The copy is what lay on the volume when the program had ended.
            let script = r#"mount -t tmpfs -o size=300k tmpfs "$0" || exit 99
                "$@"; code=$?; cp -r "$0" "$0.after" && exit $code"#;
            in_shell(bench.run(), bench, &mounting().unwrap(), script)
        },
    };
    let ended = (case.spoil)(&bench).run();
    let faults = judge(&case, &bench, &ended);
    assert!(faults.is_empty(), "{faults:#?}\n{ended}");

    // What was committed before is whole, and the next run continues from it.
    fs::remove_dir(bench.output()).unwrap();
    fs::rename(bench.path("out.after"), bench.output()).unwrap();
    tools::audit_open(&bench.output(), 1);
    let kept = store::recorded(&bench.output(), "flights-all-g1");
    assert!(!kept.is_empty() && kept.len() < 40, "{} records: {ended}", kept.len());
    assert_eq!(store::finals(&bench.output(), "all"), 0, "a full volume is no verdict");
    let next = bench.run().run().expect(0);
    assert!(log::started(&next.stderr).keys().all(|shard| !kept.contains(shard)), "{next}");
    tools::audit(&bench.output(), 1);
}

/// Needs no mounts: every file may have 1 kB, which is too little for a plan.
#[test]
fn a_limit_on_the_size_of_files_stops_the_run() {
    let bench = in_order();
    let script = r#"trap "" XFSZ; ulimit -f 2; exec "$@""#;
    let ended = in_shell(bench.run(), &bench, &[], script).run();
    assert_eq!(ended.code(), Some(74), "{ended}");
    assert_eq!(ended.errors().len(), 1, "{ended}");
    assert_eq!(store::recorded(&bench.output(), "flights-all-g1").len(), 0, "{ended}");
}
