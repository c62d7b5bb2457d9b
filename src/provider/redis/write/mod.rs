//! The writing half.
//!
//! A key is looked at under `WATCH` and written in one `MULTI`: so a repeated step finds its own work, somebody else's key is
//! a conflict, and what changes between the two makes the server refuse. A user is one `ACL SETUSER`, which is all or
//! nothing; between looking at its mark and setting it, somebody else could make a user of that name.
//!
//! Nothing is proven before a replacement, because there is none: no field of any kind is immutable.

mod acl_user;
mod prefix;
mod value;

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connections;
use super::error::Failure;
use super::types::RedisKind;
use tenantry_kit::{ProviderKind as _, Steps};
use tenantry_provider::contract::{CommitGuard, Step, Written};

pub struct RedisWriter {
    connections: Arc<Connections>,
}

impl RedisWriter {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }
}

#[async_trait]
impl Steps for RedisWriter {
    type Failure = Failure;

    async fn step(&self, step: &Step, guard: &dyn CommitGuard) -> Result<Written, Failure> {
        let kind = RedisKind::of(step.kind.name)?;
        let mut session = self.connections.acquire().await?;
        match kind {
            RedisKind::AclUser => acl_user::write(&mut session, step, self.connections.user()).await,
            RedisKind::Prefix => prefix::write(&mut session, step, guard).await,
            RedisKind::Key => value::write_key(&mut session, step).await,
            RedisKind::Hash => value::write_hash(&mut session, step).await,
        }?;
        self.connections.release(session);
        Ok(Written::default())
    }

    /// Makes written users outlive the server.
    async fn finish(&self, done: &[Step]) -> Result<(), Failure> {
        if done.iter().any(|step| RedisKind::of(step.kind.name).is_ok_and(|kind| kind == RedisKind::AclUser)) {
            let mut session = self.connections.acquire().await?;
            acl_user::save(&mut session).await?;
            self.connections.release(session);
        }
        Ok(())
    }
}
