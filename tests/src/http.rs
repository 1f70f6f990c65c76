//! The smallest client of HTTP: looks at `/readyz` and `/metrics`, and into buckets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::waiting::PATIENCE;

/// Status and body of `GET path`; none where nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let (status, body) = ask(address, "GET", path, &[])?;
    Some((status, String::from_utf8(body).ok()?))
}

/// Status and body of a request; none where nobody answers.
pub fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    let body = answer.split_off(at + 4);
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((status, if chunked { joined(&body) } else { body }))
}

/// The chunks of a body without their lengths.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = chunks.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&chunks[..at]).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        body.extend_from_slice(&chunks[at + 2..at + 2 + length]);
        chunks = chunks.get(at + 2 + length + 2..).unwrap_or_default();
    }
    body
}
