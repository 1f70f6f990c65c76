//! Words of others on this terminal: without control characters, cut or wrapped to its width.

pub(crate) use nightshift_core::describe::cut;
use nightshift_core::describe::turns;

/// Width to which paragraphs are wrapped, in characters: what every terminal has.
pub(crate) const WIDTH: usize = 80;

/// The text without anything that moves a cursor, changes a colour or turns the direction of
/// writing. Line breaks and tabs become spaces.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || turns(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Several lines as one, with `; ` between them.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(harmless).collect::<Vec<_>>().join("; ")
}

/// Words in lines of at most `width` characters; a longer word has a line of its own.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / width.max(1) + 1);
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            wrapped.push('\n');
            column = 0;
        }
        if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped.push('\n');
    wrapped
}

/// A sentence: it ends with a full stop, whoever wrote it.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let hostile = "\x1b[2J\x1b]0;title\x07 a\u{9b}31m b\u{202e}c\r\nd\te";
        let harmless = harmless(hostile);
        assert!(!harmless.chars().any(|c| c.is_control() || turns(c)), "{harmless:?}");
        assert!(harmless.ends_with("c  d e"), "{harmless:?}");
    }

    #[test]
    fn lines_become_one() {
        assert_eq!(one_line("a.yaml:1:2: x\n\n  a.yaml:3:4: y\n"), "a.yaml:1:2: x; a.yaml:3:4: y");
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        let text = "one two three four ".repeat(40);
        let wrapped = wrap(&text, 20);
        assert!(wrapped.lines().all(|line| line.chars().count() <= 20), "{wrapped}");
        assert!(wrapped.split_whitespace().eq(text.split_whitespace()));
        let long = "x".repeat(200);
        assert_eq!(wrap(&format!("a {long} b"), 80), format!("a\n{long}\nb\n"));
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äb…");
        assert_eq!(sentence("it broke"), "it broke.");
        assert_eq!(sentence("it broke. "), "it broke.");
    }
}
