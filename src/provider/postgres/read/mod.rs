//! The reading half: one bulk read for each kind and database.
//!
//! Each kind of each database is read in a read-only transaction of its own: what fails in one makes no other unknown. The kinds
//! of the main database are read at the same time; those of another database one after the other over one
//! connection, because there may be a database for each tenant.

pub mod column;
pub mod database;
pub mod extension;
pub mod foreign;
pub mod grant;
pub mod held;
pub mod policy;
pub mod role;
pub mod row;
pub mod schema;
pub mod script;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use sqlx::PgConnection;

use super::connection::{Connections, Session};
use super::error::Failure;
use super::types::{self, grant::GrantSpec};
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};

/// How every transaction begins that reads.
///
/// `row_security = off` turns a read that row security would cut short into an error: a row that we may not see is not
/// absent.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; \
    SET LOCAL row_security = off; SET LOCAL lock_timeout = '20s'; \
    SET LOCAL bytea_output = 'hex'; SET LOCAL intervalstyle = 'postgres'";

/// How many statements one kind of one database takes, those that open it too.
const STATEMENTS: u32 = 3;

/// The most resources that are asked for in one query.
const PAGE: usize = 30_000;

pub struct PostgresReader {
    connections: Arc<Connections>,
    kinds: BTreeMap<&'static str, Kind>,
    bookkeeping_schema: Arc<str>,
}

/// What is known of each resource that was asked for, and of others that carry the estate's mark.
pub type Answers = Vec<(Identity, Observed)>;

/// A resource that is asked for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub identity: &'a Identity,
    pub spec: &'a Map,
    /// Nothing if the repository no longer asks for it.
    pub address: Option<&'a Address>,
}

/// What to read of one kind in one database.
pub struct Scope<'a> {
    pub estate: &'a str,
    pub kind: &'a Kind,
    /// As a spec names the database: nothing for the one of the URL.
    pub database: Option<&'a str>,
    pub subjects: Vec<Subject<'a>>,
    /// Every grant that is wanted in this database.
    pub grants: &'a [GrantSpec],
    pub bookkeeping_schema: &'a str,
}

impl Subject<'_> {
    pub fn is_wanted(&self) -> bool {
        self.address.is_some()
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.spec.get(field).and_then(Value::as_str)
    }
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
        let by_key: HashMap<Key, usize> =
            states.iter().enumerate().map(|(index, state)| (key_of(state), index)).collect();
        let mut asked = vec![false; states.len()];
        let mut answers = Vec::with_capacity(self.subjects.len());
        for subject in &self.subjects {
            let observed = match key_asked(subject).map(|key| by_key.get(&key)) {
                None => Observed::Unknown("its spec does not say what it is called".into()),
                Some(None) => Observed::Absent,
                Some(Some(&index)) => {
                    asked[index] = true;
                    Observed::Present(present(&states[index], Some(subject.spec)))
                }
            };
            answers.push((subject.identity.clone(), observed));
        }
        for (state, _) in states.iter().zip(asked).filter(|(_, asked)| !asked) {
            let mut found = present(state, None);
            if found.mark.as_ref().is_some_and(|mark| mark.is_of(self.estate)) {
                if let Some(database) = self.database {
                    found.spec = Arc::new(found.spec.with("database", database.into()));
                }
                if let Some(identity) = self.kind.identity_of(&self.kind.normal(&found.spec)) {
                    answers.push((identity, Observed::Present(found)));
                }
            }
        }
        answers
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

/// One kind of one database, read by one task.
struct Part<'a> {
    kind: &'static str,
    scope: Scope<'a>,
}

impl PostgresReader {
    pub fn new(connections: Arc<Connections>, bookkeeping_schema: Arc<str>) -> Self {
        let kinds = types::kinds().into_iter().map(|kind| (kind.name, kind)).collect();
        Self { connections, kinds, bookkeeping_schema }
    }

