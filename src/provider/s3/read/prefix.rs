//! Prefixes.
//!
//! One that is in place exists with its bucket, whatever is below it: a request for each bucket. One that is new, or that nobody
//! wants any more, exists while anything is below it, old versions and unfinished uploads included: two requests for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;

use crate::api::Api;
use crate::contents::Area;
use crate::error::{Failed as _, Failure};
use crate::types::text;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{KindObservation, Observed, Present};
use tenantry_kit::{Subject, known};

pub async fn observe(api: &Api, kind: &Kind, subjects: &[Subject<'_>]) -> KindObservation {
    let in_place = |subject: &&Subject<'_>| subject.is_wanted() && subject.is_recorded;
    let buckets: BTreeSet<&str> =
        subjects.iter().filter(in_place).map(|subject| text(subject.spec, "bucket")).collect();
    let looks = buckets.into_iter().map(|bucket| async move { (bucket, exists(api, bucket).await) });
    let buckets: BTreeMap<&str, Result<bool, Failure>> = join_all(looks).await.into_iter().collect();
    let reads = subjects.iter().map(|subject| {
        let bucket = text(subject.spec, "bucket");
        let seen = Some(subject).filter(in_place).and_then(|_| buckets.get(bucket));
        async move {
            let is_there = match seen {
                Some(seen) => seen.clone(),
                None => Area { bucket, prefix: text(subject.spec, "prefix") }.is_filled(api).await,
            };
            let observed = match is_there {
                Ok(false) => Observed::Absent,
                Ok(true) => {
                    Observed::Present(Present { spec: Arc::new(kind.canonical(subject.spec)), ..Present::default() })
                }
                Err(failure) => {
                    let attempted = format!("reading prefix \"{}\" of {}", subject.identity, api.location());
                    Observed::Unknown(failure.into_reason(attempted).into())
                }
            };
            (subject.identity.clone(), observed)
        }
    });
    known(join_all(reads).await)
}

async fn exists(api: &Api, bucket: &str) -> Result<bool, Failure> {
    match api.document(bucket, &[("list-type", "2"), ("max-keys", "1")], "ListBucketResult").await {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_code("NoSuchBucket") => Ok(false),
        Err(failure) => Err(failure),
    }
}
