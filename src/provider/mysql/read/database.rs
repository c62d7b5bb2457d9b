//! Databases: one query, and one for marks where comments have no room.

use std::collections::HashMap;

use sqlx::{MySqlConnection, Row as _};

use super::{Scope, spec_of};
use crate::connection::Flavour;
use crate::error::{Failed as _, Failure};
use crate::mark::{self, Label};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::Present;
use tenantry_kit::Answers;

/// A database as the server has it.
pub struct DatabaseState {
    pub name: String,
    pub charset: String,
    pub collation: String,
    /// What a person wrote as a comment.
    pub text: String,
    pub label: Option<Label>,
}

/// Whether the list of databases is whole: without this privilege the server leaves others' out.
///
/// Others that are for every database show every one in MariaDB; in MySQL single databases may have been taken out of them
/// (MySQL manual, "Privilege Restriction Using Partial Revokes").
const SEES_ALL: &str = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES \
    WHERE (PRIVILEGE_TYPE = 'SHOW DATABASES' OR (VERSION() LIKE '%MariaDB%' AND \
    PRIVILEGE_TYPE IN ('SELECT', 'CREATE', 'DROP'))) AND GRANTEE = CONCAT('\\'', \
    SUBSTRING(CURRENT_USER(), 1, CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), \
    '\\'@\\'', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '\\'')";

/// Databases by name; all, or one.
pub async fn fetch(
    connection: &mut MySqlConnection,
    flavour: Flavour,
    bookkeeping: &str,
    only: Option<&str>,
) -> Result<HashMap<String, DatabaseState>, Failure> {
    let sees: i64 = sqlx::query_scalar(SEES_ALL).fetch_one(&mut *connection).await?;
    if sees == 0 {
        let message = "the user of the target's `url` lacks the privilege SHOW DATABASES, so the server does not list all databases";
        return Err(Failure::invalid(message));
    }
    let comment = match flavour {
        Flavour::MariaDb => "SCHEMA_COMMENT",
        Flavour::MySql => "''",
    };
    let filter = if only.is_some() { "WHERE SCHEMA_NAME = ?" } else { "" };
    let sql = format!(
        "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, {comment} \
         FROM information_schema.SCHEMATA {filter}"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    if let Some(name) = only {
        query = query.bind(name);
    }
    let rows = query.fetch_all(&mut *connection).await?;
    let mut labels = match flavour {
        Flavour::MariaDb => HashMap::new(),
        Flavour::MySql => mark::fetch(connection, bookkeeping, "database", only.map(|name| (name, ""))).await?,
    };
    let mut states = HashMap::with_capacity(rows.len());
    for row in &rows {
        let field = |index: usize| row.try_get_unchecked::<String, _>(index);
        let (text, label) = Label::parse_comment(&field(3)?);
        let name = field(0)?;
        let label = label.or_else(|| labels.remove(&(name.clone(), String::new())));
        let state = DatabaseState { name: name.clone(), charset: field(1)?, collation: field(2)?, text, label };
        states.insert(name, state);
    }
    Ok(states)
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let states = fetch(connection, scope.flavour, scope.bookkeeping, None).await?;
    Ok(scope.answer(
        &states,
        |subject| subject.text("name").map(str::to_owned),
        |state| present(scope.asked.description, state),
    ))
}

fn present(kind: &Kind, state: &DatabaseState) -> Present {
    let fields = [
        ("name", state.name.as_str().into()),
        ("charset", state.charset.as_str().into()),
        ("collation", state.collation.as_str().into()),
    ];
    let mark = state.label.as_ref().map(|label| label.mark.clone());
    Present { spec: spec_of(kind, fields), mark, ..Present::default() }
}
