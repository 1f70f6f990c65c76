//! A real redis-server for tests.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Program, Running};
use crate::random::Random;
use crate::waiting::wait_for;

/// A server on a port of its own, in a folder of its own; killed when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Running>,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("nightshift-redis-").tempdir().unwrap();
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let mut random = Random::from_clock();
        let port = wait_for("a free port", || {
            let port = u16::try_from(12_000 + random.below(19_000)).unwrap();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            TcpListener::bind(address).ok().map(|_| port)
        });
        let mut new = Self { process: None, port, arguments, folder };
        new.restart();
        new
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Starts it again, with what it saved.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let process = Program::new("/usr/bin/redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .start();
        self.process = Some(process);
        wait_for("redis answers", || (self.cli(&["PING"]).trim() == "PONG").then_some(()));
    }

    /// Stops it with SIGSTOP: connections stay, answers do not come.
    pub fn stop_answering(&mut self) {
        self.process.as_mut().unwrap().signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.process.as_mut().unwrap().signal(Signal::CONT);
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, words: &[&str]) -> String {
        let cli = Program::new("/usr/bin/redis-cli").args(["-p", &self.port.to_string()]);
        cli.args(words).run().stdout
    }

    /// A dump of all keys.
    pub fn save_dump(&self) -> Vec<u8> {
        let said = self.cli(&["SAVE"]);
        assert_eq!(said.trim(), "OK");
        fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }

    /// Replaces the server by one with the keys of a dump.
    pub fn load_dump(&mut self, dump: &[u8]) {
        if self.process.is_some() {
            self.kill();
        }
        fs::write(self.folder.path().join("dump.rdb"), dump).unwrap();
        self.restart();
    }
}
