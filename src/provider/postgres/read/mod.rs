//! The reading half: one bulk read for each kind and database.
//!
//! Each kind of each database is read in a read-only transaction of its own: what fails in one makes no other unknown. The kinds
//! of the main database are read at the same time; those of another database one after the other over one
//! connection, because there may be a database for each tenant.

pub mod beyond;
pub mod column;
pub mod database;
pub mod extension;
pub mod foreign;
pub mod grant;
pub mod held;
pub mod lines;
pub mod policy;
pub mod role;
pub mod row;
pub mod schema;
pub mod script;
pub mod trial;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foreign::Meant;
use futures::future::join_all;
use sqlx::{PgConnection, Row as _};

use super::connection::{Connections, Session};
use super::error::{Failed as _, Failure};
use super::types::{self, PostgresKind, grant::GrantSpec};
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Kinds, ProviderKind as _, Subject, by_key, known, parse, subjects, unknown, within};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};

/// How every transaction begins that reads.
///
/// `row_security = off` turns a read that row security would cut short into an error: a row that we may not see is not
/// absent.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; \
    SET LOCAL row_security = off; SET LOCAL lock_timeout = '20s'; \
    SET LOCAL bytea_output = 'hex'; SET LOCAL intervalstyle = 'postgres'";

/// The version, and what a login that is no superuser cannot do of what an estate may ask for.
const PROBE: &str = "
SELECT pg_catalog.current_setting('server_version'), ARRAY(
  SELECT l.what FROM (VALUES
    (r.rolcreaterole, 'CREATEROLE (for roles)'),
    (r.rolcreatedb, 'CREATEDB (for databases)'),
    (pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
     pg_catalog.format('CREATE on the database %I (for schemas and the records of scripts)', pg_catalog.current_database())),
    (pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'), 'pg_read_all_data (for rows, and for checks of scripts in schemas of others)'),
    (pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'), 'pg_signal_backend (to end sessions of roles that it has not made)')
  ) AS l (has, what) WHERE NOT l.has AND NOT r.rolsuper)
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

/// How many statements one kind of one database takes, those that open it too.
const STATEMENTS: u32 = 3;

/// The most resources that are asked for in one query.
const PAGE: usize = 30_000;

pub struct PostgresReader {
    connections: Arc<Connections>,
    kinds: Kinds<PostgresKind>,
    bookkeeping_schema: Arc<str>,
}

/// What to read of one kind in one database.
pub struct Scope<'a> {
    pub estate: &'a str,
    pub variant: PostgresKind,
    pub kind: &'a Kind,
    /// As a spec names the database: nothing for the one of the URL.
    pub database: Option<&'a str>,
    pub subjects: Vec<Subject<'a>>,
    /// Who is meant to get at what is in this database.
    pub meant: &'a Meant<'a>,
    pub bookkeeping_schema: &'a str,
}

impl Scope<'_> {
    /// The values of one field of all subjects, once each, in order.
    pub fn names(&self, field: &str) -> Vec<String> {
        let names: HashSet<&str> = self.subjects.iter().filter_map(|subject| subject.text(field)).collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    fn all(&self, observed: &Observed) -> Answers {
        self.subjects.iter().map(|subject| (subject.identity.clone(), observed.clone())).collect()
    }

    /// Answers for resources that are found by one key: those asked for, and the rest where it carries our mark.
    pub fn answer<State, Key: Hash + Eq>(
        &self,
        states: &[State],
        key_of: impl Fn(&State) -> Key,
        key_asked: impl Fn(&Subject<'_>) -> Option<Key>,
        present: impl Fn(&State, Option<&Map>) -> Present,
    ) -> Answers {
        let states = states.iter().map(|state| (key_of(state), state));
        by_key(self.kind, self.estate, &self.subjects, states, key_asked, |state, asked| {
            let mut found = present(state, asked);
            if let (None, Some(database)) = (asked, self.database) {
                found.spec = Arc::new(found.spec.with("database", database.into()));
            }
            found
        })
    }
}

/// The fields of an observed spec. Optional fields are reported where the asked-for spec has them, or where nobody asked.
pub struct Report<'a> {
    asked: Option<&'a Map>,
    fields: Vec<(Arc<str>, Value)>,
}

impl<'a> Report<'a> {
    pub fn new(asked: Option<&'a Map>) -> Self {
        let database = asked.and_then(|spec| spec.get("database"));
        Self { asked, fields: database.map(|database| ("database".into(), database.clone())).into_iter().collect() }
    }

    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.push((name.into(), value.into()));
    }

    pub fn set_if_asked(&mut self, name: &str, value: impl Into<Value>) {
        if self.asked.is_none_or(|spec| spec.contains(name)) {
            self.set(name, value);
        }
    }

    pub fn build(self) -> Arc<Map> {
        Arc::new(self.fields.into_iter().collect())
    }
}

