use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::tabular::Activation;
use crate::engine::tabular::samples::{flights, numeric, regression, tensors};

/// One input, one output: `output.weight` [1, 1] and `output.bias` [1].
fn tiny() -> Config {
    Config::new(vec![numeric("x", None)], vec![], vec![regression("y")])
}

fn file(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

fn entry(dtype: &str, shape: &[u64], begin: u64, end: u64) -> Value {
    json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] })
}

fn good() -> Value {
    json!({ "output.weight": entry("F32", &[1, 1], 0, 4), "output.bias": entry("F32", &[1], 4, 8) })
}

/// The message for a file with `header` and eight bytes of data.
fn refused(header: &Value) -> String {
    parse(&tiny(), &file(header.to_string().as_bytes(), &[0; 8])).unwrap_err().to_string()
}

fn changed(name: &str, entry: Value) -> Value {
    let mut header = good();
    header[name] = entry;
    header
}

#[test]
fn the_smallest_model_is_read() {
    let data = [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat();
    let mut header = good();
    header["__metadata__"] = json!({ "made_by": "hand" });
    let tensors = parse(&tiny(), &file(header.to_string().as_bytes(), &data)).unwrap();
    assert_eq!(values(&tensors["output.weight"]).unwrap(), [1.5]);
    assert_eq!(values(&tensors["output.bias"]).unwrap(), [-2.0]);
}

#[test]
fn half_precision_is_widened() {
    // 1.5 in binary16 and in bfloat16.
    for (dtype, one_and_a_half) in [("F16", 0x3e00_u16), ("BF16", 0x3fc0)] {
        let header = json!({
            "output.weight": entry(dtype, &[1, 1], 0, 2), "output.bias": entry(dtype, &[1], 2, 4)
        });
        let data = [one_and_a_half.to_le_bytes(), [0, 0]].concat();
        let tensors = parse(&tiny(), &file(header.to_string().as_bytes(), &data)).unwrap();
        assert_eq!(values(&tensors["output.weight"]).unwrap(), [1.5], "{dtype}");
        assert_eq!(tensors["output.weight"].dtype(), DType::F32);
    }
}

#[test]
fn damaged_files_are_refused_with_a_remedy() {
    let whole = file(good().to_string().as_bytes(), &[0; 8]);
    for length in 0..whole.len() {
        let error = parse(&tiny(), &whole[..length]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("copy it again"), "{length} bytes: {text}");
    }
    let longer = [&whole[..], &[0]].concat();
    let text = parse(&tiny(), &longer).unwrap_err().to_string();
    assert!(text.contains("the tensors end at byte 8 of 9"), "{text}");
    for length in [u64::MAX, 1 << 40, whole.len() as u64 - 7] {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let text = parse(&tiny(), &bytes).unwrap_err().to_string();
        assert!(text.contains("but its header needs"), "{length}: {text}");
    }
    let long = vec![b' '; HEADER_BYTES_MAX as usize + 1];
    let text = parse(&tiny(), &file(&long, &[])).unwrap_err().to_string();
    assert!(text.contains("more than the 33554432"), "{text}");
}

#[test]
fn headers_that_are_not_of_the_format_are_refused() {
    let deep = "[".repeat(100_000);
    for header in
        ["", "{", "[]", "null", "\u{0}", r#"{"a": 1}"#, r#"{"a": {"dtype": "F32"}}"#, &deep]
    {
        let error = parse(&tiny(), &file(header.as_bytes(), &[0; 8])).unwrap_err();
        assert!(matches!(error, WeightsError::Header { .. }), "{header:.20}: {error}");
    }
    let error = parse(&tiny(), &file(b"\xff\xfe{}", &[])).unwrap_err();
    assert!(matches!(error, WeightsError::Header { .. }), "{error}");
    let twice = good().to_string().replace("output.bias", "output.weight");
    let error = parse(&tiny(), &file(twice.as_bytes(), &[0; 8])).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("there twice"));
}

#[test]
fn ranges_that_do_not_tile_the_data_are_refused() {
    for (begin, end) in [(0, 4), (3, 7), (5, 9), (4, 12), (4, u64::MAX), (8, 4), (u64::MAX, 3)] {
        let text = refused(&changed("output.bias", entry("F32", &[1], begin, end)));
        assert!(text.contains("is damaged, copy it again"), "{begin}..{end}: {text}");
    }
    let text = refused(&changed("output.bias", entry("F32", &[1], 4, 6)));
    assert!(text.contains("the tensors end at byte 6 of 8"), "{text}");
}

#[test]
fn tensors_of_another_model_are_refused_by_name() {
    let cases = [
        (
            changed("output.bias", entry("F32", &[2], 4, 8)),
            "`output.bias` has shape [2] but config.json asks for [1]",
        ),
        (changed("output.bias", entry("F32", &[], 4, 8)), "has shape []"),
        (
            changed("output.weight", entry("F32", &[1 << 40, 1 << 40], 0, 4)),
            "has shape [1099511627776",
        ),
        (changed("output.bias", entry("I32", &[1], 4, 8)), "has type I32: use F32, F16 or BF16"),
        (changed("output.bias", entry("Q9", &[1], 4, 8)), "has type Q9"),
        (changed("output.bias", entry("F16", &[1], 4, 8)), "has 4 bytes but its shape needs 2"),
        (changed("extra", entry("F32", &[0], 8, 8)), "`extra` is not part of the model"),
        (
            json!({ "output.weight": entry("F32", &[1, 1], 0, 8) }),
            "has 8 bytes but its shape needs 4",
        ),
        (
            json!({ "output.bias": entry("F32", &[1], 0, 8) }),
            "`output.weight` of shape [1, 1] is missing",
        ),
    ];
    for (header, message) in cases {
        let text = refused(&header);
        assert!(text.contains(message), "{message}: {text}");
    }
}

#[test]
fn a_hundred_thousand_tensors_are_refused_early() {
    let entries: Vec<String> =
        (0..100_000).map(|i| format!(r#""t{i}":{}"#, entry("F32", &[0], 0, 0))).collect();
    let header = format!("{{{}}}", entries.join(","));
    let error = parse(&tiny(), &file(header.as_bytes(), &[])).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&format!("more than {TENSORS_MAX} tensors")), "{source}");
}

#[test]
fn weights_that_are_not_finite_are_refused_with_their_position() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let data = [0.0_f32.to_le_bytes(), value.to_le_bytes()].concat();
        let error = parse(&tiny(), &file(good().to_string().as_bytes(), &data)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`output.bias` holds") && text.contains("position 0"), "{text}");
    }
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(header in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&tiny(), &file(&header, &[0; 8]));
    }

    #[test]
    fn a_file_with_changed_bytes_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let config = flights(Activation::Relu);
        let mut bytes = safetensors_bytes(&config);
        for (at, byte) in changes {
            let at = at.index(bytes.len().min(2000));
            bytes[at] = byte;
        }
        if let Ok(tensors) = parse(&config, &bytes) {
            prop_assert_eq!(tensors.len(), config.tensors().len());
        }
    }
}

fn safetensors_bytes(config: &Config) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    candle_core::safetensors::save(&tensors(config, 1), &path).unwrap();
    std::fs::read(path).unwrap()
}
