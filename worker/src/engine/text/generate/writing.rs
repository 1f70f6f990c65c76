//! The text of a row while it is written: bytes of tokens, until something ends it.

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model ended it, or a text that ends it was written.
    Stop,
    /// There is no room for more tokens.
    Length,
}

impl Finish {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// A text so far.
#[derive(Debug, Default)]
pub(super) struct Writing {
    bytes: Vec<u8>,
    ids: Vec<u32>,
}

/// A text that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) finish: Finish,
    /// The tokens, with the one that ended it.
    pub(super) ids: Vec<u32>,
}

impl Writing {
    /// Adds a token and its bytes. Gives the end of the text, if this is it: one of `stops` is in there,
    /// or `most` tokens are.
    pub(super) fn add(
        &mut self,
        id: u32,
        piece: &[u8],
        stops: &[String],
        most: u32,
    ) -> Option<Finish> {
        self.ids.push(id);
        // What was there before holds no stop: one that is there now ends within the new bytes.
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        let from = self.bytes.len().saturating_sub(longest.saturating_sub(1));
        self.bytes.extend_from_slice(piece);
        let fresh = self.bytes.get(from..).unwrap_or_default();
        // A stop is whole characters, so that what is before it is too.
        let found = stops.iter().filter_map(|stop| {
            fresh.windows(stop.len().max(1)).position(|window| window == stop.as_bytes())
        });
        if let Some(at) = found.min() {
            self.bytes.truncate(from + at);
            return Some(Finish::Stop);
        }
        (self.tokens() >= most).then_some(Finish::Length)
    }

    /// Tokens so far.
    pub(super) fn tokens(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Keeps the token that ends a text.
    pub(super) fn end(&mut self, id: u32) {
        self.ids.push(id);
    }

    /// The text, which ended so. Bytes that are no character are replaced, as of one that the last
    /// token left unfinished.
    pub(super) fn finish(self, finish: Finish) -> Written {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        Written { text, finish, ids: self.ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of these pieces.
    fn written(pieces: &[&[u8]], stops: &[&str], most: u32) -> (String, Option<Finish>) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut writing = Writing::default();
        let end = pieces.iter().find_map(|piece| writing.add(0, piece, &stops, most));
        (writing.finish(end.unwrap_or(Finish::Length)).text, end)
    }

    #[test]
    fn a_stop_is_found_across_tokens_and_left_out() {
        let pieces: [&[u8]; 3] = [b"on ti", b"me.\n#", b"## Next"];
        assert_eq!(written(&pieces, &["\n###"], 9), ("on time.".into(), Some(Finish::Stop)));
        assert_eq!(written(&pieces, &["\n####"], 9), ("on time.\n### Next".into(), None));
        // The one that comes first, wherever it is in the list.
        assert_eq!(written(&pieces, &["Next", "time"], 9), ("on ".into(), Some(Finish::Stop)));
        assert_eq!(written(&[b"aab"], &["ab", "aa"], 9), (String::new(), Some(Finish::Stop)));
        assert_eq!(written(&pieces, &[], 2), ("on time.\n#".into(), Some(Finish::Length)));
        assert_eq!(written(&[b"x"], &["x"], 1), (String::new(), Some(Finish::Stop)));
    }

    #[test]
    fn characters_are_put_together_of_the_bytes_of_tokens() {
        let euro = "€".as_bytes();
        let pieces = [b"5 ", &euro[..1], &euro[1..2], &euro[2..]];
        assert_eq!(written(&pieces, &[], 9).0, "5 €");
        assert_eq!(written(&pieces, &["€"], 9), ("5 ".into(), Some(Finish::Stop)));
        assert_eq!(written(&pieces, &[], 2).0, "5 \u{fffd}");
    }
}