    /// Reads parts one after the other over one connection.
    async fn read_parts(&self, database: Arc<str>, parts: Vec<Part<'_>>) -> Vec<(&'static str, KindObservation)> {
        let mut session = None;
        let mut observations = Vec::with_capacity(parts.len());
        for part in parts {
            let read = async {
                let mut open = match session.take() {
                    Some(open) => open,
                    None => self.connections.acquire(&database).await?,
                };
                let answers = read_part(&mut open, &part.scope, self.connections.timeouts().request).await?;
                Ok((open, answers))
            };
            // A kind takes a few statements, each of which the server itself ends; a server that is gone does not.
            let within = self.connections.timeouts().request * STATEMENTS;
            let read = tokio::time::timeout(within, read).await;
            let result = read.unwrap_or(Err(Failure::Late(within)));
            let observation = match result {
                Ok((open, answers)) => {
                    session = Some(open);
                    KindObservation { resources: answers.into_iter().collect(), incomplete: None }
                }
                // Whatever would be in a database that does not exist is absent. The main database is the user's own
                // word: that it is missing is a mistake and tells nothing.
                Err(failure) if failure.sqlstate() == Some("3D000") && part.scope.database.is_some() => {
                    let answers = part.scope.all(&Observed::Absent);
                    KindObservation { resources: answers.into_iter().collect(), incomplete: None }
                }
                Err(failure) => {
                    let attempted = format!("reading {} of database \"{database}\"", part.kind);
                    let error = failure.into_provider_error(attempted);
                    let reason: Arc<str> = match &error.remedy {
                        Some(remedy) => format!("{error}; {remedy}").into(),
                        None => error.to_string().into(),
                    };
                    let answers = part.scope.all(&Observed::Unknown(reason.clone().into()));
                    KindObservation { resources: answers.into_iter().collect(), incomplete: Some(reason.into()) }
                }
            };
            observations.push((part.kind, observation));
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
    let answers = match scope.kind.name {
        "postgres.database" => database::observe(connection, scope).await,
        "postgres.role" => role::observe(connection, scope).await,
        "postgres.schema" => schema::observe(connection, scope).await,
        "postgres.extension" => extension::observe(connection, scope).await,
        "postgres.script" => script::observe(connection, scope).await,
        "postgres.grant" => grant::observe(connection, scope).await,
        "postgres.rls_policy" => policy::observe(connection, scope).await,
        "postgres.row" => row::observe(connection, scope).await,
        other => Err(Failure::Invalid(format!("the kind {other} is not known here"))),
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
        let mut subjects: BTreeMap<&'static str, Vec<Subject<'_>>> = BTreeMap::new();
        for (kind, wanted) in &request.wanted {
            let subjects = subjects.entry(kind).or_default();
            subjects.extend(wanted.iter().filter_map(|desired| {
                let identity = desired.identity.as_ref()?;
                Some(Subject { identity, spec: &desired.spec, address: Some(&desired.address) })
            }));
        }
        for (kind, known) in &request.known {
            let subjects = subjects.entry(kind).or_default();
            subjects.extend(known.iter().map(|known| Subject {
                identity: known.identity,
                spec: &known.spec,
                address: None,
            }));
        }

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
        let asked: Vec<&'static str> = subjects.keys().copied().filter(|kind| !is_shared(kind)).collect();
        for (database, kinds) in &mut parts {
            if database.is_some() {
                for kind in &asked {
                    kinds.entry(kind).or_default();
                }
            }
        }
        let grants: BTreeMap<Option<&str>, Vec<GrantSpec>> =
            parts.iter().map(|(database, kinds)| (*database, wanted_grants(kinds))).collect();

        let mut observations: BTreeMap<&'static str, KindObservation> = BTreeMap::new();
        let mut tasks = Vec::new();
        for (database, kinds) in parts {
            let name: Arc<str> = database.map_or_else(|| self.connections.main_database().clone(), Into::into);
            let mut series = Vec::new();
            for (kind_name, subjects) in kinds {
                let Some(kind) = self.kinds.get(kind_name) else {
                    let reason = format!("PostgreSQL has no kind {kind_name}");
                    observations.insert(kind_name, KindObservation::unknown(reason));
                    continue;
                };
                let scope = Scope {
                    estate: request.estate,
                    kind,
                    database,
                    subjects,
                    grants: &grants[&database],
                    bookkeeping_schema: &self.bookkeeping_schema,
                };
                series.push(Part { kind: kind_name, scope });
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
        let attempted = format!("asking PostgreSQL at {} which system it is", self.connections.location());
        let database = self.connections.main_database().clone();
        let identify = async {
            let mut session = self.connections.acquire(&database).await?;
            let sql = "SELECT 'system ' || system_identifier || ', database ' || pg_catalog.current_database() \
                       FROM pg_catalog.pg_control_system()";
            let text: String = sqlx::query_scalar(sql).fetch_one(&mut session.connection).await?;
            self.connections.release(session).await;
            Ok::<_, Failure>(text)
        };
        let within = self.connections.timeouts().request;
        let text = tokio::time::timeout(within, identify).await.unwrap_or(Err(Failure::Late(within)));
        Ok(Fingerprint::new(text.map_err(|failure| failure.into_provider_error(attempted))?))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let attempted = || format!("connecting to PostgreSQL at {}", self.connections.location());
        let database = self.connections.main_database().clone();
        let probe = async {
            let mut session = self.connections.acquire(&database).await?;
            let version: String = sqlx::query_scalar("SELECT pg_catalog.current_setting('server_version')")
                .fetch_one(&mut session.connection)
                .await?;
            self.connections.release(session).await;
            Ok::<_, Failure>(version)
        };
        let within = self.connections.timeouts().request;
        let version = tokio::time::timeout(within, probe).await.unwrap_or(Err(Failure::Late(within)));
        let version = version.map_err(|failure| failure.into_provider_error(attempted()))?;
        Ok(format!("PostgreSQL {version} at {}", self.connections.location()))
    }
}

/// Kinds that belong to the server and not to one of its databases.
fn is_shared(kind: &str) -> bool {
    matches!(kind, "postgres.database" | "postgres.role")
}

/// Grants that are wanted, and those that the estate still has on record: nobody else's.
fn wanted_grants(kinds: &BTreeMap<&'static str, Vec<Subject<'_>>>) -> Vec<GrantSpec> {
    let subjects = kinds.get("postgres.grant").map(Vec::as_slice).unwrap_or_default();
    subjects.iter().filter_map(|subject| types::parse(subject.spec).ok()).collect()
}
