//! Output that somebody changed afterwards is found out, by `nightshift verify` and by the
//! auditor on which the other tests rely.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use nightshift_tests::bench::SpecText;
use nightshift_tests::place::Place;
use nightshift_tests::store;

/// One way to damage the output of a run of five shards.
struct Damage {
    name: &'static str,
    /// Whether `nightshift verify` is to find it too, and not the auditor alone.
    verified: bool,
    inflict: fn(&Path),
}

fn part(output: &Path, shard: usize) -> PathBuf {
    store::names(&output.join("all/gen=1"), "csv")[shard].clone()
}

fn record(output: &Path, shard: usize) -> PathBuf {
    let records = output.join("_nightshift/v1/runs/flights-all-g1/records");
    store::names(&records, "json")[shard].clone()
}

/// Replaces `path` by a file of its own: the visible and the staged file may be one.
fn rewrite(path: &Path, change: fn(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(changed, text, "{} was to be changed", path.display());
    fs::remove_file(path).unwrap();
    fs::write(path, changed).unwrap();
}

const DAMAGES: [Damage; 6] = [
    Damage {
        name: "a visible file is gone",
        verified: true,
        inflict: |output| fs::remove_file(part(output, 1)).unwrap(),
    },
    Damage {
        name: "one digit of a prediction is another",
        verified: true,
        inflict: |output| {
            rewrite(&part(output, 2), |text| {
                let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
                let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
                format!("{}{other}{}", &text[..at], &text[at + 1..])
            });
        },
    },
    Damage {
        name: "a row is double",
        verified: true,
        inflict: |output| {
            rewrite(&part(output, 0), |text| {
                let last = text.lines().last().unwrap().to_owned();
                text + &last + "\n"
            });
        },
    },
    Damage {
        name: "a visible file that no record names",
        verified: false,
        inflict: |output| fs::write(output.join("all/gen=1/part-99999-of-00005.csv"), "").unwrap(),
    },
    Damage {
        name: "the final tells other totals",
        verified: true,
        inflict: |output| {
            rewrite(&output.join("_nightshift/v1/finals/all/g1.json"), |text| {
                text.replacen("1000", "1001", 1)
            });
        },
    },
    Damage {
        name: "a record is gone",
        verified: true,
        inflict: |output| fs::remove_file(record(output, 3)).unwrap(),
    },
];

fn damaged_output_is_found_out(place: &Place) {
    // In a bucket, half of them.
    for Damage { name, verified, inflict } in DAMAGES.into_iter().step_by(place.size(1, 2)) {
        let spec = SpecText { format: "csv", ..SpecText::default() };
        let bench = place.with(&spec, "flights.parquet", 1_000);
        bench.run().run().expect(0);
        bench.audit(1);
        bench.command("verify").run().expect(0);
        bench.change_output(inflict);
        bench.auditor().fails();
        let verify = bench.command("verify").run();
        eprintln!(
            "{name}: verify exits {:?}: {}",
            verify.code(),
            verify.stdout.lines().last().unwrap_or_default()
        );
        if verified {
            assert_eq!(verify.code(), Some(65), "{name}: {verify}");
        }
    }
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    damaged_output_is_found_out,
}
