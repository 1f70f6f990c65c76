use super::*;

#[test]
fn names_follow_the_rules_of_prometheus() {
    for (name, unit, kind, made) in [
        ("worker.rows", "{row}", Kind::Counter, "worker_rows"),
        ("worker.rows_total", "", Kind::Counter, "worker_rows"),
        (
            "http.server.request.duration",
            "s",
            Kind::Histogram,
            "http_server_request_duration_seconds",
        ),
        ("process.memory.usage", "By", Kind::Gauge, "process_memory_usage_bytes"),
        ("memory.bytes", "By", Kind::Gauge, "memory_bytes"),
        ("disk.io", "By/s", Kind::Gauge, "disk_io_bytes_per_second"),
        ("cpu.utilization", "1", Kind::Gauge, "cpu_utilization_ratio"),
        ("cpu.things", "1", Kind::Counter, "cpu_things"),
        ("3d.points", "", Kind::Gauge, "_3d_points"),
        ("a--b  c", "", Kind::Gauge, "a_b_c"),
        ("größe", "", Kind::Gauge, "gr_e"),
        ("rule:level", "", Kind::Gauge, "rule:level"),
        ("x", "foo bar/s", Kind::Gauge, "x_foo_bar_per_second"),
    ] {
        assert_eq!(family(name, unit, kind).unwrap(), made, "{name} {unit}");
    }
}

#[test]
fn names_that_nothing_is_left_of_or_that_are_taken_are_refused() {
    assert_eq!(family("", "", Kind::Gauge), Err(Dropped::Name));
    assert_eq!(family("ü", "", Kind::Gauge), Err(Dropped::Name));
    assert_eq!(family(&"x".repeat(201), "", Kind::Gauge), Err(Dropped::Name));
    for own in ["nightshift.sidecar.dropped", "nightshift_cgroup_x", "nightshift.build_info"] {
        assert_eq!(family(own, "", Kind::Gauge), Err(Dropped::Reserved), "{own}");
    }
    assert_eq!(family("nightshift.rows", "", Kind::Gauge).unwrap(), "nightshift_rows");
}

#[test]
fn labels_are_ordered_joined_and_bounded() {
    let made = labels([("b", "1".to_owned()), ("a.x", "2".to_owned()), ("a_x", "3".to_owned())]);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(made.unwrap(), [pair("a_x", "2;3"), pair("b", "1")]);
    let made = labels([("le", "1".to_owned()), ("9", "2".to_owned())]).unwrap();
    assert_eq!(made, [pair("exported_le", "1"), pair("key_9", "2")]);
    assert_eq!(labels([("a", "x".repeat(257))]), Err(Dropped::LabelLength));
    assert_eq!(labels([("", "x".to_owned())]), Err(Dropped::LabelLength));
    let keys: Vec<String> = (0..33).map(|n| format!("k{n}")).collect();
    let many = labels(keys.iter().map(|key| (key.as_str(), String::new())));
    assert_eq!(many, Err(Dropped::LabelCount));
    let keys = ["a", "b", "c", "d"].map(|key| (key, "x".repeat(256)));
    assert_eq!(labels(keys), Err(Dropped::LabelLength));
}
