//! An object that is replaced while it is read: never a mixture of rows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nightshift_tests::bench::SpecText;
use nightshift_tests::flights;
use nightshift_tests::http;
use nightshift_tests::s3_faults::{Fault, Faults};
use nightshift_tests::store;
use nightshift_tests::tools::Audit;

use crate::scene::{Lake, in_bucket, with};

/// So many that the object is read in several requests.
const MANY_ROWS: u64 = 100_000;
/// The first id of the rows that come in their place.
const OTHER_ID: u64 = 5_000_001;
/// Requests for the object after the plan, before it is replaced.
const READS_BEFORE: usize = 2;
const SHARDS: u32 = 4;

fn write(folder: &Path, first_id: u64) {
    let rows = flights::numbered(&flights::real(), first_id, MANY_ROWS);
    flights::write_batches(&folder.join("flights.csv"), [rows]);
}

/// Replaces the object after some of it was read; `honest` stores refuse the rest.
fn replaced_while_it_is_read(honest: bool) {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let lake = Lake::new(&spec, "flights.csv");
    lake.bench.write_spec(&in_bucket(&SpecText { input: "s3://lake/in/".to_owned(), ..spec }));
    write(&lake.bench.path("in"), 1);
    lake.s3.put("lake", "in", &lake.bench.path("in"));
    write(&lake.bench.path("other"), OTHER_ID);
    let other = std::fs::read(lake.bench.path("other/flights.csv")).unwrap();
    let address = lake.s3.address();
    let (mut planned, mut reads) = (false, 0);
    let replaced = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&replaced);
    let rule = move |request: &nightshift_tests::s3_faults::Request| {
        planned |= request.method == "PUT" && request.target.contains("plan.json");
        if !planned || !request.is_pinned_read() || !request.target.contains("in/flights.csv") {
            return None;
        }
        reads += 1;
        if reads == READS_BEFORE + 1 {
            let put = http::ask(address, "PUT", "/lake/in/flights.csv?Signature=tests", &other);
            assert_eq!(put.unwrap().0, 200);
            count.fetch_add(1, Ordering::Relaxed);
        }
        (!honest).then_some(Fault::Unconditional)
    };
    let faults = Faults::start(&lake.s3, Box::new(rule));
    let environment = lake.s3.environment_by(faults.url());
    let run = with(lake.bench.command("run"), &environment).args(["--workers", "1"]).run();
    assert_eq!(replaced.load(Ordering::Relaxed), 1, "it was not replaced: {run}");
    assert_eq!(run.code(), Some(65), "{run}");
    let copy = lake.bench.path("copy");
    lake.s3.fetch("lake", "out", &copy);
    let mut changed = 0;
    for shard in 0..SHARDS {
        let record = store::record(&copy, "flights-all-g1", shard).unwrap().to_string();
        if record.contains("committed") {
            continue;
        }
        assert!(record.contains("input_changed"), "{record}");
        assert_eq!(record.matches("etag:").count(), 2, "both versions are named: {record}");
        changed += 1;
    }
    eprintln!("{changed} of {SHARDS} shards met another version");
    assert!(changed > 0);
    // What was committed is of the rows that were planned, id for id.
    Audit::of(&copy).copy("s3://lake/in", &lake.bench.path("in")).runs(1).passes();
    // The next run plans what is there now.
    with(lake.bench.run(), &lake.direct()).run().expect(0);
    let copy = lake.bench.path("later");
    lake.s3.fetch("lake", "out", &copy);
    let verdict = store::verdict(&copy, "all", 2).unwrap();
    assert_eq!(
        (&verdict["state"], &verdict["totals"]["rows_out"]),
        (&"succeeded".into(), &MANY_ROWS.into())
    );
    assert_eq!(verdict["totals"]["inherited"], 0);
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_never_mixed_in() {
    replaced_while_it_is_read(true);
}

#[test]
fn nor_is_it_where_the_store_does_not_mind_the_condition_of_a_read() {
    replaced_while_it_is_read(false);
}
