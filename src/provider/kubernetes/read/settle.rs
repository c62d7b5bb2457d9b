//! What seems to differ, held against what the server would make of it.
//!
//! The comparison is cheap and knows no defaults, webhooks or ways in which a type's fields are merged. The server does: a
//! server-side apply as a dry run answers with the object as it would be. Where that is as it is now, there is no
//! difference.

use crate::apply::{Apply, apply};
use crate::discovery::Resource;
use crate::types;
use tenantry_core::diff::compare;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Map, Value};

use super::project::Projection;
use super::{Found, KubernetesReader};

impl KubernetesReader {
    /// The owned part of an object, without differences that are none.
    pub(super) async fn settle(
        &self,
        estate: &str,
        resource: &Resource,
        desired: &Desired,
        found: &Found,
        projection: Projection,
    ) -> Map {
        let Projection { spec: observed, doubtful, claimed: _, lost: _ } = projection;
        let differences = compare(&self.kind, &desired.spec, &observed, Some(&desired.spec));
        if (differences.is_empty() && doubtful.is_empty()) || Value::from(Map::clone(&desired.spec)).has_deferred() {
            return observed;
        }
        let mark = Mark { estate: estate.into(), address: desired.address.clone(), secret_hash: None };
        let request = Apply { resource, spec: &desired.spec, mark: Some(&mark), uid: None, force: true, dry_run: true };
        // Who may only read sees the cheap comparison, and so does who would be refused: applying tells why.
        let Ok(answer) = apply(&self.cluster, &request).await else { return observed };
        let would_be = Found::new(answer.object, resource);
        let expected = would_be.project(&desired.spec, resource).spec;
        let (is, would_be, expected) =
            (Value::from(found.live.clone()), Value::from(would_be.live), Value::from(expected));

        let mut settled = Value::from(observed);
        for difference in differences {
            let pointer = &difference.pointer;
            if settled.pointer(pointer) == expected.pointer(pointer) {
                settled = match difference.after {
                    Some(wanted) => settled.with_pointer(pointer, wanted),
                    None => without(&settled, pointer),
                };
            }
        }
        for pointer in doubtful {
            // A map is compared by the keys that are desired. This one would be replaced whole, so it differs as a whole.
            if let Some(there) = is.pointer(&pointer).filter(|there| would_be.pointer(&pointer) != Some(there)) {
                settled = settled.with_pointer(&pointer, there.to_json().to_string().into());
            }
        }
        settled.as_map().map(types::normalise).unwrap_or_default()
    }
}

/// A value without the field at a JSON pointer.
fn without(value: &Value, pointer: &str) -> Value {
    let Some((parent, token)) = pointer.rsplit_once('/') else { return value.clone() };
    let name = tenantry_core::model::value::unescape_token(token);
    match value.pointer(parent) {
        Some(Value::Map(map)) => value.with_pointer(parent, map.without(&name).into()),
        _ => value.clone(),
    }
}