/// Texts as a sorted list of values.
pub fn text_set(items: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    Value::list(items.into_iter().map(|item| Value::from(item.as_ref()))).as_set()
}

impl PostgresReader {
    pub fn new(connections: Arc<Connections>, bookkeeping_schema: Arc<str>) -> Self {
        Self { connections, kinds: Kinds::default(), bookkeeping_schema }
    }

    /// Reads parts one after the other over one connection.
    async fn read_parts(&self, database: Arc<str>, parts: Vec<Scope<'_>>) -> Vec<(&'static str, KindObservation)> {
        let mut session = None;
        let mut observations = Vec::with_capacity(parts.len());
        for part in parts {
            let read = async {
                let mut open = match session.take() {
                    Some(open) => open,
                    None => self.connections.acquire(&database).await?,
                };
                let answers = read_part(&mut open, &part, self.connections.timeouts().request).await?;
                Ok::<_, Failure>((open, answers))
            };
            // A kind takes a few statements, each of which the server itself ends; a server that is gone does not.
            let observation = match within(self.connections.timeouts().request * STATEMENTS, read).await {
                Ok((open, answers)) => {
                    session = Some(open);
                    known(answers)
                }
                // Whatever would be in a database that does not exist is absent. The main database is the user's own
                // word: that it is missing is a mistake and tells nothing.
                Err(failure) if failure.sqlstate() == Some("3D000") && part.database.is_some() => {
                    known(part.all(&Observed::Absent))
                }
                Err(failure) => {
                    let attempted = format!("reading {} of database \"{database}\"", part.kind.name);
                    unknown(&part.subjects, &failure.into_reason(attempted))
                }
            };
            observations.push((part.kind.name, observation));
        }
        if let Some(session) = session {
            self.connections.release(session).await;
        }
        observations
    }
}

async fn read_part(session: &mut Session, scope: &Scope<'_>, statement: Duration) -> Result<Answers, Failure> {
    let connection = &mut session.connection;
    let begin = format!("{BEGIN}; SET LOCAL statement_timeout = {}", statement.as_millis().max(1));
    sqlx::raw_sql(sqlx::AssertSqlSafe(begin)).execute(&mut *connection).await?;
    let answers = match scope.variant {
        PostgresKind::Database => database::observe(connection, scope).await,
        PostgresKind::Role => role::observe(connection, scope).await,
        PostgresKind::Schema => schema::observe(connection, scope).await,
        PostgresKind::Extension => extension::observe(connection, scope).await,
        PostgresKind::Script => script::observe(connection, scope).await,
        PostgresKind::Grant => grant::observe(connection, scope).await,
        PostgresKind::Policy => policy::observe(connection, scope).await,
        PostgresKind::Row => row::observe(connection, scope).await,
    }?;
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(answers)
}

