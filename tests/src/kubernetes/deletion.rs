//! Deletion: at once, gracefully, with dependents or without; and the collector of garbage.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::clock;
use super::object;
use super::refused::Refused;
use super::request::{Body, Request};
use super::store::{Key, Store};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// The finalizer of pods that their Job has not counted yet.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// How a deletion is to be done.
#[derive(Debug, Clone, Default)]
struct Options {
    propagation: String,
    grace: Option<i64>,
    uid: String,
    version: String,
}

impl Options {
    fn of(request: &Request) -> Self {
        let body = match &request.body {
            Body::Json(body) => body.clone(),
            _ => Value::Null,
        };
        let text = |name: &str| match object::text(&body, &format!("/{name}")) {
            "" => request.parameter(name).to_owned(),
            said => said.to_owned(),
        };
        let grace = body["gracePeriodSeconds"].as_i64();
        Self {
            propagation: match (text("propagationPolicy").as_str(), request.resource.plural) {
                // Jobs leave their pods behind unless they are told otherwise, as they always did.
                ("", "jobs") if body["orphanDependents"].is_null() => "Orphan".to_owned(),
                ("", _) => "Background".to_owned(),
                (said, _) => said.to_owned(),
            },
            grace: grace.or_else(|| request.parameter("gracePeriodSeconds").parse().ok()),
            uid: object::text(&body, "/preconditions/uid").to_owned(),
            version: object::text(&body, "/preconditions/resourceVersion").to_owned(),
        }
    }
}

