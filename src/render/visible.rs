//! Makes characters visible that would act on a terminal.
//!
//! Names, descriptions and messages of servers come from others, and a terminal interprets them: an escape sequence clears the
//! screen or sets a title, a carriage return hides the text before it, a bidirectional control changes the order of a text.
//! [`visible`] writes all of these as `\u{…}`, and every printed text goes through it: [`Page`](super::page::Page) ensures
//! that.

use std::borrow::Cow;

/// Whether a character acts on the text around it, or on the terminal, instead of being displayed.
///
/// These are the controls (C0, C1, DEL), the breaks of lines and paragraphs, and what Unicode calls format characters and
/// default ignorables (<https://www.unicode.org/reports/tr36/>, section 2.5): bidirectional controls, joiners, and what has no width. Variation
/// selectors are not among them: they choose between two forms of the character before.
pub fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A text in one line, with everything in it seen: `\n`, `\r` and `\t` as they are written in code, all else as `\u{…}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|character| push(&mut shown, character));
    Cow::Owned(shown)
}

/// Adds a character as it is shown.
pub fn push(shown: &mut String, character: char) {
    if is_hidden(character) {
        // In Rust, JavaScript and Swift the same.
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_seen_is_left_alone() {
        for text in ["", "Acme GmbH & Søn", "東京", "עברית", "👩🏽 ❤️", "a \\n b", "5 % — “so”"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        assert_eq!(visible("a\u{1b}]0;title\u{7}b"), "a\\u{1b}]0;title\\u{7}b");
        assert_eq!(visible("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(visible("one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
        assert_eq!(visible("pay\u{202e}lacigam\u{2066}"), "pay\\u{202e}lacigam\\u{2066}");
        assert_eq!(visible("ac\u{200b}me\u{feff}\u{e0041}"), "ac\\u{200b}me\\u{feff}\\u{e0041}");
    }
}
