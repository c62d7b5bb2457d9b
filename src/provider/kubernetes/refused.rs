//! What the refusal of a dry run says about the write itself.
//!
//! A dry run goes the way of the write: decoding, admission, validation, all but the storage (API reference, "Dry-run"). So what
//! it is refused for, the write would be refused for, with exceptions: the user of a plan may have fewer rights than that of an
//! apply; what a plan makes or changes before is not there yet; some webhooks take no dry runs. Only a refusal that none of
//! these can explain is told.

use std::sync::Arc;

use super::error::{Failed as _, Failure};
use super::trial;
use super::types::object::{self, Type};
use tenantry_core::model::value::Map;
use tenantry_provider::contract::masked;

/// Of what a plan changes in a cluster, what may be a reason for a refusal today and none when its turn comes.
pub struct Changing<'a> {
    /// Whether objects of such a kind are changed.
    pub kind: &'a dyn Fn(&str) -> bool,
    /// Whether the definition of a type is changed.
    pub definition: &'a dyn Fn(Type<'_>) -> bool,
}

/// Words of refusals for something that is not there, or is still held by another object: a plan may make it, or delete that.
const MAY_PASS: [&str; 5] =
    ["already allocated", "not found", "no PriorityClass", "looking up service account", "is being terminated"];

/// The server's words, in one sentence and without the values of a Secret; `None` if an apply may fare better.
pub fn told(failure: &Failure, spec: &Map, changing: &Changing<'_>) -> Option<Arc<str>> {
    let words = failure.to_string();
    let is_told = match failure {
        Failure::Conflict { .. } => true,
        Failure::Refused { status, .. } => {
            let is_certain = match status.code {
                400 | 413 | 422 => true,
                403 if words.contains("exceeded quota: ") => !(changing.kind)("ResourceQuota"),
                // `LimitRanger`: `maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi`.
                403 if words.contains(" usage per ") => !(changing.kind)("LimitRange"),
                403 => ["denied the request", "violates PodSecurity"].iter().any(|known| words.contains(known)),
                // Before 1.21, an object that does not fit its type.
                500 => words.starts_with("failed to create typed patch object"),
                _ => false,
            };
            is_certain && !trial::is_untold(failure) && !MAY_PASS.iter().any(|known| words.contains(known))
        }
        _ => false,
    };
    if !is_told || Type::of(spec).is_some_and(|of| (changing.definition)(of)) {
        return None;
    }
    let words = match failure {
        Failure::Conflict { .. } => failure.remedy().map_or(words.clone(), |remedy| format!("{words}; {remedy}")),
        _ => words,
    };
    Some(masked(&words, values(spec)).into())
}

/// The values of a Secret, which a refusal may quote.
pub fn values(spec: &Map) -> Vec<Arc<str>> {
    if !Type::of(spec).is_some_and(|of| of.is("", "Secret")) {
        return Vec::new();
    }
    let fields = ["data", "stringData"].iter().filter_map(|field| object::at(spec, &[field])?.as_map());
    fields.flat_map(Map::iter).filter_map(|(_, value)| value.as_str().map(Into::into)).collect::<Vec<_>>()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use tenantry_core::model::value::Value;

    fn told_of(status: Json, changed: &[&str]) -> Option<String> {
        let failure = Failure::Refused { status: serde_json::from_value(status).expect("a status"), retry_after: None };
        let Value::Map(spec) = Value::from(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": "hunter2"},
        })) else {
            panic!("a map")
        };
        let changing =
            Changing { kind: &|kind| changed.contains(&kind), definition: &|_| changed.contains(&"definition") };
        told(&failure, &spec, &changing).map(|words| words.to_string())
    }

    #[test]
    fn only_what_an_apply_would_be_refused_for_is_told() {
        let status = |code: u16, message: &str| json!({"code": code, "message": message});
        for (code, message) in [
            (422, "Service \"s\" is invalid: spec.ports[0].name: Required value"),
            (400, "admission webhook \"p\" denied the request: no"),
            (403, "admission webhook \"p\" denied the request: no"),
            (413, "Request entity too large: limit is 3145728"),
            (500, "failed to create typed patch object: .spec.x: field not declared in schema"),
            (
                403,
                "persistentvolumeclaims \"d\" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi",
            ),
        ] {
            assert_eq!(told_of(status(code, message), &[]).as_deref(), Some(message));
            assert_eq!(told_of(status(code, message), &["definition"]), None, "{message}");
        }
        for (code, message) in [
            (404, "namespaces \"later\" not found"),
            (403, "configmaps is forbidden: User \"plan\" cannot patch resource \"configmaps\""),
            (403, "pods \"a\" is forbidden: error looking up service account a/b: serviceaccount \"b\" not found"),
            (403, "pods \"a\" is forbidden: no PriorityClass with name high was found"),
            (
                422,
                "Service \"s\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
            ),
            (400, "admission webhook \"x\" does not support dry run"),
            (500, "Internal error occurred: failed calling webhook"),
            (409, "the object has been modified"),
            (429, "too many requests"),
        ] {
            assert_eq!(told_of(status(code, message), &[]), None, "{message}");
        }
        let limit = "persistentvolumeclaims \"d\" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi";
        assert_eq!(told_of(status(403, limit), &["LimitRange"]), None);
    }

    #[test]
    fn a_refusal_is_one_sentence_without_secrets() {
        let message = "Secret \"s\" is invalid: data[token]: Invalid value: \"hunter2\"";
        let words = told_of(json!({"code": 422, "message": message}), &[]).expect("a refusal");
        assert_eq!(words, "Secret \"s\" is invalid: data[token]: Invalid value: \"(secret)\"");
        let dump = "PersistentVolumeClaim \"d\" is invalid: spec: Forbidden: spec is immutable\n  core.PersistentVolumeClaimSpec{\n  \t... // 2 fields\n  }\n";
        let words = told_of(json!({"code": 422, "message": dump}), &[]).expect("a refusal");
        assert_eq!(words, "PersistentVolumeClaim \"d\" is invalid: spec: Forbidden: spec is immutable");
    }
}
