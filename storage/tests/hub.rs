//! Models from a Hugging Face Hub that moves, breaks off, refuses and lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::Path;
use std::time::Duration;

use nightshift_core::exit::Exit;
use nightshift_core::model::ModelUri;
use nightshift_storage::model::{ModelError, ModelSettings, Models, Patience, Resolved, Secret};
use nightshift_tests::hub::{Fault, Files, Hub};

const TOKEN: &str = "hf_canary";
const CONFIG: &[u8] = b"{\"features\":[]}";

/// Weights that are kept in large file storage.
fn weights(filling: u8) -> Vec<u8> {
    (0..20_000_u32).map(|at| (at % 251) as u8 ^ filling).collect()
}

fn files(filling: u8) -> Files {
    let of = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    Files::from([
        of("config.json", CONFIG),
        of("model.safetensors", &weights(filling)),
        of("1_Pooling/config.json", b"{}"),
        of("README.md", b"words"),
        of("pytorch_model.bin", &[0; 5_000]),
        of("modeling.py", b"import os"),
        of("onnx/model.onnx", &[1; 5_000]),
    ])
}

fn models(hub: &Hub, cache: &Path) -> Models {
    Models::new(ModelSettings {
        cache: cache.to_owned(),
        hub_endpoint: Some(hub.url()),
        hub_token: Some(Secret::new(TOKEN)),
        patience: Patience {
            tries: 4,
            pause: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
        },
        ..ModelSettings::default()
    })
}

async fn resolve(models: &Models) -> Result<Resolved, ModelError> {
    models.resolve(&"hf://org/model@main".parse::<ModelUri>().unwrap(), None).await
}

struct Place {
    hub: Hub,
    cache: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (hub, cache) = (Hub::start(), tempfile::tempdir().unwrap());
        hub.commit('a', files(1));
        Self { hub, cache }
    }

    fn models(&self) -> Models {
        models(&self.hub, self.cache.path())
    }

    /// Models in the cache, and what is on its way there.
    fn cached(&self) -> (usize, usize) {
        let count = |name| {
            let entries = std::fs::read_dir(self.cache.path().join("v1").join(name));
            entries.map_or(0, Iterator::count)
        };
        (count("models"), count("partial"))
    }
}

#[tokio::test]
async fn a_branch_becomes_a_commit_and_only_what_is_needed_is_fetched() {
    let place = Place::new();
    let Resolved { identity, folder } = resolve(&place.models()).await.unwrap();
    let commit = "a".repeat(40);
    assert_eq!(identity.resolved(), format!("hf://org/model@{commit}"));
    assert_eq!(identity.uri, "hf://org/model@main");
    assert_eq!(identity.version, Some(commit));
    let names: Vec<_> = identity.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["1_Pooling/config.json", "config.json", "model.safetensors"]);
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(1));
    for other in ["README.md", "pytorch_model.bin", "modeling.py", "model.onnx"] {
        assert_eq!(place.hub.downloads(other), 0, "{other}");
    }
    // The digest is that of the same files in a folder.
    let local = Models::new(ModelSettings::default());
    let uri = ModelUri::Folder(folder.display().to_string());
    assert_eq!(local.resolve(&uri, None).await.unwrap().identity.digest, identity.digest);
    assert_eq!(place.cached(), (1, 0));
}

#[tokio::test]
async fn what_was_fetched_before_is_not_fetched_again() {
    let place = Place::new();
    let first = resolve(&place.models()).await.unwrap();
    let asked = place.hub.downloads(".safetensors");
    let again = resolve(&place.models()).await.unwrap();
    assert_eq!(again.identity, first.identity);
    assert_eq!(place.hub.downloads(".safetensors"), asked);
    // A damaged copy is noticed and fetched anew.
    std::fs::write(first.folder.join("model.safetensors"), b"damaged").unwrap();
    let repaired = resolve(&place.models()).await.unwrap();
    assert_eq!(std::fs::read(repaired.folder.join("model.safetensors")).unwrap(), weights(1));
}

