//! A proxy in front of an S3 server that answers as stores do on a bad day, and counts.
//!
//! Each request is decided by itself: it is passed on, answered in the server's place, or passed
//! on and its answer spoiled. A [`Rule`] says what becomes of which requests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::random::Random;
use crate::s3::S3;

mod kinds;
mod wire;

pub use kinds::Kind;
pub(crate) use wire::read_request;

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
    /// The answer to a read says that it is of another version than was asked for.
    OtherVersion,
    /// It is answered as the agent of a node answers a pod that shows its token: with keys that
    /// are called as the token.
    HandsOutKeys,
    /// Its condition is lost on the way, of a create or of a read.
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

    /// Whether it makes one object of the parts of an upload.
    pub fn completes_upload(&self) -> bool {
        self.method == "POST" && self.target.contains("uploadId=")
    }

    /// Whether it reads one version of an object.
    pub fn is_pinned_read(&self) -> bool {
        self.method == "GET" && self.header("if-match").is_some()
    }

    /// The name of the key that it is signed with.
    pub fn key_id(&self) -> Option<&str> {
        let (_, rest) = self.header("authorization")?.split_once("Credential=")?;
        rest.split('/').next()
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
                    let _ = wire::serve(client, target, &rule, &seen);
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
        Self::among(s3, percent, random, |_, _| true)
    }

    /// The same, in front of the store at `url`.
    pub fn at_url(url: &str, percent: u64, random: Random) -> Self {
        Self::before(url, spoiling(percent, random, |_, _| true))
    }

    /// A proxy that spoils `percent` of the requests that can be spoiled in a wanted way.
    pub fn among(
        s3: &S3,
        percent: u64,
        random: Random,
        is_wanted: impl Fn(Kind, &Request) -> bool + Send + 'static,
    ) -> Self {
        Self::start(s3, spoiling(percent, random, is_wanted))
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

/// Spoils `percent` of the requests that can be spoiled in a wanted way.
fn spoiling(
    percent: u64,
    mut random: Random,
    is_wanted: impl Fn(Kind, &Request) -> bool + Send + 'static,
) -> Rule {
    Box::new(move |request| {
        let fitting = Kind::PASSING.into_iter().filter(|kind| is_wanted(*kind, request));
        let faults: Vec<Fault> = fitting.flat_map(|kind| kind.faults(request)).collect();
        if faults.is_empty() || random.below(100) >= percent {
            return None;
        }
        Some(*random.one_of(&faults))
    })
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
