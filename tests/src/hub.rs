//! A Hugging Face Hub on this machine, as far as models are concerned: branches, commits, listings,
//! files, and a content network beside it that large files are redirected to. It misbehaves as it is
//! told.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Files of one commit.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status, and nothing else.
    Status(u16),
    /// The body ends after so many bytes, although more were announced.
    Short(usize),
    /// Other bytes of the same length.
    Wrong,
    /// The answer comes after this time.
    Slow(Duration),
    /// A redirect to this address.
    Redirect(&'static str),
}

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether it came to the content network.
    pub content_network: bool,
    /// Its path and query.
    pub path: String,
    /// What it said about who asks.
    pub authorization: Option<String>,
    /// Which bytes it wanted.
    pub range: Option<String>,
}

/// A Hub; it ends when it is dropped.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What both servers know.
#[derive(Debug, Default)]
struct Shelf {
    content_network: Mutex<Option<SocketAddr>>,
    token: Mutex<Option<String>>,
    commits: Mutex<BTreeMap<String, Files>>,
    branches: Mutex<BTreeMap<String, String>>,
    /// Parts of paths, and what goes wrong with the next request whose path holds one.
    faults: Mutex<VecDeque<(String, Fault)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Hub {
    /// Files from this size on are kept in large file storage.
    pub const LARGE: usize = 1000;

    /// Starts a Hub with its content network.
    pub fn start() -> Self {
        let shelf = Arc::<Shelf>::default();
        let (end, ended) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let shared = Arc::clone(&shelf);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let hub = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                let content = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                *shared.content_network.lock().unwrap() = Some(content.local_addr().unwrap());
                told.send(hub.local_addr().unwrap()).unwrap();
                let serve = |listener, content_network| {
                    let state = (Arc::clone(&shared), content_network);
                    axum::serve(listener, Router::new().fallback(answer).with_state(state))
                };
                tokio::select! {
                    served = async { serve(hub, false).await } => served.unwrap(),
                    served = async { serve(content, true).await } => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        let address = address.recv().unwrap();
        Self { address, shelf, end: Some(end), thread: Some(thread) }
    }

    /// `HF_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a commit of `org/model`, named by 40 times `digit`, and moves `main` to it.
    pub fn commit(&self, digit: char, files: Files) -> String {
        let commit: String = std::iter::repeat_n(digit, 40).collect();
        self.shelf.commits.lock().unwrap().insert(commit.clone(), files);
        self.branch("main", &commit);
        commit
    }

    /// Moves a branch.
    pub fn branch(&self, branch: &str, commit: &str) {
        self.shelf.branches.lock().unwrap().insert(branch.to_owned(), commit.to_owned());
    }

    /// From now on the Hub answers only who has this token.
    pub fn require(&self, token: &str) {
        *self.shelf.token.lock().unwrap() = Some(token.to_owned());
    }

    /// The next request whose path holds `part` goes wrong.
    pub fn fail(&self, part: &str, fault: Fault) {
        self.shelf.faults.lock().unwrap().push_back((part.to_owned(), fault));
    }

    /// All requests that came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shelf.seen.lock().unwrap().clone()
    }

    /// How many requests asked for the file `name`; a redirected one counts twice.
    pub fn downloads(&self, name: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path.ends_with(name)).count()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The server may have ended with a panic, of which joining tells.
        let _ = self.end.take().map(|end| end.send(()));
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || joined.is_none_or(|joined| joined.is_ok()));
    }
}

