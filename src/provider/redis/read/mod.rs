//! The reading half.
//!
//! Keys are asked for in pages, each of them one pipeline and so one round trip; all users come with one `ACL LIST`. A
//! command that the server refuses makes only its own key unknown.

mod acl_user;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;

use super::connection::Connections;
use super::error::Failure;
use super::types;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};

pub use acl_user::fetch as fetch_user;

pub struct RedisReader {
    connections: Arc<Connections>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// A resource that is asked for.
#[derive(Clone, Copy)]
struct Subject<'a> {
    identity: &'a Identity,
    spec: &'a Map,
    /// Whether somebody wants it to be so; else it is only known.
    is_wanted: bool,
}

impl<'a> Subject<'a> {
    fn text(&self, field: &str) -> Option<&'a str> {
        self.spec.get(field).and_then(Value::as_str)
    }

    fn asked(&self) -> Option<&'a Map> {
        self.is_wanted.then_some(self.spec)
    }
}

type Answers = Vec<(Identity, Observed)>;

impl RedisReader {
    pub fn new(connections: Arc<Connections>) -> Self {
        let kinds = types::kinds().into_iter().map(|kind| (kind.name, kind)).collect();
        Self { connections, kinds }
    }

    async fn kind(&self, name: &'static str, estate: &str, subjects: Vec<Subject<'_>>) -> KindObservation {
        let Some(kind) = self.kinds.get(name) else {
            return KindObservation::unknown(format!("Redis has no kind {name}"));
        };
        let read = async {
            if subjects.is_empty() && name != "redis.acl_user" {
                return Ok(Answers::new());
            }
            let mut session = self.connections.acquire().await?;
            let connection = &mut session.connection;
            let answers = match name {
                "redis.acl_user" => {
                    acl_user::observe(connection, kind, estate, &subjects, self.connections.user()).await
                }
                "redis.key" => value::observe_keys(connection, kind, &subjects).await,
                _ => value::observe_hashes(connection, kind, &subjects).await,
            }?;
            self.connections.release(session);
            Ok::<_, Failure>(answers)
        };
        match read.await {
            Ok(answers) => KindObservation { resources: answers.into_iter().collect(), incomplete: None },
            Err(failure) => {
                let reason = reason(failure, &format!("reading {name} of {}", self.connections.location()));
                let unknown =
                    subjects.iter().map(|subject| (subject.identity.clone(), Observed::Unknown(reason.clone().into())));
                KindObservation { resources: unknown.collect(), incomplete: Some(reason.into()) }
            }
        }
    }
}

/// Why something is unknown, with what can be done about it.
fn reason(failure: Failure, attempted: &str) -> Arc<str> {
    let error = failure.into_provider_error(attempted);
    match &error.remedy {
        Some(remedy) => format!("{error}; {remedy}").into(),
        None => error.to_string().into(),
    }
}

#[async_trait]
impl Reader for RedisReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let mut subjects: BTreeMap<&'static str, Vec<Subject<'_>>> = BTreeMap::new();
        for (kind, wanted) in &request.wanted {
            subjects.entry(kind).or_default().extend(wanted.iter().filter_map(|desired| {
                Some(Subject { identity: desired.identity.as_ref()?, spec: &desired.spec, is_wanted: true })
            }));
        }
        for (kind, known) in &request.known {
            subjects.entry(kind).or_default().extend(known.iter().map(|known| Subject {
                identity: known.identity,
                spec: &known.spec,
                is_wanted: false,
            }));
        }
        let reads = subjects
            .into_iter()
            .map(|(kind, subjects)| async move { (kind, self.kind(kind, request.estate, subjects).await) });
        join_all(reads).await.into_iter().collect()
    }

    /// The address and the number of the database. The server has nothing that survives a restart without persistence
    /// (`run_id`) or a failover (`master_replid`), and a marker would have to be written.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        Ok(Fingerprint::new(self.connections.address()))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.connections.location();
        let probe = async {
            let mut session = self.connections.acquire().await?;
            let info: String = redis::cmd("INFO").arg("server").query_async(&mut session.connection).await?;
            self.connections.release(session);
            Ok::<_, Failure>(info)
        };
        let info = probe.await.map_err(|failure| failure.into_provider_error(format!("asking Redis at {location}")))?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Ok(match (field("valkey_version:"), field("redis_version:")) {
            (Some(version), _) => format!("Valkey {version} at {location}"),
            (None, version) => format!("Redis {} at {location}", version.unwrap_or("of an unknown version")),
        })
    }
}
