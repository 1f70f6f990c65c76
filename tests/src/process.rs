//! Programs under test: started, watched, signalled, killed, and awaited with a bound.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::waiting::wait_for;

/// A program that is to be started, with the settings of this machine's user taken away.
#[derive(Debug)]
pub struct Program(Command, Tries);

/// How often a program is run at most.
#[derive(Debug, Clone, Copy)]
struct Tries(usize);

/// A program that runs. When it is dropped it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    started: Instant,
    stdout: Captured,
    stderr: Captured,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line, for messages.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
    /// How long it ran.
    pub elapsed: Duration,
}

#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// The program at `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let mut command = Command::new(path.as_ref());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let prefixes = ["NIGHTSHIFT_", "OTEL_", "HF_", "MLFLOW_", "AWS_", "GOOGLE_", "AZ"];
            let starts = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
            if name.to_str().is_some_and(starts) {
                command.env_remove(name);
            }
        }
        let names = ["MODEL_VERSION", "SHARD_INDEX", "NUM_SHARDS", "JOB_COMPLETION_INDEX"];
        for name in names.into_iter().chain(["STORAGE_EMULATOR_HOST", "IDENTITY_ENDPOINT"]) {
            command.env_remove(name);
        }
        Self(command, Tries(1))
    }

    /// The `nightshift` command.
    pub fn nightshift() -> Self {
        Self::new(crate::binaries::nightshift())
    }

    /// The `nightshift-worker` command.
    pub fn worker() -> Self {
        Self::new(crate::binaries::nightshift_worker())
    }

    /// The `nightshift-coordinator` command.
    pub fn coordinator() -> Self {
        Self::new(crate::binaries::nightshift_coordinator())
    }

    /// The `nightshift-sidecar` command.
    pub fn sidecar() -> Self {
        Self::new(crate::binaries::nightshift_sidecar())
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// The command, for whoever starts it otherwise.
    pub(crate) fn into_command(self) -> Command {
        self.0
    }

    /// Makes it say on standard error, one JSON object a line, when inference on a shard starts
    /// and when a shard is committed.
    #[must_use]
    pub fn logged(self) -> Self {
        self.args(["--log", "info", "--log-format", "json"])
    }

    /// The same command, run by `wrapper`, whose own arguments come first.
    #[must_use]
    pub fn wrapped<A: AsRef<OsStr>>(self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let mut words = wrapper.into_iter();
        let program = words.next().unwrap();
        let mut outer = Self::new(Path::new(program.as_ref())).args(words).with_tries(self.1.0);
        outer.0.arg(self.0.get_program()).args(self.0.get_args());
        for (name, value) in self.0.get_envs() {
            if let Some(value) = value {
                outer.0.env(name, value);
            }
        }
        outer
    }

    /// Has [`Program::run`] try so many times in all, while it says that it was given up.
    #[must_use]
    pub fn with_tries(mut self, tries: usize) -> Self {
        self.1 = Tries(tries);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.begin()
    }

    fn begin(&mut self) -> Running {
        let name = format!("{:?}", self.0).replace('"', "");
        let started = Instant::now();
        let mut child = self.0.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdout = Captured::start(child.stdout.take().unwrap());
        let stderr = Captured::start(child.stderr.take().unwrap());
        Running { child, name, started, stdout, stderr }
    }

    /// Runs it to its end. Of several tries, standard error is what all have said.
    pub fn run(mut self) -> Finished {
        let Tries(tries) = self.1;
        let mut said = String::new();
        for left in (0..tries).rev() {
            let mut done = self.begin().finish();
            let given_up = matches!(done.code(), Some(69 | 73 | 74 | 75));
            said.push_str(&done.stderr);
            if left == 0 || !given_up {
                done.stderr = said;
                return done;
            }
        }
        panic!("{:?}: not one try", self.0)
    }
}

impl Captured {
    fn start(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(read @ 1..) = from.read(&mut piece) {
                into.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

impl Running {
    /// What it has said on standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.so_far()
    }

    /// What it has printed so far.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.so_far()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `seen` accepts what it said on standard error; fails if it ends before.
    pub fn wait_until_said(&mut self, what: &str, seen: impl Fn(&str) -> bool) {
        wait_for(what, || {
            let ended = self.has_ended();
            let said = self.stderr_so_far();
            if seen(&said) {
                return Some(());
            }
            assert!(!ended, "{} ended before {what}:\n{}", self.name, self.stderr.all());
            None
        });
    }

    /// Sends a signal. A process that has ended is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
            // The child is not reaped before `has_ended` sees it, so the id is still its own.
            kill_process(pid, signal).unwrap();
        }
    }

    /// Waits for its end, with a bound.
    pub fn finish(mut self) -> Finished {
        let status =
            wait_for(&format!("the end of {}", self.name), || self.child.try_wait().unwrap());
        Finished {
            name: self.name.clone(),
            status,
            elapsed: self.started.elapsed(),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    /// Kills it with SIGKILL, so that nothing of it runs any more, and gives what it left.
    pub fn kill(mut self) -> Finished {
        self.signal(Signal::KILL);
        self.finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// The exit code; a process that a signal ended has none.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// The lines of standard error that are errors for people.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error:")).collect()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, status, stdout, stderr, elapsed } = self;
        write!(f, "{name}\n{status} after {elapsed:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}
