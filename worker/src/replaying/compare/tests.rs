use super::*;

const BEFORE: &str = "id,score\n1,0.5\n2,200.0\n3,-1.25\n";

fn judged(now: &str, tolerance: f64) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    // A visible file lies below `gen=1`, which is no column of it; a file of a replay does not.
    std::fs::create_dir(folder.path().join("gen=1")).unwrap();
    let (before, now) = (write("gen=1/before.csv", BEFORE), write("now.csv", now));
    compare(&Files { before, now, format: OutputFormat::Csv }, tolerance).unwrap()
}

#[test]
fn rows_are_counted_and_the_worst_is_named() {
    let Outcome::Close(seen) = judged("id,score\n1,0.500001\n2,200.002\n3,-1.25\n", 1e-4) else {
        panic!("they are close");
    };
    assert_eq!((seen.rows_differing, seen.worst_column.as_deref()), (2, Some("score")));
    // Relative to 200, and absolute below 1.
    assert!((seen.worst - 1e-5).abs() < 1e-12, "{seen:?}");
    assert_eq!(judged(BEFORE, 0.0), Outcome::Close(Difference::default()));
}

#[test]
fn what_may_not_differ_is_named() {
    for (now, says) in [
        ("id,score\n1,0.5\n2,200.0\n3,-1.3\n", "`score` differs by 4.00e-2"),
        ("id,score\n1,0.5\n2,200.0\n4,-1.25\n", "`id`"),
        ("id,score\n1,0.5\n2,200.0\n3,\n", "`score` differs by inf"),
        ("id,score\n1,0.5\n2,200.0\n", "more or fewer rows"),
        ("id,score\n1,0.5\n2,200.0\n3,-1.25\n4,1.0\n", "more or fewer rows"),
        ("id,points\n1,0.5\n2,200.0\n3,-1.25\n", "the columns"),
    ] {
        let outcome = judged(now, 1e-5);
        let Outcome::Different { what } = &outcome else { panic!("{now}: {outcome:?}") };
        assert!(what.contains(says), "{now}: {what}");
    }
}
