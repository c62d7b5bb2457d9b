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

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::{Connections, Flavour};
use super::error::{Failed as _, Failure};
use super::types::MySqlKind;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Asked, KindReader, Kinds, Subject, by_key, in_turn, known, within};
use tenantry_provider::contract::{OWN_USER, ObserveRequest, ProviderError, Reader};

pub use database::fetch as fetch_database;

/// Resources that one query asks for by their keys.
const PAGE: usize = 200;

pub struct MySqlReader {
    connections: Arc<Connections>,
    kinds: Kinds<MySqlKind>,
    bookkeeping: Arc<str>,
}

/// What is asked of one kind.
pub struct Scope<'a> {
    pub asked: &'a Asked<'a, MySqlKind>,
    pub bookkeeping: &'a str,
    pub flavour: Flavour,
    /// Whom the server takes us for, as `name@host`.
    pub own_user: &'a str,
}

impl Scope<'_> {
    /// Answers for resources that are found by one key: those asked for, and the rest where it carries our mark.
    fn answer<State, Key: Hash + Eq + Clone>(
        &self,
        states: &HashMap<Key, State>,
        key_asked: impl Fn(&Subject<'_>) -> Option<Key>,
        present: impl Fn(&State) -> Present,
    ) -> Answers {
        let Asked { description, estate, subjects, .. } = self.asked;
        let states = states.iter().map(|(key, state)| (key.clone(), state));
        by_key(description, estate, subjects, states, key_asked, |state, _| present(state))
    }
}

/// A spec of fields, in its canonical form.
fn spec_of(kind: &Kind, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Arc<Map> {
    let fields: Map = fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Arc::new(kind.canonical(&fields))
}

fn identity_of_user(kind: &Kind, name: &str, host: &str) -> Option<Identity> {
    kind.identity_of(&kind.normal(&[("name".into(), name.into()), ("host".into(), host.into())].into_iter().collect()))
}

impl MySqlReader {
    pub fn new(connections: Arc<Connections>, bookkeeping: Arc<str>) -> Self {
        Self { connections, kinds: Kinds::default(), bookkeeping }
    }
}

#[async_trait]
impl KindReader for MySqlReader {
    type Kind = MySqlKind;
    type Failure = Failure;

    fn kinds(&self) -> &Kinds<MySqlKind> {
        &self.kinds
    }

    fn attempted(&self, kind: &str) -> String {
        format!("reading {kind} of {}", self.connections.location())
    }

    async fn read(&self, asked: &Asked<'_, MySqlKind>) -> Result<KindObservation, Failure> {
        let read = async {
            let mut open = self.connections.acquire().await?;
            let own_user = open.own_user.clone();
            let scope =
                Scope { asked, bookkeeping: &self.bookkeeping, flavour: open.server.flavour, own_user: &own_user };
            let mut answers = match asked.kind {
                MySqlKind::Database => database::observe(&mut open.connection, &scope).await,
                MySqlKind::User => user::observe(&mut open.connection, &scope).await,
                MySqlKind::Script => script::observe(&mut open.connection, &scope).await,
                MySqlKind::Grant => grant::observe(&mut open.connection, &scope).await,
                MySqlKind::Row => row::observe(&mut open.connection, &scope).await,
            }?;
            for subject in &asked.subjects {
                if let Some(reason) = open.server.changes_names(asked.kind, subject.spec) {
                    answers.push((subject.identity.clone(), Observed::Unknown(reason.into())));
                }
            }
            let own = (asked.kind == MySqlKind::User).then(|| open.own_user.rsplit_once('@')).flatten();
            if let Some(own) = own.and_then(|(name, host)| identity_of_user(asked.description, name, host)) {
                let own = answers.iter_mut().filter(|(identity, _)| *identity == own);
                own.for_each(|(_, observed)| *observed = Observed::Unknown(OWN_USER.into()));
            }
            self.connections.release(open);
            Ok(known(answers))
        };
        within(self.connections.timeouts().request, read).await
    }
}

#[async_trait]
impl Reader for MySqlReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        in_turn(self, request).await
    }

    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("identifying MySQL at {}", self.connections.location());
        let identify = async {
            let mut session = self.connections.acquire().await?;
            let fingerprint = system::fingerprint(&mut session.connection).await?;
            self.connections.release(session);
            Ok::<_, Failure>(fingerprint)
        };
        let identified = within(self.connections.timeouts().request, identify).await;
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
        let probed = within(self.connections.timeouts().request, probe).await;
        probed.map_err(|failure| failure.into_provider_error(format!("connecting to MySQL at {location}")))
    }
}
