//! Expressions inside SQL: each is a value or an identifier, and quoted as that.
//!
//! A text that is put into SQL as it is becomes SQL: one quotation mark in a tenant's display name ends the literal around
//! it. So in a field that its kind describes as SQL (`x-sql` in the schema) an expression is `sqlText(…)`, `sqlIdent(…)` or
//! `sqlNumber(…)`, or yields a number or a boolean, and stands where a token of its own may stand: not within quotes, a
//! dollar-quoted body or a comment, where quoting means something else, and not attached to a word or literal.

use cel::common::ast::{Expr, IdedExpr};

use super::{ExpressionError, Failure, deferred_error};
use crate::model::value::{Value, with_article};

/// Whose lexical rules a field follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    Postgresql,
    Mysql,
}

impl Dialect {
    /// As `x-sql` of a schema has it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "postgresql" => Some(Self::Postgresql),
            "mysql" => Some(Self::Mysql),
            _ => None,
        }
    }
}

/// What an expression is in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    Text,
    Identifier,
    Number,
    /// None of these was asked for: right for a number or a boolean.
    ByType,
}

/// The functions that quote.
pub const FUNCTIONS: [&str; 3] = ["sqlText", "sqlIdent", "sqlNumber"];

impl Quoting {
    fn of(function: &str) -> Option<Self> {
        match function {
            "sqlText" => Some(Self::Text),
            "sqlIdent" => Some(Self::Identifier),
            "sqlNumber" => Some(Self::Number),
            _ => None,
        }
    }

    /// Takes the quoting off an expression of a field that is SQL, and leaves what is to be quoted.
    ///
    /// # Errors
    /// If the function does not take one value.
    pub fn split(tree: IdedExpr) -> Result<(Self, IdedExpr), ExpressionError> {
        let quoting = match &tree.expr {
            Expr::Call(call) if call.target.is_none() => Self::of(&call.func_name),
            _ => None,
        };
        match (quoting, tree) {
            (Some(quoting), IdedExpr { expr: Expr::Call(mut call), .. }) => match call.args.len() {
                1 => Ok((quoting, call.args.remove(0))),
                count => Err(ExpressionError::new(
                    Failure::Type,
                    format!("{}(…) needs one value, not {count}", call.func_name),
                )),
            },
            (_, tree) => Ok((Self::ByType, tree)),
        }
    }

    /// The value as a token of SQL.
    ///
    /// # Errors
    /// If it is of another type, is not known yet, or cannot be written in this dialect.
    pub fn quote(self, dialect: Dialect, value: &Value) -> Result<String, ExpressionError> {
        let wrong = |function: &str, takes: &str| {
            let message = format!("{function}(…) needs {takes}, not {}", with_article(value.type_name()));
            Err(ExpressionError::new(Failure::Type, message))
        };
        match (self, value) {
            (_, Value::Deferred(deferred)) => Err(deferred_error(deferred)),
            (Self::Text, Value::Text(text)) => text_literal(dialect, text),
            (Self::Text, Value::Null) => Ok("NULL".to_owned()),
            (Self::Text, _) => wrong("sqlText", "a text").map_err(|error| error.help("convert it with string(…)")),
            (Self::Identifier, Value::Text(name)) => identifier(dialect, name),
            (Self::Identifier, _) => wrong("sqlIdent", "a name"),
            (Self::Number | Self::ByType, Value::Integer(value)) => Ok(number(*value < 0, &value.to_string())),
            (Self::Number | Self::ByType, Value::Float(value)) => {
                Ok(number(value.is_sign_negative(), &value.to_string()))
            }
            (Self::Number, _) => wrong("sqlNumber", "a number").map_err(|error| error.help("convert it with int(…)")),
            (Self::ByType, Value::Bool(value)) => Ok(if *value { "TRUE" } else { "FALSE" }.to_owned()),
            (Self::ByType, value) => Err(ExpressionError::new(
                Failure::Type,
                format!("{} cannot be put into SQL without quoting", with_article(value.type_name())),
            )
            .help("use ${sqlText(…)} for a value, or ${sqlIdent(…)} for the name of a table or column")),
        }
    }
}

/// A negative number in parentheses: after a `-` it would begin a comment.
fn number(is_negative: bool, text: &str) -> String {
    if is_negative { format!("({text})") } else { text.to_owned() }
}

