//! A coordinator under test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::grpc::Client;
use crate::http;
use crate::ports::{free_port, free_ports};
use crate::process::{Finished, Program, Running};
use crate::waiting::wait_for;

/// What a coordinator says on standard error once it can be called.
const SERVING: &str = "nightshift-coordinator: serving gRPC on ";
/// What it says once it stands by.
const STANDBY: &str = "nightshift-coordinator: standby, serving HTTP on ";

/// How a coordinator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--home`.
    pub home: PathBuf,
    /// `--redis`.
    pub redis: Option<String>,
    /// `--lease-ttl`.
    pub lease_ttl: Duration,
    /// `--heartbeat`.
    pub heartbeat: Duration,
    /// Arguments beside these, such as those that say how workers are started.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, String)>,
}

/// A coordinator process, or the place of one that was killed.
#[derive(Debug)]
pub struct Coordinator {
    options: Options,
    grpc: SocketAddr,
    http: SocketAddr,
    process: Option<Running>,
    ended: Vec<Finished>,
}

impl Coordinator {
    /// Starts one and waits until it can be called. It may not be ready yet.
    pub fn start(options: Options) -> Self {
        let [grpc, http] = free_ports().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut new = Self { options, grpc, http, process: None, ended: Vec::new() };
        new.restart();
        new
    }

    /// Starts one that stands by for `leader`: with the same home and arguments, where workers
    /// and operators call the leader.
    pub fn stand_by(leader: &Self) -> Self {
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (options, grpc) = (leader.options.clone(), leader.grpc);
        let mut new = Self { options, grpc, http, process: None, ended: Vec::new() };
        new.begin("the coordinator stands by", STANDBY);
        new
    }

    /// Starts it again, on the same addresses, with the same home.
    pub fn restart(&mut self) {
        self.begin("the coordinator serves", SERVING);
    }

    fn begin(&mut self, what: &str, says: &str) {
        assert!(self.process.is_none(), "the coordinator still runs");
        let Options { home, redis, lease_ttl, heartbeat, arguments, environment } = &self.options;
        let mut program = Program::coordinator()
            .args(["--listen", &self.grpc.to_string()])
            .args(["--http", &self.http.to_string()])
            .arg("--home")
            .arg(home)
            .args(["--lease-ttl", &in_ms(*lease_ttl)])
            .args(["--heartbeat", &in_ms(*heartbeat)])
            .args(arguments)
            .logged();
        if let Some(redis) = redis {
            program = program.args(["--redis", redis]);
        }
        for (name, value) in environment {
            program = program.env(name, value);
        }
        let mut process = program.start();
        process.wait_until_said(what, |said| said.contains(says));
        self.process = Some(process);
    }

    /// Where workers and operators call it.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Its gRPC address.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Its HTTP address.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The folder with its notes.
    pub fn home(&self) -> &Path {
        &self.options.home
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        http::get(self.http, "/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self) {
        wait_for("the coordinator is ready", || {
            if self.process.as_mut().is_none_or(Running::has_ended) {
                let said = self.process.as_ref().map(Running::stderr_so_far);
                panic!("the coordinator has ended:\n{}", said.unwrap_or_default());
            }
            self.is_ready().then_some(())
        });
    }

    /// Its metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let (status, text) = http::get(self.http, "/metrics").unwrap();
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().pid()
    }

    /// Whether the process runs.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.as_mut().unwrap().signal(signal);
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        let ended = self.process.take().unwrap().kill();
        assert!(ended.was_killed(), "the coordinator ended by itself: {ended}");
        self.ended.push(ended);
    }

    /// Tells it to end, and waits until it has.
    pub fn terminate(&mut self) -> Finished {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::TERM);
        let ended = process.finish();
        self.ended.push(ended.clone());
        ended
    }

    /// Fails if it ended without being told to, or if any incarnation panicked.
    pub fn assert_sound(&mut self) {
        if let Some(process) = &mut self.process {
            assert!(!process.has_ended(), "it ended by itself:\n{}", process.stderr_so_far());
        }
        let said = self.said();
        assert!(!said.contains("panicked"), "the coordinator panicked:\n{said}");
    }

    /// All that its incarnations said on standard error.
    pub fn said(&self) -> String {
        let mut said: String = self.ended.iter().map(|ended| ended.stderr.as_str()).collect();
        if let Some(process) = &self.process {
            said.push_str(&process.stderr_so_far());
        }
        said
    }

    /// The most memory that this incarnation has held, in kilobytes.
    pub fn peak_kb(&self) -> u64 {
        let pid = self.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

fn in_ms(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}
