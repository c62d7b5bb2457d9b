//! Looks at SQL that the user wrote, without understanding more of it than its tokens.
//!
//! Enough to find what would leave the place it is put into: a script that ends the transaction, a condition that
//! closes the parenthesis around it. Lexical rules are those of the PostgreSQL manual, section 4.1.

/// What matters of a token. Strings, quoted identifiers and comments are skipped.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A keyword or plain identifier, in upper case.
    Word(String),
    Symbol(char),
    /// A string or quoted identifier.
    Quoted,
}

/// Whether a script can run inside a transaction that somebody else began.
///
/// # Errors
/// The reason why not, as a sentence.
pub fn check_script(sql: &str) -> Result<(), String> {
    let tokens = tokens(sql)?;
    let mut statements = 0;
    let mut at_start = true;
    // Within the body of an SQL-standard function (`BEGIN ATOMIC … END`) semicolons end nothing.
    let mut depth = 0_u32;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Symbol(';') if depth == 0 => at_start = true,
            Token::Word(word) => {
                let next = match tokens.get(index + 1) {
                    Some(Token::Word(word)) => word.as_str(),
                    _ => "",
                };
                let first = std::mem::take(&mut at_start);
                statements += usize::from(first);
                if first {
                    let refused = match word.as_str() {
                        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" => {
                            word != "ROLLBACK" || !matches!(next, "TO")
                        }
                        "PREPARE" => next == "TRANSACTION",
                        _ => false,
                    };
                    if refused {
                        return Err(format!("{word} is not possible here: the script already runs in a transaction"));
                    }
                }
                match word.as_str() {
                    "BEGIN" if next == "ATOMIC" => depth += 1,
                    "CASE" if depth > 0 => depth += 1,
                    "END" => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            _ => statements += usize::from(std::mem::take(&mut at_start)),
        }
    }
    if statements == 0 { Err("there is no statement in it".to_owned()) } else { Ok(()) }
}

/// Whether a text can stand between parentheses as one expression.
///
/// # Errors
/// The reason why not, as a sentence.
pub fn check_expression(text: &str) -> Result<(), String> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err("there is no expression in it".to_owned());
    }
    let mut depth = 0_i64;
    for token in tokens {
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            Token::Symbol(';') => return Err("a semicolon is not allowed here".to_owned()),
            _ => {}
        }
        if depth < 0 {
            return Err("a parenthesis is closed that was not opened".to_owned());
        }
    }
    if depth > 0 { Err("a parenthesis is not closed".to_owned()) } else { Ok(()) }
}

/// Whether a text is one query that can stand between parentheses.
///
/// # Errors
/// The reason why not, as a sentence.
pub fn check_query(text: &str) -> Result<(), String> {
    check_expression(text)?;
    match tokens(text)?.first() {
        Some(Token::Word(word)) if ["SELECT", "WITH", "VALUES", "TABLE"].contains(&word.as_str()) => Ok(()),
        _ => Err("a check must be a query that begins with SELECT, WITH, VALUES or TABLE".to_owned()),
    }
}

fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\0' => return Err("there is a NUL character in it".to_owned()),
            c if c.is_whitespace() => after,
            '-' if after.starts_with('-') => after.find('\n').map_or("", |end| &after[end..]),
            '/' if after.starts_with('*') => skip_comment(rest)?,
            '\'' => {
                tokens.push(Token::Quoted);
                skip_quoted(after, '\'', false)?
            }
            '"' => {
                tokens.push(Token::Quoted);
                skip_quoted(after, '"', false)?
            }
            '$' => match dollar_tag(rest) {
                Some(tag) => {
                    tokens.push(Token::Quoted);
                    let body = &rest[tag.len()..];
                    let end =
                        body.find(tag).ok_or_else(|| format!("the string that begins with {tag} does not end"))?;
                    &body[end + tag.len()..]
                }
                None => {
                    tokens.push(Token::Symbol('$'));
                    after
                }
            },
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                let word = &rest[..end];
                let follows = &rest[end..];
                if word.eq_ignore_ascii_case("e") && follows.starts_with('\'') {
                    tokens.push(Token::Quoted);
                    skip_quoted(&follows[1..], '\'', true)?
                } else {
                    tokens.push(Token::Word(word.to_uppercase()));
                    follows
                }
            }
            c if c.is_ascii_digit() => {
                tokens.push(Token::Symbol('0'));
                after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
            }
            other => {
                tokens.push(Token::Symbol(other));
                after
            }
        };
    }
    Ok(tokens)
}

/// What follows a comment. Comments nest.
fn skip_comment(text: &str) -> Result<&str, String> {
    let mut depth = 0;
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("/*") {
            depth += 1;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = after;
            if depth == 0 {
                return Ok(rest);
            }
        } else {
            let mut characters = rest.chars();
            characters.next().ok_or("a comment does not end")?;
            rest = characters.as_str();
        }
    }
}

/// What follows a string or quoted identifier, of which the opening quote is already taken.
fn skip_quoted(text: &str, quote: char, backslashes: bool) -> Result<&str, String> {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && backslashes {
            characters.next();
        } else if character == quote {
            // A doubled quote goes on; as two strings that touch it skips the same text.
            return Ok(characters.as_str());
        }
    }
    Err(format!("a text that begins with {quote} does not end"))
}

/// The opening tag of a dollar-quoted string, such as `$$` or `$body$`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let name = &text[1..end];
    let valid =
        name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    valid.then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_cannot_end_the_transaction() {
        for sql in [
            "COMMIT",
            "CREATE TABLE t (); commit;",
            "/* /* nested */ */ BEGIN; SELECT 1",
            "SELECT 'x;'; -- COMMIT\n ROLLBACK",
            "START TRANSACTION",
            "PREPARE TRANSACTION 'x'",
            "END",
            r"SELECT E'\'; x'; COMMIT",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT",
        ] {
            assert!(check_script(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_allowed() {
        for sql in [
            "SELECT 'a; COMMIT'",
            "SELECT $$; COMMIT; $$; SELECT $b$ $$ ; ROLLBACK $b$",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 1",
            "DO $do$ BEGIN PERFORM 1; END $do$;",
            "SAVEPOINT a; ROLLBACK TO a",
            "CREATE TABLE \"commit\" (a int); -- ; COMMIT",
            "PREPARE q AS SELECT $1::int",
            "SELECT 'it''s; COMMIT'",
            "UPDATE t SET a = CASE WHEN b THEN 1 ELSE 2 END; SELECT 1",
        ] {
            assert_eq!(check_script(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn an_empty_or_broken_script_is_refused() {
        for sql in ["", " -- nothing", ";", "SELECT 'open", "SELECT $x$ open", "/* open", "SELECT \"open", "SELECT 1\0"]
        {
            assert!(check_script(sql).is_err(), "{sql:?}");
        }
    }

    #[test]
    fn an_expression_stays_between_its_parentheses() {
        assert_eq!(check_expression("tenant = current_setting('a)') AND (x OR y)"), Ok(()));
        for text in ["true); DROP TABLE t; --", "true) OR (true", "(true", "a; b", "'open", "", "-- x"] {
            assert!(check_expression(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_check_is_a_query() {
        assert_eq!(check_query("SELECT to_regclass('a.b') IS NOT NULL"), Ok(()));
        assert!(check_query("DELETE FROM t RETURNING true").is_err());
        assert!(check_query("SELECT true; DROP TABLE t").is_err());
    }
}
