use super::charts::Part;
use super::*;
use crate::report::study::tests::{partial, plan, record, study};

const PLACES: Places<'_> = Places { input: "/data/*.parquet", output: "/out" };

#[test]
fn a_page_says_what_happened() {
    let page = page(&partial(), Some(PLACES));
    for said in [
        "flights for 2013-01-01",
        "partial",
        "1 of 4 shards were given up",
        "rejects_over_budget",
        "10 of 10 rows were rejected, 2 are allowed",
        "a category that the model does not know",
        "/data/*.parquet",
        "/out/date=2013-01-01/gen=1",
        "version v3",
        "taken over from an earlier generation",
        "model load",
        "3 texts longer than the model takes",
        "Slowest: shard 1 with 3.00 s, 10 rows on host:1",
    ] {
        assert!(page.contains(said), "{said} is missing in {page}");
    }
}

#[test]
fn a_good_run_makes_a_short_page() {
    let plan = plan(3);
    let mut records: Vec<_> = (0..3).map(|shard| record(&plan, shard, 1.0, true)).collect();
    for record in &mut records {
        if let crate::record::Verdict::Committed(committed) = &mut record.verdict {
            committed.rows_out = 10;
            committed.rows_rejected = 0;
            committed.rejects_by_reason.clear();
            committed.scores = None;
            committed.rows_cut = 0;
        }
    }
    let page = page(&study(&plan, records), None);
    assert!(page.contains("Every row has a prediction"));
    for absent in ["given up</h2>", "by reason", "<h2>Rows</h2>", "longer than"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn nothing_from_outside_becomes_markup() {
    const CANARY: &str = "<script>alert(1)</script>\"' onmouseover=x \u{202e}";
    let mut report = partial();
    let stored = &mut report.report;
    stored.model.uri = CANARY.into();
    stored.model.version = Some(CANARY.into());
    stored.input.first = Some(CANARY.into());
    stored.output = CANARY.into();
    stored.verdict.quarantined[0].reason = CANARY.into();
    stored.verdict.quarantined[0].message = CANARY.repeat(100);
    stored.verdict.totals.rejects_by_reason.insert(CANARY.into(), 7);
    report.shards.slowest[0].worker = CANARY.into();
    for places in [None, Some(Places { input: CANARY, output: CANARY })] {
        let page = page(&report, places);
        assert!(page.contains("&lt;script&gt;alert(1)"), "the canary is shown as text");
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\"' onmouseover"), "{page}");
        assert!(!page.contains('\u{202e}'));
    }
}

#[test]
fn a_page_fetches_nothing() {
    let page = page(&partial(), Some(PLACES));
    for word in ["http:", "https:", "<link", "<img", "url(", "@import", "src="] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_run_without_rows_has_a_page() {
    let plan = plan(0);
    let page = page(&study(&plan, []), None);
    assert!(page.contains("Every row has a prediction"), "{page}");
    assert!(!page.contains("NaN") && !page.contains("inf s"));
}

#[test]
fn the_charts_of_a_small_run() {
    insta::assert_snapshot!("shards", charts::shards(&partial().shards));
    let parts = [
        Part { name: "a", class: "good", value: 3.0, shown: "3".into() },
        Part { name: "b", class: "lost", value: 0.0, shown: "0".into() },
        Part { name: "c", class: "idle", value: 0.000_001, shown: "0".into() },
    ];
    insta::assert_snapshot!("stack", charts::stack(&parts, "parts"));
}
