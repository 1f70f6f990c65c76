//! One container: a process, and what it leaves behind.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kubernetes::object;

/// A container that was started at least once.
#[derive(Debug)]
pub(super) struct Container {
    /// As it stands in the pod.
    spec: Value,
    program: PathBuf,
    /// Where its output goes.
    log: PathBuf,
    /// In the place of the file at `terminationMessagePath`.
    words: PathBuf,
    /// None once it has ended.
    child: Option<Child>,
    started_at: String,
    restarts: u32,
    /// As in its status.
    state: Value,
    last: Value,
}

impl Container {
    /// Starts the container that stands as `spec` in `pod`.
    pub(super) fn start(
        folder: &Path,
        pod: &Value,
        spec: &Value,
        program: PathBuf,
        now: &str,
    ) -> Self {
        let name = format!("{}_{}", object::name(pod), object::text(spec, "/name"));
        let mut new = Self {
            spec: spec.clone(),
            program,
            log: folder.join(format!("{name}.log")),
            words: folder.join(format!("{name}.words")),
            child: None,
            started_at: now.to_owned(),
            restarts: 0,
            state: Value::Null,
            last: json!({}),
        };
        new.spawn(pod, now);
        new
    }

    fn spawn(&mut self, pod: &Value, now: &str) {
        // What an earlier process of the container has said is not said by the next.
        let _ = fs::remove_file(&self.words);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.env("NIGHTSHIFT_TERMINATION_LOG", &self.words);
        for variable in object::list(&self.spec, "/env") {
            command.env(object::text(variable, "/name"), value(pod, variable));
        }
        command.args(object::list(&self.spec, "/args").iter().filter_map(Value::as_str));
        let program = self.program.display();
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")));
        now.clone_into(&mut self.started_at);
        self.state = json!({ "running": { "startedAt": now } });
    }

    /// Starts it again after it has ended.
    pub(super) fn restart(&mut self, pod: &Value, now: &str) {
        self.last = self.state.take();
        self.restarts += 1;
        self.spawn(pod, now);
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.child.is_none()
    }

    /// Its exit code, once it has ended.
    pub(super) fn exit_code(&self) -> Option<i64> {
        object::number(&self.state, "/terminated/exitCode")
    }

    /// Notes its end, if it has ended since; `reason` is why it was killed, where that is known.
    pub(super) fn reap(&mut self, reason: Option<&str>, now: &str) -> bool {
        let Some(child) = &mut self.child else { return false };
        let Some(status) = child.try_wait().unwrap() else { return false };
        self.child = None;
        let code = exit_code(status);
        let usual = if code == 0 { "Completed" } else { "Error" };
        let message = fs::read_to_string(&self.words).unwrap_or_default();
        let reason = reason.filter(|_| status.signal() == Some(Signal::KILL.as_raw()));
        self.state = json!({ "terminated": {
            "exitCode": code, "reason": reason.unwrap_or(usual), "message": message,
            "startedAt": self.started_at, "finishedAt": now,
        } });
        true
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        // A child that is not reaped keeps its id.
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// Its status, as the kubelet writes it.
    pub(super) fn status(&self) -> Value {
        let runs = self.child.is_some();
        json!({
            "name": self.spec["name"], "image": self.spec["image"], "imageID": "",
            "state": self.state, "lastState": self.last, "ready": runs, "started": runs,
            "restartCount": self.restarts,
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// As a kubelet says it: 128 and the signal.
fn exit_code(status: ExitStatus) -> i64 {
    let signal = status.signal().map_or(0, |signal| 128 + signal);
    i64::from(status.code().unwrap_or(signal))
}

/// The value of a variable: a literal, or a field of the pod.
fn value(pod: &Value, variable: &Value) -> String {
    let path = object::text(variable, "/valueFrom/fieldRef/fieldPath");
    let keyed = |map: &str| {
        let key = path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")?;
        pod["metadata"][map.rsplit('.').next()?].get(key)?.as_str()
    };
    match path {
        "" => object::text(variable, "/value").to_owned(),
        "status.podIP" | "status.hostIP" => "127.0.0.1".to_owned(),
        _ => keyed("metadata.labels")
            .or_else(|| keyed("metadata.annotations"))
            .unwrap_or_else(|| object::text(pod, &format!("/{}", path.replace('.', "/"))))
            .to_owned(),
    }
}
