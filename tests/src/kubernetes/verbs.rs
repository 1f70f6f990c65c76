//! What a request does to the store: the verbs that change objects.

use serde_json::{Value, json};

use super::apply::{self, Writer};
use super::refused::Refused;
use super::request::{Body, Request};
use super::resource::Resource;
use super::schema::{self, Unknown};
use super::store::Store;
use super::{defaults, events, object, patch, validation};

/// An object that was written.
#[derive(Debug)]
pub struct Written {
    /// The object as it is now.
    pub object: Value,
    /// Whether it is new.
    pub created: bool,
    /// `Warning` headers.
    pub warnings: Vec<String>,
}

impl Store {
    /// Creates an object.
    pub fn create(&mut self, request: &Request) -> Result<Written, Refused> {
        let mut new = request.body.json()?;
        let warnings = self.read(request, &mut new)?;
        if object::name(&new).is_empty() && !object::text(&new, "/metadata/generateName").is_empty()
        {
            let prefix = object::text(&new, "/metadata/generateName").to_owned();
            // The server cuts the prefix, so that the name fits.
            let prefix: String = prefix.chars().take(58).collect();
            new["metadata"]["name"] = json!(format!("{prefix}{}", self.suffix()));
        }
        self.insert(request, new, "Update", warnings)
    }

    fn insert(
        &mut self,
        request: &Request,
        mut new: Value,
        operation: &str,
        warnings: Vec<String>,
    ) -> Result<Written, Refused> {
        let resource = request.resource;
        let name = object::name(&new).to_owned();
        let key = Self::key(resource, &request.namespace, &name);
        if self.get(&key).is_some() {
            return Err(Refused::already_exists(resource, &name));
        }
        self.check_namespace(request)?;
        if let Some(metadata) = new["metadata"].as_object_mut() {
            for field in [
                "uid",
                "creationTimestamp",
                "generation",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
            ] {
                metadata.remove(field);
            }
        }
        if resource.namespaced {
            new["metadata"]["namespace"] = json!(request.namespace);
        }
        if resource.status {
            object::map(&mut new).remove("status");
        }
        object::drop_nulls(&mut new);
        if operation == "Update" {
            let now = self.clock.stamp();
            object::map(&mut new["metadata"]).remove("managedFields");
            apply::note_update(resource, None, &mut new, request.writer("Update", &now));
        }
        defaults::fill(resource, &mut new);
        refuse(resource, &new, None)?;
        if request.dry_run {
            return Ok(Written { object: new, created: true, warnings });
        }
        if resource.plural == "jobs" {
            select_own_pods(&mut new, self.new_uid());
        }
        let object = self.add(key, new);
        Ok(Written { object, created: true, warnings })
    }

    fn check_namespace(&self, request: &Request) -> Result<(), Refused> {
        let namespaces = Resource::named("namespaces");
        let key = Self::key(namespaces, "", &request.namespace);
        if request.resource.namespaced && self.get(&key).is_none() {
            return Err(Refused::not_found(namespaces, &request.namespace));
        }
        Ok(())
    }

    /// Replaces an object or its status.
    pub fn update(&mut self, request: &Request) -> Result<Written, Refused> {
        let mut new = request.body.json()?;
        let warnings = self.read(request, &mut new)?;
        let key = request.key();
        let Some(before) = self.get(&key).cloned() else {
            return Err(Refused::not_found(request.resource, &request.name));
        };
        self.check_version(request, &new, &before)?;
        self.save(request, before, new, "Update", warnings)
    }

    fn check_version(&self, request: &Request, new: &Value, before: &Value) -> Result<(), Refused> {
        let (resource, name) = (request.resource, request.name.as_str());
        let said = object::text(new, "/metadata/resourceVersion");
        if !said.is_empty() && said != object::text(before, "/metadata/resourceVersion") {
            return Err(Refused::conflict(resource, name));
        }
        let (said, uid) = (object::uid(new), object::uid(before));
        if !said.is_empty() && said != uid {
            let why = format!(
                "Precondition failed: UID in precondition: {said}, UID in object meta: {uid}"
            );
            return Err(Refused::conflict_because(resource, name, &why));
        }
        Ok(())
    }

    /// Changes an object by a patch.
    pub fn patch(&mut self, request: &Request) -> Result<Written, Refused> {
        let key = request.key();
        let before = self.get(&key).cloned();
        if let Body::Apply(_) = &request.body {
            return self.apply(request, before);
        }
        let Some(before) = before else {
            return Err(Refused::not_found(request.resource, &request.name));
        };
        let mut new = request.outside(&before);
        match &request.body {
            Body::Merge(body) => patch::merge(&mut new, body),
            Body::Strategic(body) => patch::strategic(&mut new, body),
            Body::JsonPatch(body) => patch::json_patch(&mut new, body)?,
            _ => {
                return Err(Refused::new(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json",
                ));
            }
        }
        let warnings = self.read(request, &mut new)?;
        let new = request.inside(new);
        self.check_version(request, &new, &before)?;
        self.save(request, before, new, "Update", warnings)
    }

