//! The reading half.
//!
//! Each kind is a fixed number of queries over one connection; a kind whose reading fails makes no other unknown. What the
//! server would leave out for lack of a privilege is asked for where it has to refuse instead.

pub mod column;
mod database;
pub mod grant;
pub mod row;
pub mod script;
mod system;
pub mod user;

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::MySqlConnection;

use super::connection::{Connections, Flavour, Session};
use super::error::Failure;
use super::types;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{OWN_USER, ObserveRequest, ProviderError, Reader};

pub use database::fetch as fetch_database;

/// Resources that one query asks for by their keys.
const PAGE: usize = 200;

pub struct MySqlReader {
    connections: Arc<Connections>,
    kinds: BTreeMap<&'static str, Kind>,
    bookkeeping: Arc<str>,
}

/// A resource that is asked for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub identity: &'a Identity,
    pub spec: &'a Map,
    /// Nothing if it is only known.
    pub address: Option<&'a Address>,
}

impl<'a> Subject<'a> {
    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.spec.get(field).and_then(Value::as_str)
    }
}

pub type Answers = Vec<(Identity, Observed)>;

/// What is asked of one kind.
pub struct Scope<'a> {
    pub estate: &'a str,
    pub kind: &'a Kind,
    pub subjects: Vec<Subject<'a>>,
    pub bookkeeping: &'a str,
    pub flavour: Flavour,
}

impl Scope<'_> {
    /// Answers for resources that are found by one key: those asked for, and the rest where it carries our mark.
    fn answer<State, Key: Hash + Eq>(
        &self,
        states: &std::collections::HashMap<Key, State>,
        key_asked: impl Fn(&Subject<'_>) -> Option<Key>,
        present: impl Fn(&State) -> Present,
    ) -> Answers {
        let mut asked: HashSet<Key> = HashSet::new();
        let mut answers = Answers::with_capacity(self.subjects.len());
        for subject in &self.subjects {
            let observed = match key_asked(subject) {
                None => Observed::Unknown("its spec does not say what it is called".into()),
                Some(key) => {
                    let found = states.get(&key).map(&present);
                    asked.insert(key);
                    found.map_or(Observed::Absent, Observed::Present)
                }
            };
            answers.push((subject.identity.clone(), observed));
        }
        for state in states.iter().filter(|(key, _)| !asked.contains(key)).map(|(_, state)| state) {
            let found = present(state);
            if found.mark.as_ref().is_some_and(|mark| mark.is_of(self.estate))
                && let Some(identity) = self.kind.identity_of(&self.kind.normal(&found.spec))
            {
                answers.push((identity, Observed::Present(found)));
            }
        }
        answers
    }
}

