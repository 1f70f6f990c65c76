use super::*;

fn refused<T: FromStr<Err = InvalidText> + fmt::Debug>(text: &str) -> InvalidText {
    text.parse::<T>().unwrap_err()
}

#[test]
fn worker_names_are_short_and_visible() {
    assert_eq!("node-7/4711:01J".parse::<WorkerName>().unwrap().as_str(), "node-7/4711:01J");
    assert_eq!(refused::<WorkerName>(""), InvalidText::Empty);
    assert_eq!(
        refused::<WorkerName>(&"w".repeat(10_000)),
        InvalidText::TooLong { length_bytes: 10_000, max_bytes: 128 }
    );
    for (text, at) in [("a b", 1), ("a\n", 1), ("\u{7f}", 0), ("wörker", 1)] {
        let InvalidText::Character { position, .. } = refused::<WorkerName>(text) else {
            panic!("{text:?} is refused for another reason")
        };
        assert_eq!(position, at, "{text:?}");
    }
}

#[test]
fn reasons_fit_a_metric_label() {
    assert!("model_unreadable".parse::<Reason>().is_ok());
    for text in ["", "_x", "9lives", "Upper", "with space", "with-dash", &"r".repeat(65)] {
        assert!(text.parse::<Reason>().is_err(), "{text:?}");
    }
}

#[test]
fn traces_have_the_shape_of_the_header() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(good.parse::<TraceParent>().unwrap().to_string(), good);
    let bad = [
        "",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    ];
    for text in bad {
        assert!(text.parse::<TraceParent>().is_err(), "{text:?}");
    }
}

#[test]
fn batch_sizes_are_bounded() {
    assert_eq!(BatchSize::read(0), Ok(None));
    assert_eq!(BatchSize::read(32).unwrap().unwrap().get(), 32);
    assert!(BatchSize::new(0).is_err());
    assert!(BatchSize::new(BATCH_SIZE_MAX).is_ok());
    assert!(BatchSize::new(BATCH_SIZE_MAX + 1).is_err());
}
