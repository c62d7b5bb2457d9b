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
    width: Option<usize>,
}

impl<'a> Page<'a> {
    pub fn new(out: &'a mut dyn io::Write) -> Self {
        Self { out, width: None }
    }

    /// Breaks lines between words where they are longer than a terminal is wide.
    #[must_use]
    pub fn within(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// How wide the terminal is; `None` if lines are not broken.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// What `writeln!` and `write!` call: writes one line and ends it, whichever of the two it was.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let line = line.to_string();
        // The newline of `writeln!` itself.
        let mut shown = shown(line.strip_suffix('\n').unwrap_or(&line));
        if let Some(width) = self.width {
            shown = broken(&shown, width);
        }
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

/// The fewest columns behind the indent, below which nobody can read anything.
const NARROWEST: usize = 20;

/// A line, broken between words so that no part is wider than `width`. A word that is wider stays whole, so that it can be
/// copied. What follows is indented further than the beginning.
fn broken(line: &str, width: usize) -> String {
    let indent = line.chars().take_while(|character| *character == ' ').count() + 4;
    if width < indent + NARROWEST {
        return line.to_owned();
    }
    let mut text = String::with_capacity(line.len() + 16);
    let mut column = 0;
    for (at, word) in line.split(' ').enumerate() {
        let wide = columns(word);
        if at > 0 && column + 1 + wide > width && column > indent {
            let end = text.trim_end_matches(' ').len();
            text.truncate(end);
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += wide;
    }
    text
}

/// How many columns a text takes: escape sequences take none.
fn columns(text: &str) -> usize {
    let mut columns = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(|character| *character == 'm');
        } else {
            columns += 1;
        }
    }
    columns
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
    fn a_line_is_broken_between_words_where_the_terminal_ends() {
        let line =
            "  + create  schema postgres.schema tenant_acme  the name is a word_that_is_wider_than_the_whole_terminal";
        let shown = broken(line, 40);
        assert_eq!(
            shown,
            "  + create  schema postgres.schema\n      tenant_acme  the name is a\n      \
             word_that_is_wider_than_the_whole_terminal"
        );
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&shown), words(line), "nothing is lost");
        let red = Label::Error.paint("12345 67890");
        assert_eq!(columns(&super::shown(&red)), 11, "colours take no room");
        assert_eq!(broken(line, 200), line);
        assert_eq!(broken(line, 10), line, "too narrow for anything");
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