/// Runs one query inside a transaction that goes on when it fails.
///
/// # Errors
/// If the connection itself fails; what the query fails with is the inner result.
async fn attempt<T>(
    connection: &mut PgConnection,
    query: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<Result<T, sqlx::Error>, Failure> {
    sqlx::raw_sql("SAVEPOINT attempt").execute(&mut *connection).await?;
    let result = query(&mut *connection).await;
    let end = if result.is_ok() { "RELEASE SAVEPOINT attempt" } else { "ROLLBACK TO SAVEPOINT attempt" };
    sqlx::raw_sql(end).execute(&mut *connection).await?;
    Ok(result)
}

#[async_trait]
impl Reader for PostgresReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let subjects = subjects(request);
        // The main database is always looked at, for what carries the mark though nobody asks for it.
        let mut parts: BTreeMap<Option<&str>, BTreeMap<&'static str, Vec<Subject<'_>>>> = BTreeMap::new();
        for (kind, subjects) in &subjects {
            parts.entry(None).or_default().entry(kind).or_default();
            for subject in subjects {
                let database = subject.text("database").filter(|name| *name != &**self.connections.main_database());
                let kinds = parts.entry(database).or_default();
                kinds.entry(kind).or_default().push(*subject);
            }
        }
        // In another database that is looked at, every kind is.
        let asked: Vec<&'static str> = subjects.keys().copied().filter(|kind| is_of_database(kind)).collect();
        for (database, kinds) in &mut parts {
            if database.is_some() {
                for kind in &asked {
                    kinds.entry(kind).or_default();
                }
            }
        }
        let grants: BTreeMap<Option<&str>, Vec<GrantSpec>> =
            parts.iter().map(|(database, kinds)| (*database, wanted_grants(kinds))).collect();
        let meant: BTreeMap<Option<&str>, Meant<'_>> = parts
            .iter()
            .map(|(database, kinds)| {
                let (memberships, policies) = (wanted_memberships(&subjects), wanted_policies(kinds));
                (*database, Meant { grants: &grants[database], memberships, policies })
            })
            .collect();

        let mut observations: BTreeMap<&'static str, KindObservation> = BTreeMap::new();
        let mut tasks = Vec::new();
        for (database, kinds) in parts {
            let name: Arc<str> = database.map_or_else(|| self.connections.main_database().clone(), Into::into);
            let mut series = Vec::new();
            for (kind_name, subjects) in kinds {
                let Some((variant, kind)) = self.kinds.get(kind_name) else {
                    let reason = format!("PostgreSQL has no kind {kind_name}");
                    observations.insert(kind_name, KindObservation::unknown(reason));
                    continue;
                };
                series.push(Scope {
                    estate: request.estate,
                    variant,
                    kind,
                    database,
                    subjects,
                    meant: &meant[&database],
                    bookkeeping_schema: &self.bookkeeping_schema,
                });
            }
            if database.is_some() {
                tasks.push(self.read_parts(name, series));
            } else {
                tasks.extend(series.into_iter().map(|part| self.read_parts(name.clone(), vec![part])));
            }
        }
        for (kind, part) in join_all(tasks).await.into_iter().flatten() {
            let observation = observations.entry(kind).or_default();
            observation.resources.extend(part.resources);
            observation.incomplete = observation.incomplete.take().or(part.incomplete);
        }
        observations
    }

    /// The system identifier, which `initdb` draws and a physical replica shares, and the database. Any login may ask for it
    /// (the manual's "Control Data Functions") unless the privilege was taken from `PUBLIC`.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("identifying PostgreSQL at {}", self.connections.location());
        let database = self.connections.main_database().clone();
        let identify = async {
            let mut session = self.connections.acquire(&database).await?;
            let sql = "SELECT 'system ' || system_identifier || ', database ' || pg_catalog.current_database() \
                       FROM pg_catalog.pg_control_system()";
            let text: String = sqlx::query_scalar(sql).fetch_one(&mut session.connection).await?;
            self.connections.release(session).await;
            Ok::<_, Failure>(text)
        };
        let text = within(self.connections.timeouts().request, identify).await;
        Ok(Fingerprint::new(text.map_err(|failure| failure.into_provider_error(attempted))?))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let attempted = || format!("connecting to PostgreSQL at {}", self.connections.location());
        let database = self.connections.main_database().clone();
        let probe = async {
            let mut session = self.connections.acquire(&database).await?;
            let row = sqlx::query(PROBE).fetch_one(&mut session.connection).await?;
            let (version, lacks): (String, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
            self.connections.release(session).await;
            Ok::<_, Failure>((version, lacks))
        };
        let answer = within(self.connections.timeouts().request, probe).await;
        let (version, lacks) = answer.map_err(|failure| failure.into_provider_error(attempted()))?;
        let lacks = if lacks.is_empty() { String::new() } else { format!("; the login lacks {}", lacks.join(", ")) };
        Ok(format!("PostgreSQL {version} at {}{lacks}", self.connections.location()))
    }
}

/// Whether a kind belongs to one of the server's databases.
fn is_of_database(kind: &str) -> bool {
    match PostgresKind::of(kind) {
        Ok(PostgresKind::Database | PostgresKind::Role) => false,
        Ok(
            PostgresKind::Schema
            | PostgresKind::Extension
            | PostgresKind::Script
            | PostgresKind::Grant
            | PostgresKind::Policy
            | PostgresKind::Row,
        )
        | Err(_) => true,
    }
}

/// Grants that are wanted, and those that the estate still has on record: nobody else's.
fn wanted_grants(kinds: &BTreeMap<&'static str, Vec<Subject<'_>>>) -> Vec<GrantSpec> {
    let subjects = kinds.get(types::grant::NAME).map(Vec::as_slice).unwrap_or_default();
    subjects.iter().filter_map(|subject| parse(subject.spec).ok()).collect()
}

/// Which roles of the estate are members of which groups.
fn wanted_memberships<'a>(subjects: &BTreeMap<&'static str, Vec<Subject<'a>>>) -> BTreeSet<(&'a str, &'a str)> {
    let roles = subjects.get(types::role::NAME).map(Vec::as_slice).unwrap_or_default();
    let of_role = |subject: &Subject<'a>| {
        let groups = subject.spec.get("memberOf").and_then(Value::as_list).unwrap_or_default();
        let name = subject.text("name");
        groups.iter().filter_map(Value::as_str).filter_map(move |group| Some((name?, group))).collect::<Vec<_>>()
    };
    roles.iter().flat_map(of_role).collect()
}

/// Policies of the estate by schema, table and name.
fn wanted_policies<'a>(kinds: &BTreeMap<&'static str, Vec<Subject<'a>>>) -> BTreeSet<(&'a str, &'a str, &'a str)> {
    let policies = kinds.get(types::policy::NAME).map(Vec::as_slice).unwrap_or_default();
    let name = |subject: &Subject<'a>| Some((subject.text("schema")?, subject.text("table")?, subject.text("name")?));
    policies.iter().filter_map(name).collect()
}
