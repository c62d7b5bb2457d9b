//! The mark in an object's metadata, and what else is noted there.
//!
//! Metadata has fifty keys of forty characters with values of five hundred (<https://docs.stripe.com/metadata>). Everybody with
//! access to the account reads it: of a secret there is the engine's keyed hash only.

use serde_json::Value as Json;

use super::form::Form;
use tenantry_core::model::mark::Mark;

/// With what our keys begin; the user's must not.
pub const PREFIX: &str = "tenantry_";

/// Keys that a user's metadata may have besides ours.
pub const USER_KEYS: usize = 40;

pub const MOST_VALUE: usize = 500;
pub const MOST_KEY: usize = 40;

const ESTATE: &str = "tenantry_estate";
const ADDRESS: &str = "tenantry_address";
const SECRET: &str = "tenantry_secret";

/// What the object is called in the spec.
pub const KEY: &str = "tenantry_key";
/// What deleting a subscription does.
pub const ON_DELETE: &str = "tenantry_on_delete";
/// That a subscription is to have a schedule of ours, and when the period ends for which it is made.
pub const LATER: &str = "tenantry_later";
/// That a subscription was deleted and runs until its period's end.
pub const ENDING: &str = "tenantry_ending";
/// That a subscription was deleted, and did not end by itself.
pub const DELETED: &str = "tenantry_deleted";

/// A text of the metadata of an object.
pub fn note<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The mark of an object. Half a mark is none.
pub fn read(object: &Json) -> Option<Mark> {
    let address = note(object, ADDRESS)?.parse().ok()?;
    Some(Mark { estate: note(object, ESTATE)?.into(), address, secret_hash: note(object, SECRET).map(Into::into) })
}

/// Parameters that leave a mark, and the name by which the object is found again.
///
/// # Errors
/// In words, if the address is longer than a value may be.
pub fn parameters(mark: &Mark, key: &str) -> Result<Form, String> {
    let address = mark.address.to_string();
    if address.chars().count() > MOST_VALUE {
        return Err(format!("its address is longer than the {MOST_VALUE} characters that fit into metadata"));
    }
    let mut form = Form::new();
    let mut set = |name: &str, value: &str| form.set(format!("metadata[{name}]"), value);
    set(ESTATE, &mark.estate);
    set(ADDRESS, &address);
    set(KEY, key);
    // An empty value takes away what an earlier secret left.
    set(SECRET, mark.secret_hash.as_deref().unwrap_or_default());
    Ok(form)
}
