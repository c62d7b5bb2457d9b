//! Schemas.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};

use super::foreign::{self, Foreign};
use super::{Report, Scope, text_set};
use crate::error::Failure;
use crate::mark::{self, Comment};
use crate::types::grant::GrantSpec;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Answers;

/// The mark's note that the schema was made exclusive.
pub const EXCLUSIVE_NOTE: &str = "exclusive";

/// A schema as the catalogue has it.
pub struct SchemaState {
    pub name: String,
    pub owner: String,
    pub comment: Comment,
}

const QUERY: &str = r"
SELECT n.nspname::text, pg_catalog.pg_get_userbyid(n.nspowner)::text, c.description
FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_description c
  ON c.objoid = n.oid AND c.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND c.objsubid = 0
WHERE n.nspname = ANY ($1::text[]::name[]) OR EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS w (line)
    WHERE pg_catalog.strpos(E'\n' || c.description, w.line) > 0)";

/// Schemas by name, and those that carry an estate's mark.
pub async fn fetch(
    connection: &mut PgConnection,
    names: &[String],
    estate: Option<&str>,
) -> Result<Vec<SchemaState>, Failure> {
    let rows = sqlx::query(QUERY).bind(names).bind(estate.map(mark::search_texts)).fetch_all(connection).await?;
    let states = rows.iter().map(|row| {
        Ok(SchemaState { name: row.try_get(0)?, owner: row.try_get(1)?, comment: Comment::parse(row.try_get(2)?) })
    });
    Ok(states.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let states = fetch(connection, &scope.names("name"), Some(scope.estate)).await?;

    let exclusive: Vec<String> = scope
        .subjects
        .iter()
        .filter(|subject| subject.spec.get("exclusive") == Some(&Value::Bool(true)))
        .filter_map(|subject| subject.text("name").map(str::to_owned))
        .collect();
    let mut foreign: HashMap<String, Vec<Foreign>> = HashMap::new();
    if !exclusive.is_empty() {
        let mut grants: HashMap<&str, Vec<&GrantSpec>> = HashMap::new();
        for grant in scope.grants {
            grants.entry(&grant.role).or_default().push(grant);
        }
        for found in foreign::fetch(connection, &exclusive).await? {
            let of_grantee = grants.get(found.grantee.as_str()).into_iter().flatten().copied();
            if !found.is_wanted(of_grantee) {
                foreign.entry(found.schema.clone()).or_default().push(found);
            }
        }
    }
    Ok(scope.answer(
        &states,
        |state| state.name.clone(),
        |subject| subject.text("name").map(str::to_owned),
        |state, asked| present(state, asked, foreign.get(&state.name).map(Vec::as_slice).unwrap_or_default()),
    ))
}

fn present(state: &SchemaState, asked: Option<&Map>, foreign: &[Foreign]) -> Present {
    let SchemaState { name, owner, comment } = state;
    let mut report = Report::new(asked);
    report.set("name", name.as_str());
    report.set_if_asked("owner", owner.as_str());
    report.set("exclusive", comment.notes.contains_key(EXCLUSIVE_NOTE));
    if asked.is_some_and(|spec| spec.contains("foreignGrants")) {
        report.set("foreignGrants", text_set(foreign.iter().map(Foreign::text)));
    }
    Present { spec: report.build(), mark: comment.mark.clone(), ..Present::default() }
}
