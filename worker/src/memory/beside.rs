//! What the sidecar says of the pod's memory.
//!
//! A container sees its own control group alone, so a limit of the whole pod is invisible to the
//! worker. A sidecar that is shown the pod's group (`--pod-cgroup`) says what it reads there, over
//! loopback. It is asked once a second by a thread of its own: a batch never waits for an answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nightshift_core::memory::Room;
use serde::Deserialize;

/// Time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest that a connection, and each piece of an answer, may take.
const DEADLINE: Duration = Duration::from_secs(1);
/// An answer that is older than this says nothing any more.
const STALE: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const ANSWER_MAX_BYTES: u64 = 8 << 10;

/// The last answer of a sidecar.
#[derive(Debug, Default)]
pub struct Beside {
    last: Mutex<Option<(Room, Instant)>>,
}

/// `GET /limits` of the sidecar.
#[derive(Debug, Deserialize)]
struct Said {
    scope: String,
    memory_limit_bytes: Option<u64>,
    memory_used_bytes: Option<u64>,
}

impl Beside {
    /// Asks the sidecar at `address` from now on, as long as the returned value lives.
    ///
    /// # Errors
    /// If there is no thread to ask on.
    pub fn ask(address: SocketAddr) -> io::Result<Arc<Self>> {
        let beside = Arc::new(Self::default());
        let asked = Arc::downgrade(&beside);
        std::thread::Builder::new()
            .name("limits".to_owned())
            .spawn(move || asking(address, &asked))?;
        Ok(beside)
    }

    /// Limit and use of the pod, if they were said not long ago.
    pub fn room(&self) -> Option<Room> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(_, at)| at.elapsed() < STALE).map(|(room, _)| room)
    }

    fn note(&self, room: Option<Room>) {
        let last = room.map(|room| (room, Instant::now()));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

fn asking(address: SocketAddr, asked: &Weak<Beside>) {
    let mut was_well = true;
    while let Some(beside) = asked.upgrade() {
        match said(address) {
            Ok(room) => {
                beside.note(room);
                was_well = true;
            }
            Err(error) => {
                if was_well {
                    tracing::warn!(%address, %error, "the sidecar does not say the pod's limits");
                }
                was_well = false;
            }
        }
        drop(beside);
        std::thread::sleep(PAUSE);
    }
}

/// Asks once. None if the sidecar knows no limit of the pod.
fn said(address: SocketAddr) -> io::Result<Option<Room>> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let request = format!("GET /limits HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    room(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no such answer"))
}

/// What an HTTP answer says; the outer none for one that is not understood.
fn room(answer: &str) -> Option<Option<Room>> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.split_ascii_whitespace().nth(1)? != "200" {
        return None;
    }
    let said: Said = serde_json::from_str(body).ok()?;
    // The sidecar's own container says nothing about the worker's.
    if said.scope != "pod" {
        return Some(None);
    }
    let room = |limit_bytes| Some(Room { limit_bytes, used_bytes: said.memory_used_bytes? });
    Some(said.memory_limit_bytes.and_then(room))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answer(scope: &str) -> String {
        format!(
            "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{{\"scope\":\"{scope}\",\"memory_limit_bytes\":100,\"memory_used_bytes\":40,\"later\":1}}"
        )
    }

    #[test]
    fn only_the_pods_numbers_count() {
        let pod = Room { limit_bytes: 100, used_bytes: 40 };
        assert_eq!(room(&answer("pod")), Some(Some(pod)));
        assert_eq!(room(&answer("container")), Some(None));
        let unlimited = "HTTP/1.1 200 OK\r\n\r\n{\"scope\":\"pod\",\"memory_used_bytes\":40}";
        assert_eq!(room(unlimited), Some(None));
        for bad in ["", "HTTP/1.1 404 No\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\n[1]", "\r\n\r\n"] {
            assert_eq!(room(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_sidecar_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let beside = Beside::ask(listener.local_addr().unwrap()).unwrap();
        assert_eq!(beside.room(), None);
        let (mut stream, _) = listener.accept().unwrap();
        // To its end: what is left unread when a connection is closed resets it.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        assert!(request.starts_with(b"GET /limits "));
        stream.write_all(answer("pod").as_bytes()).unwrap();
        drop(stream);
        let started = Instant::now();
        while beside.room().is_none() {
            assert!(started.elapsed() < Duration::from_secs(60), "the answer was not noted");
            std::thread::yield_now();
        }
        assert_eq!(beside.room(), Some(Room { limit_bytes: 100, used_bytes: 40 }));
    }
}
