//! A program on a terminal: a pseudo-terminal with a screen that can be read.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::process::Program;
use crate::waiting::wait_for;

/// What a program shows, as somebody in front of the terminal sees it.
pub struct OnTerminal {
    child: Child,
    ours: File,
    /// The program's own end, kept to see how it left the terminal.
    theirs: OwnedFd,
    screen: Arc<Mutex<Screen>>,
    reader: Option<JoinHandle<()>>,
}

struct Screen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl OnTerminal {
    /// Starts a program on a terminal of `columns` and `lines`.
    pub fn start(program: Program, columns: u16, lines: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs: OwnedFd = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, size(columns, lines)).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = program
            .into_command()
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let ours = File::from(ours);
        let mut reading = ours.try_clone().unwrap();
        let parser = vt100::Parser::new(some(lines), some(columns), 0);
        let screen = Arc::new(Mutex::new(Screen { parser, bytes: Vec::new() }));
        let into = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Once the other side is closed there is an error instead of an end.
            while let Ok(read @ 1..) = reading.read(&mut piece) {
                let mut screen = into.lock().unwrap();
                screen.parser.process(&piece[..read]);
                screen.bytes.extend_from_slice(&piece[..read]);
            }
        });
        Self { child, ours, theirs, screen, reader: Some(reader) }
    }

    /// The screen as it is now, line by line.
    pub fn shown(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was ever written, with what moves cursors.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap().bytes).into_owned()
    }

    /// Waits until the screen has what `found` looks for, and gives it.
    pub fn wait_until<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        wait_for(what, || {
            let shown = self.shown();
            let seen = found(&shown);
            if seen.is_none() && self.child.try_wait().unwrap().is_some() {
                panic!("it ended before it showed {what}:\n{shown}");
            }
            seen
        })
    }

    /// Waits until the screen has this text.
    pub fn wait_until_shown(&mut self, text: &str) {
        self.wait_until(text, |shown| shown.contains(text).then_some(()));
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size, and tells the program.
    pub fn resize(&mut self, columns: u16, lines: u16) {
        self.screen.lock().unwrap().parser.screen_mut().set_size(some(lines), some(columns));
        tcsetwinsize(&self.theirs, size(columns, lines)).unwrap();
        // Only a controlling terminal tells by itself.
        self.signal(Signal::WINCH);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Whether the terminal is as a shell wants it: lines, echo, no second screen, a cursor.
    pub fn is_restored(&self) -> bool {
        let modes = tcgetattr(&self.theirs).unwrap().local_modes;
        let screen = self.screen.lock().unwrap();
        let screen = screen.parser.screen();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !screen.alternate_screen()
            && !screen.hide_cursor()
    }

    /// Waits for its end; its exit code, and whether it left the terminal as it was.
    pub fn finish(mut self) -> (Option<i32>, bool) {
        let status: ExitStatus = wait_for("its end", || self.child.try_wait().unwrap());
        // What it wrote last may still be under way to the screen.
        let restored = wait_restored(&self);
        (status.code(), restored)
    }
}

/// Gives the last bytes a moment to be read; false if the terminal stays as it is.
fn wait_restored(terminal: &OnTerminal) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(5) {
        if terminal.is_restored() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    false
}

fn some(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The reader ends when the last end of the program's side is closed, with this value.
        drop(self.reader.take());
    }
}
