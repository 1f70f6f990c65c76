//! The objects and what happened to them, in one order.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::clock::Clock;
use super::object;
use super::resource::Resource;
use crate::random::Random;

/// Changes that are kept for watches; the oldest are forgotten.
const HISTORY: usize = 20_000;

/// Where an object is: resource, namespace, name. Objects of the cluster have no namespace.
pub type Key = (&'static str, String, String);

/// All objects.
#[derive(Debug)]
pub struct Store {
    objects: BTreeMap<Key, Value>,
    history: VecDeque<Change>,
    revision: u64,
    forgotten: u64,
    random: Random,
    /// The time.
    pub clock: Clock,
}

/// Something that happened to an object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resource version that it made.
    pub revision: u64,
    /// Which object.
    pub key: Key,
    /// The object after it; before it, where it is gone.
    pub object: Value,
    /// The object before it.
    pub previous: Option<Value>,
    /// Whether the object is gone.
    pub gone: bool,
}

impl Store {
    /// A store with the namespaces of a new cluster.
    pub fn new(clock: Clock) -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            revision: 1,
            forgotten: 0,
            random: Random::from_clock(),
            clock,
        };
        for name in ["default", "kube-system"] {
            store.add_namespace(name);
        }
        store
    }

    /// Makes a namespace and the service account that each has, unless it is there.
    pub fn add_namespace(&mut self, name: &str) {
        let key = ("namespaces", String::new(), name.to_owned());
        if self.get(&key).is_some() {
            return;
        }
        let labels = json!({ "kubernetes.io/metadata.name": name });
        self.add(
            key,
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": name, "labels": labels },
                "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
            }),
        );
        self.add(
            ("serviceaccounts", name.to_owned(), "default".to_owned()),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": "default", "namespace": name },
            }),
        );
    }

    /// The newest resource version.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a resource in a namespace, or in all.
    pub fn list(
        &self,
        plural: &'static str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&Key, &Value)> {
        let namespace = namespace.map(str::to_owned);
        self.objects
            .range((plural, String::new(), String::new())..)
            .take_while(move |((resource, _, _), _)| *resource == plural)
            .filter(move |((_, at, _), _)| namespace.as_ref().is_none_or(|wanted| wanted == at))
    }

    /// All objects.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// Five letters as the server appends them to generated names.
    pub fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(*self.random.one_of(LETTERS))).collect()
    }

    /// A new identity.
    pub fn new_uid(&mut self) -> String {
        let (a, b) = (self.random.number(), self.random.number());
        let (a1, a2, a3) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
        format!("{a1:08x}-{a2:04x}-4{a3:03x}-a{:03x}-{:012x}", b >> 52, b & 0xffff_ffff_ffff)
    }

    /// Adds an object that is not there yet and gives it its identity.
    pub fn add(&mut self, key: Key, mut object: Value) -> Value {
        if object::uid(&object).is_empty() {
            object["metadata"]["uid"] = json!(self.new_uid());
        }
        object["metadata"]["creationTimestamp"] = json!(self.clock.stamp());
        if object.get("spec").is_some() {
            object["metadata"]["generation"] = json!(1);
        }
        self.write(key, object, None)
    }

    /// Replaces an object. One that is the same apart from its version makes no change; one that
    /// is to be deleted and has no finalizers any more goes.
    pub fn replace(&mut self, key: Key, mut object: Value) -> Value {
        let previous = self.objects[&key].clone();
        object["metadata"]["resourceVersion"] = previous["metadata"]["resourceVersion"].clone();
        if previous.get("spec") != object.get("spec")
            || object::is_deleted(&object) != object::is_deleted(&previous)
        {
            let generation = object::number(&previous, "/metadata/generation").unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if previous == object {
            return object;
        }
        let written = self.write(key.clone(), object, Some(previous));
        let grace = object::number(&written, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        let free = object::list(&written, "/metadata/finalizers").is_empty();
        if object::is_deleted(&written) && free && grace == 0 {
            self.remove(&key);
        }
        written
    }

    /// Changes an object that may be there.
    pub fn change(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let mut object = self.get(key)?.clone();
        change(&mut object);
        Some(self.replace(key.clone(), object))
    }

    /// Removes an object, whatever its finalizers say.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let previous = self.objects.remove(key)?;
        self.revision += 1;
        let mut object = previous.clone();
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.keep(Change {
            revision: self.revision,
            key: key.clone(),
            object: object.clone(),
            previous: Some(previous),
            gone: true,
        });
        Some(object)
    }

    fn write(&mut self, key: Key, mut object: Value, previous: Option<Value>) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.objects.insert(key.clone(), object.clone());
        let revision = self.revision;
        self.keep(Change { revision, key, object: object.clone(), previous, gone: false });
        object
    }

    fn keep(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > HISTORY {
            self.forgotten = self.history.pop_front().unwrap().revision;
        }
    }

    /// Forgets what happened so far, as etcd does when it is compacted.
    pub fn compact(&mut self) {
        self.history.clear();
        self.forgotten = self.revision;
    }

    /// What happened to a resource after `revision`; the oldest version that is known, where that
    /// is forgotten.
    pub fn changes(&self, plural: &str, revision: u64) -> Result<Vec<Change>, u64> {
        if revision < self.forgotten {
            return Err(self.forgotten);
        }
        let from = self.history.partition_point(|change| change.revision <= revision);
        let later = self.history.range(from..);
        Ok(later.filter(|change| change.key.0 == plural).cloned().collect())
    }

    /// Writes an Event about an object, as controllers of the cluster do; one that says the same
    /// is counted.
    pub fn event(
        &mut self,
        about: &Value,
        component: &str,
        warning: bool,
        reason: &str,
        message: &str,
    ) {
        let namespace = object::namespace(about).to_owned();
        let now = self.clock.stamp();
        let same = |event: &Value| {
            event["reason"] == reason
                && event["message"] == message
                && event["involvedObject"]["uid"] == about["metadata"]["uid"]
        };
        let known = self.list("events", Some(&namespace)).find(|(_, event)| same(event));
        if let Some(key) = known.map(|(key, _)| key.clone()) {
            self.change(&key, |event| {
                event["count"] = json!(object::number(event, "/count").unwrap_or(1) + 1);
                event["lastTimestamp"] = json!(now);
            });
            return;
        }
        let name = format!("{}.{:x}", object::name(about), self.random.number());
        let kind = if warning { "Warning" } else { "Normal" };
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": name, "namespace": namespace },
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"],
                "name": object::name(about), "namespace": namespace, "uid": object::uid(about),
                "resourceVersion": object::text(about, "/metadata/resourceVersion"),
            },
            "reason": reason, "message": message, "type": kind, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
            "source": { "component": component }, "reportingComponent": component,
            "reportingInstance": "",
        });
        self.add(("events", namespace, name), event);
    }

    /// The key of an object of `resource`.
    pub fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
        let namespace = if resource.namespaced { namespace } else { "" };
        (resource.plural, namespace.to_owned(), name.to_owned())
    }
}
