//! Which fields are masked, and with which text: one rule for the plan, the journal and every other view of a spec.
//!
//! Sensitive are the fields that the kind or the blueprint declares, those computed from personal data of a tenant, and every
//! secret. They depend on the blueprint at that time, so they are recorded with what was written.

use std::sync::Arc;

use crate::model::kind::Kind;
use crate::model::resource::Desired;
use crate::model::value::{Map, Value, is_within, push_token};

/// The text in place of a masked value.
pub const MASK: &str = "(sensitive)";

/// Pointers to the sensitive fields of a desired spec.
pub fn of(desired: &Desired) -> Vec<Arc<str>> {
    let of_kind = desired.kind.sensitive_in(&desired.spec);
    let mut sensitive: Vec<Arc<str>> = of_kind.iter().map(|pointer| Arc::from(&**pointer)).collect();
    sensitive.extend(desired.sensitive.iter().cloned());
    desired.spec.value().for_each_leaf(&mut |pointer, value| {
        if matches!(value, Value::Deferred(deferred) if deferred.has_secret()) {
            sensitive.push(pointer.into());
        }
    });
    sensitive.sort();
    sensitive.dedup();
    sensitive
}

/// Pointers of fields that may be sensitive in a spec without such a record: all but its name.
pub fn unless_recorded(kind: Option<&Kind>, spec: &Map) -> Vec<Arc<str>> {
    let pointer = |field: &str| {
        let mut pointer = String::new();
        push_token(&mut pointer, field);
        Arc::from(pointer)
    };
    let is_name = |field: &str| kind.is_some_and(|kind| kind.names(field));
    spec.iter().filter(|(field, _)| !is_name(field)).map(|(field, _)| pointer(field)).collect()
}

/// Whether the field at a pointer is sensitive, lies within a sensitive field, or contains one.
pub fn covers(sensitive: &[Arc<str>], pointer: &str) -> bool {
    sensitive.iter().any(|sensitive| is_within(pointer, sensitive) || is_within(sensitive, pointer))
}

/// A value that is not shown. A reference to a secret shows nothing of it.
pub fn masked(value: Option<&Value>) -> Option<Value> {
    value.map(|value| match value {
        Value::Deferred(_) => value.clone(),
        _ => MASK.into(),
    })
}

/// A spec for logs, with sensitive fields masked.
pub fn mask(spec: Value, sensitive: &[Arc<str>]) -> Value {
    sensitive.iter().fold(spec, |spec, pointer| match spec.pointer(pointer) {
        // A reference to a secret shows nothing of it.
        Some(Value::Deferred(_)) | None => spec,
        Some(_) => spec.with_pointer(pointer, MASK.into()),
    })
}

/// A tenant as expressions see it, with its contacts masked, which are personal.
pub fn mask_contacts(tenant: Value) -> Value {
    let mut pointers = Vec::new();
    tenant.for_each_leaf(&mut |pointer, _| {
        if pointer.starts_with("/contacts/") {
            pointers.push(Arc::from(pointer));
        }
    });
    mask(tenant, &pointers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_sensitive_is_masked_with_all_that_is_in_it() {
        let spec = json!({"email": "ann@example.com", "data": {"a": "x", "b": 1}, "name": "acme", "none": null});
        let sensitive: Vec<Arc<str>> = ["/data", "/email", "/gone"].map(Arc::from).to_vec();
        let masked = json!({"email": MASK, "data": MASK, "name": "acme", "none": null});
        assert_eq!(mask(Value::from(&spec), &sensitive).to_json(), masked);
        for pointer in ["/data", "/data/a", "/email"] {
            assert!(covers(&sensitive, pointer), "{pointer}");
        }
        assert!(covers(&[Arc::from("/data/a")], "/data"), "a difference of the whole shows its parts");
        assert!(!covers(&sensitive, "/name") && !covers(&sensitive, "/database"));
    }

    #[test]
    fn where_nothing_is_on_record_only_the_fields_are_known() {
        let Value::Map(spec) = Value::from(json!({"a/b": "x", "c": {"d": 1}})) else { panic!("a map") };
        assert_eq!(unless_recorded(None, &spec), ["/a~1b", "/c"].map(Arc::from));
    }
}
