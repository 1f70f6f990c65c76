//! The server: HTTP on a port of its own, which can be away and come back.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WARNING};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::faults::{Decision, Seen};
use super::refused::Refused;
use super::request::{Body, Request};
use super::shared::Shared;
use super::store::Store;
use super::verbs::Written;
use super::{discovery, watch};
use crate::ports::free_port;
use crate::waiting::wait_for;

/// Largest body that is read; the real server takes 3 MiB.
const BODY: usize = 3 * 1024 * 1024;

/// The server of a cluster.
#[derive(Debug)]
pub struct Server {
    port: u16,
    shared: Arc<Shared>,
    runtime: Mutex<Option<Runtime>>,
}

impl Server {
    /// Starts it.
    pub fn start(shared: Arc<Shared>) -> Self {
        let server = Self { port: free_port(), shared, runtime: Mutex::new(None) };
        server.come_back();
        server
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Closes all connections and refuses new ones.
    pub fn go_away(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            // A test may call this from within a runtime, which may not be blocked by another.
            let ended = std::thread::spawn(move || drop(runtime));
            ended.join().unwrap();
        }
    }

    /// Serves again, on the same port.
    pub fn come_back(&self) {
        let mut runtime = self.runtime.lock().unwrap();
        if runtime.is_some() {
            return;
        }
        let new =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let new = new.unwrap();
        let listener = wait_for("the port of the API server", || {
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).ok()
        });
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&self.shared);
        new.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = Router::new().fallback(handle).with_state(shared);
            axum::serve(listener, router).await.unwrap();
        });
        *runtime = Some(new);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.go_away();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, http: HttpRequest) -> Response {
    answer(shared, http).await.unwrap_or_else(|refused| refusal(&refused))
}

async fn answer(shared: Arc<Shared>, http: HttpRequest) -> Result<Response, Refused> {
    let (parts, body) = http.into_parts();
    let header =
        |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = to_bytes(body, BODY).await.map_err(|_| {
        Refused::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    })?;
    let path = parts.uri.path();
    if let Some(document) = discovery::document(path) {
        return Ok(reply(200, &document));
    }
    let body = Body::read(header(CONTENT_TYPE), &body)?;
    let query = parts.uri.query().unwrap_or_default();
    let method = parts.method.as_str();
    let request = Request::read(method, path, query, header(USER_AGENT), body);
    let request = request.ok_or_else(Refused::no_such_path)??;
    let name = match (&request.body, request.name.as_str()) {
        (Body::Json(body), "") => super::object::name(body).to_owned(),
        (_, name) => name.to_owned(),
    };
    let fault = shared.faults.decide(request.verb, request.resource.plural, &name);
    let Some(Decision { happens, seen }) = fault else {
        return perform(shared, request, false);
    };
    match seen {
        Seen::Late(time) => {
            tokio::time::sleep(time).await;
            return perform(shared, request, false);
        }
        Seen::WatchExpired => return perform(shared, request, true),
        _ => {}
    }
    if happens {
        perform(shared, request, false)?;
    }
    match seen {
        Seen::Refused(refused) => Err(refused),
        Seen::Silence => std::future::pending().await,
        _ => Ok(reset()),
    }
}

/// A body that fails before its first byte: the server closes the connection without an answer.
fn reset() -> Response {
    let failed =
        futures::stream::once(async { Err::<bytes::Bytes, _>(std::io::Error::other("reset")) });
    Response::new(HttpBody::from_stream(failed))
}

fn perform(shared: Arc<Shared>, request: Request, expired: bool) -> Result<Response, Refused> {
    match request.verb {
        "get" => {
            let object = shared.read(|store| store.get(&request.key()).cloned());
            let object =
                object.ok_or_else(|| Refused::not_found(request.resource, &request.name))?;
            Ok(reply(200, &request.outside(&object)))
        }
        "list" => Ok(reply(200, &shared.read(|store| list(store, &request)))),
        "watch" => {
            let body = watch::body(shared, request, expired)?;
            let response = Response::builder().header(CONTENT_TYPE, "application/json");
            Ok(response.body(body).unwrap())
        }
        "create" => written(&request, shared.write(|store| store.create(&request))?),
        "update" => written(&request, shared.write(|store| store.update(&request))?),
        "patch" => written(&request, shared.write(|store| store.patch(&request))?),
        "delete" => {
            let object = shared.write(|store| store.delete(&request))?;
            Ok(reply(200, &request.outside_unless_status(&object)))
        }
        _ => {
            let items = shared.write(|store| store.delete_many(&request));
            let revision = shared.read(Store::revision);
            Ok(reply(200, &list_of(&request, revision, items)))
        }
    }
}

fn list(store: &Store, request: &Request) -> Value {
    let all = store.list(request.resource.plural, request.scope());
    let selected = all.filter(|(_, object)| request.selector.matches(object));
    let items: Vec<Value> = selected.map(|(_, object)| request.outside(object)).collect();
    page(request, store.revision(), items)
}

/// The part of a list that `limit` and `continue` ask for. The token is the place in the list;
/// what changes between two pages may be seen twice or not at all.
fn page(request: &Request, revision: u64, mut items: Vec<Value>) -> Value {
    let from: usize = request.parameter("continue").parse().unwrap_or(0);
    let limit: usize = request.parameter("limit").parse().unwrap_or(0);
    items.drain(..from.min(items.len()));
    let rest = if limit == 0 { 0 } else { items.len().saturating_sub(limit) };
    items.truncate(items.len() - rest);
    let mut list = list_of(request, revision, items);
    if rest > 0 {
        list["metadata"]["continue"] = json!((from + limit).to_string());
        list["metadata"]["remainingItemCount"] = json!(rest);
    }
    list
}

fn list_of(request: &Request, revision: u64, items: Vec<Value>) -> Value {
    let kind = format!("{}List", request.resource.kind);
    json!({
        "kind": kind, "apiVersion": request.resource.api_version(),
        "metadata": { "resourceVersion": revision.to_string() }, "items": items,
    })
}

fn written(request: &Request, written: Written) -> Result<Response, Refused> {
    let code = if written.created { 201 } else { 200 };
    let mut response = reply(code, &request.outside(&written.object));
    for warning in &written.warnings {
        let text = warning.replace('"', "\\\"");
        let value = format!("299 - \"{text}\"");
        response.headers_mut().append(WARNING, value.parse().unwrap());
    }
    Ok(response)
}

fn reply(code: u16, document: &Value) -> Response {
    let mut response = Response::new(HttpBody::from(document.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn refusal(refused: &Refused) -> Response {
    let mut response = reply(refused.code, &refused.status());
    if let Some(after) = refused.retry_after {
        response.headers_mut().insert(RETRY_AFTER, after.as_secs().to_string().parse().unwrap());
    }
    response
}
