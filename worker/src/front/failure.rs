//! How a command fails: one line for people, one exit code for scripts.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::session::RunError;
use nightshift_core::exit::Exit;
use nightshift_core::spec::SpecError;
use nightshift_storage::error::StoreError;

use super::dates::InvalidDate;

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure that ends the command with `exit`; `message` says what was wrong and what to do.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints the failure to standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let mut out = std::io::stderr().lock();
        let (red, plain) =
            if colours(out.is_terminal()) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        // A message may repeat a file name: its control characters must not reach the terminal.
        let message: String = self.message.chars().map(visible).collect();
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(out, "{red}error:{plain} {message}");
        ExitCode::from(self.exit.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// Whether to colour what goes to a terminal; see <https://no-color.org>.
pub fn colours(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What clap has to say: help and version are success, everything else is a usage error.
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell if the streams are gone.
    let _ = error.print();
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    ExitCode::from(exit.code())
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::new(error.exit(), crate::describe(&error))
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::new(Exit::Config, error)
    }
}

impl From<InvalidDate> for Failure {
    fn from(error: InvalidDate) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.exit(), crate::describe(&error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Io, format_args!("cannot write to standard output: {error}"))
    }
}
