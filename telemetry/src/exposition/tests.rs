use super::*;

fn page(format: Format) -> String {
    let mut page = Page::new(format);
    let labels = vec![("a".to_owned(), "x\\y\"z\n".to_owned())];
    page.family("rows", Kind::Counter, "Rows \"so far\",\na \\ b");
    page.sample(&labels, &Value::Number(3.0));
    page.family("level", Kind::Gauge, "");
    page.sample(&Labels::new(), &Value::Number(f64::NAN));
    page.family("time", Kind::Histogram, "T");
    let counts = vec![1, 0, 2];
    page.sample(&labels, &Value::Histogram { bounds: vec![0.5, 1.0], counts, sum: Some(4.5) });
    page.finish()
}

#[test]
fn both_formats_are_exact() {
    let prometheus = r#"# HELP rows_total Rows "so far",\na \\ b
# TYPE rows_total counter
rows_total{a="x\\y\"z\n"} 3
# TYPE level gauge
level NaN
# HELP time T
# TYPE time histogram
time_bucket{a="x\\y\"z\n",le="0.5"} 1
time_bucket{a="x\\y\"z\n",le="1"} 1
time_bucket{a="x\\y\"z\n",le="+Inf"} 3
time_sum{a="x\\y\"z\n"} 4.5
time_count{a="x\\y\"z\n"} 3
"#;
    assert_eq!(page(Format::Prometheus), prometheus);
    let open = r#"# HELP rows Rows \"so far\",\na \\ b
# TYPE rows counter
rows_total{a="x\\y\"z\n"} 3
# TYPE level gauge
level NaN
# HELP time T
# TYPE time histogram
time_bucket{a="x\\y\"z\n",le="0.5"} 1
time_bucket{a="x\\y\"z\n",le="1.0"} 1
time_bucket{a="x\\y\"z\n",le="+Inf"} 3
time_sum{a="x\\y\"z\n"} 4.5
time_count{a="x\\y\"z\n"} 3
# EOF
"#;
    assert_eq!(page(Format::OpenMetrics), open);
}

#[test]
fn the_format_is_the_one_that_is_preferred() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                      application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    assert_eq!(Format::accepted("application/openmetrics-text"), Format::OpenMetrics);
    for plain in [
        "",
        "*/*",
        "text/html",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0.3,text/plain;q=0.5",
    ] {
        assert_eq!(Format::accepted(plain), Format::Prometheus, "{plain}");
    }
}

#[test]
fn numbers_stay_exact() {
    for (value, text) in [
        (0.0, "0"),
        (-1.0, "-1"),
        (0.1, "0.1"),
        (1e300, "1e300"),
        (9_007_199_254_740_993.0, "9007199254740992.0"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ] {
        assert_eq!(number(value), text);
    }
}
