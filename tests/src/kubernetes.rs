//! A Kubernetes in memory: an API server for the real `kube` client and the real `kubectl`, the
//! controllers that a Job needs, and nodes that run pods as processes or as they are told.
//!
//! It behaves like Kubernetes 1.36 in what matters to somebody who launches Jobs, and misbehaves
//! as a test tells it ([`faults`]). It is no Kubernetes: there is no authentication, there are no
//! quotas beside the faults, and volumes are not mounted.
//!
//! A request goes through these modules in this order: [`server`], [`request`], [`schema`],
//! [`apply`] or [`patch`], [`defaults`], [`validation`], [`store`]; [`watch`] tells of it.

pub mod server;
pub mod discovery;
pub mod request;
pub mod resource;
pub mod selector;
pub mod refused;
pub mod faults;
pub mod schema;
pub mod verbs;
pub mod deletion;
pub mod apply;
pub mod fields;
pub mod patch;
pub mod defaults;
pub mod validation;
pub mod events;
pub mod store;
pub mod object;
pub mod clock;
pub mod shared;
pub mod watch;
pub mod controllers;
pub mod jobs;
pub mod node;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Finished;
use crate::tools;
use crate::waiting::wait_for;
use faults::Faults;
use resource::Resource;
use server::Server;
use shared::Shared;
use store::Store;

/// A cluster. When it is dropped everything of it ends, the processes of its pods too.
#[derive(Debug)]
pub struct Kubernetes {
    server: Server,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    folder: TempDir,
}

impl Kubernetes {
    /// Starts an API server without nodes; pods wait for one.
    pub fn start() -> Self {
        let shared = Arc::new(Shared::new());
        let server = Server::start(Arc::clone(&shared));
        let folder = TempDir::new().unwrap();
        let threads = vec![controllers::start(Arc::clone(&shared))];
        let new = Self { server, shared, threads, folder };
        new.write_kubeconfig();
        new
    }

    /// As [`Self::start`], with a node that runs the programs of these images as processes.
    pub fn with_processes(images: BTreeMap<String, PathBuf>) -> Self {
        let mut new = Self::start();
        std::fs::create_dir(new.logs_folder()).unwrap();
        images.into_iter().for_each(|(name, program)| new.add_image(&name, program));
        let node = node::processes::start(Arc::clone(&new.shared), new.logs_folder());
        new.threads.push(node);
        new
    }

    fn logs_folder(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// Makes the controllers rest, or go on.
    pub fn pause_controllers(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::SeqCst);
    }

    /// Makes a namespace.
    pub fn add_namespace(&self, name: &str) {
        self.shared.write(|store| store.add_namespace(name));
    }

    // === how clients find it ===

    /// Where the API server is called.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The file by which clients find it. Its namespace is `default`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig.yaml")
    }

    /// Variables by which programs find it.
    pub fn client_env(&self) -> [(&'static str, PathBuf); 2] {
        let cache = self.folder.path().join("cache");
        [("KUBECONFIG", self.kubeconfig()), ("KUBECACHEDIR", cache)]
    }

    /// `kubectl` with these words, run to its end.
    pub fn kubectl(&self, words: &[&str]) -> Finished {
        let mut program = tools::kubectl().args(words);
        for (name, value) in self.client_env() {
            program = program.env(name, value);
        }
        program.run()
    }

    fn write_kubeconfig(&self) {
        let url = self.url();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: double\nclusters:\n- name: double\n  cluster:\n    server: {url}\nusers:\n- name: tests\n  user: {{}}\ncontexts:\n- name: double\n  context:\n    cluster: double\n    user: tests\n    namespace: default\n"
        );
        std::fs::write(self.kubeconfig(), text).unwrap();
    }

    // === what goes wrong ===

    /// The rules for what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The API server refuses connections until [`Self::come_back`]. Controllers and nodes go on.
    pub fn go_away(&self) {
        self.server.go_away();
    }

    /// The API server is there again.
    pub fn come_back(&self) {
        self.server.come_back();
    }

    /// Ends all watches, as a load balancer does.
    pub fn drop_watches(&self) {
        self.shared.drop_watches();
    }

    /// Forgets the history, so that a watch of an older version is answered by 410.
    pub fn compact(&self) {
        self.shared.write(Store::compact);
    }

    /// Moves the time of the cluster forward.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    // === looking into it ===

    /// An object, past all faults.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Store::key(Resource::named(plural), namespace, name);
        self.shared.read(|store| store.get(&key).cloned())
    }

    /// All objects of a resource in a namespace, past all faults.
    pub fn list(&self, plural: &str, namespace: &str) -> Vec<Value> {
        let resource = Resource::named(plural);
        let namespace = resource.namespaced.then_some(namespace);
        self.shared.read(|store| {
            store.list(resource.plural, namespace).map(|(_, object)| object.clone()).collect()
        })
    }

    /// Changes an object, as somebody else does; false where it is not there.
    pub fn change(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let key = Store::key(Resource::named(plural), namespace, name);
        self.shared.write(|store| store.change(&key, change)).is_some()
    }

    /// Deletes an object and its dependents, as somebody else does.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let key = Store::key(Resource::named(plural), namespace, name);
        self.shared.write(|store| store.discard(&key));
    }

    /// Waits until an object is as `wanted`.
    pub fn wait_for(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        wait_for(&format!("{plural} {name}"), || {
            self.get(plural, namespace, name).filter(|object| wanted(object))
        })
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.shared.end();
        for thread in self.threads.drain(..) {
            // A controller that panicked has said so; a second panic here would hide it.
            let _ = thread.join();
        }
    }
}
