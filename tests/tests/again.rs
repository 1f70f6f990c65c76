//! Running again: nothing is computed twice unless somebody asks for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};

use nightshift_tests::bench::SpecText;
use nightshift_tests::place::Place;
use nightshift_tests::process::Finished;
use nightshift_tests::{log, store};

const ROWS: u64 = 2_000;
const SHARDS: usize = 10;

fn computed(process: &Finished) -> BTreeSet<u32> {
    log::started(&process.stderr).into_keys().collect()
}

fn a_second_run_says_done_and_does_no_inference(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    let first = bench.run().run().expect(0);
    assert_eq!(computed(&first).len(), SHARDS);
    let before = bench.contents();
    let second = bench.run().run().expect(0);
    assert!(computed(&second).is_empty(), "{second}");
    // A listing that is a moment old may hide the final: then every record is looked at again.
    if !place.is_faulty() {
        assert!(second.stdout.contains("1 of 1 date was done already"), "{second}");
        assert!(bench.contents() == before, "a run of what is done writes something");
    }
}

fn forcing_makes_a_new_generation_that_inherits_nothing(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    bench.run().run().expect(0);
    let forced = bench.run().arg("--force").run().expect(0);
    assert_eq!(computed(&forced).len(), SHARDS);
    let verdict = store::verdict(&bench.output(), "all", 2).unwrap();
    assert_eq!(verdict["totals"]["inherited"], 0);
    bench.audit(2);
    // The newest generation is the one that counts as done.
    let after = bench.run().run().expect(0);
    assert!(computed(&after).is_empty(), "{after}");
}

fn a_marker_that_a_killed_process_did_not_write_is_written_by_the_next(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    bench.run().run().expect(0);
    let marker = || fs::read(bench.output().join("all/gen=1/_SUCCESS")).unwrap();
    let written = marker();
    assert!(!written.is_empty());
    bench.change_output(|output| fs::remove_file(output.join("all/gen=1/_SUCCESS")).unwrap());
    assert!(!bench.has("all/gen=1/_SUCCESS"));
    let next = bench.run().run().expect(0);
    assert!(computed(&next).is_empty(), "{next}");
    assert_eq!(marker(), written);
    bench.audit(1);
}

fn after_a_partial_run_only_the_quarantined_shards_run_again(place: &Place) {
    let spec = SpecText { rejects: Some("{ min: 0, max_ratio: 0 }"), ..SpecText::default() };
    let bench = place.with(&spec, "flights.csv", ROWS);
    let input = bench.path("in/flights.csv");
    let good = fs::read_to_string(&input).unwrap();
    // Row 1500 (shard 7) is cut short: a row that cannot be read, beyond the rows that are sampled.
    let mut lines: Vec<&str> = good.lines().collect();
    let spoilt = "x".repeat(lines[1_501].len());
    let intact = std::mem::replace(&mut lines[1_501], &spoilt);
    assert!(intact.starts_with("1501,"), "{intact}");
    fs::write(&input, lines.join("\n") + "\n").unwrap();
    let written_at = fs::metadata(&input).unwrap().modified().unwrap();

    let partial = bench.run().run().expect(65);
    assert_eq!(computed(&partial).len(), SHARDS);
    assert!(partial.errors().iter().all(|line| line.contains("shard 7 of flights-all-g1")));
    assert_eq!(store::verdict(&bench.output(), "all", 1).unwrap()["state"], "partial");
    assert!(!bench.output().join("all/gen=1/_SUCCESS").exists());

    // The same input: the next generation tries the quarantined shard again, and only that.
    let again = bench.run().run().expect(65);
    assert_eq!(computed(&again), BTreeSet::from([7]));
    let verdict = store::verdict(&bench.output(), "all", 2).unwrap();
    assert_eq!(
        (&verdict["state"], &verdict["totals"]["inherited"]),
        (&"partial".into(), &9.into())
    );

    // Bytes that were damaged and are restored, with the size and time that the plan has pinned,
    // are the same input: again one shard is computed, and now the run succeeds.
    fs::write(&input, good).unwrap();
    File::options().write(true).open(&input).unwrap().set_modified(written_at).unwrap();
    // A bucket knows them by their ETag, and not by their time: there it is another file.
    let (again, inherited) = place.size((BTreeSet::from([7]), 9), ((0..10).collect(), 0));
    let mended = bench.run().run().expect(0);
    assert_eq!(computed(&mended), again);
    let verdict = store::verdict(&bench.output(), "all", 3).unwrap();
    assert_eq!(
        (&verdict["state"], &verdict["totals"]["inherited"]),
        (&"succeeded".into(), &inherited.into())
    );
    bench.audit(3);
    bench.command("verify").run().expect(0);
}

fn input_that_changed_after_a_partial_run_is_scored_anew(place: &Place) {
    let spec = SpecText { rejects: Some("{ min: 0, max_ratio: 0 }"), ..SpecText::default() };
    let bench = place.with(&spec, "flights.csv", ROWS);
    let input = bench.path("in/flights.csv");
    let good = fs::read_to_string(&input).unwrap();
    fs::write(&input, good.replacen("\n1501,", "\n1501,too,many,fields,", 1)).unwrap();
    let partial = bench.run().run().expect(65);
    assert_eq!(log::committed(&partial.stderr).len(), SHARDS - 1, "the other shards are committed");
    fs::write(&input, good).unwrap();
    let mended = bench.run().run().expect(0);
    // Another file may have other rows anywhere, so nothing of it was ever scored.
    assert_eq!(computed(&mended).len(), SHARDS);
    let verdict = store::verdict(&bench.output(), "all", 2).unwrap();
    assert_eq!(
        (&verdict["state"], &verdict["totals"]["rows_out"]),
        (&"succeeded".into(), &ROWS.into())
    );
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    a_second_run_says_done_and_does_no_inference,
    forcing_makes_a_new_generation_that_inherits_nothing,
    a_marker_that_a_killed_process_did_not_write_is_written_by_the_next,
    after_a_partial_run_only_the_quarantined_shards_run_again,
    input_that_changed_after_a_partial_run_is_scored_anew,
}

nightshift_tests::through_faults! {
    a_second_run_says_done_and_does_no_inference,
    forcing_makes_a_new_generation_that_inherits_nothing,
    a_marker_that_a_killed_process_did_not_write_is_written_by_the_next,
    after_a_partial_run_only_the_quarantined_shards_run_again,
    input_that_changed_after_a_partial_run_is_scored_anew,
}
