//! Looks at SQL that the user wrote, without understanding more of it than its tokens.

/// Whether a text has a statement in it.
///
/// # Errors
/// The reason why not, as a sentence.
pub fn check_script(sql: &str) -> Result<(), String> {
    if words(sql)?.is_empty() { Err("there is no statement in it".to_owned()) } else { Ok(()) }
}

/// Whether a text is one query that can stand between parentheses.
///
/// # Errors
/// The reason why not, as a sentence.
pub fn check_query(sql: &str) -> Result<(), String> {
    let words = words(sql)?;
    let mut depth = 0_i64;
    for word in &words {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            ";" => return Err("a semicolon is not allowed here".to_owned()),
            _ => {}
        }
        if depth < 0 {
            return Err("a parenthesis is closed that was not opened".to_owned());
        }
    }
    match words.first() {
        _ if depth > 0 => Err("a parenthesis is not closed".to_owned()),
        Some(word) if ["SELECT", "WITH", "VALUES", "TABLE"].contains(&word.as_str()) => Ok(()),
        _ => Err("a check must be a query that begins with SELECT, WITH, VALUES or TABLE".to_owned()),
    }
}

/// Words that begin, or belong to, a statement which has others in it.
const COMPOUND: &[&str] =
    &["ATOMIC", "DELIMITER", "EVENT", "FUNCTION", "LOOP", "PACKAGE", "PROCEDURE", "REPEAT", "THEN", "TRIGGER", "WHILE"];

/// The statements of a script, one by one where that is certain: then the server can be asked about each of them. A script with
/// stored programs, or with a backslash, whose meaning depends on the server's configuration, stays whole.
pub fn statements(sql: &str) -> Vec<&str> {
    let whole = || vec![sql];
    let Ok(tokens) = tokens(sql) else { return whole() };
    let is_compound = |(word, _): &(String, usize)| COMPOUND.contains(&word.as_str()) || word == "/*!";
    if sql.contains('\\') || tokens.iter().any(is_compound) {
        return whole();
    }
    let mut statements = Vec::new();
    let (mut start, mut is_empty) = (0, true);
    for (word, at) in &tokens {
        if word != ";" {
            is_empty = false;
            continue;
        }
        if !is_empty {
            statements.push(&sql[start..*at]);
        }
        (start, is_empty) = (at + 1, true);
    }
    if !is_empty {
        statements.push(&sql[start..]);
    }
    statements
}

fn words(sql: &str) -> Result<Vec<String>, String> {
    Ok(tokens(sql)?.into_iter().map(|(word, _)| word).collect())
}

/// Words in upper case and single symbols. Strings, quoted identifiers and comments are skipped (MySQL manual, "Language
/// Structure"). Each comes with the place where it begins.
fn tokens(sql: &str) -> Result<Vec<(String, usize)>, String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(character) = rest.chars().next() {
        let at = sql.len() - rest.len();
        let after = &rest[character.len_utf8()..];
        let starts_comment = |mark: &str| rest.starts_with(mark);
        rest = match character {
            '\0' => return Err("there is a NUL character in it".to_owned()),
            c if c.is_whitespace() => after,
            '#' => line_end(after),
            '-' if rest.starts_with("--")
                && rest[2..].chars().next().is_none_or(|c| c.is_whitespace() || c.is_control()) =>
            {
                line_end(after)
            }
            '/' if starts_comment("/*") => {
                let inner = &rest[2..];
                // What stands in such a comment runs all the same.
                if inner.starts_with(['!', 'M']) {
                    words.push(("/*!".to_owned(), at));
                }
                inner.split_once("*/").map(|(_, after)| after).ok_or("a comment does not end")?
            }
            '\'' | '"' | '`' => {
                words.push(("?".to_owned(), at));
                skip_quoted(after, character)?
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                words.push((rest[..end].to_uppercase(), at));
                &rest[end..]
            }
            c => {
                words.push((c.to_string(), at));
                after
            }
        };
    }
    Ok(words)
}

fn line_end(text: &str) -> &str {
    text.find('\n').map_or("", |end| &text[end..])
}

fn skip_quoted(text: &str, quote: char) -> Result<&str, String> {
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        if character == '\\' && quote != '`' {
            characters.next();
        } else if character == quote {
            // A doubled quote begins another string right away, which is as good.
            return Ok(&text[index + 1..]);
        }
    }
    Err(format!("the text or name that begins with {quote} does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_query() {
        for query in
            ["SELECT 1", " with x as (select 1) select * from x", "SELECT ';)' -- ;\n, `a;`, \"\\\";\"", "TABLE t"]
        {
            assert_eq!(check_query(query), Ok(()), "{query}");
        }
        for query in
            ["", "DROP TABLE t", "SELECT 1; DROP TABLE t", "SELECT 1) x; (", "SELECT (1", "SELECT 'a", "SELECT /* 1"]
        {
            assert!(check_query(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_script_has_a_statement() {
        assert!(check_script("-- nothing\n/* at all */ # here").is_err());
        assert!(check_script("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").is_ok());
    }

    #[test]
    fn a_script_is_taken_apart_only_where_that_is_certain() {
        let plain = "CREATE TABLE t (a int); -- one; not two\nINSERT INTO t VALUES (';', \"b;\") /* ; */;;\n";
        let expected = ["CREATE TABLE t (a int)", " -- one; not two\nINSERT INTO t VALUES (';', \"b;\") /* ; */"];
        assert_eq!(statements(plain), expected);
        for whole in [
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END; CALL p()",
            "BEGIN NOT ATOMIC SELECT 1; END",
            "SELECT '\\'; SELECT 2; -- '",
            "SELECT 1; /*!50001 SELECT 2; */ SELECT 3",
            "IF 1 THEN SELECT 1; END IF",
        ] {
            assert_eq!(statements(whole), [whole]);
        }
    }
}
