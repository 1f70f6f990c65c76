//! A client of the API server.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nightshift_core::describe::describe;
use thiserror::Error;

use super::watch::WATCH_LASTS_S;

/// How long connecting may take: the API server is near, or it is away.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may say nothing after something was asked. Longer than a watch lasts, so
/// that only a server that hangs is given up; without it a listing that is never answered would
/// keep a watch from beginning, and pods would die unseen.
const SILENCE: Duration = Duration::from_secs(WATCH_LASTS_S as u64 + 10);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The file is missing or wrong.
    #[error("--kubeconfig {file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no account and no file.
    #[error(
        "no way to Kubernetes is known: {problem}; run in a pod with a service account token, or name --kubeconfig"
    )]
    Nowhere {
        /// What was tried.
        problem: String,
    },
}

/// A client with the rights of `kubeconfig`, or of the pod's service account, or of the user's own
/// configuration; and the namespace that goes with it. Nothing is asked yet.
///
/// # Errors
/// If there are no such rights, or a file is wrong.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<(Client, String), ConnectError> {
    let mut config = match kubeconfig {
        Some(file) => {
            let wrong = |problem| ConnectError::File { file: file.display().to_string(), problem };
            let read = Kubeconfig::read_from(file).map_err(|error| wrong(describe(&error)))?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .map_err(|error| wrong(describe(&error)))?
        }
        None => Config::infer()
            .await
            .map_err(|error| ConnectError::Nowhere { problem: describe(&error) })?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    // The time in which a connection was not used does not count.
    config.reset_reader_on_write = true;
    // Every caller asks again by itself, knows when, and says meanwhile why it has to. Retries in
    // the client would hide a failure for minutes, and let an election miss its deadline.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config)
        .map_err(|error| ConnectError::Nowhere { problem: describe(&error) })?;
    Ok((client, namespace))
}
