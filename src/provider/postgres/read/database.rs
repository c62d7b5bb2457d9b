//! Databases.

use sqlx::{PgConnection, Row as _};

use super::{Report, Scope};
use crate::error::Failure;
use crate::mark::{self, Comment};
use crate::types::database::{STAGING_PREFIX, canonical_encoding};
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Answers;

/// A database as the catalogue has it.
pub struct DatabaseState {
    pub name: String,
    pub owner: String,
    pub connection_limit: i32,
    pub encoding: String,
    pub locale: String,
    pub comment: Comment,
}

const QUERY: &str = "
SELECT d.datname::text, pg_catalog.pg_get_userbyid(d.datdba)::text, d.datconnlimit,
       pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, c.description
FROM pg_catalog.pg_database d
LEFT JOIN pg_catalog.pg_shdescription c
  ON c.objoid = d.oid AND c.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
WHERE d.datname = ANY ($1::text[]::name[]) OR EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS w (line)
    WHERE pg_catalog.strpos(E'\\n' || c.description, w.line) > 0)";

/// Databases by name, and those that carry an estate's mark.
pub async fn fetch(
    connection: &mut PgConnection,
    names: &[String],
    estate: Option<&str>,
) -> Result<Vec<DatabaseState>, Failure> {
    let rows = sqlx::query(QUERY).bind(names).bind(estate.map(mark::search_texts)).fetch_all(connection).await?;
    let states = rows.iter().map(|row| {
        let (collate, classes): (String, String) = (row.try_get(4)?, row.try_get(5)?);
        Ok(DatabaseState {
            name: row.try_get(0)?,
            owner: row.try_get(1)?,
            connection_limit: row.try_get(2)?,
            encoding: row.try_get(3)?,
            locale: if collate == classes { collate } else { format!("{collate}, {classes}") },
            comment: Comment::parse(row.try_get(6)?),
        })
    });
    Ok(states.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let mut states = fetch(connection, &scope.names("name"), Some(scope.estate)).await?;
    states.retain(|state| !state.name.starts_with(STAGING_PREFIX));
    Ok(scope.answer(&states, |state| state.name.clone(), |subject| subject.text("name").map(str::to_owned), present))
}

fn present(state: &DatabaseState, asked: Option<&Map>) -> Present {
    let DatabaseState { name, owner, connection_limit, encoding, locale, comment } = state;
    let mut report = Report::new(asked);
    report.set("name", name.as_str());
    report.set_if_asked("owner", owner.as_str());
    report.set("connectionLimit", i64::from(*connection_limit));
    report.set_if_asked("encoding", canonical_encoding(encoding));
    let wanted = asked.and_then(|spec| spec.get("locale")).and_then(Value::as_str);
    let spelling = wanted.filter(|wanted| plain(wanted) == plain(locale)).unwrap_or(locale);
    report.set_if_asked("locale", spelling);
    Present { spec: report.build(), mark: comment.mark.clone(), ..Present::default() }
}

/// The operating system takes `en_US.utf8` and `en_US.UTF-8` for one.
fn plain(locale: &str) -> String {
    locale.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
