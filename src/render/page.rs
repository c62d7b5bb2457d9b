//! Where text for people is written to.
//!
//! A command hands a [`Page`] around, never a stream. Each `writeln!` to it is one line: whatever was formatted into that
//! line is made [visible], a newline within it too, so that no name and no answer of a server can write a
//! line, a colour or a command of its own. Colours come from [`Label::paint`](super::style::Label::paint) alone.

use std::fmt;
use std::io;

use super::style;
use super::visible::{self, is_hidden};

/// Lines of text, on their way to a stream.
pub struct Page<'a> {
    out: &'a mut dyn io::Write,
}

impl<'a> Page<'a> {
    pub fn new(out: &'a mut dyn io::Write) -> Self {
        Self { out }
    }

    /// What `writeln!` and `write!` call: writes one line and ends it, whichever of the two it was.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let line = line.to_string();
        // The newline of `writeln!` itself.
        let mut shown = shown(line.strip_suffix('\n').unwrap_or(&line));
        shown.push('\n');
        self.out.write_all(shown.as_bytes())
    }

    /// Writes what was laid out elsewhere, over as many lines as it has. What came from others in it has to be visible
    /// already.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn laid_out(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}

/// A line as a terminal gets it, without its end: paint has become colour, and everything else can be seen.
pub fn shown(line: &str) -> String {
    let mut shown = String::with_capacity(line.len() + 1);
    let mut rest = line;
    while let Some((at, hidden)) = rest.char_indices().find(|(_, character)| is_hidden(*character)) {
        shown.push_str(&rest[..at]);
        rest = match style::painted(&rest[at..]) {
            Some((colour, behind)) => {
                shown.push_str(&colour);
                behind
            }
            None => {
                visible::push(&mut shown, hidden);
                &rest[at + hidden.len_utf8()..]
            }
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Label;

    fn written(write: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut Page::new(&mut out)).expect("memory takes all");
        String::from_utf8(out).expect("text is UTF-8")
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let name = "Acme\n0 to delete.\r\u{1b}[2J\u{202e}";
        assert_eq!(
            written(|page| writeln!(page, "{name} exists")),
            "Acme\\n0 to delete.\\r\\u{1b}[2J\\u{202e} exists\n"
        );
        assert_eq!(written(|page| write!(page, "a\n\n")), "a\\n\n");
        assert_eq!(written(|page| writeln!(page)), "\n");
    }

    #[test]
    fn only_paint_becomes_colour() {
        let painted = Label::Error.paint("refused\u{1b}[0m");
        let other = "\u{1b}[31mred";
        let text = written(|page| writeln!(page, "{painted}: {other}"));
        assert_eq!(text, "\u{1b}[1m\u{1b}[31mrefused\\u{1b}[0m\u{1b}[0m: \\u{1b}[31mred\n");
        let forged = painted.replacen(char::is_alphanumeric, "x", 1);
        assert!(!shown(&forged).starts_with('\u{1b}'), "without the key of this process it is not paint");
        let within = Label::Heading.paint(format!("a {}", Label::Quiet.paint("b")));
        assert!(shown(&within).contains('b'));
    }
}
