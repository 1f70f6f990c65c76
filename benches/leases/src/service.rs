//! The processes that are measured: a coordinator, a redis-server.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Longest wait for a process to serve.
const START_MAX: Duration = Duration::from_secs(30);
/// Lines of a process's log that are kept for a message when it does not start.
const LINES_KEPT: usize = 256;

/// A process that serves. When it is dropped it is killed.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    /// Where it serves.
    pub(crate) address: SocketAddr,
}

/// What a process has used up to a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time of all its threads.
    pub(crate) cpu: Duration,
    /// Memory that is resident.
    pub(crate) rss_bytes: u64,
    /// The most that ever was.
    pub(crate) peak_bytes: u64,
}

/// Settings of a coordinator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoordinatorArgs<'a> {
    pub(crate) program: &'a Path,
    pub(crate) home: &'a Path,
    pub(crate) redis: Option<SocketAddr>,
}

impl Service {
    /// Starts a coordinator on `core`.
    pub(crate) fn coordinator(args: CoordinatorArgs<'_>, core: Option<usize>) -> Result<Self> {
        let mut command = Command::new(args.program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("NIGHTSHIFT_")) {
                command.env_remove(name);
            }
        }
        command.env_remove("REDIS_URL").args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.arg("--home").arg(args.home).args(["--log", "warn"]);
        if let Some(redis) = args.redis {
            command.arg("--redis").arg(format!("redis://{redis}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn_on(core, &mut command)
            .with_context(|| format!("cannot start {}", args.program.display()))?;
        let stderr = child.stderr.take().context("a process without standard error")?;
        let mut starting = Self { child, address: SocketAddr::from(([0; 4], 0)) };
        starting.address = serving_address(&read_lines(stderr))?;
        Ok(starting)
    }

    /// Starts a redis-server that keeps nothing on disk, on `core`.
    pub(crate) fn redis(core: Option<usize>) -> Result<Self> {
        // Redis cannot be asked for a free port, so one is found for it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("redis-server");
        let port = address.port().to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn_on(core, &mut command)
            .context("cannot start redis-server; install it, or leave Redis out with --no-redis")?;
        let mut starting = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = starting.child.try_wait()? {
                bail!("redis-server ended with {status}");
            }
            if started.elapsed() > START_MAX {
                bail!("redis-server does not serve on {address}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(starting)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage_of(self.child.id())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used so far, from `/proc`.
fn usage_of(pid: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    usage_from(&stat, &status, rustix::param::clock_ticks_per_second())
        .ok_or_else(|| anyhow!("/proc/{pid} says nothing about processor and memory"))
}

fn usage_from(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // proc_pid_stat(5): the name in brackets may contain anything; utime and stime are fields
    // 14 and 15, the 12th and 13th after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map_while(|field| field.parse().ok()).collect();
    let [user, system] = ticks.as_slice() else { return None };
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Usage {
        cpu: Duration::from_secs_f64((user + system) as f64 / ticks_per_second as f64),
        rss_bytes: kib("VmRSS:")? << 10,
        peak_bytes: kib("VmHWM:")? << 10,
    })
}

/// Starts `command` so that all of its threads run on `core`.
fn spawn_on(core: Option<usize>, command: &mut Command) -> Result<Child> {
    let Some(core) = core else { return Ok(command.spawn()?) };
    // A child inherits the affinity of the thread that starts it.
    let own = sched_getaffinity(None)?;
    pin(core)?;
    let child = command.spawn();
    sched_setaffinity(None, &own)?;
    Ok(child?)
}

/// Runs this thread, and those that it starts from now on, on `core` alone.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}

/// The cores that this process may use, in order.
pub(crate) fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Reads a process's log to its end, so that it never waits for its reader.
fn read_lines(stderr: ChildStderr) -> Receiver<String> {
    let (give, take) = sync_channel(LINES_KEPT);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Nobody reads any more once it serves.
            let _ = give.try_send(line);
        }
    });
    take
}

/// Waits for the line that says where a coordinator serves.
fn serving_address(lines: &Receiver<String>) -> Result<SocketAddr> {
    let mut said = Vec::new();
    let started = Instant::now();
    while let Ok(line) = lines.recv_timeout(START_MAX.saturating_sub(started.elapsed())) {
        if let Some(address) = address_in(&line) {
            return Ok(address);
        }
        said.push(line);
    }
    bail!("the coordinator does not serve; it said:\n{}", said.join("\n"))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("serving gRPC on ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_odd_name_is_measured() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 100 1 1";
        let status = "Name:\ta) b\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = usage_from(stat, status, 100).unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(2));
        assert_eq!((usage.rss_bytes, usage.peak_bytes), (1 << 20, 2 << 20));
        assert!(usage_from("7 (gone", status, 100).is_none());
        assert!(usage_from(stat, "", 100).is_none());
        assert!(usage_of(std::process::id()).unwrap().rss_bytes > 0);
    }

    #[test]
    fn the_address_is_found_in_the_line() {
        let line = "nightshift-coordinator: serving gRPC on 127.0.0.1:41 and HTTP on 127.0.0.1:42";
        assert_eq!(address_in(line), Some(SocketAddr::from(([127, 0, 0, 1], 41))));
        assert_eq!(address_in("serving HTTP on 127.0.0.1:42"), None);
    }
}
