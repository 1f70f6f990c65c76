use proptest::prelude::*;

use super::*;

#[test]
fn a_place_is_a_path_or_a_prefix_of_a_bucket() {
    let bucket = |text: &str| match text.parse() {
        Ok(Place::Bucket(BucketPlace { kind: BucketKind::S3, bucket, prefix })) => (bucket, prefix),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(bucket("s3://lake/out"), ("lake".to_owned(), "out".to_owned()));
    assert_eq!(bucket("s3a://lake/a/b/"), ("lake".to_owned(), "a/b".to_owned()));
    assert_eq!(bucket("s3://lake"), ("lake".to_owned(), String::new()));
    assert_eq!(bucket("s3://lake/d=*/?.csv"), ("lake".to_owned(), "d=*/?.csv".to_owned()));
    for path in ["out", "/data/out", "file:///data/out", "odd name://x"] {
        assert_eq!(path.parse(), Ok(Place::Volume(path.to_owned())), "{path}");
    }
}

#[test]
fn what_is_no_place_is_told_why() {
    let kind = BucketKind::S3;
    for (text, wanted) in [
        ("", InvalidPlace::Empty),
        ("s3://", InvalidPlace::NoBucket { kind }),
        ("s3:///key", InvalidPlace::NoBucket { kind }),
        ("s3://key:secret@lake/out", InvalidPlace::Credentials { kind }),
        ("https://key:secret@host/out", InvalidPlace::Credentials { kind }),
        ("s3://lake/o?X-Amz-Signature=1", InvalidPlace::Credentials { kind }),
        ("data:text/csv,a", InvalidPlace::Data),
        ("DATA:;base64,eA==", InvalidPlace::Data),
        ("hdfs://lake/out", InvalidPlace::Scheme { scheme: "hdfs".to_owned() }),
        ("s3://lake/a//b", InvalidPlace::Prefix),
        ("s3://lake/../b", InvalidPlace::Prefix),
        ("s3://lake/a\nb", InvalidPlace::Control),
        ("s3://10.0.0.1/x", InvalidPlace::Bucket { kind, bucket: "10.0.0.1".to_owned() }),
        ("s3://La/x", InvalidPlace::Bucket { kind, bucket: "La".to_owned() }),
        (
            "s3://169.254.169.254/latest",
            InvalidPlace::Metadata { kind, bucket: "169.254.169.254".to_owned() },
        ),
    ] {
        assert_eq!(text.parse::<Place>(), Err(wanted), "{text}");
    }
}

#[test]
fn each_kind_of_store_has_its_scheme_and_its_names() {
    for (text, kind, shown) in [
        ("gs://lake/a/", BucketKind::Gcs, "gs://lake/a"),
        ("gcs://my_lake.example/a", BucketKind::Gcs, "gs://my_lake.example/a"),
        ("az://lake-1/a", BucketKind::Azure, "az://lake-1/a"),
        ("s3a://lake", BucketKind::S3, "s3://lake"),
    ] {
        let place: Place = text.parse().unwrap();
        assert_eq!(place.to_string(), shown);
        assert!(matches!(place, Place::Bucket(place) if place.kind == kind), "{text}");
        assert_eq!(BucketKind::of(text), Some(kind));
    }
    assert_eq!(BucketKind::of("/data/out"), None);
    let (gcs, azure) = (BucketKind::Gcs, BucketKind::Azure);
    for (text, wanted, remedy) in [
        ("gs:///a", InvalidPlace::NoBucket { kind: gcs }, "gs://lake"),
        ("az://", InvalidPlace::NoBucket { kind: azure }, "az://lake"),
        (
            "az://a.blob.core.windows.net/lake",
            InvalidPlace::Bucket { kind: azure, bucket: "a.blob.core.windows.net".to_owned() },
            "AZURE_STORAGE_ACCOUNT_NAME",
        ),
        (
            "az://lake/a?sv=2026&sig=x",
            InvalidPlace::Credentials { kind: azure },
            "AZURE_STORAGE_ACCOUNT_KEY",
        ),
        (
            "gs://lake/a?X-Goog-Signature=x",
            InvalidPlace::Credentials { kind: gcs },
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "abfss://lake@account.dfs.core.windows.net/a",
            InvalidPlace::Account { scheme: "abfss".to_owned() },
            "write az://container/prefix",
        ),
    ] {
        let error = text.parse::<Place>().unwrap_err();
        assert_eq!(error, wanted, "{text}");
        assert!(error.remedy().contains(remedy), "{text}: {}", error.remedy());
    }
}

#[test]
fn no_message_repeats_a_credential() {
    for text in [
        "s3://AKIA:canary@lake/x",
        "gs://u:canary@h/x",
        "s3://lake/canary?AWSAccessKeyId",
        "az://lake/x?se=1&sig=canary",
        "az://lake?se=1&sig=canary",
        "abfss://canary:canary@lake/x",
    ] {
        let error = text.parse::<Place>().unwrap_err();
        let told = format!("{error} {error:?} {}", error.remedy());
        assert!(!told.contains("canary"), "{told}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_the_same_place(text in "((s3|gs|gcs|az)://)?[a-z0-9./=*-]{0,40}") {
        if let Ok(place) = text.parse::<Place>() {
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }
    }
}
