//! The reading half.
//!
//! S3 has no bulk read of what buckets are set to, so the number of requests grows with the buckets here: of each, its tags
//! and those settings that the spec names or its tags say are looked after. They go out side by side. Objects come from
//! listings ([`object`]).

pub mod bucket;
mod object;
pub mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;

use super::api::{Api, Call};
use super::error::Failure;
use super::types;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed};
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};
use tenantry_transport::Method;

pub use object::object_head;

pub struct S3Reader {
    api: Arc<Api>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// A resource that is asked for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    identity: &'a Identity,
    spec: &'a Map,
}

type Answers = Vec<(Identity, Observed)>;

impl S3Reader {
    pub fn new(api: Arc<Api>) -> Self {
        let kinds = types::kinds().into_iter().map(|kind| (kind.name, kind)).collect();
        Self { api, kinds }
    }

    async fn kind(&self, name: &'static str, request: &ObserveRequest<'_>) -> KindObservation {
        let Some(kind) = self.kinds.get(name) else {
            return KindObservation::unknown(format!("S3 has no kind {name}"));
        };
        let wanted = request.wanted.get(name).into_iter().flatten();
        let wanted =
            wanted.filter_map(|desired| Some(Subject { identity: desired.identity.as_ref()?, spec: &desired.spec }));
        let known = request.known.get(name).into_iter().flatten();
        let known = known.map(|known| Subject { identity: known.identity, spec: &known.spec });
        let subjects: Vec<Subject<'_>> = wanted.chain(known).collect();
        match name {
            "s3.bucket" => bucket::observe(&self.api, kind, request.estate, &subjects).await,
            "s3.user" => user::observe(&self.api, kind, request.estate, &subjects).await,
            _ => object::observe(&self.api, kind, &subjects).await,
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
impl Reader for S3Reader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let mut names: Vec<&'static str> = request.wanted.keys().chain(request.known.keys()).copied().collect();
        names.sort_unstable();
        names.dedup();
        let reads = names.into_iter().map(|name| async move { (name, self.kind(name, request).await) });
        join_all(reads).await.into_iter().collect()
    }

    /// The address and the canonical id of the account that owns the buckets ("`ListBuckets`", API reference): servers other
    /// than AWS may give every account the same.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("asking S3 at {} whose the buckets are", self.api.location());
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
        let attempted = format!("asking S3 at {location}");
        let failed = |failure: Failure| failure.into_provider_error(attempted.clone());
        let answer = self.api.call(Method::GET, Call::default()).await.map_err(failed)?;
        let root = super::xml::Element::parse(&answer.body).filter(|root| root.name == "ListAllMyBucketsResult");
        if root.is_none() {
            let unreadable = Failure::Unreadable("the answer is no list of buckets".to_owned());
            return Err(unreadable.into_provider_error(attempted));
        }
        let server = answer.header("server").unwrap_or("S3").chars().take(60).collect::<String>();
        Ok(format!("{server} at {location}, region {}", self.api.region))
    }
}
