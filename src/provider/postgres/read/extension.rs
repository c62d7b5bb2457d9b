//! Extensions.

use sqlx::{PgConnection, Row as _};

use super::{Report, Scope};
use crate::error::Failure;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::Map;
use tenantry_kit::Answers;

/// An extension as the catalogue has it.
pub struct ExtensionState {
    pub name: String,
    pub schema: String,
    pub version: String,
}

const QUERY: &str = "
SELECT e.extname::text, n.nspname::text, e.extversion
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = ANY ($1::text[]::name[])";

/// Extensions by name.
pub async fn fetch(connection: &mut PgConnection, names: &[String]) -> Result<Vec<ExtensionState>, Failure> {
    let rows = sqlx::query(QUERY).bind(names).fetch_all(connection).await?;
    let states = rows
        .iter()
        .map(|row| Ok(ExtensionState { name: row.try_get(0)?, schema: row.try_get(1)?, version: row.try_get(2)? }));
    Ok(states.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let names = scope.names("name");
    let states = if names.is_empty() { Vec::new() } else { fetch(connection, &names).await? };
    Ok(scope.answer(&states, |state| state.name.clone(), |subject| subject.text("name").map(str::to_owned), present))
}

fn present(state: &ExtensionState, asked: Option<&Map>) -> Present {
    let ExtensionState { name, schema, version } = state;
    let mut report = Report::new(asked);
    report.set("name", name.as_str());
    report.set_if_asked("schema", schema.as_str());
    report.set_if_asked("version", version.as_str());
    Present { spec: report.build(), ..Present::default() }
}