#[tokio::test]
async fn a_branch_that_moves_changes_nothing_for_a_plan() {
    let place = Place::new();
    let planned = resolve(&place.models()).await.unwrap().identity;
    place.hub.commit('b', files(2));
    let elsewhere = tempfile::tempdir().unwrap();
    let worker = models(&place.hub, elsewhere.path());
    let folder = worker.fetch(&planned).await.unwrap();
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(1));
    let next = resolve(&worker).await.unwrap();
    assert_ne!(next.identity.digest, planned.digest);
}

#[tokio::test]
async fn the_token_is_told_to_the_hub_and_to_nobody_else() {
    let place = Place::new();
    place.hub.require(TOKEN);
    resolve(&place.models()).await.unwrap();
    let (elsewhere, own): (Vec<_>, Vec<_>) =
        place.hub.seen().into_iter().partition(|seen| seen.content_network);
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|seen| seen.authorization.is_none()));
    let bearer = Some(format!("Bearer {TOKEN}"));
    assert!(own.iter().all(|seen| seen.authorization == bearer));
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let place = Place::new();
    for length in [7_000, 5_000] {
        place.hub.fail("model.safetensors?signature", Fault::Short(length));
    }
    let folder = resolve(&place.models()).await.unwrap().folder;
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(1));
    let ranges: Vec<_> = place.hub.seen().into_iter().filter(|seen| seen.content_network).collect();
    let from = |at: usize| {
        let range = ranges[at].range.as_deref()?.strip_prefix("bytes=")?.strip_suffix('-')?;
        range.parse::<u32>().ok()
    };
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(from(0).is_none() && from(1) <= Some(7_000) && from(2) <= Some(12_000), "{ranges:?}");
    assert!(from(1) > Some(0), "{ranges:?}");
}

#[tokio::test]
async fn what_passes_is_asked_for_again_and_what_lasts_is_told() {
    let place = Place::new();
    for (part, fault) in [
        ("revision", Fault::Status(429)),
        ("tree", Fault::Status(503)),
        ("1_Pooling", Fault::Status(500)),
        ("config.json", Fault::Slow(Duration::from_millis(50))),
    ] {
        place.hub.fail(part, fault);
    }
    resolve(&place.models()).await.unwrap();

    for _ in 0..4 {
        place.hub.fail("revision", Fault::Status(503));
    }
    let away = resolve(&place.models()).await.unwrap_err();
    assert_eq!(away.exit(), Exit::Unavailable);
    assert!(away.to_string().contains("4 tries failed"), "{away}");
}