fn text_literal(dialect: Dialect, text: &str) -> Result<String, ExpressionError> {
    let doubled = || text.replace('\'', "''");
    match dialect {
        Dialect::Postgresql if text.contains('\0') => {
            Err(ExpressionError::new(Failure::Computation, "a text in PostgreSQL cannot contain a NUL character"))
        }
        // In this form a backslash means the same whatever `standard_conforming_strings` is.
        Dialect::Postgresql if text.contains('\\') => Ok(format!("E'{}'", doubled().replace('\\', "\\\\"))),
        // What a backslash means depends on the server's `sql_mode`; what a hexadecimal digit means does not.
        Dialect::Mysql if text.contains(['\\', '\0']) => {
            let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
            Ok(format!("_utf8mb4 X'{digits}'"))
        }
        Dialect::Postgresql | Dialect::Mysql => Ok(format!("'{}'", doubled())),
    }
}

fn identifier(dialect: Dialect, name: &str) -> Result<String, ExpressionError> {
    let invalid = |message: String| ExpressionError::new(Failure::Computation, message);
    if name.is_empty() || name.contains('\0') {
        return Err(invalid("a name in SQL cannot be empty or contain a NUL character".to_owned()));
    }
    // Both would take a longer one as another name: PostgreSQL cuts it.
    let (length, limit, unit) = match dialect {
        Dialect::Postgresql => (name.len(), 63, "bytes"),
        Dialect::Mysql => (name.chars().count(), 64, "characters"),
    };
    if length > limit {
        return Err(invalid(format!("`{name}` has {length} {unit}; a name in SQL has at most {limit}"))
            .help("shorten it with a hash: ${sqlIdent(ident(tenant.name, 40))}"));
    }
    match dialect {
        Dialect::Postgresql => Ok(format!("\"{}\"", name.replace('"', "\"\""))),
        Dialect::Mysql if name.ends_with(' ') || name.chars().any(|c| c > '\u{FFFF}') => {
            Err(invalid(format!("`{name}` is not a valid name in MySQL")))
        }
        Dialect::Mysql => Ok(format!("`{}`", name.replace('`', "``"))),
    }
}

/// Stands for an expression where SQL is looked at. SQL itself cannot have it.
const EXPRESSION: char = '\0';

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Code,
    Text,
    Identifier,
    Body,
    Comment,
}

/// Whether each expression of a text stands where a token may. `pieces` are the literal parts around them, one more than
/// there are expressions.
///
/// # Errors
/// With the number of the first expression that does not.
pub fn check(dialect: Dialect, pieces: &[&str], quotings: &[Quoting]) -> Result<(), (usize, ExpressionError)> {
    let sql = pieces.join(&EXPRESSION.to_string());
    let syntax = |message: &str| ExpressionError::new(Failure::Syntax, message);
    if pieces.iter().any(|piece| piece.contains(EXPRESSION)) {
        return Err((0, syntax("there is a NUL character in the SQL")));
    }
    if dialect == Dialect::Mysql && pieces.iter().any(|piece| piece.contains("/*!") || piece.contains("/*M!")) {
        // What of it is code depends on the server's version.
        return Err((0, syntax("SQL with a conditional comment cannot contain an expression").help("remove /*! … */")));
    }
    // What a backslash within quotes means depends on the server's settings; the place has to be right in both.
    let plain = places(dialect, &sql, false);
    let escaped = places(dialect, &sql, true);
    for (index, ((at, plain), (_, escaped))) in plain.into_iter().zip(escaped).enumerate() {
        let place = if plain == Place::Code { escaped } else { plain };
        refuse(place).map_err(|error| (index, error))?;
        let before = sql[..at].chars().next_back();
        let after = sql[at + EXPRESSION.len_utf8()..].chars().next();
        let quoting = quotings.get(index).copied().unwrap_or(Quoting::ByType);
        let joins = |c: char| c.is_alphanumeric() || "_$'\"`\\".contains(c) || c == EXPRESSION;
        let dots = |c: char| c == '.' && quoting != Quoting::Identifier;
        if before.is_some_and(|c| joins(c) || dots(c) || "@&".contains(c)) || after.is_some_and(|c| joins(c) || dots(c))
        {
            return Err((
                index,
                syntax("it touches a word or literal of the SQL and would become a part of it")
                    .help("put a space between them, or build the whole name or text in the expression: ${sqlIdent('a_' + ident(tenant.name))}"),
            ));
        }
    }
    Ok(())
}

