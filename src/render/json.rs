//! JSON as it is printed and saved.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::visible::is_hidden;

/// Writes a document over several lines, and ends the last.
///
/// # Errors
/// Those of `out`.
pub fn write_pretty(out: &mut dyn io::Write, json: &impl Serialize) -> io::Result<()> {
    json.serialize(&mut Serializer::with_formatter(&mut *out, Escaped(PrettyFormatter::new())))?;
    out.write_all(b"\n")
}

/// Writes a document as one line.
///
/// # Errors
/// Those of `out`.
pub fn write_line(out: &mut dyn io::Write, json: &impl Serialize) -> io::Result<()> {
    json.serialize(&mut Serializer::with_formatter(&mut *out, Escaped(CompactFormatter)))?;
    out.write_all(b"\n")
}

/// Escapes characters for which [`is_hidden`] holds as `\uXXXX`. JSON requires that only for C0 controls; a printed log
/// must show the others too.
struct Escaped<F>(F);

impl<F: Formatter> Formatter for Escaped<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, character)| is_hidden(*character)) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }

    // What lays a document out is the other formatter's.

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_hidden_is_left_and_nothing_is_lost() {
        let text: String = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| is_hidden(*c)).collect();
        let document = json!({"name": text, "key\u{202e}": ["\u{1b}[31m", "plain", {"empty": {}, "none": []}]});
        let mut out = Vec::new();
        write_pretty(&mut out, &document).expect("memory takes all");
        let pretty = String::from_utf8(out).expect("JSON is UTF-8");
        assert_eq!(pretty.chars().find(|c| is_hidden(*c) && *c != '\n'), None);
        assert!(pretty.contains("\\udb40"), "beyond the basic plane, as two units");
        assert_eq!(serde_json::from_str::<Value>(&pretty).expect("JSON"), document);
        let plain = json!({"a": [1, {"b": "c"}], "d": {}});
        let mut out = Vec::new();
        write_pretty(&mut out, &plain).expect("memory takes all");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), format!("{plain:#}\n"));
        let mut out = Vec::new();
        write_line(&mut out, &document).expect("memory takes all");
        let line = String::from_utf8(out).expect("JSON is UTF-8");
        assert_eq!((line.matches('\n').count(), serde_json::from_str::<Value>(&line).expect("JSON")), (1, document));
    }
}
