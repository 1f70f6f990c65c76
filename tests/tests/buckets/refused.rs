//! What ends a run at once: rights that are missing, stores and places that cannot be used.

use nightshift_tests::bench::SpecText;
use nightshift_tests::s3_faults::{Fault, Faults, Request, Rule};

use crate::scene::{Lake, assert_said_no_secret, in_bucket, with};

#[test]
fn a_refusal_ends_the_run_at_once_and_names_the_right_that_is_missing() {
    let of_input =
        |request: &Request| request.target.contains("/lake/in/") && request.method == "GET";
    let cases: [(&str, Rule); 3] = [
        (
            "s3:PutObject",
            Box::new(|request| {
                (request.method == "PUT").then_some(Fault::Refused(403, "AccessDenied"))
            }),
        ),
        (
            "s3:GetObject",
            Box::new(move |request| {
                of_input(request).then_some(Fault::Refused(403, "AccessDenied"))
            }),
        ),
        ("missing, wrong or expired", Box::new(|_| Some(Fault::Refused(401, "Unauthorized")))),
    ];
    for (words, rule) in cases {
        let lake = Lake::parquet();
        let faults = Faults::start(&lake.s3, rule);
        let environment = lake.s3.environment_by(faults.url());
        let refused = with(lake.bench.run(), &environment).run().expect(77);
        assert!(refused.stderr.contains(words), "{words}: {refused}");
        assert_said_no_secret(&refused);
        assert!(faults.seen().len() < 60, "asked {} times", faults.seen().len());
    }
}

#[test]
fn a_store_that_ignores_the_condition_is_refused_by_name() {
    let lake = Lake::parquet();
    let rule = |_: &Request| Some(Fault::Unconditional);
    let faults = Faults::start(&lake.s3, Box::new(rule));
    let environment = lake.s3.environment_by(faults.url());
    let refused = with(lake.bench.run(), &environment).run().expect(78);
    assert!(refused.stderr.contains("s3://lake/out cannot be used as an output"), "{refused}");
    assert!(refused.stderr.contains("a second create is refused: it was accepted"), "{refused}");
}

#[test]
fn places_that_are_none_are_refused_before_anything_is_asked() {
    let lake = Lake::parquet();
    let direct = lake.direct();
    for (output, code, words) in [
        ("s3://AKIA:canary-secret@lake/out", 78, "it holds credentials"),
        ("s3://169.254.169.254/out", 78, "hands out credentials"),
        ("data:text/csv,canary-secret", 78, "`data:` URL"),
        ("s3:///out", 78, "it names no bucket"),
        ("hdfs://lake/out", 78, "is not supported by this build"),
    ] {
        let text = in_bucket(&SpecText::default()).replace("s3://lake/out", output);
        lake.bench.write_spec(&text);
        let refused = with(lake.bench.run(), &direct).run().expect(code);
        assert!(refused.stderr.contains(words), "{output}: {refused}");
        assert_said_no_secret(&refused);
    }
    let spec = in_bucket(&SpecText::default());
    lake.bench.write_spec(&spec.replace("s3://lake/out", "s3://nobodys/out"));
    let refused = with(lake.bench.run(), &direct).run().expect(78);
    assert!(refused.stderr.contains("there is no bucket for s3://nobodys/out"), "{refused}");
}
