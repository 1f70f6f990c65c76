//! Listings of very many objects take bounded memory.

use std::sync::atomic::Ordering;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::s3_listing::Listing;
use nightshift_tests::tools;

/// Objects of the longer listing in the ordinary suite.
const OBJECTS: u64 = 50_000;
/// Environment variable with another number.
const OBJECTS_VARIABLE: &str = "NIGHTSHIFT_TEST_OBJECTS";

/// `nightshift plan` over a listing; its exit code and its peak in megabytes.
fn plan(listing: &Listing) -> (i64, f64) {
    let bench = Bench::new();
    let input = "s3://lake/in/*.parquet".to_owned();
    bench.write_spec(&SpecText { input, ..SpecText::default() }.yaml());
    let program = nightshift_tests::binaries::nightshift();
    let words =
        [program.as_os_str(), "plan".as_ref(), bench.spec().as_os_str()].map(ToOwned::to_owned);
    let measured = tools::measure(&words, &listing.environment());
    let peak_mb = measured["peak_kb"].as_f64().unwrap() / 1000.0;
    (measured["code"].as_i64().unwrap(), peak_mb)
}

#[test]
fn objects_that_no_pattern_names_take_no_memory() {
    let peak = |objects: u64| {
        let listing = Listing::start(objects, "csv");
        let (code, peak_mb) = plan(&listing);
        let pages = listing.pages.load(Ordering::Relaxed);
        eprintln!("{objects} objects in {pages} pages: peak of {peak_mb:.1} MB");
        assert_eq!((code, pages), (66, objects.div_ceil(1_000)));
        peak_mb
    };
    let objects = std::env::var(OBJECTS_VARIABLE).map_or(OBJECTS, |text| text.parse().unwrap());
    let (few, many) = (peak(2_000), peak(objects));
    assert!(many < few + 8.0, "{few} MB became {many} MB");
}

/// A listing that ended there would be taken for a whole one, and the rest of the input be missing.
#[test]
fn a_page_that_holds_an_error_is_asked_for_again() {
    let listing = Listing::start_failing(2_500, "csv");
    let (code, _) = plan(&listing);
    assert_eq!((code, listing.pages.load(Ordering::Relaxed)), (66, 3));
}