    fn apply(&mut self, request: &Request, before: Option<Value>) -> Result<Written, Refused> {
        let mut body = request.body.json()?;
        let resource = request.resource;
        if request.manager.is_empty() {
            return Err(Refused::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        if object::list(&body, "/metadata/managedFields") != [] as [Value; 0] {
            return Err(Refused::bad_request("metadata.managedFields must be nil"));
        }
        if body["kind"] != resource.kind || body["apiVersion"] != resource.api_version() {
            return Err(Refused::bad_request(format!(
                "invalid object type: {}, Kind={}",
                body["apiVersion"], body["kind"]
            )));
        }
        let warnings = self.read(request, &mut body)?;
        body["metadata"]["name"] = json!(request.name);
        if let Some(before) = &before {
            self.check_version(request, &body, before)?;
        } else if !object::uid(&body).is_empty() {
            let uid = object::uid(&body);
            let why =
                format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            return Err(Refused::conflict_because(resource, &request.name, &why));
        }
        object::drop_nulls(&mut body);
        if resource.status && request.subresource.is_empty() {
            object::map(&mut body).remove("status");
        }
        let now = self.clock.stamp();
        let writer: Writer<'_> = request.writer("Apply", &now);
        let stored = before.as_ref().map(|before| request.outside(before));
        let new = apply::apply(resource, stored.as_ref(), &body, writer, request.force)?;
        match before {
            None if request.subresource.is_empty() => self.insert(request, new, "Apply", warnings),
            None => Err(Refused::not_found(resource, &request.name)),
            Some(before) => self.save(request, before, request.inside(new), "Apply", warnings),
        }
    }

    /// Stores what became of an object: the parts that this request may write.
    fn save(
        &mut self,
        request: &Request,
        before: Value,
        new: Value,
        operation: &str,
        warnings: Vec<String>,
    ) -> Result<Written, Refused> {
        let resource = request.resource;
        let mut object = new;
        if request.subresource == "status" {
            let mut kept = before.clone();
            kept["status"] = object["status"].clone();
            kept["metadata"]["managedFields"] = object["metadata"]["managedFields"].clone();
            object = kept;
        } else if resource.status {
            object["status"] = before["status"].clone();
        }
        for field in [
            "uid",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "namespace",
            "name",
        ] {
            let known = before["metadata"][field].clone();
            object["metadata"][field] = known;
        }
        object::drop_nulls(&mut object);
        if operation == "Update" {
            let now = self.clock.stamp();
            object["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
            let writer = request.writer("Update", &now);
            apply::note_update(resource, Some(&before), &mut object, writer);
        }
        if request.subresource.is_empty() && resource.plural != "pods" {
            defaults::fill(resource, &mut object);
        }
        keep_times(&before, &mut object);
        refuse(resource, &object, Some(&before))?;
        if !request.dry_run {
            object = self.replace(request.key(), object);
        }
        Ok(Written { object, created: false, warnings })
    }

    /// Reads what was sent: the right kind, known fields, and events as they are kept.
    fn read(&self, request: &Request, object: &mut Value) -> Result<Vec<String>, Refused> {
        let resource = request.resource;
        object::default(object, "kind", json!(resource.kind));
        object::default(object, "apiVersion", json!(resource.api_version()));
        if object["kind"] != resource.kind || object["apiVersion"] != resource.api_version() {
            let (kind, version) =
                (object::text(object, "/kind"), object::text(object, "/apiVersion"));
            return Err(Refused::bad_request(format!(
                "the API version in the data ({version}, Kind={kind}) does not match the expected API version ({}, Kind={})",
                resource.api_version(),
                resource.kind
            )));
        }
        let said = object::namespace(object);
        if resource.namespaced && !said.is_empty() && said != request.namespace {
            return Err(Refused::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let name = object::name(object);
        if !request.name.is_empty() && !name.is_empty() && name != request.name {
            return Err(Refused::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                request.name
            )));
        }
        let unknown = if request.strict { Unknown::Refused } else { Unknown::Dropped };
        let dropped = schema::check(resource, object, unknown)?;
        if resource.group == "events.k8s.io" {
            events::check(object)?;
            events::into_core(object);
        }
        Ok(dropped.iter().map(|path| format!("unknown field \"{path}\"")).collect())
    }
}

/// Gives a new Job the selector and the labels by which it finds its pods.
fn select_own_pods(job: &mut Value, uid: String) {
    let name = object::name(job).to_owned();
    job["metadata"]["uid"] = json!(uid);
    job["spec"]["selector"] =
        json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } });
    let labels = object::map(&mut job["spec"]["template"]["metadata"]["labels"]);
    for prefix in ["", "batch.kubernetes.io/"] {
        labels.insert(format!("{prefix}controller-uid"), json!(uid));
        labels.insert(format!("{prefix}job-name"), json!(name));
    }
}

fn refuse(resource: &Resource, object: &Value, before: Option<&Value>) -> Result<(), Refused> {
    let problems = validation::problems(resource, object, before);
    match problems.as_slice() {
        [] => Ok(()),
        problems => Err(Refused::invalid(resource, object::name(object), problems)),
    }
}

/// A write that changes nothing keeps the times of its field managers, so that it is none.
fn keep_times(before: &Value, object: &mut Value) {
    let without = |object: &Value| {
        let mut object = object.clone();
        for entry in object::array(&mut object["metadata"]["managedFields"]) {
            object::map(entry).remove("time");
        }
        object::map(&mut object["metadata"]).remove("resourceVersion");
        object
    };
    if without(before) == without(object) {
        object["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
    }
}
