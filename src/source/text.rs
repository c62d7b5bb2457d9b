//! Bytes → text, for files that people wrote and others review.

use super::listing::Problem;
use super::substitute;
use tenantry_core::diagnostics::{Span, codes};

/// A file's text. If it cannot be used, as much of it as can be shown, and why.
pub struct Decoded {
    pub text: String,
    pub problem: Option<(Problem, Span)>,
}

/// What some editors write before the text of a file.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Decodes UTF-8, with or without a byte order mark, and refuses control characters and what is no content of a file.
///
/// Line breaks, tabs and NEL are the control characters that YAML 1.2 has (section 5.1).
pub fn decode(bytes: Vec<u8>) -> Decoded {
    let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    if let Some((problem, range)) = substitute::of_another_sort(&bytes) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Decoded { text, problem: Some((problem, span(range.start, range.end))) };
    }
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            let bad = error.as_bytes()[start];
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let help = if utf16 {
                "the file looks like UTF-16: save it as UTF-8".to_owned()
            } else {
                format!("save the file as UTF-8; the byte 0x{bad:02X} is not part of a character")
            };
            let problem =
                Problem::new(codes::FILE_NOT_UTF8, "the file is not UTF-8", "the first byte that is not UTF-8", help);
            let span = span(start, start + char::REPLACEMENT_CHARACTER.len_utf8());
            return Decoded { text, problem: Some((problem, span)) };
        }
    };
    if let Some((problem, range)) = substitute::conflict(&text) {
        return Decoded { text, problem: Some((problem, span(range.start, range.end))) };
    }
    let problem = text.char_indices().find(|(_, c)| is_refused(*c)).map(|(at, character)| {
        let code_point = format!("U+{:04X}", u32::from(character));
        let problem = if character == '\0' {
            Problem::new(
                codes::FILE_CONTROL_CHARACTER,
                "the file contains a NUL character",
                format!("{code_point} is here"),
                "remove it; a file with many of them is binary or damaged",
            )
        } else {
            Problem::new(
                codes::FILE_CONTROL_CHARACTER,
                "the file contains a control character",
                format!("{code_point} is here"),
                "remove it, or write it as an escape in a text in double quotes",
            )
        };
        (problem, span(at, at + character.len_utf8()))
    });
    Decoded { text, problem }
}

fn is_refused(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\u{85}')
}

fn span(start: usize, end: usize) -> Span {
    Span { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> Option<(String, u32)> {
        decode(bytes.to_vec()).problem.map(|(problem, span)| (problem.message, span.start))
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let decoded = decode(b"\xef\xbb\xbfkind: Tier\r\n\tx".to_vec());
        assert_eq!(decoded.text, "kind: Tier\r\n\tx");
        assert!(decoded.problem.is_none());
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_place() {
        assert_eq!(problem(b"a\0b"), Some(("the file contains a NUL character".to_owned(), 1)));
        assert_eq!(problem("aé\u{1b}[31m".as_bytes()), Some(("the file contains a control character".to_owned(), 3)));
        assert_eq!(problem("\u{9b}".as_bytes()), Some(("the file contains a control character".to_owned(), 0)));
        assert_eq!(problem(b"ab\xff"), Some(("the file is not UTF-8".to_owned(), 2)));
        assert_eq!(problem("ok: \u{85}é".as_bytes()), None);
    }

    #[test]
    fn utf_16_is_recognised() {
        let decoded = decode(b"\xff\xfek\0i\0".to_vec());
        assert!(decoded.problem.expect("refused").0.help.contains("UTF-16"));
    }
}
