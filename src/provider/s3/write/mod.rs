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
mod prefix;
mod user;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::api::Api;
use super::error::Failure;
use super::types::S3Kind;
use tenantry_kit::{ProviderKind as _, Steps};
use tenantry_provider::contract::{CommitGuard, Step, Written};

pub struct S3Writer {
    api: Arc<Api>,
    /// Buckets that were made here and perhaps not marked yet: a step that is tried again knows them for its own.
    made: Mutex<BTreeSet<String>>,
}

impl S3Writer {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, made: Mutex::default() }
    }
}

/// A bucket whose tags were refused is there all the same, and ours: what was written stays in doubt.
#[async_trait]
impl Steps for S3Writer {
    type Failure = Failure;

    async fn step(&self, step: &Step, guard: &dyn CommitGuard) -> Result<Written, Failure> {
        let told = |outputs| Written { outputs, ..Written::default() };
        match S3Kind::of(step.kind.name)? {
            S3Kind::Bucket => bucket::write(&self.api, &self.made, step, guard).await.map(told),
            S3Kind::Prefix => prefix::write(&self.api, step, guard).await.map(told),
            S3Kind::Object => object::write(&self.api, step).await.map(told),
            S3Kind::User => user::write(&self.api, step).await,
        }
    }
}
