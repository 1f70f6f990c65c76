//! A week by the hour over a bucket: missing dates, one that waits for a person, late rows.

use nightshift_tests::bench::SpecText;
use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::{flights, log, store};

use crate::scene::{DATES, ROWS, backfill, decisions, results};

/// A gate that no run passes: there is no such column.
const CLOSED: &str = "  gates: { columns: { mood: { max_null_ratio: 0 } } }\n";

fn states(tick: &Finished) -> Vec<String> {
    decisions(tick)
}

fn ticks_do_what_is_missing_and_nothing_twice(place: &Place) {
    let bench = place.dated(&SpecText::default(), &DATES, ROWS);
    let open = std::fs::read_to_string(bench.spec()).unwrap();
    // The first date is withheld by a gate, and does not hold up the others.
    bench.write_spec(&format!("{open}{CLOSED}"));
    let first = backfill(&bench).logged().run().expect(65);
    assert_eq!(results(&first).len(), 1, "{first}");
    let verdict = store::verdict(&bench.output(), DATES[0], 1).unwrap();
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    assert!(!bench.has("date=2013-01-01/gen=1/_SUCCESS"));
    bench.write_spec(&open);
    let second = backfill(&bench).logged().run();
    assert_eq!(results(&second), ["2013-01-02 succeeded"], "{second}");
    assert!(states(&second)[0].starts_with("2013-01-01 withheld"), "{second}");
    let scored = log::events(&second.stderr, "inference started");
    assert!(scored.iter().all(|one| one.run == "flights-2013-01-02-g1"), "{second}");
    // A person looks at it, and the ticks go on.
    let approve = Program::nightshift().args(["approve", DATES[0]]).arg(bench.spec());
    bench.equipped(approve.args(["--reason", "looked at it"])).run().expect(0);
    assert!(bench.has("date=2013-01-01/gen=1/_SUCCESS"));
    let third = backfill(&bench).logged().run().expect(0);
    assert_eq!(results(&third), ["2013-01-03 succeeded"], "{third}");
    for _ in 0..2 {
        let idle = backfill(&bench).logged().run().expect(0);
        assert!(states(&idle).iter().all(|state| state.ends_with("done skip")), "{idle}");
        assert!(log::started(&idle.stderr).is_empty(), "{idle}");
    }
    // Rows that come late make one date stale, once.
    let late = flights::numbered(&flights::real(), ROWS + 1, 10);
    flights::write_batches(&bench.path("in/date=2013-01-02/late.parquet"), [late]);
    let again = || backfill(&bench).args(["--reprocess", "on-any-change"]).logged().run().expect(0);
    let stale = again();
    assert_eq!(results(&stale), ["2013-01-02 succeeded"], "{stale}");
    assert!(states(&stale)[1].starts_with("2013-01-02 stale"), "{stale}");
    let idle = again();
    assert!(results(&idle).is_empty() && log::started(&idle.stderr).is_empty(), "{idle}");
    assert_eq!(store::finals(&bench.output(), DATES[1]), 2);
    let counts = bench.audit(4);
    assert_eq!(counts["rows_out"], 4 * ROWS + 10);
    bench.command("verify").args(["--dates", crate::scene::RANGE]).run().expect(0);
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    ticks_do_what_is_missing_and_nothing_twice,
}

nightshift_tests::through_faults! {
    ticks_do_what_is_missing_and_nothing_twice,
}
