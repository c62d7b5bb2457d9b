//! Taking a bucket away with everything in it: versions, delete markers, and uploads that were never finished.

use crate::api::{Api, Call};
use crate::error::{Failed as _, Failure};
use crate::read::object_head;
use crate::xml::Element;
use tenantry_provider::contract::PROGRESS;
use tenantry_transport::Method;

/// How often a bucket is emptied that somebody still writes into.
const ROUNDS: usize = 3;

/// Deletes a bucket that is ours, after everything in it.
///
/// # Errors
/// If anything cannot be deleted; then the rest is still there, and a repetition goes on from it.
pub async fn remove(api: &Api, bucket: &str) -> Result<(), Failure> {
    let mut deleted = 0;
    for round in 1.. {
        abort_uploads(api, bucket).await?;
        let mut before = Vec::new();
        loop {
            let page = page(api, bucket).await?;
            if page.is_empty() {
                break;
            }
            if page == before {
                let message = "the server reports that its content was deleted, but the content is still there";
                return Err(Failure::conflict(message.to_owned()));
            }
            delete(api, bucket, &page).await?;
            deleted += page.len();
            tracing::info!(target: PROGRESS, bucket, deleted, "emptying");
            before = page;
        }
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

/// An object, and its version where there are any.
#[derive(PartialEq, Eq)]
struct Item {
    key: String,
    version: Option<String>,
}

/// The next of what is in the bucket: at most a thousand.
async fn page(api: &Api, bucket: &str) -> Result<Vec<Item>, Failure> {
    let query = [("versions", ""), ("max-keys", "1000")];
    let (page, parts) = match api.document(bucket, &query, "ListVersionsResult").await {
        Ok(page) => (page, &["Version", "DeleteMarker"][..]),
        // A server without versions.
        Err(Failure::Refused { status: 501 | 405, .. } | Failure::Unreadable(_)) => {
            let query = [("list-type", "2"), ("max-keys", "1000")];
            (api.document(bucket, &query, "ListBucketResult").await?, &["Contents"][..])
        }
        Err(failure) if failure.is_code("NotImplemented") => {
            let query = [("list-type", "2"), ("max-keys", "1000")];
            (api.document(bucket, &query, "ListBucketResult").await?, &["Contents"][..])
        }
        Err(failure) if failure.is_code("NoSuchBucket") => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let items = page.children.iter().filter(|item| parts.contains(&item.name.as_str()));
    let items = items.map(|item| {
        let key =
            item.get("Key").ok_or_else(|| Failure::Unreadable("the listing has an object without a key".to_owned()))?;
        let version = item.get("VersionId").filter(|version| !version.is_empty());
        Ok(Item { key: key.to_owned(), version: version.map(str::to_owned) })
    });
    items.collect()
}

async fn delete(api: &Api, bucket: &str, items: &[Item]) -> Result<(), Failure> {
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
    let Some(error) = result.all("Error").next() else { return Ok(()) };
    let key = error.get("Key").unwrap_or_default();
    let version = error.get("VersionId").filter(|version| !version.is_empty());
    if let Some(until) = locked_until(api, bucket, key, version).await {
        return Err(Failure::conflict(format!(
            "the object {key:?} in it is locked until {until}; the bucket can be deleted after that"
        )));
    }
    Err(Failure::Refused {
        status: answer.status.as_u16(),
        code: error.get("Code").unwrap_or_default().to_owned(),
        message: format!("the object {key:?} in it cannot be deleted: {}", error.get("Message").unwrap_or("refused")),
    })
}

/// Until when an object is kept from being deleted, if it is.
async fn locked_until(api: &Api, bucket: &str, key: &str, version: Option<&str>) -> Option<String> {
    let head = object_head(api, bucket, key, version).await.ok()??;
    if head.header("x-amz-object-lock-legal-hold") == Some("ON") {
        return Some("its legal hold is removed".to_owned());
    }
    head.header("x-amz-object-lock-retain-until-date").map(str::to_owned)
}

async fn abort_uploads(api: &Api, bucket: &str) -> Result<(), Failure> {
    let mut before = Vec::new();
    loop {
        let uploads = match api.document(bucket, &[("uploads", "")], "ListMultipartUploadsResult").await {
            Ok(page) => page,
            Err(Failure::Refused { status: 501 | 405, .. } | Failure::Unreadable(_)) => return Ok(()),
            Err(failure) if failure.is_code("NoSuchBucket") => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let text = |upload: &Element, name: &str| upload.get(name).unwrap_or_default().to_owned();
        let open: Vec<_> =
            uploads.all("Upload").map(|upload| (text(upload, "Key"), text(upload, "UploadId"))).collect();
        if open.is_empty() {
            return Ok(());
        }
        if open == before {
            return Err(Failure::conflict("unfinished uploads were aborted, but they are still there".to_owned()));
        }
        for (key, upload) in &open {
            let query = [("uploadId", upload.as_str())];
            match api.call(Method::DELETE, Call { bucket, key, query: &query, ..Call::default() }).await {
                Err(failure) if failure.is_missing() => {}
                other => _ = other?,
            }
        }
        before = open;
    }
}
