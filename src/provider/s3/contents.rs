//! What is in a bucket, or below a prefix of it: versions, delete markers and unfinished uploads, page by page.
//!
//! Everything that is listed may be deleted next. So what does not begin with the prefix is an error and not an answer: a server
//! that does not know the parameter would list what belongs to others.

use super::api::Api;
use super::error::{Failed as _, Failure};
use super::xml::Element;

/// The most that a page has: what servers give at most, and what one request deletes.
pub const PAGE: usize = 1000;

/// A bucket, or a part of it.
#[derive(Clone, Copy)]
pub struct Area<'a> {
    pub bucket: &'a str,
    /// Empty for all of the bucket.
    pub prefix: &'a str,
}

/// An object, and its version where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub key: String,
    pub version: Option<String>,
}

/// An upload that was begun and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub key: String,
    pub id: String,
}

/// A part of a listing. It is empty only if nothing is left.
pub struct Page<T> {
    pub items: Vec<T>,
    /// After which the next page begins, if there is one.
    pub next: Option<T>,
}

impl Area<'_> {
    /// Whether anything is there.
    ///
    /// # Errors
    /// If the bucket cannot be listed.
    pub async fn is_filled(&self, api: &Api) -> Result<bool, Failure> {
        Ok(!self.items(api, None, 1).await?.items.is_empty() || !self.uploads(api, None, 1).await?.items.is_empty())
    }

    /// Objects with their versions and delete markers.
    ///
    /// # Errors
    /// If they cannot be listed, or if the listing is not of this area.
    pub async fn items(&self, api: &Api, after: Option<&Item>, most: usize) -> Result<Page<Item>, Failure> {
        let most = most.to_string();
        let mut query = vec![("versions", ""), ("max-keys", &*most), ("prefix", self.prefix)];
        if let Some(after) = after {
            query.push(("key-marker", &after.key));
            query.extend(after.version.as_deref().map(|version| ("version-id-marker", version)));
        }
        let (page, parts) = match self.document(api, query, "ListVersionsResult").await {
            Ok(page) => (page, &["Version", "DeleteMarker"][..]),
            // A server without versions.
            Err(failure) if is_unknown(&failure) => {
                let mut query = vec![("list-type", "2"), ("max-keys", &*most), ("prefix", self.prefix)];
                query.extend(after.map(|after| ("start-after", &*after.key)));
                (self.document(api, query, "ListBucketResult").await?, &["Contents"][..])
            }
            Err(failure) if failure.is_code("NoSuchBucket") => return Ok(Page { items: Vec::new(), next: None }),
            Err(failure) => return Err(failure),
        };
        let listed = page.children.iter().filter(|item| parts.contains(&item.name.as_str()));
        let items = listed.map(|item| {
            let version = item.get("VersionId").filter(|version| !version.is_empty()).map(str::to_owned);
            Ok(Item { key: self.key_of(item)?, version })
        });
        let next = |key: &str| {
            let version = page.get("NextVersionIdMarker").filter(|version| !version.is_empty()).map(str::to_owned);
            Item { key: key.to_owned(), version }
        };
        cut(&page, items.collect::<Result<_, Failure>>()?, "NextKeyMarker", next)
    }

    /// Uploads that were not finished; none on a server that does not know them.
    ///
    /// # Errors
    /// As for [`Self::items`].
    pub async fn uploads(&self, api: &Api, after: Option<&Upload>, most: usize) -> Result<Page<Upload>, Failure> {
        let most = most.to_string();
        let mut query = vec![("uploads", ""), ("max-uploads", &*most), ("prefix", self.prefix)];
        if let Some(after) = after {
            query.extend([("key-marker", &*after.key), ("upload-id-marker", &*after.id)]);
        }
        let page = match self.document(api, query, "ListMultipartUploadsResult").await {
            Ok(page) => page,
            Err(failure) if is_unknown(&failure) || failure.is_code("NoSuchBucket") => {
                return Ok(Page { items: Vec::new(), next: None });
            }
            Err(failure) => return Err(failure),
        };
        let items = page.all("Upload").map(|upload| {
            Ok(Upload { key: self.key_of(upload)?, id: upload.get("UploadId").unwrap_or_default().to_owned() })
        });
        let next = |key: &str| {
            let id = page.get("NextUploadIdMarker").unwrap_or_default().to_owned();
            Upload { key: key.to_owned(), id }
        };
        cut(&page, items.collect::<Result<_, Failure>>()?, "NextKeyMarker", next)
    }

    async fn document(&self, api: &Api, mut query: Vec<(&str, &str)>, root: &str) -> Result<Element, Failure> {
        query.retain(|(name, value)| *name != "prefix" || !value.is_empty());
        api.document(self.bucket, &query, root).await
    }

    fn key_of(&self, item: &Element) -> Result<String, Failure> {
        let unreadable = || Failure::Unreadable("the listing has an object without a key".to_owned());
        let key = item.get("Key").ok_or_else(unreadable)?;
        match key.starts_with(self.prefix) {
            true => Ok(key.to_owned()),
            false => Err(Failure::Unreadable(format!(
                "the server was asked for what begins with {:?} and lists {key:?}",
                self.prefix
            ))),
        }
    }
}

/// Whether a server does not know what is asked of it: it says so, or answers something else.
fn is_unknown(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status: 501 | 405, .. } | Failure::Unreadable(_))
        || failure.is_code("NotImplemented")
}

/// A page with where the next one begins. One that is empty and not the last says nothing.
fn cut<T: Clone>(
    page: &Element,
    items: Vec<T>,
    marker: &str,
    next: impl FnOnce(&str) -> T,
) -> Result<Page<T>, Failure> {
    if !page.is("IsTruncated", "true") {
        return Ok(Page { items, next: None });
    }
    let Some(last) = items.last().cloned() else {
        return Err(Failure::busy("the listing is marked as incomplete, but lists nothing"));
    };
    let next = page.get(marker).filter(|key| !key.is_empty()).map_or(last, next);
    Ok(Page { items, next: Some(next) })
}