#[tokio::test]
async fn refusals_name_the_missing_right_and_the_remedy() {
    let place = Place::new();
    for status in [401, 403] {
        place.hub.fail("revision", Fault::Status(status));
        let denied = resolve(&place.models()).await.unwrap_err();
        assert_eq!(denied.exit(), Exit::Permission);
        let told = denied.to_string();
        assert!(told.contains(&status.to_string()) && told.contains("HF_TOKEN"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
    place.hub.fail("revision", Fault::Status(404));
    let missing = resolve(&place.models()).await.unwrap_err();
    assert_eq!(missing.exit(), Exit::Config);
    let told = missing.to_string();
    assert!(told.contains("there is no hf://org/model@main; check `model.uri`"), "{told}");
}

#[tokio::test]
async fn wrong_bytes_never_get_a_place_in_the_cache() {
    let place = Place::new();
    place.hub.fail("model.safetensors?signature", Fault::Wrong);
    let wrong = resolve(&place.models()).await.unwrap_err();
    assert!(matches!(wrong, ModelError::WrongBytes { .. }), "{wrong:?}");
    assert_eq!(wrong.exit(), Exit::Io);
    assert_eq!(place.cached(), (0, 1), "what came is left for the next process to remove");
    resolve(&place.models()).await.unwrap();
    assert_eq!(place.cached(), (1, 0));
}

#[tokio::test]
async fn a_commit_whose_bytes_changed_is_refused_with_both_digests() {
    let place = Place::new();
    let planned = resolve(&place.models()).await.unwrap().identity;
    place.hub.commit('a', files(3));
    let elsewhere = tempfile::tempdir().unwrap();
    let changed = models(&place.hub, elsewhere.path()).fetch(&planned).await.unwrap_err();
    assert!(matches!(changed, ModelError::FileChanged { .. }), "{changed:?}");
    let weights = planned.files.iter().find(|file| file.name == "model.safetensors").unwrap();
    assert!(changed.to_string().contains(&weights.sha256.to_string()), "{changed}");
    assert_eq!(changed.exit(), Exit::Config);

    // A file of another length.
    let mut shorter = files(1);
    shorter.insert("config.json".to_owned(), b"{}".to_vec());
    place.hub.commit('a', shorter);
    let changed = models(&place.hub, elsewhere.path()).fetch(&planned).await.unwrap_err();
    assert!(changed.to_string().contains("instead of"), "{changed}");
}

#[tokio::test]
async fn redirects_to_where_credentials_are_handed_out_are_not_followed() {
    let place = Place::new();
    place.hub.fail("config.json", Fault::Redirect("http://169.254.169.254/latest/meta-data"));
    let refused = resolve(&place.models()).await.unwrap_err();
    assert!(refused.to_string().contains("hands out credentials"), "{refused}");
    for endpoint in ["http://169.254.169.254", "http://user:canary@hub", "hub", "ftp://hub"] {
        let hub_endpoint = Some(endpoint.to_owned());
        let models = Models::new(ModelSettings { hub_endpoint, ..ModelSettings::default() });
        let refused = resolve(&models).await.unwrap_err();
        assert!(matches!(refused, ModelError::Setting { .. }), "{refused:?}");
        let told = refused.to_string();
        assert!(told.starts_with("HF_ENDPOINT") && !told.contains("canary"), "{told}");
    }
    place.hub.fail("config.json", Fault::Redirect("/org/model/resolve/a/config.json?again"));
    for _ in 0..10 {
        place
            .hub
            .fail("config.json?again", Fault::Redirect("/org/model/resolve/a/config.json?again"));
    }
    let endless = resolve(&place.models()).await.unwrap_err();
    assert!(endless.to_string().contains("redirects more than"), "{endless}");
}

#[tokio::test]
async fn many_processes_fetch_a_model_once() {
    let place = Place::new();
    place.hub.fail("model.safetensors?signature", Fault::Slow(Duration::from_millis(300)));
    // Each has its own view of the cache, as a process has.
    let all = (0..5).map(|_| {
        let models = place.models();
        async move { resolve(&models).await.unwrap().identity.digest }
    });
    let digests = futures::future::join_all(all).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let fetched = place.hub.seen().into_iter().filter(|seen| seen.content_network).count();
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn a_fetch_that_was_killed_halfway_is_begun_anew() {
    let place = Place::new();
    place.hub.fail("model.safetensors?signature", Fault::Slow(Duration::from_secs(60)));
    let models = place.models();
    let begun = async {
        while !place.hub.seen().iter().any(|seen| seen.content_network) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = resolve(&models) => panic!("it ended: {ended:?}"),
        begun = tokio::time::timeout(Duration::from_secs(50), begun) => begun.unwrap(),
    }
    assert_eq!(place.cached(), (0, 1));
    resolve(&place.models()).await.unwrap();
    assert_eq!(place.cached(), (1, 0));
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let place = Place::new();
    let faults = [
        ("model.safetensors?signature", Fault::Status(403)),
        ("model.safetensors?signature", Fault::Status(404)),
        ("model.safetensors?signature", Fault::Status(400)),
        ("model.safetensors?signature", Fault::Wrong),
        ("tree", Fault::Status(403)),
    ];
    for (part, fault) in faults {
        place.hub.fail(part, fault);
        let error = resolve(&place.models()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    for _ in 0..4 {
        place.hub.fail("model.safetensors?signature", Fault::Short(0));
    }
    let error = resolve(&place.models()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    assert_eq!(error.exit(), Exit::Unavailable, "{error:?}");
    assert!(!format!("{:?}", place.models()).contains("canary"));
}
