//! A real redis-server of a test's own, and what can happen to one: killed, stopped, wiped,
//! replaced by yesterday's dump.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub use crate::ports::free_port;
use crate::waiting::wait_for;

mod resp;

pub use resp::{Connection, Reply};

/// Where Debian's package puts the server.
const PROGRAM: &str = "redis-server";
/// Ports that are tried: somebody else may take one between the choice and the start.
const PORTS_TRIED: usize = 20;

/// A redis-server on a port of its own, in a temporary folder. It keeps nothing on disk unless
/// [`RedisServer::save_dump`] is called. When it is dropped it is killed.
#[derive(Debug)]
pub struct RedisServer {
    folder: tempfile::TempDir,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `--maxmemory 2mb`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        for _ in 0..PORTS_TRIED {
            let folder = tempfile::tempdir().unwrap();
            let (port, arguments) = (free_port(), arguments.clone());
            let mut server = Self { folder, port, arguments, child: None };
            if server.launch() {
                return server;
            }
        }
        panic!("no port was free {PORTS_TRIED} times in a row");
    }

    /// `redis://127.0.0.1:<port>/0`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The same with a user and a password, which must need no percent-encoding.
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The folder with its log and dumps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again where it was, with the dump if there is one, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "the port is taken\n{}", self.log());
    }

    /// Stops the process with SIGSTOP: it accepts connections and never answers.
    pub fn stop_answering(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Has it save its data, and puts the dump away.
    pub fn save_dump(&self) {
        assert_eq!(self.cli(&["SAVE"]), Reply::Simple("OK".into()));
        fs::rename(self.dump(), self.saved()).unwrap();
    }

    /// Kills it, and starts it with the data that was put away.
    pub fn load_dump(&mut self) {
        self.kill();
        fs::copy(self.saved(), self.dump()).unwrap();
        self.restart();
        fs::remove_file(self.dump()).unwrap();
    }

    /// One command on a connection of its own; fails if there is no answer.
    #[track_caller]
    pub fn cli(&self, words: &[&str]) -> Reply {
        self.connect().ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A connection without a login.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.port).unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// A figure from `INFO`, such as `used_memory`.
    #[track_caller]
    pub fn info(&self, figure: &str) -> String {
        let info = self.cli(&["INFO", "everything"]).text();
        let start = format!("{figure}:");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("INFO has no {figure}")).trim().to_owned()
    }

    /// Starts the process; false if its port was taken.
    fn launch(&mut self) -> bool {
        let log = self.folder.path().join("redis.log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(PROGRAM);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(self.port.to_string());
        command.arg("--dir").arg(self.folder.path()).arg("--logfile").arg(&log);
        command.args(&self.arguments);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{PROGRAM} does not start ({error}): run `apt-get install redis-server`")
        });
        self.child = Some(child);
        wait_for("redis-server answers", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            if ended.is_some() {
                let log = self.log();
                assert!(log.contains("Address already in use"), "redis-server ended:\n{log}");
                return Some(false);
            }
            // An error is an answer too: it may want a login, or be loading.
            Connection::open(self.port).and_then(|mut to| to.ask(&["PING"])).ok().map(|_| true)
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        // The child is not reaped before it is killed here, so the id is its own.
        kill_process(pid, signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }

    fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn saved(&self) -> PathBuf {
        self.folder.path().join("saved.rdb")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // A failed test leaves no process behind; one that has ended cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
