use std::path::Path;

use proptest::prelude::*;

use nightshift_core::place::BucketKind;

use super::*;

#[test]
fn paths_and_file_uris_are_volumes() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(local_path("out/x").unwrap(), here.join("out/x"));
    assert_eq!(local_path("/data/out").unwrap(), Path::new("/data/out"));
    assert_eq!(local_path("file:///data/a%20b").unwrap(), Path::new("/data/a b"));
    assert_eq!(local_path("file://localhost/data").unwrap(), Path::new("/data"));
}

#[test]
fn other_stores_are_named_in_the_refusal() {
    for scheme in ["s3", "gs", "az", "abfss", "http"] {
        let error = local_path(&format!("{scheme}://bucket/key")).unwrap_err();
        assert!(matches!(&error, StoreError::UnsupportedScheme { scheme: s, .. } if s == scheme));
        assert!(error.to_string().contains("not supported by this build"), "{error}");
    }
}

#[test]
fn text_that_is_no_location_is_refused() {
    let long = "x".repeat(LOCATION_MAX_BYTES + 1);
    for uri in ["", "file://host/x", "file://", "file:///%ff", "file:///%00", "a\0b", &long] {
        assert!(matches!(local_path(uri), Err(StoreError::InvalidUri { .. })), "{uri:?}");
    }
}

proptest! {
    #[test]
    fn every_text_is_an_absolute_path_or_a_typed_error(text: String) {
        if let Ok(path) = local_path(&text) {
            prop_assert!(path.is_absolute());
        }
    }
}

#[test]
fn a_bucket_is_a_location_and_a_credential_is_not_repeated() {
    let place =
        BucketPlace { kind: BucketKind::Gcs, bucket: "lake".to_owned(), prefix: "out".to_owned() };
    assert_eq!(locate("gs://lake/out/").unwrap(), Location::Bucket(place));
    assert_eq!(locate("/data").unwrap(), Location::Volume("/data".into()));
    for refused in [
        "s3://AK:canary@lake/x",
        "data:text/csv,canary",
        "gs://u:canary@lake/x",
        "abfss://u@canary/x",
    ] {
        let told = locate(refused).unwrap_err().to_string();
        assert!(!told.contains("canary"), "{told}");
    }
    assert!(matches!(locate("hdfs://lake/x"), Err(StoreError::UnsupportedScheme { .. })));
}
