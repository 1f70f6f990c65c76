//! One worker process, from start to end.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nightshift_core::ids::RunId;
use nightshift_core::last_words::LastWords;
use nightshift_core::record::FailureClass;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::DRAIN;
use crate::launch::exit::{class_of_exit, meaning_of_exit};

/// What a worker is started for.
pub(super) struct Order<'a> {
    pub(super) program: &'a Path,
    pub(super) coordinator: &'a str,
    pub(super) run: &'a RunId,
    pub(super) host: &'a str,
    pub(super) threads: u32,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) class: FailureClass,
    pub(super) reason: String,
    pub(super) message: String,
}

/// Starts a worker and waits until it has ended; tells it to end when `end` says so.
pub(super) async fn work(order: &Order<'_>, end: &mut watch::Receiver<bool>) -> Ended {
    let words = words_file(order.host);
    let started = Command::new(order.program)
        .args(["--coordinator", order.coordinator, "--run", &order.run.to_string()])
        .args(["--workers", &order.threads.to_string()])
        .env("POD_NAME", order.host)
        .env("NIGHTSHIFT_TERMINATION_LOG", &words)
        .env("NIGHTSHIFT_END_WITH_STDIN", "1")
        .env_remove("NIGHTSHIFT_COORDINATOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let message = format!("{} cannot be started: {error}", order.program.display());
            return Ended { class: FailureClass::Lost, reason: "program".to_owned(), message };
        }
    };
    // Our end of its standard input: held while it works, since waiting would close it.
    let leash = child.stdin.take();
    tracing::info!(run = %order.run, host = order.host, process = child.id(), "worker started");
    let status = tokio::select! {
        status = child.wait() => status,
        () = told(end) => drain(&mut child).await,
    };
    drop(leash);
    let said = std::fs::read_to_string(&words).unwrap_or_default();
    // A file that stays is only untidy.
    let _ = std::fs::remove_file(&words);
    match status {
        Ok(status) => explain(order.host, status, &said),
        Err(error) => Ended {
            class: FailureClass::Lost,
            reason: "program".to_owned(),
            message: format!("worker {} cannot be waited for: {error}", order.host),
        },
    }
}

/// Resolves when the worker is to end.
async fn told(end: &mut watch::Receiver<bool>) {
    // An error means that the slot was dropped.
    let _ = end.wait_for(|end| *end).await;
}

/// Tells it to end, and kills it if it does not.
async fn drain(child: &mut Child) -> std::io::Result<ExitStatus> {
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        // It has ended already if that fails: it is waited for all the same.
        let _ = kill_process(process, Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(DRAIN, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

fn explain(host: &str, status: ExitStatus, said: &str) -> Ended {
    // As a shell and Kubernetes say it: 128 and the signal.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    let words = LastWords::parse(said);
    let reason = words.reason.unwrap_or_else(|| match code {
        0 => "completed".to_owned(),
        75 => "drained".to_owned(),
        code if code < 0 => "unknown_end".to_owned(),
        code => format!("exit_{code}"),
    });
    let meaning = meaning_of_exit(code);
    let message = match words.message {
        Some(message) => format!("worker {host} has ended ({meaning}): {message}"),
        None => format!("worker {host} has ended ({meaning})"),
    };
    Ended { class: class_of_exit(code), reason, message }
}

/// Where a worker leaves its last words.
fn words_file(host: &str) -> PathBuf {
    std::env::temp_dir().join(format!("nightshift-{}-{host}.json", std::process::id()))
}
