//! Objects, from listings.
//!
//! A listing tells the hash of every object that was written in one piece, so one request is enough for all wanted objects
//! that lie within a page of each other. An object costs a request of its own only if it is missing, if its hash tells
//! nothing of its content, or if the spec says something of it that no listing has.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use crate::api::{Api, Call, refusal};
use crate::error::{Failed as _, Failure};
use crate::types::{object, text};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Subject};
use tenantry_transport::{Answer, Method};

pub async fn observe(api: &Api, kind: &Kind, subjects: &[Subject<'_>]) -> KindObservation {
    let mut buckets: BTreeMap<&str, Vec<Subject<'_>>> = BTreeMap::new();
    for subject in subjects {
        buckets.entry(text(subject.spec, "bucket")).or_default().push(*subject);
    }
    let reads = buckets.into_iter().map(|(bucket, mut subjects)| async move {
        subjects.sort_by_key(|subject| text(subject.spec, "key"));
        match observe_bucket(api, kind, bucket, &subjects).await {
            Ok(answers) => answers,
            // With the bucket, everything in it is gone.
            Err(failure) if failure.is_code("NoSuchBucket") => {
                subjects.iter().map(|subject| (subject.identity.clone(), Observed::Absent)).collect()
            }
            Err(failure) => {
                let reason = failure.into_reason(format!("listing bucket \"{bucket}\" of {}", api.location()));
                subjects
                    .iter()
                    .map(|subject| (subject.identity.clone(), Observed::Unknown(reason.clone().into())))
                    .collect()
            }
        }
    });
    KindObservation { resources: join_all(reads).await.into_iter().flatten().collect(), incomplete: None }
}

/// Subjects are in order of key.
async fn observe_bucket(api: &Api, kind: &Kind, bucket: &str, subjects: &[Subject<'_>]) -> Result<Answers, Failure> {
    let etags =
        etags(api, bucket, &subjects.iter().map(|subject| text(subject.spec, "key")).collect::<Vec<_>>()).await?;
    let reads = subjects.iter().map(|subject| {
        let listed = etags.get(text(subject.spec, "key"));
        async move {
            let observed = match one(api, kind, subject.spec, listed.map(String::as_str)).await {
                Ok(found) => found.map_or(Observed::Absent, Observed::Present),
                Err(failure) => {
                    let attempted = format!("reading object \"{}\" of {}", subject.identity, api.location());
                    Observed::Unknown(failure.into_reason(attempted).into())
                }
            };
            (subject.identity.clone(), observed)
        }
    });
    Ok(join_all(reads).await)
}

/// The hashes of those of some objects that the bucket lists. `keys` are in order.
async fn etags(api: &Api, bucket: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, Failure> {
    let mut etags = BTreeMap::new();
    let mut rest = keys;
    // Where the last page ended, if it ended before the next wanted key.
    let mut after: Option<String> = None;
    while let [next, ..] = rest {
        let start = match &after {
            Some(after) => after.clone(),
            None => before(next).to_owned(),
        };
        let query = [("list-type", "2"), ("max-keys", "1000"), ("start-after", &start)];
        let query = if start.is_empty() { &query[..2] } else { &query };
        let page = api.document(bucket, query, "ListBucketResult").await?;
        let mut last = None;
        for object in page.all("Contents") {
            let (Some(key), Some(etag)) = (object.get("Key"), object.get("ETag")) else {
                return Err(Failure::Unreadable("the listing has an object without key or hash".to_owned()));
            };
            last = last.max(Some(key.to_owned()));
            if rest.contains(&key) {
                etags.insert(key.to_owned(), etag.trim_matches('"').to_owned());
            }
        }
        match page.get("IsTruncated") {
            Some("false") => break,
            Some("true") => {}
            _ => {
                let message = "the listing does not say whether it is complete";
                return Err(Failure::Unreadable(message.to_owned()));
            }
        }
        let Some(last) = last.filter(|last| *last > start) else {
            return Err(Failure::Unreadable("the listing is marked as incomplete, but names no next page".to_owned()));
        };
        let behind = rest.iter().position(|key| **key > *last).unwrap_or(rest.len());
        // From a wanted key that lies further on there is a shorter way than page by page.
        let is_within = |key: &&str| before(key) <= last.as_str();
        rest = &rest[behind..];
        after = rest.first().filter(|key| is_within(key)).map(|_| last);
    }
    Ok(etags)
}

/// A key right before another one: nothing but what begins with it lies between.
fn before(key: &str) -> &str {
    let end = key.char_indices().next_back().map_or(0, |(index, _)| index);
    &key[..end]
}

/// One object; `None` if there is none. What is not listed is asked for itself: not every server lists in the order of S3.
async fn one(api: &Api, kind: &Kind, spec: &Map, listed: Option<&str>) -> Result<Option<Present>, Failure> {
    let key = text(spec, "key");
    let content = object::content(spec);
    let is_plain = text(spec, "contentType") == object::default_type(key) && !spec.contains("cacheControl");
    let wanted = content.as_deref().map(object::etag);
    let head = match listed {
        Some(etag) if is_plain && wanted.as_deref().is_none_or(|wanted| wanted == etag) => None,
        _ => match object_head(api, text(spec, "bucket"), key, None).await? {
            Some(head) => Some(head),
            None => return Ok(None),
        },
    };
    let etag = match &head {
        Some(head) => head.header("etag").unwrap_or_default().trim_matches('"'),
        None => listed.unwrap_or_default(),
    };
    let is_same =
        wanted.map(|wanted| etag == wanted || head.as_ref().is_some_and(|head| is_noted(head, etag, &wanted)));
    let mut fields: Vec<(Arc<str>, Value)> =
        vec![("bucket".into(), text(spec, "bucket").into()), ("key".into(), key.into())];
    for field in ["content", "contentBase64"] {
        let wanted = spec.get(field);
        match (wanted, is_same) {
            (Some(wanted), Some(true)) => fields.push((field.into(), wanted.clone())),
            (Some(_), Some(false)) => {
                fields.push((field.into(), object::another(etag)));
            }
            // It holds a secret: whether that has changed is told by the mark alone.
            _ => {}
        }
    }
    match &head {
        None => fields.push(("contentType".into(), text(spec, "contentType").into())),
        Some(head) => {
            let kind = head.header("content-type").unwrap_or_default();
            fields.push(("contentType".into(), kind.into()));
            let cache = head.header("cache-control").filter(|cache| !cache.is_empty());
            fields.extend(cache.map(|cache| ("cacheControl".into(), Value::from(cache))));
        }
    }
    let observed: Map = fields.into_iter().collect();
    Ok(Some(Present { spec: Arc::new(kind.canonical(&observed)), ..Present::default() }))
}

/// Whether an object was written with a content of this hash, where the server's own hash tells nothing of the content: with
/// a key of its key management service, or in parts. Whoever writes it anew leaves no note.
fn is_noted(head: &Answer, etag: &str, wanted: &str) -> bool {
    let is_hash = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_key = head.header("x-amz-server-side-encryption").is_some_and(|algorithm| algorithm.starts_with("aws:kms"));
    (has_key || !is_hash) && head.header(object::HASH) == Some(wanted)
}

/// What the server says of an object, or of a version of it; `None` if there is none.
pub async fn object_head(api: &Api, bucket: &str, key: &str, version: Option<&str>) -> Result<Option<Answer>, Failure> {
    let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
    let answer = api.send(Method::HEAD, Call { bucket, key, query: &query, ..Call::default() }).await?;
    match answer.status.as_u16() {
        404 => Ok(None),
        _ if answer.status.is_success() => Ok(Some(answer)),
        _ => Err(refusal(&answer)),
    }
}
