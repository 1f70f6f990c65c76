//! The program starts. That this test exists also makes `cargo nextest run --workspace` build
//! the program, which the tests of the whole (`tests/`) run.

use std::process::Command;

#[test]
fn the_program_says_its_version() {
    let said =
        Command::new(env!("CARGO_BIN_EXE_nightshift-worker")).arg("--version").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let version = concat!("nightshift-worker ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8(said.stdout).unwrap(), version);
}
