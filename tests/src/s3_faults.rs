//! A proxy in front of an S3 server that answers as stores do on a bad day, and counts.
//!
//! Each request is decided by itself: it is passed on, answered in the server's place, or passed
//! on and its answer spoiled. A [`Rule`] says what becomes of which requests.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::random::Random;
use crate::s3::S3;

/// How long a request hangs that gets no answer; longer than the clients of tests wait.
const HANG: Duration = Duration::from_secs(10);

/// Headers that make a create conditional, in S3 and Azure, and in Google Cloud Storage.
const CONDITIONS: [&str; 2] = ["if-none-match", "x-goog-if-generation-match"];

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with a status and a code of S3, and does not happen.
    Refused(u16, &'static str),
    /// It happens, and is answered with a status and a code all the same.
    Denies(u16, &'static str),
    /// It does not happen, and nobody answers.
    HangsBefore,
    /// It happens, and nobody answers.
    HangsAfter,
    /// The connection breaks before it happens.
    ResetBefore,
    /// The connection breaks after it happened.
    ResetAfter,
    /// Half of the answer comes.
    ShortRead,
    /// A listing does not have its last object yet.
    StaleListing,
    /// Its condition is lost on the way.
    Unconditional,
    /// A copy of Azure that is made, and not told to be whole.
    PendingCopy,
}

/// Says what becomes of a request.
pub type Rule = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

/// Method, path and query of a request, and what became of it.
pub type Told = (String, String, Option<Fault>);

type Seen = Mutex<Vec<Told>>;

/// The proxy.
pub struct Faults {
    address: SocketAddr,
    seen: Arc<Seen>,
    ends: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Request {
    /// Whether it is a create on condition that there is nothing.
    pub fn is_conditional_create(&self) -> bool {
        self.method == "PUT" && CONDITIONS.iter().any(|name| self.header(name).is_some())
    }

    /// Whether it lists.
    pub fn is_listing(&self) -> bool {
        self.method == "GET"
            && ["list-type=2", "comp=list"].iter().any(|word| self.target.contains(word))
    }

    /// Whether it is a copy.
    pub fn is_copy(&self) -> bool {
        ["x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source"]
            .iter()
            .any(|name| self.header(name).is_some())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Faults {
    /// A proxy in front of `s3` that follows `rule`.
    pub fn start(s3: &S3, rule: Rule) -> Self {
        Self::before(&s3.url(), rule)
    }

    /// A proxy in front of the store at `url` that follows `rule`.
    pub fn before(url: &str, rule: Rule) -> Self {
        let target: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (seen, ends) = (Arc::<Seen>::default(), Arc::new(AtomicBool::new(false)));
        let rule = Arc::new(Mutex::new(rule));
        let (sees, ended) = (Arc::clone(&seen), Arc::clone(&ends));
        let listener = std::thread::spawn(move || {
            for client in socket.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (rule, seen) = (Arc::clone(&rule), Arc::clone(&sees));
                // A client that goes away is no concern of the proxy.
                std::thread::spawn(move || {
                    let _ = serve(client, target, &rule, &seen);
                });
            }
        });
        Self { address, seen, ends, listener: Some(listener) }
    }

    /// A proxy that passes everything on.
    pub fn none(s3: &S3) -> Self {
        Self::start(s3, Box::new(|_| None))
    }

    /// A proxy that spoils `percent` of all requests, each in one of the ways that fit it.
    pub fn at(s3: &S3, percent: u64, random: Random) -> Self {
        Self::at_url(&s3.url(), percent, random)
    }

    /// The same, in front of the store at `url`.
    pub fn at_url(url: &str, percent: u64, mut random: Random) -> Self {
        Self::before(
            url,
            Box::new(move |request| {
                if random.number() % 100 >= percent {
                    return None;
                }
                let faults = faults_for(request);
                Some(faults[(random.number() % faults.len() as u64) as usize])
            }),
        )
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, and what became of each.
    pub fn seen(&self) -> Vec<Told> {
        self.seen.lock().unwrap().clone()
    }

    /// How many of them were spoiled.
    pub fn spoiled(&self) -> usize {
        self.seen().iter().filter(|(_, _, fault)| fault.is_some()).count()
    }
}

/// The ways in which stores are known to spoil a request of its kind.
fn faults_for(request: &Request) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Refused(429, "SlowDown"),
        Fault::Refused(500, "InternalError"),
        Fault::Refused(503, "SlowDown"),
        Fault::HangsBefore,
        Fault::HangsAfter,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Denies(500, "InternalError"),
    ];
    if request.is_conditional_create() {
        faults.extend([
            Fault::Refused(409, "ConditionalRequestConflict"),
            Fault::Refused(412, "PreconditionFailed"),
            Fault::Refused(304, "NotModified"),
            Fault::Denies(412, "PreconditionFailed"),
            Fault::Denies(409, "ConditionalRequestConflict"),
        ]);
    }
    if request.is_copy() || request.is_listing() {
        faults.push(Fault::Refused(200, "InternalError"));
    }
    if request.is_listing() {
        faults.push(Fault::StaleListing);
    }
    if request.method == "GET" {
        faults.push(Fault::ShortRead);
        if request.header("if-match").is_some() {
            faults.push(Fault::Refused(412, "PreconditionFailed"));
        }
    }
    faults
}

fn serve(client: TcpStream, target: SocketAddr, rule: &Mutex<Rule>, seen: &Seen) -> io::Result<()> {
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
        Some(Fault::HangsBefore) => return hang(&mut reader),
        Some(Fault::ResetBefore) => return Ok(()),
        Some(Fault::Unconditional) => {
            let is_one = |name: &str| CONDITIONS.iter().any(|one| name.eq_ignore_ascii_case(one));
            request.headers.retain(|(name, _)| !is_one(name));
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

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
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

impl Drop for Faults {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("address", &self.address).finish_non_exhaustive()
    }
}
