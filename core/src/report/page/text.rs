//! Text from outside on its way into HTML.

use std::fmt;

use crate::describe::turns;

/// Text of others, as HTML shows it: no character of it is markup, none moves or turns the text
/// around it. Good between tags and within double quotes.
pub(super) struct Safe<T>(pub(super) T);

impl<T: AsRef<str>> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.as_ref().chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\n' | '\r' | '\t' => f.write_char(' '),
            c if c.is_control() || turns(c) => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        let hostile = "<script>alert('1')</script>\" onload=\"x & \u{202e}\u{7}\u{0}\n";
        let safe = Safe(hostile).to_string();
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{7}', '\0', '\n']), "{safe}");
        assert_eq!(Safe("a&b").to_string(), "a&amp;b");
    }
}