impl Store {
    /// Deletes an object. Gives the object where it is not gone yet, and a status where it is.
    pub fn delete(&mut self, request: &Request) -> Result<Value, Refused> {
        let options = Options::of(request);
        let key = request.key();
        let Some(object) = self.get(&key).cloned() else {
            return Err(Refused::not_found(request.resource, &request.name));
        };
        for (name, wanted, is) in [
            ("UID", &options.uid, object::uid(&object)),
            (
                "ResourceVersion",
                &options.version,
                object::text(&object, "/metadata/resourceVersion"),
            ),
        ] {
            if !wanted.is_empty() && wanted != is {
                let why = format!(
                    "the {name} in the precondition ({wanted}) does not match the {name} in record ({is}). The object might have been deleted and then recreated"
                );
                return Err(Refused::conflict_because(request.resource, &request.name, &why));
            }
        }
        if request.dry_run {
            return Ok(object);
        }
        self.begin_deletion(&key, &options);
        let details = json!({
            "name": request.name, "group": request.resource.group,
            "kind": request.resource.plural, "uid": object::uid(&object),
        });
        Ok(self.get(&key).cloned().unwrap_or_else(|| {
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": details,
            })
        }))
    }

    /// Deletes all that a request selects; gives them as they were.
    pub fn delete_many(&mut self, request: &Request) -> Vec<Value> {
        let options = Options::of(request);
        let selected = self.list(request.resource.plural, request.scope());
        let selected = selected.filter(|(_, object)| request.selector.matches(object));
        let selected: Vec<(Key, Value)> =
            selected.map(|(key, object)| (key.clone(), object.clone())).collect();
        for (key, _) in &selected {
            self.begin_deletion(key, &options);
        }
        selected.into_iter().map(|(_, object)| request.outside(&object)).collect()
    }

    /// Deletes an object in the background, as a controller does.
    pub fn discard(&mut self, key: &Key) {
        let propagation = "Background".to_owned();
        self.begin_deletion(key, &Options { propagation, ..Options::default() });
    }

    /// Deletes an object once its dependents are gone, as a TTL does.
    pub fn discard_after_dependents(&mut self, key: &Key) {
        let propagation = "Foreground".to_owned();
        self.begin_deletion(key, &Options { propagation, ..Options::default() });
    }

    /// Ends an object without grace; only finalizers can keep it.
    pub fn discard_now(&mut self, key: &Key) {
        let propagation = "Background".to_owned();
        self.begin_deletion(key, &Options { propagation, grace: Some(0), ..Options::default() });
    }

    fn begin_deletion(&mut self, key: &Key, options: &Options) {
        let Some(object) = self.get(key).cloned() else { return };
        match options.propagation.as_str() {
            "Orphan" => self.release_dependents(&object),
            "Foreground" => {
                self.change(key, |object| object::add_finalizer(object, FOREGROUND));
            }
            _ => {}
        }
        let grace = match key.0 {
            "pods" => grace_of_pod(&object, options.grace),
            "namespaces" => 1,
            _ => 0,
        };
        let now = self.clock.now();
        let again = object::is_deleted(&object);
        let known = object::number(&object, "/metadata/deletionGracePeriodSeconds");
        let change = !again || known.is_some_and(|known| grace < known);
        let changed = self.change(key, |object| {
            if change {
                let until = now + SignedDuration::from_secs(grace);
                object["metadata"]["deletionTimestamp"] = json!(clock::stamp(until));
                object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            }
            object::remove_finalizer(object, ORPHAN);
        });
        // An object that nothing holds is removed by the change; one that was to go before, here.
        if let Some(object) = changed {
            let held = !object::list(&object, "/metadata/finalizers").is_empty();
            if !held && grace == 0 && self.get(key).is_some() {
                self.remove(key);
            }
        }
    }

    fn release_dependents(&mut self, owner: &Value) {
        let uid = object::uid(owner);
        for key in self.dependents(uid) {
            self.change(&key, |object| {
                let owners = object::array(&mut object["metadata"]["ownerReferences"]);
                owners.retain(|owner| owner["uid"] != uid);
                if owners.is_empty() {
                    object::map(&mut object["metadata"]).remove("ownerReferences");
                }
            });
        }
    }

    /// The objects that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        let owned = |object: &Value| {
            object::list(object, "/metadata/ownerReferences")
                .iter()
                .any(|owner| owner["uid"] == uid)
        };
        self.all().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect()
    }

    /// One step of the collector: what has lost all its owners goes, owners that wait for their
    /// dependents go when these are gone, and so do namespaces.
    pub fn collect_garbage(&mut self) {
        let known: BTreeSet<String> =
            self.all().map(|(_, object)| object::uid(object).to_owned()).collect();
        let is_dangling = |object: &Value| {
            let owners = object::list(object, "/metadata/ownerReferences");
            !owners.is_empty()
                && owners.iter().all(|owner| !known.contains(object::text(owner, "/uid")))
        };
        let select = |store: &Self, wanted: &dyn Fn(&Value) -> bool| -> Vec<Key> {
            store.all().filter(|(_, object)| wanted(object)).map(|(key, _)| key.clone()).collect()
        };
        for key in select(self, &|object| is_dangling(object) && !object::is_deleted(object)) {
            self.discard(&key);
        }
        // Nobody counts a pod whose Job is gone.
        let uncounted = |object: &Value| {
            object::has_finalizer(object, TRACKING)
                && object::controller(object)
                    .is_none_or(|owner| !known.contains(object::text(owner, "/uid")))
        };
        for key in select(self, &uncounted) {
            self.change(&key, |object| object::remove_finalizer(object, TRACKING));
        }
        for key in select(self, &|object| object::has_finalizer(object, FOREGROUND)) {
            let dependents = self.dependents(object::uid(&self.get(&key).unwrap().clone()));
            for dependent in &dependents {
                self.discard(dependent);
            }
            if dependents.is_empty() {
                self.change(&key, |object| object::remove_finalizer(object, FOREGROUND));
            }
        }
        self.end_namespaces();
    }

    /// One step of the collector of pods: one that is to go and that no node has is ended, since
    /// nobody else does it.
    pub fn end_unscheduled(&mut self) {
        let orphan = |pod: &Value| {
            object::is_deleted(pod)
                && object::text(pod, "/spec/nodeName").is_empty()
                && !matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed")
        };
        let orphans = self.list("pods", None).filter(|(_, pod)| orphan(pod));
        for key in orphans.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.change(&key, |pod| pod["status"]["phase"] = json!("Failed"));
        }
    }

    fn end_namespaces(&mut self) {
        let ending = self.list("namespaces", None);
        let ending = ending.filter(|(_, object)| object::is_deleted(object));
        let ending: Vec<Key> = ending.map(|(key, _)| key.clone()).collect();
        for key in ending {
            let inside: Vec<Key> = self
                .all()
                .filter(|((_, at, _), _)| *at == key.2)
                .map(|(key, _)| key.clone())
                .collect();
            for key in &inside {
                self.discard(key);
            }
            if inside.is_empty() {
                self.remove(&key);
            } else {
                self.change(&key, |object| object["status"]["phase"] = json!("Terminating"));
            }
        }
    }
}

/// A pod that no node has, and one that has ended, need no time to end.
fn grace_of_pod(pod: &Value, asked: Option<i64>) -> i64 {
    let ended = matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed");
    if ended || object::text(pod, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = object::number(pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    asked.unwrap_or(own)
}