/// A spec of fields, in its canonical form.
fn spec_of(kind: &Kind, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Arc<Map> {
    let fields: Map = fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Arc::new((kind.normalise)(&fields))
}

async fn read_kind(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    match scope.kind.name {
        "mysql.database" => database::observe(connection, scope).await,
        "mysql.user" => user::observe(connection, scope).await,
        "mysql.script" => script::observe(connection, scope).await,
        "mysql.grant" => grant::observe(connection, scope).await,
        "mysql.row" => row::observe(connection, scope).await,
        other => Err(Failure::Invalid(format!("the kind {other} is not known here"))),
    }
}

/// Why something is unknown, with what can be done about it.
fn reason(failure: Failure, attempted: String) -> Arc<str> {
    let error = failure.into_provider_error(attempted);
    match &error.remedy {
        Some(remedy) => format!("{error}; {remedy}").into(),
        None => error.to_string().into(),
    }
}

fn identity_of_user(kind: &Kind, name: &str, host: &str) -> Option<Identity> {
    kind.identity_of(&kind.normal(&[("name".into(), name.into()), ("host".into(), host.into())].into_iter().collect()))
}

impl MySqlReader {
    pub fn new(connections: Arc<Connections>, bookkeeping: Arc<str>) -> Self {
        let kinds = types::kinds().into_iter().map(|kind| (kind.name, kind)).collect();
        Self { connections, kinds, bookkeeping }
    }

    /// Reads one kind over the connection of the one before, if that is still good.
    async fn kind(
        &self,
        session: &mut Option<Session>,
        estate: &str,
        name: &'static str,
        subjects: Vec<Subject<'_>>,
    ) -> KindObservation {
        let Some(kind) = self.kinds.get(name) else {
            return KindObservation::unknown(format!("MySQL has no kind {name}"));
        };
        let identities: Vec<Identity> = subjects.iter().map(|subject| subject.identity.clone()).collect();
        let read = async {
            let mut open = match session.take() {
                Some(open) => open,
                None => self.connections.acquire().await?,
            };
            let scope = Scope { estate, kind, subjects, bookkeeping: &self.bookkeeping, flavour: open.server.flavour };
            let mut answers = read_kind(&mut open.connection, &scope).await?;
            for subject in &scope.subjects {
                if let Some(reason) = open.server.changes_names(name, subject.spec) {
                    answers.push((subject.identity.clone(), Observed::Unknown(reason.into())));
                }
            }
            let own = (name == "mysql.user").then(|| open.own_user.rsplit_once('@')).flatten();
            if let Some(own) = own.and_then(|(name, host)| identity_of_user(kind, name, host)) {
                let own = answers.iter_mut().filter(|(identity, _)| *identity == own);
                own.for_each(|(_, observed)| *observed = Observed::Unknown(OWN_USER.into()));
            }
            Ok((open, answers))
        };
        let within = self.connections.timeouts().request;
        let read = tokio::time::timeout(within, read).await;
        match read.unwrap_or(Err(Failure::Late(within))) {
            Ok((open, answers)) => {
                *session = Some(open);
                KindObservation { resources: answers.into_iter().collect(), incomplete: None }
            }
            Err(failure) => {
                let reason = reason(failure, format!("reading {name} of {}", self.connections.location()));
                let unknown =
                    identities.into_iter().map(|identity| (identity, Observed::Unknown(reason.clone().into())));
                KindObservation { resources: unknown.collect(), incomplete: Some(reason.into()) }
            }
        }
    }
}

#[async_trait]
impl Reader for MySqlReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let mut subjects: BTreeMap<&'static str, Vec<Subject<'_>>> = BTreeMap::new();
        for (kind, wanted) in &request.wanted {
            subjects.entry(kind).or_default().extend(wanted.iter().filter_map(|desired| {
                let identity = desired.identity.as_ref()?;
                Some(Subject { identity, spec: &desired.spec, address: Some(&desired.address) })
            }));
        }
        for (kind, known) in &request.known {
            subjects.entry(kind).or_default().extend(known.iter().map(|known| Subject {
                identity: known.identity,
                spec: &known.spec,
                address: None,
            }));
        }
        let mut session = None;
        let mut observations = BTreeMap::new();
        for (name, subjects) in subjects {
            observations.insert(name, self.kind(&mut session, request.estate, name, subjects).await);
        }
        if let Some(session) = session {
            self.connections.release(session);
        }
        observations
    }

    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("asking MySQL at {} which system it is", self.connections.location());
        let identify = async {
            let mut session = self.connections.acquire().await?;
            let fingerprint = system::fingerprint(&mut session.connection).await?;
            self.connections.release(session);
            Ok::<_, Failure>(fingerprint)
        };
        let within = self.connections.timeouts().request;
        let identified = tokio::time::timeout(within, identify).await.unwrap_or(Err(Failure::Late(within)));
        identified.map_err(|failure| failure.into_provider_error(attempted))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.connections.location();
        let probe = async {
            let mut session = self.connections.acquire().await?;
            let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut session.connection).await?;
            let product = match session.server.flavour {
                Flavour::MySql => "MySQL",
                Flavour::MariaDb => "MariaDB",
            };
            self.connections.release(session);
            Ok::<_, Failure>(format!("{product} {} at {location}", version.split('-').next().unwrap_or(&version)))
        };
        let within = self.connections.timeouts().request;
        let probed = tokio::time::timeout(within, probe).await.unwrap_or(Err(Failure::Late(within)));
        probed.map_err(|failure| failure.into_provider_error(format!("connecting to MySQL at {location}")))
    }
}
