//! A server in another language, started for one test.

use rustix::process::Signal;

use crate::http;
use crate::ports::free_port;
use crate::process::{Program, Running};
use crate::waiting::wait_for;

/// A server that answers HTTP on a port of its own. When it is dropped it is ended.
#[derive(Debug)]
pub struct PythonServer {
    process: Running,
    port: u16,
}

impl PythonServer {
    /// Starts the program that `program` makes for a port, and waits until it answers `path`.
    pub fn start(path: &str, program: impl FnOnce(u16) -> Program) -> Self {
        let port = free_port();
        let mut process = program(port).start();
        let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
        wait_for("the server answers", || {
            assert!(!process.has_ended(), "the server ended: {}", process.stderr_so_far());
            http::get(address, path).filter(|(status, _)| *status == 200)
        });
        Self { process, port }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        // It has children of its own, which end when it is asked to end.
        self.process.signal(Signal::TERM);
        wait_for("the server ends", || self.process.has_ended().then_some(()));
    }
}
