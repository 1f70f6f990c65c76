//! How a command fails: one line for people, one exit code for scripts.

use std::fmt;
use std::io::{IsTerminal, Write};

use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::spec::SpecError;

use crate::log::InitError;
use crate::secrets::Secrets;

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    run: Option<RunId>,
    shard: Option<ShardIndex>,
}

impl Failure {
    /// A failure that ends the command with `exit`; `message` says what was wrong and what to do.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), run: None, shard: None }
    }

    /// Names the run that it happened to, and the shard where it was one alone.
    #[must_use]
    pub fn of(self, run: &RunId, shard: Option<ShardIndex>) -> Self {
        Self { run: Some(run.clone()), shard, ..self }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The run, where it is known.
    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// The shard, where it is known.
    pub fn shard(&self) -> Option<ShardIndex> {
        self.shard
    }

    /// Prints the failure to standard error.
    pub fn print(&self) {
        let mut out = std::io::stderr().lock();
        let (red, plain) =
            if colours(out.is_terminal()) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        // A message may repeat a file name: its control characters must not reach the terminal.
        let secrets = Secrets::of_process();
        let message: String = secrets.hide(&self.message).chars().map(visible).collect();
        // In one piece, so that lines of other threads do not come in between. Nobody is left to
        // tell if standard error is gone.
        let _ = out.write_all(format!("{red}error:{plain} {message}\n").as_bytes());
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

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::new(Exit::Config, error)
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        Self::new(Exit::Usage, format_args!("--log: {}", describe(&error)))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Io, format_args!("cannot write to standard output: {error}"))
    }
}