fn refuse(place: Place) -> Result<(), ExpressionError> {
    let (inside, help) = match place {
        Place::Code => return Ok(()),
        Place::Text => (
            "a text in quotes",
            "remove the quotes and build the whole text in the expression: ${sqlText('prefix ' + tenant.name)} adds the quotes",
        ),
        Place::Identifier => (
            "a name in quotes",
            "remove the quotes and build the whole name in the expression: ${sqlIdent(ident(tenant.name))} adds the quotes",
        ),
        Place::Body => (
            "a dollar-quoted body",
            "set it before the body with SELECT set_config('app.name', ${sqlText(tenant.name)}, true), and read it inside with current_setting('app.name')",
        ),
        Place::Comment => ("a comment", "remove it from the comment"),
    };
    Err(ExpressionError::new(Failure::Syntax, format!("it is inside {inside}, where a value cannot be quoted"))
        .help(help))
}

/// Where each expression stands, with its place in the text. Lexical rules: the PostgreSQL manual, section 4.1; the MySQL
/// manual, chapter 11. `backslash` is whether one escapes within ordinary quotes.
fn places(dialect: Dialect, sql: &str, backslash: bool) -> Vec<(usize, Place)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let after = at + character.len_utf8();
        let is_mysql = dialect == Dialect::Mysql;
        let (place, end) = match character {
            EXPRESSION => {
                found.push((at, Place::Code));
                (Place::Code, after)
            }
            '-' if rest.starts_with("--") && (!is_mysql || begins_comment(&rest[2..])) => {
                (Place::Comment, rest.find('\n').map_or(sql.len(), |end| at + end))
            }
            '#' if is_mysql => (Place::Comment, rest.find('\n').map_or(sql.len(), |end| at + end)),
            '/' if rest.starts_with("/*") => (Place::Comment, end_of_comment(sql, at, !is_mysql)),
            '\'' => (Place::Text, end_of_quoted(sql, at, '\'', backslash)),
            '"' if is_mysql => (Place::Text, end_of_quoted(sql, at, '"', backslash)),
            '"' => (Place::Identifier, end_of_quoted(sql, at, '"', false)),
            '`' if is_mysql => (Place::Identifier, end_of_quoted(sql, at, '`', false)),
            '$' if !is_mysql => match dollar_tag(rest) {
                Some(tag) => {
                    let body = at + tag.len();
                    (Place::Body, sql[body..].find(tag).map_or(sql.len(), |end| body + end + tag.len()))
                }
                None => (Place::Code, after),
            },
            c if c.is_alphanumeric() || c == '_' => {
                let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let end = rest.find(|c: char| !is_word(c)).map_or(sql.len(), |end| at + end);
                let is_escape = !is_mysql && sql[at..end].eq_ignore_ascii_case("e") && sql[end..].starts_with('\'');
                if is_escape { (Place::Text, end_of_quoted(sql, end, '\'', true)) } else { (Place::Code, end) }
            }
            _ => (Place::Code, after),
        };
        if place != Place::Code {
            let inside = sql[at..end].match_indices(EXPRESSION);
            found.extend(inside.map(|(offset, _)| (at + offset, place)));
        }
        at = end;
    }
    found
}

/// In MySQL two dashes begin a comment only before white space.
fn begins_comment(after: &str) -> bool {
    after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control())
}

