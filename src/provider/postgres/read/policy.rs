//! Row security policies.
//!
//! The server keeps a condition as a tree and prints it in its own spelling. So the mark of a policy keeps the spelling that was
//! written and a hash of what the server printed of it right then. As long as the server prints the same, the policy
//! is what was written; otherwise what it prints is reported.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, Row as _};

use super::{Report, Scope, text_set};
use crate::error::Failure;
use crate::mark::{self, Comment};
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::Map;
use tenantry_kit::Answers;

/// Notes with the spelling that was written, and with the hash of what the server printed of it.
pub const USING_NOTES: (&str, &str) = ("using", "usingHash");
pub const CHECK_NOTES: (&str, &str) = ("check", "checkHash");

/// Hexadecimal digits of the hash of an expression. The writer computes the same on the server.
pub const EXPRESSION_DIGITS: usize = 32;

/// A policy as the catalogue has it.
pub struct PolicyState {
    pub schema: String,
    pub table: String,
    pub name: String,
    pub command: &'static str,
    pub permissive: bool,
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub with_check: Option<String>,
    /// Of the table.
    pub enabled: bool,
    pub forced: bool,
    pub comment: Comment,
}

const QUERY: &str = r"
SELECT n.nspname::text, t.relname::text, p.polname::text, p.polcmd::text, p.polpermissive,
       ARRAY(SELECT CASE u.oid WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(u.oid)::text END
             FROM pg_catalog.unnest(p.polroles) AS u (oid)),
       pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
       t.relrowsecurity, t.relforcerowsecurity, c.description
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class t ON t.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_description c
  ON c.objoid = p.oid AND c.classoid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND c.objsubid = 0
WHERE (n.nspname, t.relname, p.polname) IN (
        SELECT * FROM ROWS FROM (pg_catalog.unnest($1::text[]::name[]), pg_catalog.unnest($2::text[]::name[]),
                                 pg_catalog.unnest($3::text[]::name[])) AS w (s, t, p))
   OR EXISTS (SELECT FROM pg_catalog.unnest($4::text[]) AS w (line)
    WHERE pg_catalog.strpos(E'\n' || c.description, w.line) > 0)";

/// Policies by schema, table and name, and those that carry an estate's mark.
pub async fn fetch(
    connection: &mut PgConnection,
    names: &[(String, String, String)],
    estate: Option<&str>,
) -> Result<Vec<PolicyState>, Failure> {
    let column = |part: fn(&(String, String, String)) -> &String| names.iter().map(part).cloned().collect::<Vec<_>>();
    let rows = sqlx::query(QUERY)
        .bind(column(|name| &name.0))
        .bind(column(|name| &name.1))
        .bind(column(|name| &name.2))
        .bind(estate.map(mark::search_texts))
        .fetch_all(connection)
        .await?;
    let states = rows.iter().map(|row| {
        Ok(PolicyState {
            schema: row.try_get(0)?,
            table: row.try_get(1)?,
            name: row.try_get(2)?,
            command: match row.try_get::<&str, _>(3)? {
                "r" => "select",
                "a" => "insert",
                "w" => "update",
                "d" => "delete",
                _ => "all",
            },
            permissive: row.try_get(4)?,
            roles: row.try_get(5)?,
            using: row.try_get(6)?,
            with_check: row.try_get(7)?,
            enabled: row.try_get(8)?,
            forced: row.try_get(9)?,
            comment: Comment::parse(row.try_get(10)?),
        })
    });
    Ok(states.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let names: Vec<_> = scope
        .subjects
        .iter()
        .filter_map(|subject| {
            let part = |field| subject.text(field).map(str::to_owned);
            Some((part("schema")?, part("table")?, part("name")?))
        })
        .collect();
    let states = fetch(connection, &names, Some(scope.estate)).await?;
    Ok(scope.answer(
        &states,
        |state| (state.schema.clone(), state.table.clone(), state.name.clone()),
        |subject| {
            let part = |field| subject.text(field).map(str::to_owned);
            Some((part("schema")?, part("table")?, part("name")?))
        },
        present,
    ))
}

fn present(state: &PolicyState, asked: Option<&Map>) -> Present {
    let mut report = Report::new(asked);
    report.set("schema", state.schema.as_str());
    report.set("table", state.table.as_str());
    report.set("name", state.name.as_str());
    report.set("command", state.command);
    report.set("permissive", state.permissive);
    report.set("roles", text_set(&state.roles));
    report.set("enable", state.enabled);
    report.set("force", state.forced);
    let notes = &state.comment.notes;
    for (field, printed, note) in [("using", &state.using, USING_NOTES), ("withCheck", &state.with_check, CHECK_NOTES)]
    {
        if let Some(printed) = printed {
            report.set(field, spelling(printed, notes, note));
        }
    }
    Present { spec: report.build(), mark: state.comment.mark.clone(), ..Present::default() }
}

/// What was written, if the server still prints the same of it; otherwise what it prints.
fn spelling<'a>(printed: &'a str, notes: &'a BTreeMap<String, String>, note: (&str, &str)) -> &'a str {
    match (notes.get(note.0), notes.get(note.1)) {
        (Some(written), Some(hash)) if *hash == expression_hash(printed) => written,
        _ => printed,
    }
}

fn expression_hash(printed: &str) -> String {
    let mut digits = hex(&Sha256::digest(printed));
    digits.truncate(EXPRESSION_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_spelling_holds_while_the_server_prints_the_same() {
        let notes = BTreeMap::from([
            ("using".to_owned(), "a=1".to_owned()),
            ("usingHash".to_owned(), expression_hash("(a = 1)")),
        ]);
        assert_eq!(spelling("(a = 1)", &notes, USING_NOTES), "a=1");
        assert_eq!(spelling("(a = 2)", &notes, USING_NOTES), "(a = 2)");
        assert_eq!(spelling("(a = 1)", &notes, CHECK_NOTES), "(a = 1)");
    }
}
