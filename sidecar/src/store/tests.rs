use super::*;

fn about(name: &str, kind: Kind) -> Description {
    Description { name: name.to_owned(), kind, help: String::new() }
}

fn point(label: &str, start_ns: u64, time_ns: u64, value: f64) -> Point {
    Point {
        labels: vec![("a".to_owned(), label.to_owned())],
        start_ns,
        time_ns,
        is_delta: false,
        value: Some(Value::Number(value)),
    }
}

fn only(store: &Store, name: &str) -> Value {
    store.families[name].series.values().next().unwrap().value.clone()
}

#[test]
fn the_newest_value_of_a_counter_is_kept_and_a_restart_begins_anew() {
    let mut store = Store::new(10);
    let rows = about("rows", Kind::Counter);
    store.put(&rows, point("x", 1, 10, 5.0)).unwrap();
    store.put(&rows, point("x", 1, 20, 7.0)).unwrap();
    assert_eq!(store.put(&rows, point("x", 1, 20, 7.0)), Err(Dropped::Stale));
    assert_eq!(store.put(&rows, point("x", 1, 15, 6.0)), Err(Dropped::Stale));
    assert_eq!(only(&store, "rows"), Value::Number(7.0));
    store.put(&rows, point("x", 30, 31, 1.0)).unwrap();
    assert_eq!(store.put(&rows, point("x", 1, 40, 8.0)), Err(Dropped::Stale));
    assert_eq!(only(&store, "rows"), Value::Number(1.0));
}

#[test]
fn deltas_are_added_once() {
    let mut store = Store::new(10);
    let rows = about("rows", Kind::Counter);
    let delta = |start, time, value| Point { is_delta: true, ..point("x", start, time, value) };
    store.put(&rows, delta(0, 10, 5.0)).unwrap();
    store.put(&rows, delta(10, 20, 2.0)).unwrap();
    assert_eq!(store.put(&rows, delta(10, 20, 2.0)), Err(Dropped::Stale));
    assert_eq!(only(&store, "rows"), Value::Number(7.0));

    let times = about("times", Kind::Histogram);
    let value = |bounds: &[f64], counts: &[u64]| Value::Histogram {
        bounds: bounds.to_vec(),
        counts: counts.to_vec(),
        sum: Some(1.0),
    };
    let delta = |time, value| Point { value: Some(value), ..delta(0, time, 0.0) };
    store.put(&times, delta(1, value(&[1.0], &[1, 2]))).unwrap();
    store.put(&times, delta(2, value(&[1.0], &[3, 4]))).unwrap();
    let sum = Value::Histogram { bounds: vec![1.0], counts: vec![4, 6], sum: Some(2.0) };
    assert_eq!(only(&store, "times"), sum);
    store.put(&times, delta(3, value(&[2.0, 3.0], &[1, 1, 1]))).unwrap();
    assert_eq!(only(&store, "times"), value(&[2.0, 3.0], &[1, 1, 1]));
    assert_eq!(store.lines(), 6);
}

#[test]
fn a_full_store_takes_known_series_only_and_an_ended_one_makes_room() {
    let mut store = Store::new(2);
    let level = about("level", Kind::Gauge);
    store.put(&level, point("x", 0, 1, 1.0)).unwrap();
    store.put(&level, point("y", 0, 1, 1.0)).unwrap();
    assert_eq!(store.put(&level, point("z", 0, 1, 1.0)), Err(Dropped::SeriesLimit));
    let other = about("other", Kind::Gauge);
    assert_eq!(store.put(&other, point("z", 0, 1, 1.0)), Err(Dropped::SeriesLimit));
    store.put(&level, point("x", 0, 2, 2.0)).unwrap();
    store.put(&level, Point { value: None, ..point("x", 0, 3, 0.0) }).unwrap();
    assert_eq!(store.lines(), 1);
    store.put(&other, point("z", 0, 1, 1.0)).unwrap();
    assert_eq!((store.lines(), store.owners.len()), (2, 2));
    store.put(&other, Point { value: None, ..point("z", 0, 3, 0.0) }).unwrap();
    assert_eq!((store.lines(), store.owners.len()), (1, 1));
}

#[test]
fn two_families_never_share_a_sample_name() {
    for (first, second) in [
        (about("x", Kind::Histogram), about("x_count", Kind::Gauge)),
        (about("x_count", Kind::Gauge), about("x", Kind::Histogram)),
        (about("x", Kind::Counter), about("x_total", Kind::Gauge)),
        (about("x", Kind::Counter), about("x", Kind::Gauge)),
    ] {
        let mut store = Store::new(10);
        store.put(&first, point("a", 0, 1, 1.0)).unwrap();
        let refused = store.put(&second, point("b", 0, 1, 1.0));
        assert_eq!(refused, Err(Dropped::Conflict), "{first:?} {second:?}");
    }
}
