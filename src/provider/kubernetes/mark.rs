//! The mark in labels and annotations of an object.
//!
//! | where | name | value |
//! |---|---|---|
//! | label | `app.kubernetes.io/managed-by` | `tenantry`, unless the blueprint says otherwise |
//! | label | `tenantry.dev/estate` | the estate, and the environment after a dot, by which its objects are listed |
//! | label | `tenantry.dev/tenant` | the tenant, of an object that belongs to one; for people and policies |
//! | annotation | `tenantry.dev/address` | the address, whole |
//! | annotation | `tenantry.dev/secret-hash` | the keyed hash over the secret values that were written, if there are any |
//!
//! A label's value has 63 characters at most; a longer one is shortened and ends with a hash. An address is not, since
//! annotations have room.

use sha2::{Digest as _, Sha256};

use super::types::names::LABEL;
use tenantry_core::model::address::Owner;
use tenantry_core::model::mark::{Mark, names_of};
use tenantry_core::model::value::{Map, Value};

pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const MANAGER: &str = "tenantry";
pub const ESTATE: &str = "tenantry.dev/estate";
pub const TENANT: &str = "tenantry.dev/tenant";
pub const ADDRESS: &str = "tenantry.dev/address";
pub const SECRET_HASH: &str = "tenantry.dev/secret-hash";

/// An annotation of the blueprint: `false` says that nobody waits for the object to be ready.
pub const WAIT: &str = "tenantry.dev/wait";

/// An annotation of the blueprint: `true` says that fields which other managers own are taken over.
pub const FORCE_CONFLICTS: &str = "tenantry.dev/force-conflicts";

/// Of labels and annotations that are no blueprint's to choose.
const PREFIX: &str = "tenantry.dev/";

/// Whether a label or an annotation is written by this module only.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(PREFIX) && !matches!(name, WAIT | FORCE_CONFLICTS)
}

/// Digits of the hash at the end of a shortened value.
const HASH_DIGITS: usize = 10;

/// What stands as a label for a text: the text itself, or a shortened form that ends with its hash.
pub fn label_value(text: &str) -> String {
    if text.len() <= LABEL {
        return text.to_owned();
    }
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let head: String = text
        .chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes < LABEL - HASH_DIGITS).then_some(c)
        })
        .collect();
    format!("{}-{}", head.trim_end_matches(['-', '_', '.']), &hash[..HASH_DIGITS])
}

/// The label selector of everything that carries a scope's mark.
pub fn selector(scope: &str) -> String {
    let names: Vec<String> = names_of(scope).map(label_value).collect();
    match names.as_slice() {
        [one] => format!("{ESTATE}={one}"),
        several => format!("{ESTATE} in ({})", several.join(",")),
    }
}

/// The object with the mark in its metadata. What the blueprint says of `managed-by` is kept.
pub fn marked(object: &Map, mark: &Mark) -> Map {
    let mut labels = vec![(ESTATE, label_value(&mark.estate))];
    if let Owner::Tenant(tenant) = &mark.address.owner {
        labels.push((TENANT, label_value(tenant)));
    }
    let mut annotations = vec![(ADDRESS, mark.address.to_string())];
    annotations.extend(mark.secret_hash.iter().map(|hash| (SECRET_HASH, hash.to_string())));
    let metadata = object.get("metadata").and_then(Value::as_map).cloned().unwrap_or_default();
    let notes = |name: &str| metadata.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
    let with = |notes: Map, added: Vec<(&str, String)>| {
        added.into_iter().fold(notes, |notes, (name, value)| notes.with(name, value.into()))
    };
    let mut own = notes("labels");
    if !own.contains(MANAGED_BY) {
        own = own.with(MANAGED_BY, MANAGER.into());
    }
    let metadata = metadata.with("labels", with(own, labels).into());
    let metadata = metadata.with("annotations", with(notes("annotations"), annotations).into());
    object.with("metadata", metadata.into())
}

/// The object without a mark, and the mark, if it has a whole one.
pub fn unmarked(object: &Map) -> (Map, Option<Mark>) {
    let metadata = object.get("metadata").and_then(Value::as_map).cloned().unwrap_or_default();
    let note = |notes: &str, name: &str| metadata.get(notes)?.get(name)?.as_str();
    let mark = || {
        let address = note("annotations", ADDRESS)?.parse().ok()?;
        let secret_hash = note("annotations", SECRET_HASH).map(Into::into);
        Some(Mark { estate: note("labels", ESTATE)?.into(), address, secret_hash })
    };
    let mark = mark();
    let is_ours =
        |name: &str, value: &Value| is_reserved(name) || (name == MANAGED_BY && value.as_str() == Some(MANAGER));
    let mut rest = metadata.clone();
    for notes in ["labels", "annotations"] {
        if let Some(map) = metadata.get(notes).and_then(Value::as_map) {
            let kept = map.iter().filter(|(name, value)| !is_ours(name, value));
            let kept: Map = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            rest = if kept.is_empty() { rest.without(notes) } else { rest.with(notes, kept.into()) };
        }
    }
    let object = if rest == metadata { object.clone() } else { object.with("metadata", rest.into()) };
    (object, mark)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    fn mark(address: &str) -> Mark {
        Mark { estate: "shop".into(), address: address.parse().expect("an address"), secret_hash: Some("k1:ab".into()) }
    }

    #[test]
    fn a_mark_is_written_and_read_back() {
        let plain = object(json!({"kind": "ConfigMap", "metadata": {"name": "c", "labels": {"app": "web"}}}));
        let mark = mark(r#"acme/settings["eu west"]"#);
        let written = marked(&plain, &mark);
        insta::assert_json_snapshot!(Value::from(written.clone()).to_json(), @r#"
        {
          "kind": "ConfigMap",
          "metadata": {
            "annotations": {
              "tenantry.dev/address": "acme/settings[\"eu west\"]",
              "tenantry.dev/secret-hash": "k1:ab"
            },
            "labels": {
              "app": "web",
              "app.kubernetes.io/managed-by": "tenantry",
              "tenantry.dev/estate": "shop",
              "tenantry.dev/tenant": "acme"
            },
            "name": "c"
          }
        }
        "#);
        assert_eq!(unmarked(&written), (plain, Some(mark)));
    }

    #[test]
    fn another_manager_of_the_blueprint_stays() {
        let plain = object(json!({"metadata": {"name": "c", "labels": {"app.kubernetes.io/managed-by": "Helm"}}}));
        let written = marked(&plain, &mark("estate/shared"));
        assert_eq!(Value::from(written.clone()).pointer("/metadata/labels/tenantry.dev~1tenant"), None);
        assert_eq!(unmarked(&written).0, plain);
    }

    #[test]
    fn half_a_mark_is_none() {
        let estate_only = object(json!({"metadata": {"name": "c", "labels": {"tenantry.dev/estate": "shop"}}}));
        assert_eq!(unmarked(&estate_only), (object(json!({"metadata": {"name": "c"}})), None));
        let broken = object(json!({"metadata": {
            "labels": {"tenantry.dev/estate": "shop"}, "annotations": {"tenantry.dev/address": "nonsense"},
        }}));
        assert_eq!(unmarked(&broken).1, None);
    }

    #[test]
    fn a_label_never_exceeds_its_length() {
        let long = "a".repeat(80);
        let value = label_value(&long);
        assert!(value.len() <= LABEL && value != label_value(&"a".repeat(81)), "{value}");
        assert_eq!(label_value("short"), "short");
        assert_eq!(super::super::types::names::value_problem(&value), None);
    }
}
