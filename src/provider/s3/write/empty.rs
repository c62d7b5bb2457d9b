//! Taking away everything in a bucket, or below a prefix of it: versions, delete markers, and uploads that were never finished.
//!
//! A page at a time, and each page only while the run still holds its lock. What is locked is passed over, so that one locked
//! object does not keep the others; afterwards it is the reason why the area is not empty.

use crate::api::{Api, Call};
use crate::contents::{Area, Item, PAGE};
use crate::error::{Failed as _, Failure};
use crate::read::object_head;
use crate::xml::Element;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::{CommitGuard, PROGRESS};
use tenantry_transport::Method;

/// How often an area is emptied that somebody still writes into.
const ROUNDS: usize = 3;

/// Deletes a bucket that is ours, after everything in it.
///
/// # Errors
/// If anything cannot be deleted; then the rest is still there, and a repetition goes on from it.
pub async fn remove(api: &Api, bucket: &str, guard: &dyn CommitGuard) -> Result<(), Failure> {
    let area = Area { bucket, prefix: "" };
    for round in 1.. {
        empty(api, area, guard).await?;
        match api.call(Method::DELETE, Call { bucket, ..Call::default() }).await {
            Err(failure) if failure.is_code("BucketNotEmpty") && round < ROUNDS => {}
            // Somebody was faster.
            Err(failure) if failure.is_code("NoSuchBucket") => return Ok(()),
            Err(failure) if failure.is_code("BucketNotEmpty") => {
                let message = "it is not empty, although its content was deleted: somebody is still writing to it";
                return Err(Failure::conflict(message.to_owned()));
            }
            other => return other.map(|_| ()),
        }
    }
    Ok(())
}

/// Empties a prefix and looks whether it is.
///
/// # Errors
/// As for [`remove`].
pub async fn clear(api: &Api, area: Area<'_>, guard: &dyn CommitGuard) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        empty(api, area, guard).await?;
        if !area.is_filled(api).await? {
            return Ok(());
        }
    }
    let message = "it is not empty, although everything below it was deleted: somebody is still writing to it";
    Err(Failure::conflict(message.to_owned()))
}

/// Deletes everything that is in an area when it is listed.
async fn empty(api: &Api, area: Area<'_>, guard: &dyn CommitGuard) -> Result<(), Failure> {
    abort_uploads(api, area, guard).await?;
    let mut deleted = 0;
    let mut after: Option<Item> = None;
    let mut before = Vec::new();
    let mut kept: Vec<Kept> = Vec::new();
    loop {
        let page = area.items(api, after.as_ref(), PAGE).await?;
        if page.items.is_empty() {
            break;
        }
        if page.items == before {
            if !kept.is_empty() {
                break;
            }
            let message = "the server reports that its content was deleted, but the content is still there";
            return Err(Failure::conflict(message.to_owned()));
        }
        guard.check().await.map_err(Obstacle::from)?;
        let refused = delete(api, area.bucket, &page.items).await?;
        deleted += page.items.len().saturating_sub(refused.len());
        tracing::info!(target: PROGRESS, bucket = area.bucket, prefix = area.prefix, deleted, "emptying");
        before = page.items;
        if !refused.is_empty() {
            kept.extend(refused);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    match kept.split_first() {
        None => Ok(()),
        Some((first, others)) => Err(first.failure(api, area, others.len()).await),
    }
}

/// A version that the server does not delete.
struct Kept {
    item: Item,
    code: String,
    message: String,
}

impl Kept {
    /// What keeps the area from being emptied: this one, and how many others.
    async fn failure(&self, api: &Api, area: Area<'_>, others: usize) -> Failure {
        let Item { key, version } = &self.item;
        let what = if area.prefix.is_empty() { "the bucket can be deleted" } else { "the prefix can be emptied" };
        let others = match others {
            0 => String::new(),
            1 => "; another one is not deleted either".to_owned(),
            others => format!("; {others} others are not deleted either"),
        };
        if let Some(until) = locked_until(api, area.bucket, key, version.as_deref()).await {
            return Failure::conflict(format!(
                "the object {key:?} in it is locked until {until}; {what} after that{others}"
            ));
        }
        let why = if self.message.is_empty() { "refused" } else { &self.message };
        Failure::Refused {
            // Of the object, in an answer that is itself a success.
            status: 200,
            code: self.code.clone(),
            message: format!("the object {key:?} in it cannot be deleted: {why}{others}"),
        }
    }
}

/// Deletes a page, and returns what the server keeps.
async fn delete(api: &Api, bucket: &str, items: &[Item]) -> Result<Vec<Kept>, Failure> {
    let list = items.iter().fold(Element::new("Delete").text("Quiet", true), |list, item| {
        let object = Element::new("Object").text("Key", &item.key);
        list.with(object.maybe("VersionId", item.version.as_deref()))
    });
    let query = [("delete", "")];
    let headers = [("content-type", "application/xml")];
    let call = Call { bucket, query: &query, headers: &headers, body: Some(list.document()), ..Call::default() };
    let answer = api.call(Method::POST, call).await?;
    let result = Element::parse(&answer.body).filter(|root| root.name == "DeleteResult");
    let result =
        result.ok_or_else(|| Failure::Unreadable("the answer to a deletion of objects cannot be read".to_owned()))?;
    let text = |error: &Element, name: &str| error.get(name).unwrap_or_default().to_owned();
    let kept = result.all("Error").map(|error| {
        let version = error.get("VersionId").filter(|version| !version.is_empty()).map(str::to_owned);
        let item = Item { key: text(error, "Key"), version };
        Kept { item, code: text(error, "Code"), message: text(error, "Message") }
    });
    Ok(kept.collect())
}

/// Until when an object is kept from being deleted, if it is.
async fn locked_until(api: &Api, bucket: &str, key: &str, version: Option<&str>) -> Option<String> {
    let head = object_head(api, bucket, key, version).await.ok()??;
    if head.header("x-amz-object-lock-legal-hold") == Some("ON") {
        return Some("its legal hold is removed".to_owned());
    }
    head.header("x-amz-object-lock-retain-until-date").map(str::to_owned)
}

async fn abort_uploads(api: &Api, area: Area<'_>, guard: &dyn CommitGuard) -> Result<(), Failure> {
    let mut before = Vec::new();
    loop {
        let open = area.uploads(api, None, PAGE).await?.items;
        if open.is_empty() {
            return Ok(());
        }
        if open == before {
            return Err(Failure::conflict("unfinished uploads were aborted, but they are still there".to_owned()));
        }
        guard.check().await.map_err(Obstacle::from)?;
        for upload in &open {
            let query = [("uploadId", upload.id.as_str())];
            let call = Call { bucket: area.bucket, key: &upload.key, query: &query, ..Call::default() };
            match api.call(Method::DELETE, call).await {
                Err(failure) if failure.is_missing() => {}
                other => _ = other?,
            }
        }
        before = open;
    }
}
