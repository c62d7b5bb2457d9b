//! Names and literals in statements that can bind nothing.

/// A text that PostgreSQL cannot hold.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("a name or value contains a NUL character, which PostgreSQL cannot store")]
pub struct NulCharacter;

/// A name as a quoted identifier.
///
/// # Errors
/// If the name holds a NUL.
pub fn quote_identifier(name: &str) -> Result<String, NulCharacter> {
    if name.contains('\0') {
        return Err(NulCharacter);
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Two names as one qualified identifier.
///
/// # Errors
/// If a name holds a NUL.
pub fn quote_qualified(schema: &str, name: &str) -> Result<String, NulCharacter> {
    Ok(format!("{}.{}", quote_identifier(schema)?, quote_identifier(name)?))
}

/// A text as a string literal that means the same whatever `standard_conforming_strings` says: with a backslash in it the
/// text is written as an escape string, like `quote_literal` of the server does.
///
/// # Errors
/// If the text holds a NUL.
pub fn quote_literal(text: &str) -> Result<String, NulCharacter> {
    if text.contains('\0') {
        return Err(NulCharacter);
    }
    let doubled = text.replace('\'', "''");
    Ok(if doubled.contains('\\') { format!(" E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quote_identifier(r#"a"; DROP ROLE x; --"#).expect("no NUL"), r#""a""; DROP ROLE x; --""#);
        assert_eq!(quote_literal("it's").expect("no NUL"), "'it''s'");
        assert_eq!(quote_qualified("a.b", "c").expect("no NUL"), r#""a.b"."c""#);
    }

    #[test]
    fn a_backslash_makes_an_escape_string() {
        assert_eq!(quote_literal(r"\'; DROP").expect("no NUL"), r" E'\\''; DROP'");
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(quote_identifier("a\0b"), Err(NulCharacter));
        assert_eq!(quote_literal("\0"), Err(NulCharacter));
    }
}
