//! Schemas.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::{PgConnection, Row as _};

use super::foreign::{self, Foreign};
use super::{Report, Scope, beyond, text_set};
use crate::error::Failure;
use crate::mark::{self, Comment};
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

    let ended: Vec<String> = {
        let wanted: HashSet<&str> =
            scope.subjects.iter().filter(|s| s.is_wanted()).filter_map(|s| s.text("name")).collect();
        states.iter().filter(|state| !wanted.contains(&*state.name)).map(|state| state.name.clone()).collect()
    };
    let mut beyond = beyond::fetch(connection, &ended).await?;
    let exclusive: Vec<String> = scope
        .subjects
        .iter()
        .filter(|subject| subject.spec.get("exclusive") == Some(&Value::Bool(true)))
        .filter_map(|subject| subject.text("name").map(str::to_owned))
        .collect();
    let mut foreign: HashMap<String, Vec<Foreign>> = HashMap::new();
    if !exclusive.is_empty() {
        let Scope { bookkeeping_schema, estate, meant, .. } = scope;
        for found in foreign::fetch(connection, &exclusive, bookkeeping_schema, estate, meant).await? {
            foreign.entry(found.schema.clone()).or_default().push(found);
        }
    }
    let beyond: HashMap<String, Arc<[Arc<str>]>> =
        beyond.drain().map(|(schema, texts)| (schema, texts.into_iter().map(Arc::from).collect())).collect();
    Ok(scope.answer(
        &states,
        |state| state.name.clone(),
        |subject| subject.text("name").map(str::to_owned),
        |state, asked| {
            let found = present(state, asked, foreign.get(&state.name).map(Vec::as_slice).unwrap_or_default());
            Present { takes_along: beyond.get(&state.name).cloned().unwrap_or_default(), ..found }
        },
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
