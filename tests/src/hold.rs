//! Holding a program in a phase that otherwise takes a moment.
//!
//! A small library in C ([`hold.c`](../hold.c)) is put before the C library of a program that is
//! under test. It stops at one kind of call on one path, says so, and goes on when it is let go.
//! The program itself knows nothing of it.

use std::fs;
use std::path::PathBuf;

use crate::binaries::repository;
use crate::process::Program;
use crate::waiting::wait_for;

/// Where a program is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// `open`, `write`, `sync` or `link`.
    pub call: &'static str,
    /// A part of the path.
    pub path: &'static str,
}

/// A place at which a program is held.
#[derive(Debug)]
pub struct Hold {
    at: At,
    folder: PathBuf,
}

impl Hold {
    /// A place, with `folder` for its library and its signs.
    pub fn new(folder: PathBuf, at: At) -> Self {
        fs::create_dir(&folder).unwrap();
        let source = repository().join("tests/src/hold.c");
        let compiled = Program::new("/usr/bin/cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.join("hold.so"))
            .arg(source)
            .arg("-ldl")
            .run();
        assert_eq!(compiled.code(), Some(0), "a C compiler is needed (/usr/bin/cc): {compiled}");
        Self { at, folder }
    }

    /// The program, which is going to be held.
    pub fn hold(&self, program: Program) -> Program {
        program
            .env("LD_PRELOAD", self.folder.join("hold.so"))
            .env("HOLD_FOLDER", &self.folder)
            .env("HOLD_CALL", self.at.call)
            .env("HOLD_PATH", self.at.path)
    }

    /// Waits until the program has come there.
    pub fn wait_until_reached(&self) {
        let reached = self.folder.join("reached");
        let what = format!("{} on {}", self.at.call, self.at.path);
        wait_for(&what, || reached.is_file().then_some(()));
    }

    /// Lets it go on.
    pub fn let_go(&self) {
        fs::write(self.folder.join("go"), "").unwrap();
    }
}
