//! The writing half.
//!
//! A key is looked at under `WATCH` and written in one `MULTI`: so a repeated step finds its own work, somebody else's key is
//! a conflict, and what changes between the two makes the server refuse. A user is one `ACL SETUSER`, which is all or
//! nothing; between looking at its mark and setting it, somebody else could make a user of that name.
//!
//! Nothing is proven before a replacement, because there is none: no field of any kind is immutable.

mod acl_user;
mod value;

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::{Connections, Session};
use super::error::Failure;
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{CommitGuard, Step, WriteError, Writer, Written};

pub struct RedisWriter {
    connections: Arc<Connections>,
}

impl RedisWriter {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }

    async fn step(&self, session: &mut Session, step: &Step) -> Result<(), Failure> {
        let connection = &mut session.connection;
        match step.kind.name {
            "redis.acl_user" => acl_user::write(connection, step, self.connections.user()).await,
            "redis.key" => value::write_key(connection, step).await,
            "redis.hash" => value::write_hash(connection, step).await,
            other => Err(Failure::Invalid(format!("Redis has no kind {other}"))),
        }
    }
}

#[async_trait]
impl Writer for RedisWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        let failed = |step: usize, done: Vec<Written>, failure: Failure| {
            let mut error = failure.into_provider_error(batch[step].attempted(&batch[step].identity));
            error.mask(batch.iter().flat_map(Step::secret_values));
            Err(WriteError { step, done, error })
        };
        let mut session = match self.connections.acquire().await {
            Ok(session) => session,
            Err(failure) => return failed(0, done, failure),
        };
        for (index, step) in batch.iter().enumerate() {
            if let Err(lost) = guard.check().await {
                return Err(lost.of_step(index, done, step.attempted(&step.identity)));
            }
            match self.step(&mut session, step).await {
                Ok(()) => done.push(Written::default()),
                Err(failure) => {
                    // What was done until here is to outlive the server all the same.
                    if let Err(error) = acl_user::save(&mut session.connection, &batch[..index]).await {
                        tracing::warn!("the users that were written are not saved: {error}");
                    }
                    return failed(index, done, failure);
                }
            }
        }
        if let Err(failure) = acl_user::save(&mut session.connection, batch).await {
            // Repeating the last step saves again.
            done.pop();
            return failed(batch.len().saturating_sub(1), done, failure);
        }
        self.connections.release(session);
        Ok(done)
    }
}

/// A spec of a step with its types.
fn parse<T: serde::de::DeserializeOwned>(spec: &Map) -> Result<T, Failure> {
    // The parser's own message may quote values.
    super::types::parse(spec)
        .map_err(|_| Failure::Invalid("the spec does not follow the schema of its kind".to_owned()))
}

/// The conflict of an update whose resource is gone.
fn vanished() -> Failure {
    Failure::Conflict("it no longer exists; plan again".to_owned())
}
