//! Runs whose requests are spoiled: one of a hundred, one of ten, every other, and each kind alone.

use nightshift_tests::bench::SpecText;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::s3_faults::{Faults, Kind};

use crate::scene::{Environment, Lake, assert_said_no_secret, with};

#[test]
fn nothing_is_lost_or_made_twice_when_one_request_of_a_hundred_fails() {
    whole_run_at(1, "nothing_is_lost_or_made_twice_when_one_request_of_a_hundred_fails");
}

#[test]
fn nothing_is_lost_or_made_twice_when_one_request_of_ten_fails() {
    whole_run_at(10, "nothing_is_lost_or_made_twice_when_one_request_of_ten_fails");
}

#[test]
fn nothing_is_lost_or_made_twice_when_every_other_request_fails() {
    whole_run_at(50, "nothing_is_lost_or_made_twice_when_every_other_request_fails");
}

/// Runs a date through a store that spoils `percent` of all requests, until a process says that
/// it is done or has had enough tries; whatever was left is finished without faults, and audited.
#[track_caller]
fn whole_run_at(percent: u64, test: &str) {
    /// Processes that may give up, as one in a pod would.
    const TRIES: usize = 4;
    let lake = Lake::parquet();
    let faults = Faults::at(&lake.s3, percent, Random::for_test(test));
    let environment = impatient(&lake, &faults);
    for _ in 0..TRIES {
        if may_give_up(lake.bench.run(), &environment) {
            break;
        }
    }
    let (requests, spoiled) = (faults.seen().len(), faults.spoiled());
    eprintln!("{percent} %: {spoiled} of {requests} requests were spoiled");
    assert!(spoiled > 0 || percent == 1);
    finish(&lake);
}

/// The environment of a process that reaches the store by way of `faults`.
fn impatient(lake: &Lake, faults: &Faults) -> Environment {
    let mut environment = lake.s3.environment_by(faults.url());
    environment.push(("NIGHTSHIFT_STORE_TIMEOUT", "1".to_owned()));
    environment
}

/// Runs the date; says whether it is done, which it need not be.
#[track_caller]
fn may_give_up(program: Program, environment: &Environment) -> bool {
    let ran = with(program, environment).run();
    assert_said_no_secret(&ran);
    assert!(!ran.stderr.contains("panicked"), "{ran}");
    // Out of reach, I/O, partial, or to be tried again: never a bug, a right or the spec.
    assert!(matches!(ran.code(), Some(0 | 65 | 66 | 69 | 73 | 74 | 75)), "{ran}");
    ran.code() == Some(0)
}

/// Finishes whatever was left, without faults, and has it judged.
#[track_caller]
fn finish(lake: &Lake) {
    let direct = lake.direct();
    with(lake.bench.run(), &direct).run().expect(0);
    lake.command("verify", &direct).run().expect(0);
    lake.audit();
}

/// Makes one test of each kind of fault.
macro_rules! each_alone {
    ($($test:ident: $kind:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                alone(Kind::$kind, stringify!($test));
            }
        )+
    };
}

each_alone! {
    conflicts_alone: Conflict,
    preconditions_that_fail_alone: Precondition,
    not_modified_alone: NotModified,
    too_many_requests_alone: TooMany,
    errors_of_the_server_alone: Error,
    a_busy_server_alone: Busy,
    errors_in_bodies_alone: ErrorInBody,
    timeouts_before_alone: TimeoutBefore,
    timeouts_after_the_write_alone: TimeoutAfter,
    broken_connections_alone: Reset,
    short_reads_alone: ShortRead,
    stale_listings_alone: StaleListing,
    other_versions_alone: OtherVersion,
}

/// Runs a date through one kind of fault, in a tenth of the requests that it fits, again and again
/// until there were some.
#[track_caller]
fn alone(kind: Kind, test: &str) {
    const RUNS_MAX: usize = 12;
    // A small object is read once a process, so of those reads every other is spoiled.
    let percent = if kind == Kind::OtherVersion { 50 } else { 10 };
    // Of a small Parquet file nothing is left to read after its end.
    let lake = Lake::new(&SpecText::default(), "flights.csv");
    let random = Random::for_test(test);
    let faults = Faults::among(&lake.s3, percent, random, move |known, _| known == kind);
    let environment = impatient(&lake, &faults);
    let mut runs = 0;
    while faults.spoiled() == 0 && runs < RUNS_MAX {
        // Another generation each time: of a date that is done nothing is read.
        let again = if runs > 0 { vec!["--force"] } else { Vec::new() };
        may_give_up(lake.bench.run().args(again), &environment);
        runs += 1;
    }
    let spoiled = faults.spoiled();
    eprintln!("{kind:?}: {spoiled} of {} requests, {runs} runs", faults.seen().len());
    assert!(spoiled > 0, "{kind:?} never happened");
    finish(&lake);
}

/// A refusal is believed, also one that would have passed: the run ends and names the right.
#[test]
fn a_refusal_that_passes_ends_one_run_and_the_next_is_whole() {
    const PERCENT: u64 = 10;
    const REQUESTS_AFTER_MAX: usize = 40;
    let lake = Lake::parquet();
    let mut random = Random::for_test("a_refusal_that_passes_ends_one_run_and_the_next_is_whole");
    for run in 0..5 {
        let mut own = Random::new(random.number());
        let faults = Faults::start(
            &lake.s3,
            Box::new(move |request| {
                // What is removed is not needed, and a refusal of that stops nothing.
                let counts = request.method != "DELETE" && own.below(100) < PERCENT;
                counts.then(|| Kind::Forbidden.faults(request)[0])
            }),
        );
        let environment = impatient(&lake, &faults);
        let refused = with(lake.bench.run(), &environment).run();
        assert_said_no_secret(&refused);
        let seen = faults.seen();
        let first = seen.iter().position(|(_, _, fault)| fault.is_some());
        eprintln!("run {run}: request {first:?} of {} was refused first", seen.len());
        let Some(first) = first else { continue };
        let refused = refused.expect(77);
        let needs = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"];
        assert!(needs.iter().any(|right| refused.stderr.contains(right)), "{refused}");
        let after = seen.len() - first;
        assert!(after < REQUESTS_AFTER_MAX, "{after} requests after it: {refused}");
    }
    finish(&lake);
}
