//! The reading half.
//!
//! S3 has no bulk read of what buckets are set to, so the number of requests grows with the buckets here: of each, its tags
//! and those settings that the spec names or its tags say are looked after. They go out side by side. Objects come from
//! listings ([`object`]).

pub mod bucket;
mod object;
mod prefix;
pub mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::api::{Api, Call};
use super::error::{Failed as _, Failure};
use super::types::S3Kind;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::resource::KindObservation;
use tenantry_kit::{Asked, KindReader, Kinds, side_by_side};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};
use tenantry_transport::Method;

pub use object::object_head;

pub struct S3Reader {
    api: Arc<Api>,
    kinds: Kinds<S3Kind>,
}

impl S3Reader {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, kinds: Kinds::default() }
    }
}

#[async_trait]
impl KindReader for S3Reader {
    type Kind = S3Kind;
    type Failure = Failure;

    fn kinds(&self) -> &Kinds<S3Kind> {
        &self.kinds
    }

    fn attempted(&self, kind: &str) -> String {
        format!("reading {kind} of {}", self.api.location())
    }

    async fn read(&self, asked: &Asked<'_, S3Kind>) -> Result<KindObservation, Failure> {
        let Asked { kind, description, estate, subjects } = asked;
        Ok(match kind {
            S3Kind::Bucket => bucket::observe(&self.api, description, estate, subjects).await,
            S3Kind::User => user::observe(&self.api, description, estate, subjects).await,
            S3Kind::Prefix => prefix::observe(&self.api, description, subjects).await,
            S3Kind::Object => object::observe(&self.api, description, subjects).await,
        })
    }
}

#[async_trait]
impl Reader for S3Reader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        side_by_side(self, request).await
    }

    /// The address and the canonical id of the account that owns the buckets ("`ListBuckets`", API reference): servers other
    /// than AWS may give every account the same.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("reading the owner of the buckets of S3 at {}", self.api.location());
        // One bucket is enough; servers other than AWS may tell all.
        let listed = self.api.document("", &[("max-buckets", "1")], "ListAllMyBucketsResult").await;
        let listed = listed.map_err(|failure| failure.into_provider_error(attempted))?;
        let address = self.api.address();
        let owner = listed.child("Owner").and_then(|owner| owner.get("ID")).filter(|id| !id.is_empty());
        Ok(Fingerprint::new(match owner {
            Some(owner) => format!("address {address}, owner {owner}"),
            None => format!("address {address}"),
        }))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.api.location();
        let attempted = format!("connecting to S3 at {location}");
        let failed = |failure: Failure| failure.into_provider_error(attempted.clone());
        let answer = self.api.call(Method::GET, Call::default()).await.map_err(failed)?;
        let root = super::xml::Element::parse(&answer.body).filter(|root| root.name == "ListAllMyBucketsResult");
        if root.is_none() {
            let unreadable = Failure::Unreadable("the answer is not a list of buckets".to_owned());
            return Err(unreadable.into_provider_error(attempted));
        }
        let server = answer.header("server").unwrap_or("S3").chars().take(60).collect::<String>();
        Ok(format!("{server} at {location}, region {}", self.api.region))
    }
}
