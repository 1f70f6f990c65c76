//! A real MLflow server of a test's own, with its database and artifacts in a temporary folder.

use std::path::Path;

use tempfile::TempDir;

use crate::process::Program;
use crate::server::PythonServer;
use crate::tools::{stores_program, stores_script};

/// A server with a registry of models.
#[derive(Debug)]
pub struct Registry {
    server: PythonServer,
    folder: TempDir,
}

impl Registry {
    /// A server that stands before its artifacts.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:///{}", folder.path().join("mlflow.db").display());
        let artifacts = format!("file://{}", folder.path().join("artifacts").display());
        let server = PythonServer::start("/health", |port| {
            Program::new(stores_program("mlflow"))
                .args(["server", "--host", "127.0.0.1", "--port", &port.to_string()])
                .args(["--workers", "1", "--backend-store-uri", &database])
                .args(["--serve-artifacts", "--artifacts-destination", &artifacts])
                .env("MLFLOW_DISABLE_TELEMETRY", "true")
        });
        Self { server, folder }
    }

    /// `MLFLOW_TRACKING_URI`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Registers the folder of a model as the next version of `name`, whose number it gives.
    pub fn register(&self, name: &str, folder: &Path) -> u64 {
        self.script(["version", name, folder.to_str().unwrap()])
    }

    /// The same with artifacts in a folder that clients see.
    pub fn register_local(&self, name: &str, folder: &Path) -> u64 {
        let artifacts = self.folder.path().join("local");
        self.script(["local", name, folder.to_str().unwrap(), artifacts.to_str().unwrap()])
    }

    fn script<const N: usize>(&self, words: [&str; N]) -> u64 {
        let url = self.url();
        let printed = stores_script("registry.py", [url.as_str()].into_iter().chain(words));
        printed.trim().parse().unwrap()
    }

    /// Points an alias of `name` at a version.
    pub fn alias(&self, name: &str, alias: &str, version: u64) {
        let words = [&self.url(), "alias", name, alias, &version.to_string()];
        stores_script("registry.py", words);
    }
}
