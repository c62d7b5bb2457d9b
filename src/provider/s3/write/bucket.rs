//! Buckets.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::empty;
use crate::api::{Api, Call};
use crate::error::{Failed as _, Failure};
use crate::mark::{self, Tags, wanted_tags};
use crate::read::bucket::{managed, read_tags};
use crate::setting::{SETTINGS, TAGGING};
use crate::types::text;
use crate::xml::Element;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{CommitGuard, ErrorClass, Step, StepAction};
use tenantry_transport::Method;

pub async fn write(
    api: &Api,
    made: &Mutex<BTreeSet<String>>,
    step: &Step,
    guard: &dyn CommitGuard,
) -> Result<Map, Failure> {
    let spec = step.spec();
    let name = text(spec, "name");
    let existing = match read_tags(api, name).await {
        // Nobody but its owner may read the tags of a bucket.
        Err(failure) if failure.class() == ErrorClass::Denied => {
            return Err(match api.call(Method::HEAD, Call { bucket: name, ..Call::default() }).await {
                Err(look) if look.class() == ErrorClass::Denied => Failure::conflict(format!(
                    "it exists, but Tenantry may not read it: it belongs to somebody else, or the access key lacks a permission ({failure})"
                )),
                _ => failure,
            });
        }
        other => other?,
    };
    let is_made = |made: &Mutex<BTreeSet<String>>| made.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
    if let Some(tags) = &existing {
        let mark = mark::read(tags);
        if !(mark.is_none() && is_made(made)) {
            step.check_owner(mark.as_ref()).map_err(Failure::conflict)?;
        }
    }
    let (changed, removed) = match (&step.action, &existing) {
        (StepAction::Delete { .. }, None) => return Ok(Map::default()),
        (StepAction::Delete { .. }, Some(_)) => {
            empty::remove(api, name, guard).await?;
            return Ok(Map::default());
        }
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Create { .. }, _) => {
            let all = SETTINGS.iter().map(|setting| setting.field).filter(|field| spec.contains(field));
            (all.collect(), Vec::new())
        }
        (StepAction::Update { changed, removed, .. }, Some(_)) => {
            let fields = changed.iter().chain(removed).filter_map(|pointer| pointer.split('/').nth(1));
            (fields.collect::<BTreeSet<&str>>(), removed.clone())
        }
    };
    let is_new = existing.is_none();
    // What a failure leaves is a bucket, and the message says so.
    let after = |failure: Failure, what: &str| match is_new {
        true => failure.after(format!("the bucket was created, but its {what} could not be set")),
        false => failure,
    };
    let existing = match existing {
        Some(tags) => tags,
        None => {
            create(api, step, made).await?;
            read_tags(api, name).await.map_err(|failure| after(failure, "tags"))?.unwrap_or_default()
        }
    };

    // The mark first, with everything that may be set from now on: what a crash leaves is looked at by the next run.
    let wanted = SETTINGS.iter().map(|setting| setting.field).filter(|field| spec.contains(field));
    let wanted: BTreeSet<&str> = wanted.collect();
    let during: BTreeSet<&str> = wanted.union(&managed(&existing)).copied().collect();
    let tags = tags(step, &existing, &removed, &during)?;
    put_tags(api, name, &existing, &tags).await.map_err(|failure| after(failure, "tags"))?;
    made.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    for setting in SETTINGS.iter().filter(|setting| changed.contains(setting.field)) {
        setting.write(api, name, spec).await.map_err(|failure| after(failure, setting.words))?;
    }
    if during != wanted {
        let settled = self::tags(step, &tags, &[], &wanted)?;
        put_tags(api, name, &tags, &settled).await?;
    }
    Ok([("arn".into(), Value::from(format!("arn:aws:s3:::{name}")))].into_iter().collect())
}

/// Makes the bucket, with its mark where the server takes it. Not every server says that there is one already.
async fn create(api: &Api, step: &Step, made: &Mutex<BTreeSet<String>>) -> Result<(), Failure> {
    let spec = step.spec();
    let name = text(spec, "name");
    let fields = SETTINGS.iter().map(|setting| setting.field).filter(|field| spec.contains(field)).collect();
    let tags = tags(step, &Tags::new(), &[], &fields)?;
    let region = Some(api.region.as_str()).filter(|region| *region != super::super::REGION);
    let place = Element::new("CreateBucketConfiguration").maybe("LocationConstraint", region);
    let marked = place.clone().with(tag_elements(Element::new("Tags"), &tags));
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    let headers = if spec.contains("objectLock") { &lock[..] } else { &[] };
    let put = async |body: Option<Vec<u8>>| {
        api.call(Method::PUT, Call { bucket: name, headers, body, ..Call::default() }).await
    };
    let mut result = put(Some(marked.document())).await;
    // Older servers know no tags here.
    if result.as_ref().is_err_and(|failure| {
        failure.is_code("MalformedXML") || failure.is_code("InvalidRequest") || failure.is_code("NotImplemented")
    }) {
        result = put(region.map(|_| place.document())).await;
    }
    let is_there =
        |failure: &Failure| failure.is_code("BucketAlreadyOwnedByYou") || failure.is_code("BucketAlreadyExists");
    match result {
        Ok(_) => {
            // AWS answers its oldest region's customers so for a bucket that they have already.
            if let Some(mark) = read_tags(api, name).await?.as_ref().and_then(mark::read) {
                step.check_owner(Some(&mark)).map_err(Failure::conflict)?;
            }
            made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            Ok(())
        }
        Err(failure) if is_there(&failure) => {
            let mark = match read_tags(api, name).await {
                Ok(tags) => tags.as_ref().and_then(mark::read),
                Err(_) => {
                    let message =
                        "it exists and belongs to somebody else: all customers of a server share the names of buckets";
                    return Err(Failure::conflict(message.to_owned()));
                }
            };
            step.check_owner(mark.as_ref()).map_err(Failure::conflict)
        }
        Err(failure) => {
            // What is there when this is tried again may be what it made.
            if failure.is_in_doubt() {
                made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            }
            Err(failure)
        }
    }
}

/// The tags that the bucket is to have: those of others, those of the spec, the mark, and what is looked after.
fn tags(step: &Step, existing: &Tags, removed: &[String], manages: &BTreeSet<&str>) -> Result<Tags, Failure> {
    let wanted = step.spec().get("tags").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let wanted = wanted.filter_map(|(key, value)| Some((key.to_string(), value.as_str()?.to_owned()))).collect();
    let mut tags = wanted_tags(step, &wanted, existing, removed)?;
    if !manages.is_empty() {
        tags.insert(mark::MANAGES.to_owned(), manages.iter().copied().collect::<Vec<_>>().join(" "));
    }
    Ok(tags)
}

async fn put_tags(api: &Api, name: &str, before: &Tags, tags: &Tags) -> Result<(), Failure> {
    if before == tags {
        return Ok(());
    }
    let set = tag_elements(Element::new("TagSet"), tags);
    TAGGING.put(api, name, Element::new("Tagging").with(set).document()).await
}

fn tag_elements(into: Element, tags: &Tags) -> Element {
    tags.iter().fold(into, |set, (key, value)| set.with(Element::new("Tag").text("Key", key).text("Value", value)))
}