async fn answer(
    State((shelf, content_network)): State<(Arc<Shelf>, bool)>,
    request: Request,
) -> Response {
    let seen = seen(content_network, &request);
    let url = request.uri().path().trim_start_matches('/').to_owned();
    drop(request);
    shelf.seen.lock().unwrap().push(seen.clone());
    let fault = shelf.fault(&seen.path);
    match fault {
        Some(Fault::Status(status)) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Fault::Redirect(to)) => return redirect(to),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Short(_) | Fault::Wrong) | None => {}
    }
    let token = shelf.token.lock().unwrap().clone();
    if !content_network
        && token.is_some_and(|it| seen.authorization != Some(format!("Bearer {it}")))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let steps: Vec<&str> = url.split('/').collect();
    match steps[..] {
        ["api", "models", "org", "model", "revision", revision] => shelf.revision(revision),
        ["api", "models", "org", "model", "tree", commit, ..] => shelf.listing(commit, &seen.path),
        ["org", "model", "resolve", commit, ..] => {
            let name = steps[4..].join("/");
            shelf.file(commit, &name, &seen, fault)
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn seen(content_network: bool, request: &Request) -> Seen {
    let header = |name| {
        let value: &axum::http::HeaderValue = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let path = request.uri().path_and_query().unwrap().to_string();
    let (authorization, range) = (header(header::AUTHORIZATION), header(header::RANGE));
    Seen { content_network, path, authorization, range }
}

impl Shelf {
    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(part, _)| path.contains(part.as_str()))?;
        faults.remove(at).map(|(_, fault)| fault)
    }

    fn revision(&self, revision: &str) -> Response {
        let branches = self.branches.lock().unwrap();
        let commit = branches.get(&revision.replace("%2F", "/")).map_or(revision, String::as_str);
        if !self.commits.lock().unwrap().contains_key(commit) {
            return StatusCode::NOT_FOUND.into_response();
        }
        json(&json!({ "id": "org/model", "sha": commit }))
    }

    /// One file a page, so that pages are turned.
    fn listing(&self, commit: &str, path: &str) -> Response {
        let commits = self.commits.lock().unwrap();
        let Some(files) = commits.get(commit) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let page = path.split_once("page=").map_or(0, |(_, page)| page.parse().unwrap());
        let entry = files.iter().nth(page).map(|(name, bytes)| {
            let mut entry =
                json!({ "type": "file", "path": name, "size": bytes.len(), "oid": "0" });
            if bytes.len() >= Hub::LARGE {
                let oid = Sha256::digest(bytes);
                let oid: String = oid.iter().map(|byte| format!("{byte:02x}")).collect();
                entry["lfs"] = json!({ "oid": oid, "size": bytes.len(), "pointerSize": 130 });
            }
            entry
        });
        let mut response = json(&json!(entry.into_iter().collect::<Vec<_>>()));
        if page + 1 < files.len() {
            let base = path.split('?').next().unwrap();
            let next = format!("<{base}?recursive=true&page={}>; rel=\"next\"", page + 1);
            response.headers_mut().insert(header::LINK, next.parse().unwrap());
        }
        response
    }

    fn file(&self, commit: &str, name: &str, seen: &Seen, fault: Option<Fault>) -> Response {
        let commits = self.commits.lock().unwrap();
        let Some(bytes) = commits.get(commit).and_then(|files| files.get(name)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if bytes.len() >= Hub::LARGE && !seen.content_network {
            let network = self.content_network.lock().unwrap().unwrap();
            return redirect(&format!("http://{network}{}?signature=canary-signature", seen.path));
        }
        let mut bytes = bytes.clone();
        if fault == Some(Fault::Wrong) {
            bytes.reverse();
        }
        let from: usize = seen.range.as_ref().map_or(0, |range| {
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
        });
        let rest = bytes.split_off(from);
        let announced = rest.len();
        let sent = match fault {
            Some(Fault::Short(length)) => rest[..length.min(announced)].to_vec(),
            _ => rest,
        };
        let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(sent))]);
        // What is there is sent while the rest lets wait for itself.
        let end = futures::stream::once(async {
            tokio::task::yield_now().await;
            Ok(Bytes::new())
        });
        let pieces = futures::StreamExt::chain(pieces, end);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, announced.into());
        (status, headers, Body::from_stream(pieces)).into_response()
    }
}

fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response()
}
