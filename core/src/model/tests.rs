use proptest::prelude::*;

use super::*;
use crate::place::{BucketKind, BucketPlace};

fn parse(text: &str) -> ModelUri {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<ModelUri>().unwrap_err().to_string()
}

#[test]
fn every_scheme_is_read() {
    assert_eq!(parse("/m/v3"), ModelUri::Folder("/m/v3".to_owned()));
    assert_eq!(parse("file:///m/v3"), ModelUri::Folder("file:///m/v3".to_owned()));
    for (text, kind) in [
        ("s3://models/delay/v3/", BucketKind::S3),
        ("gs://models/delay/v3", BucketKind::Gcs),
        ("az://models/delay/v3", BucketKind::Azure),
    ] {
        let (bucket, prefix) = ("models".to_owned(), "delay/v3".to_owned());
        assert_eq!(parse(text), ModelUri::Bucket(BucketPlace { kind, bucket, prefix }));
    }
    let hub = |revision: Option<&str>, folder: Option<&str>| {
        let (repository, revision) = ("org/na.me".to_owned(), revision.map(str::to_owned));
        ModelUri::Hub(HubModel { repository, revision, folder: folder.map(str::to_owned) })
    };
    assert_eq!(parse("hf://org/na.me"), hub(None, None));
    assert_eq!(parse("hf://org/na.me@v1.0"), hub(Some("v1.0"), None));
    assert_eq!(
        parse("hf://org/na.me@refs%2Fpr%2F7/sub/dir"),
        hub(Some("refs/pr/7"), Some("sub/dir"))
    );
    let registered = |selector, folder: Option<&str>| {
        let name = "flight delay".to_owned();
        ModelUri::Registry(RegisteredModel { name, selector, folder: folder.map(str::to_owned) })
    };
    let champion = || Selector::Alias("champion".to_owned());
    assert_eq!(parse("models:/flight delay@champion"), registered(champion(), None));
    assert_eq!(parse("models:/flight delay@champion/a/b"), registered(champion(), Some("a/b")));
    assert_eq!(parse("models:/flight delay/3"), registered(Selector::Version(3), None));
    assert_eq!(
        parse("models:/flight delay/3/data"),
        registered(Selector::Version(3), Some("data"))
    );
}

#[test]
fn what_names_no_model_says_what_to_write() {
    for (text, says) in [
        ("", "name the folder"),
        ("wasb://b/m", "`wasb:` is not supported; use a path, file://, s3://"),
        ("gs://models", "gs://"),
        ("az://", "az://lake"),
        ("s3://models", "s3://bucket/prefix"),
        ("s3://b!/m", "a bucket has 3 to 63"),
        ("s3://models/a/../b", "its prefix has an empty step"),
        ("hf://gpt2", "hf://org/name@revision"),
        ("hf://datasets/org/name", "a model repository reads"),
        ("hf://org/../x", "use letters, digits"),
        ("hf://org/name@a/../b", "without empty steps"),
        ("models:/delay", "models:/name@alias"),
        ("models://host/delay/3", "models:/name@alias"),
        ("models:/delay/Production", "use an alias"),
        ("models:/delay/0", "a version is a number"),
        ("models:/delay@", "models:/name@alias"),
    ] {
        let told = refused(text);
        assert!(told.contains(says), "{text}: {told}");
    }
}

#[test]
fn credentials_are_refused_and_not_repeated() {
    for text in [
        "s3://AKIA:canary@bucket/m",
        "s3://bucket/m?X-Amz-Signature=canary",
        "gs://bucket/m?token=canary",
        "az://bucket/m?sv=2026&sig=canary",
        "hf://user:canary@huggingface.co/org/name",
        "hf://org/name?token=canary",
    ] {
        let told = refused(text);
        assert!(told.contains("credentials") && !told.contains("canary"), "{text}: {told}");
    }
}

#[test]
fn files_of_a_model_are_known_by_their_names() {
    for part in [
        "config.json",
        "model.safetensors",
        "vocab.txt",
        "1_Pooling/config.json",
        "2_Dense/model.safetensors",
    ] {
        assert!(is_model_file(part), "{part}");
    }
    for other in [
        "README.md",
        "pytorch_model.bin",
        "model.pt",
        "model.pkl",
        "modeling.py",
        ".json",
        "onnx/model.onnx",
        "checkpoint-500/config.json",
        "1_Pooling/deep/config.json",
        ".cache/x.json",
        "_x/config.json",
        "1_/config.json",
    ] {
        assert!(!is_model_file(other), "{other}");
    }
}

#[test]
fn addresses_that_hand_out_credentials_are_refused() {
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "::ffff:169.254.169.254",
        "Metadata.Google.Internal.",
    ] {
        assert!(refused_host(host), "{host}");
    }
    for host in ["huggingface.co", "127.0.0.1", "169.254.1.1", "[::1]", "10.0.0.1"] {
        assert!(!refused_host(host), "{host}");
    }
}

#[test]
fn a_pinned_model_is_stored_and_read_again() {
    let place = |kind| BucketPlace { kind, bucket: "b".into(), prefix: "p".into() };
    let objects = vec![ObjectVersion {
        name: "config.json".into(),
        etag: Some("\"e\"".into()),
        version: None,
    }];
    for (pinned, shown) in [
        (PinnedModel::Folder { path: "/m/v3".into() }, "/m/v3"),
        (
            PinnedModel::Hub { repository: "o/n".into(), commit: "ab".into(), folder: None },
            "hf://o/n@ab",
        ),
        (
            PinnedModel::Registry {
                name: "d".into(),
                version: 3,
                artifacts: "mlflow-artifacts:/1/a".into(),
            },
            "models:/d/3",
        ),
        (PinnedModel::in_bucket(place(BucketKind::S3), objects.clone()), "1 objects of s3://b/p"),
        (PinnedModel::in_bucket(place(BucketKind::Azure), objects), "1 objects of az://b/p"),
    ] {
        let stored = serde_json::to_string(&pinned).unwrap();
        assert_eq!(serde_json::from_str::<PinnedModel>(&stored).unwrap(), pinned, "{stored}");
        assert_eq!(pinned.to_string(), shown);
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(text in "(models:/|s3://|hf://)[a-zA-Z0-9@/._% -]{0,40}") {
        if let Ok(uri) = text.parse::<ModelUri>() {
            prop_assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<ModelUri>();
        let _ = is_model_file(&text);
        let _ = refused_host(&text);
    }
}

#[test]
fn a_model_is_described_by_its_configuration_or_a_gguf_file() {
    assert!(has_main_file(["README.md", "config.json"].into_iter()));
    assert!(has_main_file(["SmolLM2.Q4_1.gguf"].into_iter()));
    assert!(!has_main_file(
        ["1_Pooling/config.json", "model.safetensors", "1_x/a.gguf"].into_iter()
    ));
}
