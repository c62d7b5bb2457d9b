//! Names and literals in statements that can bind nothing, for sessions whose backslash escapes.

/// A text that cannot stand in a statement.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("a name or value contains a NUL character")]
pub struct NulCharacter;

/// A name as a quoted identifier.
///
/// # Errors
/// If the name holds a NUL.
pub fn quote_identifier(name: &str) -> Result<String, NulCharacter> {
    if name.contains('\0') {
        return Err(NulCharacter);
    }
    Ok(format!("`{}`", name.replace('`', "``")))
}

/// Two names as one qualified identifier.
///
/// # Errors
/// If a name holds a NUL.
pub fn quote_qualified(database: &str, name: &str) -> Result<String, NulCharacter> {
    Ok(format!("{}.{}", quote_identifier(database)?, quote_identifier(name)?))
}

/// A text as a string literal.
///
/// # Errors
/// If the text holds a NUL.
pub fn quote_literal(text: &str) -> Result<String, NulCharacter> {
    if text.contains('\0') {
        return Err(NulCharacter);
    }
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

/// A user as statements name it.
///
/// # Errors
/// If a part holds a NUL.
pub fn quote_user(name: &str, host: &str) -> Result<String, NulCharacter> {
    Ok(format!("{}@{}", quote_literal(name)?, quote_literal(host)?))
}

/// The name of a database where `GRANT` takes a pattern: `_` and `%` would stand for any character.
pub fn escape_pattern(database: &str) -> String {
    database.replace('_', "\\_").replace('%', "\\%")
}

/// A database's name of a pattern that stands for this one alone; `None` for a pattern that stands for several.
pub fn unescape_pattern(pattern: &str) -> Option<String> {
    let mut name = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => name.push(characters.next()?),
            '_' | '%' => return None,
            other => name.push(other),
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(quote_identifier("a`; DROP").expect("no NUL"), "`a``; DROP`");
        assert_eq!(quote_literal(r"\'; DROP").expect("no NUL"), r"'\\''; DROP'");
        assert_eq!(quote_user("o'neil", "%").expect("no NUL"), "'o''neil'@'%'");
        assert_eq!(quote_literal("\0"), Err(NulCharacter));
    }

    #[test]
    fn a_pattern_stands_for_one_database() {
        assert_eq!(escape_pattern("tenant_a%"), r"tenant\_a\%");
        assert_eq!(unescape_pattern(r"tenant\_a\%").as_deref(), Some("tenant_a%"));
        assert_eq!(unescape_pattern("tenant_a"), None);
    }
}
