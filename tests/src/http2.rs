//! Just enough of HTTP/2 to be a client that no library would be: one that stalls.
//!
//! Frames are those of RFC 9113, headers are literals of RFC 7541 that need no table.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::waiting::PATIENCE;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Largest payload that a peer takes unasked.
const FRAME_MAX_BYTES: usize = 16_384;

/// A connection that has said what it must, and does as it is told from then on.
#[derive(Debug)]
pub struct Stalling {
    stream: TcpStream,
}

impl Stalling {
    /// Connects and greets.
    pub fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(PREFACE).unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        Self { stream }
    }

    /// Begins a gRPC call, as in `ShardLeases/Acquire`, whose message is said to have `said`
    /// bytes, and sends `sent` of them.
    pub fn begin(&mut self, method: &str, said: usize, sent: usize) {
        let path = format!("/nightshift.v1.{method}");
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &path),
            (":authority", "tests"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
        let mut message = vec![0];
        message.extend(u32::try_from(said).unwrap().to_be_bytes());
        message.resize(5 + sent, 0);
        for piece in message.chunks(FRAME_MAX_BYTES) {
            self.stream.write_all(&frame(DATA, 0, 1, piece)).unwrap();
        }
    }

    /// Reads until the call is answered, reset, or the connection is given up; says which. Pings
    /// are answered meanwhile, as of a client that is well and in no hurry.
    pub fn ending(&mut self) -> &'static str {
        loop {
            let mut head = [0; 9];
            if self.stream.read_exact(&mut head).is_err() {
                return "closed";
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            if self.stream.read_exact(&mut payload).is_err() {
                return "closed";
            }
            match head[3] {
                HEADERS => return "answered",
                RST_STREAM => return "reset",
                GOAWAY => return "sent away",
                PING if head[4] & ACK == 0 => {
                    // A connection that is closed is noticed by the next read.
                    let _ = self.stream.write_all(&frame(PING, ACK, 0, &payload));
                }
                _ => {}
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
