//! The commands on a terminal: bars, a table that is drawn again, a question.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nightshift_proto::runs::cancel::CancelledRun;
use nightshift_proto::runs::list::RunPage;
use nightshift_proto::runs::status::RunState::Running;
use nightshift_tests::waiting::wait_for;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::fixtures::{Spec, ended, going, id, of, only, show, started, verdict};
use crate::server::{Call, Frame, Script, Server};

const RUN: &str = "flights-2013-01-01-g1";

/// The program on a terminal of 80 columns and 24 lines.
struct OnTerminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl OnTerminal {
    fn start(server: &Server, words: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs: OwnedFd = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_nightshift"))
            .args(words)
            .args(["--coordinator", &server.url()])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Once the other side is closed there is an error instead of an end.
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                into.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { child, keys, shown, reader: Some(reader) }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn wait_until_shown(&self, text: &str) {
        wait_for(text, || self.shown().contains(text).then_some(()));
    }

    fn interrupt(&self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Its exit code and everything it has shown.
    fn finish(mut self) -> (Option<i32>, String) {
        let status: ExitStatus = wait_for("its end", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.shown())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_wait_has_bars_and_leaves_the_table() {
    let server = Server::start(
        Script::default().start(|start, _| Ok(started(&of(start.partition)))).watch(|watch, n| {
            let run = &watch.run;
            Ok(match n {
                // All ten are seen before any of them ends.
                0..10 => vec![show(going(run, Running, 3, 8))],
                _ => vec![verdict(run, 0, 8)],
            })
        }),
    );
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--dates", "2013-01-01..2013-01-10", "--wait"];
    let (code, shown) = OnTerminal::start(&server, &words).finish();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("300/800 rows"), "{shown}");
    assert!(shown.contains("/10 runs"), "{shown}");
    assert!(shown.contains('━'), "{shown}");
    let table = shown.rsplit("date ").next().unwrap();
    assert_eq!(table.matches("succeeded").count(), 10, "{shown}");
    // Lines are for those who have no bars.
    assert!(!shown.contains("running  3/8 shards"), "{shown}");
}

#[test]
fn a_table_is_drawn_again_until_ctrl_c() {
    let server = Server::start(Script::default().list(|_, n| {
        let done = u32::try_from(n.min(3)).unwrap();
        let runs = vec![going(&id(RUN), Running, done, 4), ended(&id(RUN), 0, 4).run];
        Ok(RunPage { runs, next: None })
    }));
    let terminal = OnTerminal::start(&server, &["status", "--watch"]);
    terminal.wait_until_shown("3/4");
    terminal.interrupt();
    let (code, shown) = terminal.finish();
    assert_eq!(code, Some(0), "{shown}");
    for shards in ["0/4", "1/4", "2/4", "3/4"] {
        assert!(shown.contains(shards), "{shards}: {shown}");
    }
}

#[test]
fn a_cancellation_is_asked_for() {
    let script = || {
        Script::default()
            .get(|get, _| Ok(only(going(&get.run, Running, 3, 8))))
            .cancel(|cancel, _| Ok(CancelledRun { run: ended(&cancel.run, 5, 8).run }))
    };
    for (keys, code, cancels) in
        [("n\n", 75, 0), ("\n", 75, 0), ("\x04", 75, 0), ("y\n", 0, 1), ("YES\n", 0, 1)]
    {
        let server = Server::start(script());
        let mut terminal = OnTerminal::start(&server, &["cancel", RUN]);
        terminal.wait_until_shown("[y/N]");
        assert!(terminal.shown().contains("5 of its 8 shards are undecided"));
        terminal.keys.write_all(keys.as_bytes()).unwrap();
        let (ended, shown) = terminal.finish();
        assert_eq!(ended, Some(code), "{keys:?}: {shown}");
        assert_eq!(server.count(|call| matches!(call, Call::Cancel(_))), cancels, "{keys:?}");
    }
    let server = Server::start(script());
    let (code, shown) = OnTerminal::start(&server, &["cancel", RUN, "--yes"]).finish();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
}

#[test]
fn ctrl_c_leaves_the_terminal_with_the_table() {
    let server = Server::start(
        Script::default()
            .start(|start, _| Ok(started(&of(start.partition))))
            .watch(|watch, _| Ok(vec![show(going(&watch.run, Running, 1, 4)), Frame::Hang])),
    );
    let spec = Spec::new();
    let words = ["submit", &spec.path(), "--date", "2013-01-01", "--wait"];
    let terminal = OnTerminal::start(&server, &words);
    terminal.wait_until_shown("100/400 rows");
    terminal.interrupt();
    let (code, shown) = terminal.finish();
    assert_eq!(code, Some(75), "{shown}");
    assert!(shown.contains("look again with"), "{shown}");
}
