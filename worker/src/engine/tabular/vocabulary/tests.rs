use proptest::collection::hash_set;
use proptest::prelude::*;

use super::*;

fn vocabulary(categories: &[&str]) -> Vocabulary {
    let categories: Vec<String> = categories.iter().map(|&text| text.to_owned()).collect();
    Vocabulary::new(&categories, 0)
}

#[test]
fn texts_of_every_length_are_told_apart() {
    let texts = [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "fifteen bytes!!",
        "sixteen bytes!!!",
        "sixteen bytes!!\0",
        "seventeen bytes!!",
    ];
    let vocabulary = vocabulary(&texts);
    for (place, text) in texts.iter().enumerate() {
        assert_eq!(vocabulary.of_text(text.as_bytes()), Some(place as u32), "{text:?}");
    }
    for text in ["b", "\0\0\0", "a\0\0", "fifteen bytes!", "sixteen bytes!!"] {
        assert_eq!(vocabulary.of_text(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn only_canonical_text_means_an_integer() {
    let vocabulary = vocabulary(&["05", "+6", "7", "-8", "-0", "9.0"]);
    assert_eq!(vocabulary.of_integer(7), Some(2));
    assert_eq!(vocabulary.of_integer(-8), Some(3));
    for value in [5, 6, 0, 9, i128::MIN, i128::MAX, i128::from(u64::MAX)] {
        assert_eq!(vocabulary.of_integer(value), None, "{value}");
    }
}

#[test]
fn booleans_are_words_before_they_are_digits() {
    assert_eq!(vocabulary(&["1", "true", "0"]).of_bool(true), Some(1));
    assert_eq!(vocabulary(&["1", "true", "0"]).of_bool(false), Some(2));
    assert_eq!(vocabulary(&["yes"]).of_bool(false), None);
}

#[test]
fn integers_far_apart_need_little_memory() {
    let vocabulary = vocabulary(&["-9223372036854775808", "18446744073709551615", "3"]);
    assert_eq!(vocabulary.of_integer(i128::from(i64::MIN)), Some(0));
    assert_eq!(vocabulary.of_integer(i128::from(u64::MAX)), Some(1));
    assert_eq!(vocabulary.of_integer(4), None);
}

#[test]
fn a_vocabulary_made_to_collide_is_still_right() {
    // Keys that agree in everything the table looks at: multiples of the step that the
    // multiplication maps to the same top bits.
    let inverse =
        (0..6).fold(1_u64, |x, _| x.wrapping_mul(2_u64.wrapping_sub(MIX_LOW.wrapping_mul(x))));
    let unmix = |top: u64| top.wrapping_mul(inverse).wrapping_mul(inverse);
    let entries: Vec<(u128, u32)> = (0..100).map(|i| (u128::from(unmix(i)), i as u32)).collect();
    assert!(FastTable::new(&entries).is_none());
    let few = &entries[..PROBES_MAX];
    let table = FastTable::new(few).unwrap();
    assert!(few.iter().all(|&(key, place)| table.get(key) == Some(place)));
    assert_eq!(table.get(entries[PROBES_MAX].0), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn short_text_is_its_bytes_and_its_length(text in proptest::collection::vec(any::<u8>(), 0..20)) {
        let expected = (text.len() < SHORT_BYTES).then(|| {
            let mut bytes = [0; SHORT_BYTES];
            bytes[..text.len()].copy_from_slice(&text);
            bytes[SHORT_BYTES - 1] = text.len() as u8;
            u128::from_le_bytes(bytes)
        });
        prop_assert_eq!(short_key(&text), expected);
    }

    #[test]
    fn agrees_with_a_map(
        known in hash_set("[a-c\\x00é]{0,18}", 1..200),
        asked in proptest::collection::vec("[a-c\\x00é]{0,18}", 0..200),
    ) {
        let known: Vec<String> = known.into_iter().collect();
        let vocabulary = Vocabulary::new(&known, 1);
        for text in known.iter().chain(&asked) {
            let expected = known.iter().position(|other| other == text).map(|i| i as u32 + 1);
            prop_assert_eq!(vocabulary.of_text(text.as_bytes()), expected);
        }
    }

    #[test]
    fn integers_agree_with_their_text(known in hash_set(-300_i64..300, 1..80), asked in -400_i64..400) {
        let known: Vec<String> = known.into_iter().map(|value| value.to_string()).collect();
        let vocabulary = Vocabulary::new(&known, 0);
        let by_text = vocabulary.of_text(asked.to_string().as_bytes());
        prop_assert_eq!(vocabulary.of_integer(asked.into()), by_text);
    }
}
