//! Watches: what happened to objects, one JSON line each, until somebody ends them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::object;
use super::refused::Refused;
use super::request::Request;
use super::shared::Shared;
use super::store::{Change, Store};

/// Time without changes after which a bookmark is sent.
const QUIET: Duration = Duration::from_secs(1);
/// How long a watch lasts that does not say it.
const LONGEST: Duration = Duration::from_secs(300);

struct Watch {
    shared: Arc<Shared>,
    request: Request,
    revision: u64,
    changed: tokio::sync::watch::Receiver<u64>,
    /// The watches that are dropped with this one.
    era: u64,
    lines: VecDeque<Value>,
    ends: Instant,
    over: bool,
}

/// The body of an answer to a watch.
pub fn body(shared: Arc<Shared>, request: Request, expired: bool) -> Result<Body, Refused> {
    let changed = shared.subscribe();
    let seconds: Option<u64> = request.parameter("timeoutSeconds").parse().ok();
    let ends = Instant::now() + seconds.map_or(LONGEST, Duration::from_secs);
    let mut lines = VecDeque::new();
    let asked = request.parameter("resourceVersion").to_owned();
    let initial = request.parameter("sendInitialEvents") == "true";
    let (mut revision, era) = shared.read(|store| (store.revision(), shared.era()));
    if initial || matches!(asked.as_str(), "" | "0") {
        shared.read(|store| {
            revision = store.revision();
            first(store, &request, &mut lines);
        });
        if initial {
            let mut bookmark = bookmark(&request, revision);
            bookmark["object"]["metadata"]["annotations"] =
                json!({ "k8s.io/initial-events-end": "true" });
            lines.push_back(bookmark);
        }
    } else {
        revision = asked
            .parse()
            .map_err(|_| Refused::bad_request(format!("invalid resource version \"{asked}\"")))?;
    }
    if expired {
        lines.push_back(error(&Refused::expired(revision, revision + 1)));
    }
    let watch = Watch { shared, request, revision, changed, era, lines, ends, over: expired };
    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        let line = Bytes::from(format!("{line}\n"));
        Some((Ok::<_, Infallible>(line), watch))
    });
    Ok(Body::from_stream(lines))
}

fn first(store: &Store, request: &Request, lines: &mut VecDeque<Value>) {
    let all = store.list(request.resource.plural, request.scope());
    for (_, object) in all.filter(|(_, object)| wanted(request, object)) {
        lines.push_back(json!({ "type": "ADDED", "object": request.outside(object) }));
    }
}

fn wanted(request: &Request, object: &Value) -> bool {
    let named = request.name.is_empty() || object::name(object) == request.name;
    named && request.selector.matches(object)
}

fn bookmark(request: &Request, revision: u64) -> Value {
    json!({ "type": "BOOKMARK", "object": {
        "kind": request.resource.kind, "apiVersion": request.resource.api_version(),
        "metadata": { "resourceVersion": revision.to_string(), "creationTimestamp": null },
    } })
}

fn error(refused: &Refused) -> Value {
    json!({ "type": "ERROR", "object": refused.status() })
}

impl Watch {
    /// The next line; none where the watch is at its end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if self.shared.era() != self.era {
                return None;
            }
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over || Instant::now() >= self.ends {
                return None;
            }
            self.changed.borrow_and_update();
            self.look();
            if !self.lines.is_empty() {
                continue;
            }
            let quiet = QUIET.min(self.ends - Instant::now());
            if tokio::time::timeout(quiet, self.changed.changed()).await.is_err()
                && self.request.parameter("allowWatchBookmarks") == "true"
            {
                self.lines.push_back(bookmark(&self.request, self.revision));
            }
        }
    }

    /// Reads what has happened since the last look.
    fn look(&mut self) {
        let plural = self.request.resource.plural;
        let (changes, newest) =
            self.shared.read(|store| (store.changes(plural, self.revision), store.revision()));
        match changes {
            Ok(changes) => {
                let lines: Vec<Value> =
                    changes.iter().filter_map(|change| self.line(change)).collect();
                self.lines.extend(lines);
                self.revision = self.revision.max(newest);
            }
            Err(oldest) => {
                self.lines.push_back(error(&Refused::expired(self.revision, oldest)));
                self.over = true;
            }
        }
    }

    fn line(&self, change: &Change) -> Option<Value> {
        if self.request.scope().is_some_and(|namespace| namespace != change.key.1) {
            return None;
        }
        let now = !change.gone && wanted(&self.request, &change.object);
        let before = change.previous.as_ref().is_some_and(|object| wanted(&self.request, object));
        let kind = match (now, before) {
            (true, false) => "ADDED",
            (true, true) => "MODIFIED",
            (false, true) => "DELETED",
            (false, false) => return None,
        };
        Some(json!({ "type": kind, "object": self.request.outside(&change.object) }))
    }
}
