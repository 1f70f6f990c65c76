//! A service that messages are posted to: it remembers them, and answers as told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::waiting::{PATIENCE, wait_for};

/// What the service does with a message that reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers with this status.
    Answers(u16),
    /// Takes it, and never answers.
    Hangs,
    /// Takes it, and closes the connection without an answer.
    Drops,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The path that it was posted to.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

/// The service.
#[derive(Debug)]
pub struct Hook {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    messages: Mutex<Vec<Message>>,
    /// Connections that nobody answers; open until the test ends.
    hanging: Mutex<Vec<TcpStream>>,
}

impl Hook {
    /// Serves on a free port until the test process ends.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            messages: Mutex::default(),
            hanging: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// The address of a path of the service.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers so.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.messages.lock().unwrap().clone()
    }

    /// Waits until so many messages have come.
    pub fn wait_for(&self, count: usize) -> Vec<Message> {
        wait_for("a message to the service", || {
            Some(self.messages()).filter(|messages| messages.len() >= count)
        })
    }
}

impl Shared {
    /// One message a connection; a client that wants to send another connects again.
    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let Some(message) = read(&stream) else { return };
        self.messages.lock().unwrap().push(message);
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Drops => {}
            Manner::Hangs => self.hanging.lock().unwrap().push(stream),
            Manner::Answers(status) => {
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                // A client that was killed hears nothing.
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    }
}

fn read(stream: &TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Message { path, headers, body: String::from_utf8(body).ok()? })
}
