//! The features that are attached to a product.
//!
//! Stripe tells them product by product, so they are read of those products only whose spec names any. What is read stands in the
//! product's object, beside what Stripe has there.

use serde_json::{Value as Json, json};

use super::api::{Api, Failure};
use super::form::Form;

/// Where the features of a product stand once they were read.
const FIELD: &str = "tenantry_features";

/// A feature that is attached to a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Stripe's id of the attachment.
    pub id: String,
    pub lookup_key: String,
}

fn path(product: &str) -> String {
    format!("products/{product}/features")
}

/// Every feature of a product.
///
/// # Errors
/// If they could not be listed to the end, or one has no lookup key.
pub async fn list(api: &Api, product: &str) -> Result<Vec<Attached>, Failure> {
    let objects = api.list(&path(product), &Form::new()).await?;
    let attached = objects.iter().map(|object| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
        let lookup_key = text("/entitlement_feature/lookup_key");
        let unreadable = || Failure::Unreadable(format!("the features of product {product} have no lookup keys"));
        Ok(Attached { id: text("/id").unwrap_or_default(), lookup_key: lookup_key.ok_or_else(unreadable)? })
    });
    attached.collect()
}

/// Puts what was read into the product's object.
pub fn put(product: &mut Json, attached: &[Attached]) {
    if let Some(fields) = product.as_object_mut() {
        let keys: Vec<&str> = attached.iter().map(|one| &*one.lookup_key).collect();
        fields.insert(FIELD.to_owned(), json!(keys));
    }
}

/// The lookup keys of a product's features; `None` if they were not read.
pub fn of(product: &Json) -> Option<impl Iterator<Item = &str>> {
    Some(product.get(FIELD)?.as_array()?.iter().filter_map(Json::as_str))
}

/// Attaches a feature, unless it is.
///
/// # Errors
/// If Stripe refuses, or does not answer.
pub async fn attach(api: &Api, product: &str, feature: &str, key: &str) -> Result<(), Failure> {
    let form = Form::new().with("entitlement_feature", feature);
    let key = format!("{key}-{feature}");
    for attempt in 0.. {
        match api.create(&path(product), &form, &key, attempt).await {
            // Answered from the past: it may have been detached since.
            Ok(posted) if posted.replayed && attempt < super::write::ATTEMPTS => {
                let id = posted.object.get("id").and_then(Json::as_str).unwrap_or_default();
                if api.get(&path(product), id).await?.is_some() {
                    return Ok(());
                }
            }
            other => return other.map(|_| ()),
        }
    }
    Ok(())
}

/// Detaches a feature. What is detached already is success.
///
/// # Errors
/// As for [`attach`].
pub async fn detach(api: &Api, product: &str, attached: &Attached) -> Result<(), Failure> {
    api.delete(&path(product), &attached.id, &Form::new()).await.map(|_| ())
}
