//! Patterns find what they name, and nothing else.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::glob::Segment;
use super::*;

fn touch(root: &Path, paths: &[&str]) {
    for path in paths {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
}

fn find(root: &Path, pattern: &str) -> Result<Vec<String>, InputError> {
    let found = discover(&format!("{}/{pattern}", root.display()), None)?;
    let names = found.iter().map(|file| Path::new(&file.uri).strip_prefix(root).unwrap());
    Ok(names.map(|name| name.display().to_string()).collect())
}

#[test]
fn files_directories_and_globs() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    touch(
        root,
        &[
            "a.parquet",
            "b.parquet",
            "date=2013-01-01/c.parquet",
            "date=2013-01-02/d.parquet",
            "date=2013-02-01/deep/e.parquet",
            "_tmp/x.parquet",
            ".hidden.parquet",
            "README.md",
        ],
    );
    let cases: [(&str, &[&str]); 9] = [
        ("a.parquet", &["a.parquet"]),
        ("*.parquet", &["a.parquet", "b.parquet"]),
        ("?.parquet", &["a.parquet", "b.parquet"]),
        ("[!a].parquet", &["b.parquet"]),
        ("date=2013-01-*/*.parquet", &["date=2013-01-01/c.parquet", "date=2013-01-02/d.parquet"]),
        ("date=2013-0[2-9]-*", &["date=2013-02-01/deep/e.parquet"]),
        ("**/deep/*", &["date=2013-02-01/deep/e.parquet"]),
        ("**/e.parquet", &["date=2013-02-01/deep/e.parquet"]),
        ("date=2013-01-01", &["date=2013-01-01/c.parquet"]),
    ];
    for (pattern, wanted) in cases {
        assert_eq!(find(root, pattern).unwrap(), wanted, "{pattern}");
    }
    let all = find(root, "").unwrap();
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(find(root, "**").unwrap(), all);
    assert_eq!(find(root, "**/**/*.parquet").unwrap(), all, "each file once");
}

#[test]
fn formats_and_compression_come_from_the_name() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), &["a.csv", "b.csv.gz", "c.CSV.zst"]);
    let found = discover(root.path().to_str().unwrap(), None).unwrap();
    assert!(found.iter().all(|file| file.format == InputFormat::Csv));
    let compression: Vec<_> = found.iter().map(|file| file.compression).collect();
    assert_eq!(compression, [Compression::None, Compression::Gzip, Compression::Zstd]);

    touch(root.path(), &["d.jsonl"]);
    let error = discover(root.path().to_str().unwrap(), None).unwrap_err().to_string();
    assert!(error.contains("a.csv is Csv but ") && error.contains("d.jsonl is Jsonl"), "{error}");
    let given = root.path().join("e.txt");
    fs::write(&given, "x").unwrap();
    let given = given.to_str().unwrap();
    assert!(matches!(discover(given, None), Err(InputError::UnknownFormat { .. })));
    assert_eq!(discover(given, Some(InputFormat::Csv)).unwrap()[0].format, InputFormat::Csv);
    touch(root.path(), &["f.parquet.gz"]);
    let inside = root.path().join("f.parquet.gz");
    assert!(matches!(
        discover(inside.to_str().unwrap(), None),
        Err(InputError::UnknownFormat { .. })
    ));
}

#[test]
fn directories_of_the_path_are_columns() {
    let root = tempfile::tempdir().unwrap();
    let place = "date=2013-01-01/city=S%C3%A3o%20Paulo/=none/city=Rio/a.csv";
    touch(root.path(), &[place]);
    let found = discover(root.path().to_str().unwrap(), None).unwrap();
    let columns = found[0].partition_columns.iter();
    let columns: Vec<_> =
        columns.map(|column| (column.name.as_str(), column.value.as_str())).collect();
    assert_eq!(columns, [("date", "2013-01-01"), ("city", "Rio")], "the innermost wins");
    touch(root.path(), &["b/city=S%C3%A3o%20Paulo/a.csv"]);
    let found = discover(root.path().join("b").to_str().unwrap(), None).unwrap();
    assert_eq!(found[0].partition_columns[0].value, "São Paulo");
}

#[test]
fn what_is_missing_is_named_with_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), &["date=2013-01-01/a.parquet", "date=2013-01-02/a.parquet"]);
    for pattern in ["date=2013-01-03/*.parquet", "date=2014-*", "nothing/at/all.csv", "*/b.parquet"]
    {
        let error = find(root.path(), pattern).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, InputError::Missing { .. }), "{text}");
        assert!(text.contains(pattern) && text.contains("date=2013-01-02"), "{text}");
    }
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(find(root.path(), "empty").unwrap_err().to_string().contains("is empty"));
    touch(root.path(), &["docs/README.md"]);
    let error = find(root.path(), "docs").unwrap_err().to_string();
    assert!(error.contains("README.md") && error.contains(".parquet"), "{error}");
}

#[test]
fn patterns_that_cannot_be_are_refused() {
    for pattern in ["relative/*.csv", "/a/../b.csv", "/a/[b", "/a/b**.csv", "/a/[]"] {
        assert!(matches!(discover(pattern, None), Err(InputError::Pattern { .. })), "{pattern}");
    }
}

#[test]
fn links_are_followed_and_cycles_end() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    touch(root, &["data/a.csv", "elsewhere/b.csv"]);
    std::os::unix::fs::symlink(root.join("elsewhere"), root.join("data/linked")).unwrap();
    std::os::unix::fs::symlink(root.join("data"), root.join("data/again")).unwrap();
    std::os::unix::fs::symlink(root.join("elsewhere/b.csv"), root.join("data/c.csv")).unwrap();
    std::os::unix::fs::symlink(root.join("nowhere"), root.join("data/broken.csv")).unwrap();
    let wanted = ["data/a.csv", "data/c.csv", "data/linked/b.csv"];
    assert_eq!(find(root, "data").unwrap(), wanted);
    assert_eq!(find(root, "data/**/*.csv").unwrap(), wanted);
}

/// The definition of a match, without care for time.
fn naive(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skip| naive(rest, &name[skip..])),
        ['?', rest @ ..] => !name.is_empty() && naive(rest, &name[1..]),
        [c, rest @ ..] => name.first() == Some(c) && naive(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn names_match_as_defined(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        prop_assume!(!pattern.contains("**"));
        let Ok(Segment::Name(parsed)) = Segment::parse(&pattern) else { panic!("{pattern}") };
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(parsed.matches(&name), naive(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn any_pattern_is_parsed_or_refused(pattern in "\\PC{0,12}") {
        let _ = discover(&format!("/nowhere/{pattern}"), None);
    }
}
