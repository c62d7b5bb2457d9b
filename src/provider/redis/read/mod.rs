//! The reading half.
//!
//! Keys are asked for in pages, each of them one pipeline and so one round trip; all users come with one `ACL LIST`. A
//! command that the server refuses makes only its own key unknown.

mod acl_user;
mod prefix;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connections;
use super::error::{Failed as _, Failure};
use super::types::RedisKind;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::resource::KindObservation;
use tenantry_kit::{Asked, KindReader, Kinds, known, side_by_side};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};

pub use acl_user::fetch as fetch_user;

pub struct RedisReader {
    connections: Arc<Connections>,
    kinds: Kinds<RedisKind>,
}

impl RedisReader {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections, kinds: Kinds::default() }
    }
}

#[async_trait]
impl KindReader for RedisReader {
    type Kind = RedisKind;
    type Failure = Failure;

    fn kinds(&self) -> &Kinds<RedisKind> {
        &self.kinds
    }

    fn attempted(&self, kind: &str) -> String {
        format!("reading {kind} of {}", self.connections.location())
    }

    async fn read(&self, asked: &Asked<'_, RedisKind>) -> Result<KindObservation, Failure> {
        if asked.subjects.is_empty() && asked.kind != RedisKind::AclUser {
            return Ok(KindObservation::default());
        }
        let mut session = self.connections.acquire().await?;
        let answers = match asked.kind {
            RedisKind::AclUser => acl_user::observe(&mut session, asked, self.connections.user()).await,
            RedisKind::Prefix => prefix::observe(&mut session, asked).await,
            RedisKind::Key => value::observe_keys(&mut session, asked).await,
            RedisKind::Hash => value::observe_hashes(&mut session, asked).await,
        }?;
        self.connections.release(session);
        Ok(known(answers))
    }
}

#[async_trait]
impl Reader for RedisReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        side_by_side(self, request).await
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
            let info: String = redis::cmd("INFO").arg("server").query_async(&mut *session).await?;
            self.connections.release(session);
            Ok::<_, Failure>(info)
        };
        let info =
            probe.await.map_err(|failure| failure.into_provider_error(format!("connecting to Redis at {location}")))?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Ok(match (field("valkey_version:"), field("redis_version:")) {
            (Some(version), _) => format!("Valkey {version} at {location}"),
            (None, version) => format!("Redis {} at {location}", version.unwrap_or("of an unknown version")),
        })
    }
}
