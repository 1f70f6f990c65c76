use proptest::prelude::*;

use super::*;

fn run_id() -> impl Strategy<Value = RunId> {
    let partition = prop_oneof![
        Just(Partition::All),
        (1900_i16..2200, 1_i8..=12, 1_i8..=28)
            .prop_map(|(y, m, d)| Partition::Date(jiff::civil::date(y, m, d))),
    ];
    ("[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", partition, 1_u32..u32::MAX).prop_map(
        |(name, partition, generation)| RunId {
            name: name.parse().unwrap(),
            partition,
            generation: Generation::new(generation).unwrap(),
        },
    )
}

proptest! {
    #[test]
    fn a_run_id_reads_back_as_itself(run in run_id()) {
        prop_assert_eq!(run.to_string().parse::<RunId>().unwrap(), run.clone());
        let json = serde_json::to_string(&run).unwrap();
        prop_assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), run);
    }

    #[test]
    fn a_digest_reads_back_as_itself(bytes: [u8; 32]) {
        prop_assert_eq!(Digest(bytes).to_string().parse::<Digest>().unwrap(), Digest(bytes));
    }

    #[test]
    fn no_text_makes_an_identifier_panic(text: String) {
        let _ = text.parse::<RunId>();
        let _ = text.parse::<Partition>();
        let _ = text.parse::<Digest>();
        let _ = text.parse::<AttemptId>();
        let _ = text.parse::<SpecName>();
    }
}

#[test]
fn names_that_would_break_a_path_or_a_label_are_refused() {
    let long = "a".repeat(SPEC_NAME_MAX + 1);
    for name in ["", "-a", "a-", "A", "a/b", "..", "a.b", "a b", "é", long.as_str()] {
        assert!(name.parse::<SpecName>().is_err(), "{name:?} was accepted");
    }
    assert!("a".parse::<SpecName>().is_ok());
    assert!("flight-delays2".parse::<SpecName>().is_ok());
}

#[test]
fn dates_that_do_not_exist_are_refused() {
    for date in ["2023-02-29", "2023-13-01", "20230101", "2023-1-1", "{{yesterday}}", "ALL"] {
        assert!(date.parse::<Partition>().is_err(), "{date:?} was accepted");
    }
    assert!("2024-02-29".parse::<Partition>().is_ok());
}

#[test]
fn generations_have_one_spelling() {
    for text in ["g0", "g01", "g+1", "1", "g", "g-1", "g99999999999"] {
        assert!(text.parse::<Generation>().is_err(), "{text:?} was accepted");
    }
    assert_eq!("g12".parse::<Generation>().unwrap().get(), 12);
}

#[test]
fn errors_do_not_repeat_endless_input() {
    let error = "x\n".repeat(10_000).parse::<Digest>().unwrap_err().to_string();
    assert!(error.len() < 400, "{error}");
    assert!(!error.contains('\n'));
}
