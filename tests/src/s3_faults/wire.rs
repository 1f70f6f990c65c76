//! How the proxy reads a request, passes it on, and spoils the answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use super::{CONDITIONS, Fault, Request, Rule, Seen};

/// How long a request hangs that gets no answer; longer than the clients of tests wait.
const HANG: Duration = Duration::from_secs(10);

pub(super) fn serve(
    client: TcpStream,
    target: SocketAddr,
    rule: &Mutex<Rule>,
    seen: &Seen,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(mut request) = read_request(&mut reader)? else { return Ok(()) };
    let fault = {
        let fault = (rule.lock().unwrap())(&request);
        let told = (request.method.clone(), request.target.clone(), fault);
        seen.lock().unwrap().push(told);
        fault
    };
    let mut client = client;
    match fault {
        Some(Fault::Refused(status, code)) => {
            return client.write_all(&answer(&request, status, code));
        }
        Some(Fault::HandsOutKeys) => return client.write_all(&keys(&request)),
        Some(Fault::HangsBefore) => return hang(&mut reader),
        Some(Fault::ResetBefore) => return Ok(()),
        Some(Fault::Unconditional) => {
            let is_condition = |name: &str| {
                let known = CONDITIONS.iter().chain(&["if-match"]);
                known.into_iter().any(|known| name.eq_ignore_ascii_case(known))
            };
            request.headers.retain(|(name, _)| !is_condition(name));
        }
        _ => {}
    }
    let mut answered = forward(&request, target)?;
    match fault {
        Some(Fault::Denies(status, code)) => answered = answer(&request, status, code),
        Some(Fault::HangsAfter) => return hang(&mut reader),
        Some(Fault::ResetAfter) => return Ok(()),
        Some(Fault::ShortRead) => {
            let head = find(&answered, b"\r\n\r\n").map_or(answered.len(), |at| at + 4);
            answered.truncate(head + (answered.len() - head) / 2);
        }
        Some(Fault::StaleListing) => answered = without_last_object(answered),
        Some(Fault::PendingCopy) => answered = pending(answered),
        Some(Fault::OtherVersion) => answered = of_another_version(answered),
        _ => {}
    }
    client.write_all(&answered)
}

/// Nobody answers until the client has had enough.
fn hang(reader: &mut BufReader<TcpStream>) -> io::Result<()> {
    reader.get_ref().set_read_timeout(Some(HANG))?;
    let _ = reader.read(&mut [0; 1]);
    Ok(())
}

pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Passes a request on, over a connection of its own; gives the bytes of the answer.
fn forward(request: &Request, target: SocketAddr) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(target)?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    server.write_all(head.as_bytes())?;
    server.write_all(&request.body)?;
    let mut answered = Vec::new();
    server.read_to_end(&mut answered)?;
    Ok(answered)
}

fn answer(request: &Request, status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as told</Message><AWSAccessKeyId>canary-key</AWSAccessKeyId></Error>"
    );
    let body = if request.method == "HEAD" || status == 304 { "" } else { &body };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the agent of a node answers a pod that shows its token: keys that are called as the token,
/// soon to be asked for anew.
fn keys(request: &Request) -> Vec<u8> {
    let token = request.header("authorization").unwrap_or_default();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1);
    let body = serde_json::json!({
        "AccessKeyId": token,
        "SecretAccessKey": "canary-secret",
        "Token": "canary-session",
        "Expiration": soon.to_string(),
    });
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An answer that says it is of another version of the object.
fn of_another_version(answered: Vec<u8>) -> Vec<u8> {
    let Some(at) = find(&answered, b"\r\n\r\n") else { return answered };
    let head = String::from_utf8_lossy(&answered[..at]).into_owned();
    let is_tag = |line: &str| line.to_ascii_lowercase().starts_with("etag:");
    let lines = head.lines().map(|line| match is_tag(line) {
        true => "ETag: \"00000000000000000000000000000000\"".to_owned(),
        false => line.to_owned(),
    });
    let mut other = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    other.extend_from_slice(&answered[at..]);
    other
}

/// An answer about a copy as it was a moment ago.
fn pending(answered: Vec<u8>) -> Vec<u8> {
    let (done, pending) = (b"x-ms-copy-status: success", b"x-ms-copy-status: pending");
    let Some(at) = find(&answered, done) else { return answered };
    [&answered[..at], pending, &answered[at + done.len()..]].concat()
}

/// A listing as it was a moment ago.
fn without_last_object(answered: Vec<u8>) -> Vec<u8> {
    let Some(at) = find(&answered, b"\r\n\r\n") else { return answered };
    let (head, body) = answered.split_at(at + 4);
    let (Ok(head), Ok(body)) = (std::str::from_utf8(head), std::str::from_utf8(body)) else {
        return answered;
    };
    let last = ["Contents", "Blob"].into_iter().find_map(|name| {
        let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
        Some((body.rfind(&begin)?, body.rfind(&end)? + end.len()))
    });
    let Some((from, to)) = last else { return answered };
    let body = format!("{}{}", &body[..from], &body[to..]);
    let lines = head.lines().filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let head: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
