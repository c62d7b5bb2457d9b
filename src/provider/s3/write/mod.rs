//! The writing half.
//!
//! A resource is looked at first: so a repeated step finds its own work, and somebody else's is a conflict. A bucket is
//! marked before anything else is set, where the server allows it in the very request that makes it.
//!
//! Nothing is proven before a replacement, because there is none that deletes first: no field of any kind is immutable, and what
//! gets another name is made under it before the old one goes.

mod bucket;
mod empty;
mod object;
mod user;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::api::Api;
use super::error::Failure;
use tenantry_provider::contract::{CommitGuard, Step, WriteError, Writer, Written};
use tenantry_transport::traced;

pub struct S3Writer {
    api: Arc<Api>,
    /// Buckets that were made here and perhaps not marked yet: a step that is tried again knows them for its own.
    made: Mutex<BTreeSet<String>>,
}

impl S3Writer {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, made: Mutex::default() }
    }

    async fn step(&self, step: &Step) -> Result<Written, Failure> {
        let told = |outputs| Written { outputs, ..Written::default() };
        match step.kind.name {
            "s3.bucket" => bucket::write(&self.api, &self.made, step).await.map(told),
            "s3.object" => object::write(&self.api, step).await.map(told),
            "s3.user" => user::write(&self.api, step).await,
            other => Err(Failure::Invalid(format!("S3 has no kind {other}"))),
        }
    }
}

#[async_trait]
impl Writer for S3Writer {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            if let Err(lost) = guard.check().await {
                return Err(lost.of_step(index, done, step.attempted(&step.identity)));
            }
            match traced(self.step(step)).await {
                (Ok(written), _) => done.push(written),
                (Err(failure), is_written) => {
                    let mut error = failure.into_provider_error(step.attempted(&step.identity));
                    error.mask(batch.iter().flat_map(Step::secret_values));
                    // A bucket whose tags were refused is there all the same, and ours.
                    error.is_in_doubt = is_written;
                    return Err(WriteError { step: index, done, error });
                }
            }
        }
        Ok(done)
    }
}

/// The conflict of an update whose resource is gone.
fn vanished() -> Failure {
    Failure::Conflict("it no longer exists; plan again".to_owned())
}
