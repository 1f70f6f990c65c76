//! Maps of characters (`precompiled_charsmap` of sentencepiece), checked before the library walks
//! them: it would believe a length, and go where a number says.
//!
//! A map is the length of a table in bytes, the table, and the texts that characters become, each
//! with a zero after it. The table is a double array (darts-clone): a unit of 32 bits has a label,
//! a bit that says whether a key ends there, and an offset; the next unit for a byte of a key is
//! position ^ offset ^ byte, and what a key stands for is the unit at position ^ offset.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::engine::text::TextError;

/// Refuses a map that leads out of its table or its texts.
pub(super) fn check(map: Option<&Value>) -> Result<(), TextError> {
    let map = map.and_then(Value::as_str).and_then(|text| BASE64.decode(text).ok());
    match map.as_deref().is_some_and(is_sound) {
        true => Ok(()),
        false => {
            let problem = "`precompiled_charsmap` is damaged".to_owned();
            Err(TextError::Tokenizer { problem })
        }
    }
}

fn is_sound(map: &[u8]) -> bool {
    let Some((length, rest)) = map.split_first_chunk() else { return false };
    let length = u32::from_le_bytes(*length) as usize;
    let Some((table, texts)) = rest.split_at_checked(length / 4 * 4) else { return false };
    let Ok(texts) = str::from_utf8(texts) else { return false };
    let units: Vec<u32> =
        table.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    let offset = |unit: u32| ((unit >> 10) as usize) << ((unit & (1 << 9)) >> 6);
    let is_step = |unit: u32| unit >> 31 == 0 && unit & 0xff != 0;
    !units.is_empty()
        && units.iter().enumerate().all(|(at, unit)| {
            // The others are never walked from.
            if at > 0 && !is_step(*unit) {
                return true;
            }
            let next = at ^ offset(*unit);
            let ends = unit >> 8 & 1 == 1;
            let value = units.get(next).map(|value| (value & (u32::MAX >> 1)) as usize);
            let is_text = |at: usize| at <= texts.len() && texts.is_char_boundary(at);
            next | 0xff < units.len() && (!ends || value.is_some_and(is_text))
        })
}

#[cfg(test)]
mod tests {
    use super::is_sound;

    /// A map of the byte `a` to `bc`.
    fn map(change: impl Fn(&mut Vec<u32>)) -> Vec<u8> {
        let mut units = vec![0; 512];
        units[0] = 256 << 10;
        let at = 256 ^ usize::from(b'a');
        // The unit that says what a key stands for lies at an offset of 1.
        units[at] = u32::from(b'a') | 1 << 8 | 1 << 10;
        units[at ^ 1] = 1 << 31;
        change(&mut units);
        let length = 4 * units.len() as u32;
        let table = units.iter().flat_map(|unit| unit.to_le_bytes());
        length.to_le_bytes().into_iter().chain(table).chain(*b"bc\0").collect()
    }

    #[test]
    fn a_map_that_leads_astray_is_not_sound() {
        let at = 256 ^ usize::from(b'a');
        assert!(is_sound(&map(|_| ())));
        assert!(!is_sound(b""));
        assert!(!is_sound(&[0, 0, 0, 0]));
        assert!(!is_sound(&map(|_| ())[..100]), "a table that ends early");
        assert!(!is_sound(&map(|units| units[0] = 512 << 10)), "the first step leads out");
        assert!(!is_sound(&map(|units| units[at] = u32::from(b'a') | 1 << 20)), "another one does");
        assert!(!is_sound(&map(|units| units[at ^ 1] = 1 << 31 | 4)), "a text is not there");
        let mut text = map(|_| ());
        *text.last_mut().unwrap() = 0xff;
        assert!(!is_sound(&text), "texts are no text");
        let mut long = map(|_| ());
        long[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!is_sound(&long), "a length beyond the file");
    }
}