fn end_of_comment(sql: &str, start: usize, nests: bool) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < sql.len() {
        let rest = &sql[at..];
        if rest.starts_with("/*") && (nests || depth == 0) {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    sql.len()
}

/// A doubled quote goes on: as two that touch it comes to the same end.
fn end_of_quoted(sql: &str, start: usize, quote: char, backslash: bool) -> usize {
    let mut characters = sql[start + 1..].char_indices();
    while let Some((offset, character)) = characters.next() {
        if character == '\\' && backslash {
            characters.next();
        } else if character == quote {
            return start + 1 + offset + 1;
        }
    }
    sql.len()
}

/// The opening tag of a dollar-quoted text, such as `$$` or `$body$`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let name = &text[1..end];
    let is_name =
        name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the expressions of a text stand, each written as `@@`.
    fn checked(dialect: Dialect, sql: &str) -> Result<(), String> {
        let pieces: Vec<&str> = sql.split("@@").collect();
        let quotings = vec![Quoting::Identifier; pieces.len() - 1];
        check(dialect, &pieces, &quotings).map_err(|(_, error)| error.message)
    }

    #[test]
    fn an_expression_is_a_token_of_its_own() {
        for sql in [
            "SELECT @@",
            "@@",
            "INSERT INTO @@.t (a) VALUES (@@,@@)",
            "SELECT 'it''s', @@::text -- a comment\n, @@",
            "SELECT \"a\"\"b\", @@ /* a /* nested */ comment */ FROM @@",
            "DO $$ BEGIN '; END $$; SELECT @@",
            "SELECT $tag$ $$ ' $tag$, @@",
            "SELECT E'\\'', @@",
            "SELECT a$b, $1, @@",
            "SELECT 5-@@",
        ] {
            assert_eq!(checked(Dialect::Postgresql, sql), Ok(()), "{sql}");
        }
        for sql in ["SELECT `a`, \"b\", 'c', @@ # '\n, @@ -- '\n", "SELECT 1--@@", "SELECT 1 /* ' */ + @@"] {
            let expected = if sql.contains("--@@") { Err("comment") } else { Ok(()) };
            let found = checked(Dialect::Mysql, sql);
            assert_eq!(found.is_ok(), expected.is_ok(), "{sql}: {found:?}");
        }
    }

    #[test]
    fn nothing_is_quoted_inside_of_something_else() {
        for (sql, inside) in [
            ("SELECT '@@'", "a text in quotes"),
            ("SELECT 'it''s @@'", "a text in quotes"),
            ("SELECT E'\\' @@'", "a text in quotes"),
            ("SELECT e'\\\\\\'@@'", "a text in quotes"),
            ("SELECT U&'@@'", "a text in quotes"),
            ("SELECT \"@@\"", "a name in quotes"),
            ("DO $$ SELECT @@ $$", "a dollar-quoted body"),
            ("DO $a$ $$ @@ $$ $a$", "a dollar-quoted body"),
            ("-- @@\nSELECT 1", "a comment"),
            ("/* /* */ @@ */", "a comment"),
            // Under one of the two meanings of a backslash.
            ("SELECT '\\', @@, '", "a text in quotes"),
            ("SELECT '\\' || '@@", "a text in quotes"),
            // What is open at the end.
            ("SELECT ' @@", "a text in quotes"),
            ("SELECT $$ @@", "a dollar-quoted body"),
        ] {
            let message = checked(Dialect::Postgresql, sql).expect_err(sql);
            assert!(message.contains(inside), "{sql}: {message}");
        }
        for (sql, inside) in [
            ("SELECT '@@'", "a text in quotes"),
            ("SELECT \"@@\"", "a text in quotes"),
            ("SELECT '\\'@@'", "a text in quotes"),
            ("SELECT `@@`", "a name in quotes"),
            ("# @@", "a comment"),
            ("-- @@", "a comment"),
            ("/* /* */ ' @@ ' */", "a text in quotes"),
            ("/*! ' */ @@", "a conditional comment"),
            ("/*M! x */ @@", "a conditional comment"),
        ] {
            let message = checked(Dialect::Mysql, sql).expect_err(sql);
            assert!(message.contains(inside), "{sql}: {message}");
        }
    }

    #[test]
    fn an_expression_joins_no_word_and_no_literal() {
        for sql in [
            "SELECT a@@",
            "SELECT @@a",
            "SELECT a_@@",
            "SELECT 1@@",
            "SELECT 'a'@@",
            "SELECT @@'a'",
            "SELECT \"a\"@@",
            "SELECT @@@@",
            "SELECT E@@",
            "SELECT U&@@",
            "SELECT $@@$",
            "SELECT é@@",
            "SELECT \\@@",
        ] {
            for dialect in [Dialect::Postgresql, Dialect::Mysql] {
                assert!(checked(dialect, sql).is_err(), "{sql}");
            }
        }
        assert!(check(Dialect::Postgresql, &["SELECT 1.", ""], &[Quoting::Number]).is_err());
        assert!(check(Dialect::Postgresql, &["SELECT s.", ""], &[Quoting::Identifier]).is_ok());
    }
}
