//! Whether the server would take an object that comes in the place of another, asked before the other one is deleted.
//!
//! The question is a server-side apply as a dry run: the server decodes the object by its schema, sends it through admission,
//! validates it, and keeps nothing (API reference, "Dry-run"). Under its own name that would be a change of the living object,
//! and refused for what cannot change. So it is tried under a name that nobody has, which begins like its own, since policies
//! may look at names. Where the server holds the name against the content, or the content against the living object, that is
//! made to fit:
//!
//! | kind | what is different in the trial |
//! |---|---|
//! | `CustomResourceDefinition` | `spec.names.plural`, of which the name is made |
//! | `APIService` | `spec.group`, of which the name is made |
//! | Job | labels of its pods that have its name |
//! | Service | addresses and node ports that the living one holds are left out |
//! | `PriorityClass` | `globalDefault` is left out, which only one may have |
//!
//! What such a trial cannot tell refuses nothing: a webhook that takes no dry runs, a quota that the living object fills, a
//! complaint of nothing but the name.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::apply::{Apply, apply};
use super::client::{Cluster, JSON};
use super::discovery::Resource;
use super::error::Failure;
use super::types::names;
use super::types::object;
use super::types::quantity::Quantity;
use super::types::sorts::{self, NameForm};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::value::{Map, Value};

/// Digits of the hash at the end of the name that is tried.
const HASH_DIGITS: usize = 6;

/// The longest name that every operator is known to take (MySQL Operator's clusters), for types of which nothing is known.
const SHORT: usize = 28;

/// Labels in which a Job's pods have its name (`batch/v1`; the shorter one is the older).
const JOB_NAME: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

/// Asks whether the server would take an object in place of the one of its name. `seed` tells this trial from every other.
///
/// # Errors
/// If the server would refuse the object, or does not answer.
pub async fn in_place_of(
    cluster: &Cluster,
    resource: &Resource,
    spec: &Map,
    mark: &Mark,
    seed: &str,
) -> Result<(), Failure> {
    let (namespace, name) = (object::namespace(spec), object::name(spec).unwrap_or_default());
    let living = match type_of(resource).is("", "Service") {
        true => match cluster.get::<Json>(&resource.object(namespace, name), JSON).await {
            Ok(living) => Some(living),
            Err(failure) if failure.is_not_found() => None,
            Err(failure) => return Err(failure),
        },
        false => None,
    };
    let trial = trial(resource, spec, seed, living.as_ref());
    let tried = object::name(&trial).unwrap_or_default();
    let (uid, resource_version) = (None, None);
    let request =
        Apply { resource, spec: &trial, mark: Some(mark), uid, resource_version, force: false, dry_run: true };
    match apply(cluster, &request).await {
        Err(failure) if !is_untold(&failure) => Err(renamed(failure, tried, name)),
        _ => Ok(()),
    }
}

fn type_of(resource: &Resource) -> object::Type<'_> {
    object::Type { group: object::split_api_version(&resource.api_version).0, kind: &resource.kind }
}

/// The object under another name, with what has to fit to it.
fn trial(resource: &Resource, spec: &Map, seed: &str, living: Option<&Json>) -> Map {
    let of = type_of(resource);
    let form = sorts::of(of).map(|sort| sort.names);
    let tag = tag_of(seed);
    let own = object::name(spec).unwrap_or_default();
    let mut name = name_like(own, form, &tag);
    let mut json = Value::from(spec.clone()).to_json();
    let text = |json: &Json, pointer: &str| json.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    match (of.group, of.kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let plural = name_like(&text(&json, "/spec/names/plural"), Some(NameForm::Label1035), &tag);
            name = format!("{plural}.{}", text(&json, "/spec/group"));
            json["spec"]["names"]["plural"] = plural.into();
        }
        ("apiregistration.k8s.io", "APIService") => {
            let group = format!("t-{tag}.{}", text(&json, "/spec/group"));
            name = format!("{}.{group}", text(&json, "/spec/version"));
            json["spec"]["group"] = group.into();
        }
        ("batch", "Job") => {
            let labels = json.pointer_mut("/spec/template/metadata/labels").and_then(Json::as_object_mut);
            for (label, value) in labels.into_iter().flatten() {
                if JOB_NAME.contains(&&**label) && *value == *own {
                    *value = name.as_str().into();
                }
            }
        }
        ("", "Service") => {
            if let Some(living) = living {
                leave_out_held(&mut json, living);
            }
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            if let Some(class) = json.as_object_mut() {
                class.remove("globalDefault");
            }
        }
        _ => {}
    }
    json["metadata"]["name"] = name.into();
    Value::from(json).as_map().cloned().unwrap_or_default()
}

fn tag_of(seed: &str) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chars().take(HASH_DIGITS).collect()
}

/// A name that begins like another and has its form.
fn name_like(name: &str, form: Option<NameForm>, tag: &str) -> String {
    let limit = match form {
        Some(NameForm::Label | NameForm::Label1035) => names::LABEL,
        Some(NameForm::Subdomain(limit)) => limit,
        Some(NameForm::PathSegment) => names::SUBDOMAIN,
        None => name.len().max(SHORT),
    };
    let room = limit.saturating_sub(tag.len() + 1);
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let head = &name[..ends.take_while(|end| *end <= room).last().unwrap_or_default()];
    format!("{}-{tag}", head.trim_end_matches(['-', '.', '_']))
}

/// Takes out of a Service what no other may have while the living one has it.
fn leave_out_held(service: &mut Json, living: &Json) {
    let is_held = |pointer: &str, value: &Json| living.pointer(pointer) == Some(value);
    let ports = |service: &Json| service.pointer("/spec/ports").and_then(Json::as_array).cloned().unwrap_or_default();
    let held: Vec<Json> = ports(living).iter().filter_map(|port| port.get("nodePort").cloned()).collect();
    let Some(spec) = service.get_mut("spec").and_then(Json::as_object_mut) else { return };
    for field in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
        let is_address = |value: &Json| *value != "None" && *value != json!(["None"]);
        if spec.get(field).is_some_and(|value| is_address(value) && is_held(&format!("/spec/{field}"), value)) {
            spec.remove(field);
        }
    }
    for port in spec.get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut()
            && port.get("nodePort").is_some_and(|number| held.contains(number))
        {
            port.remove("nodePort");
        }
    }
}

/// Whether a refusal says nothing about what would become of the object under its own name.
pub fn is_untold(failure: &Failure) -> bool {
    let Failure::Refused { status, .. } = failure else { return false };
    let words = &status.message;
    // `admission webhook "x" does not support dry run`, and aggregated servers in words of their own.
    let takes_no_trials = matches!(status.code, 400 | 422 | 500 | 501)
        && ["support dry run", "support dry-run", "support dryRun", "dryRun is not supported"]
            .iter()
            .any(|known| words.contains(known));
    let causes = failure.causes();
    let only_the_name =
        status.code == 422 && !causes.is_empty() && causes.iter().all(|cause| cause.field == "metadata.name");
    takes_no_trials || only_the_name || (words.contains("exceeded quota: ") && !exceeds_alone(words))
}

/// Whether a quota is exceeded even by an object that stands alone: `exceeded quota: a, requested: pods=2, used: pods=1,
/// limited: pods=1`.
fn exceeds_alone(words: &str) -> bool {
    let amounts = |name: &str| {
        let rest = words.split_once(&format!("{name}: ")).map_or("", |(_, rest)| rest);
        let list = rest.split(": ").next().unwrap_or_default();
        let amounts = list.split(',').filter_map(|amount| {
            let (resource, amount) = amount.trim().split_once('=')?;
            Some((resource.to_owned(), Quantity::parse(amount)?))
        });
        amounts.collect::<Vec<_>>()
    };
    let limited = amounts("limited");
    amounts("requested")
        .iter()
        .any(|(resource, asked)| limited.iter().any(|(limit, most)| limit == resource && asked > most))
}

/// Whether the user lacks a right on the name that was tried.
pub fn is_missing_right(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status, .. } if status.code == 403 && status.message.contains(" cannot "))
}

/// A refusal in words about the object's own name.
fn renamed(failure: Failure, tried: &str, name: &str) -> Failure {
    match failure {
        Failure::Refused { mut status, retry_after } => {
            status.message = status.message.replace(tried, name);
            Failure::Refused { status, retry_after }
        }
        Failure::Conflict { message, remedy } => Failure::Conflict { message: message.replace(tried, name), remedy },
        Failure::Invalid { message, remedy } => Failure::Invalid { message: message.replace(tried, name), remedy },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: Json) -> Failure {
        Failure::Refused { status: serde_json::from_value(json).expect("a status"), retry_after: None }
    }

    #[test]
    fn a_name_is_tried_that_begins_like_the_own_one_and_has_its_form() {
        assert_eq!(name_like("web", None, "0a1b2c"), "web-0a1b2c");
        assert_eq!(name_like(&"a".repeat(63), Some(NameForm::Label), "0a1b2c"), format!("{}-0a1b2c", "a".repeat(56)));
        let long = format!("{}.{}", "b".repeat(20), "c".repeat(7));
        assert_eq!(name_like(&long, None, "0a1b2c"), format!("{}-0a1b2c", "b".repeat(20)));
        assert_eq!(name_like("system:ä", Some(NameForm::PathSegment), "0a1b2c"), "system:ä-0a1b2c");
    }

    #[test]
    fn what_the_living_service_holds_is_not_asked_for_twice() {
        let living = json!({"spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 80, "nodePort": 30080}]}});
        let mut service = json!({"spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 80, "nodePort": 30080}, {"port": 81, "nodePort": 30081}]}});
        leave_out_held(&mut service, &living);
        assert_eq!(service, json!({"spec": {"ports": [{"port": 80}, {"port": 81, "nodePort": 30081}]}}));
        let mut headless = json!({"spec": {"clusterIP": "None"}});
        leave_out_held(&mut headless, &json!({"spec": {"clusterIP": "None"}}));
        assert_eq!(headless, json!({"spec": {"clusterIP": "None"}}));
    }

    #[test]
    fn a_quota_that_the_living_one_fills_refuses_nothing() {
        let quota = |requested: &str| {
            let words = format!(
                "persistentvolumeclaims \"d-1\" is forbidden: exceeded quota: small, requested: {requested}, used: \
                 persistentvolumeclaims=1,requests.storage=8Gi, limited: persistentvolumeclaims=1,requests.storage=10Gi"
            );
            refused(json!({"code": 403, "reason": "Forbidden", "message": words}))
        };
        assert!(is_untold(&quota("persistentvolumeclaims=1,requests.storage=9Gi")));
        assert!(!is_untold(&quota("persistentvolumeclaims=1,requests.storage=11Gi")));
    }

    #[test]
    fn a_trial_that_cannot_be_made_refuses_nothing() {
        let webhook = "admission webhook \"x.example.com\" does not support dry run";
        assert!(is_untold(&refused(json!({"code": 400, "message": webhook}))));
        let cause = |field: &str| json!({"reason": "FieldValueInvalid", "message": "m", "field": field});
        let invalid =
            |causes: &[Json]| refused(json!({"code": 422, "message": "invalid", "details": {"causes": causes}}));
        assert!(is_untold(&invalid(&[cause("metadata.name")])));
        assert!(!is_untold(&invalid(&[cause("metadata.name"), cause("spec.type")])));
        assert!(!is_untold(&invalid(&[])));
    }

    #[test]
    fn a_refusal_speaks_of_the_object_and_not_of_its_trial() {
        let words = "Deployment.apps \"web-0a1b2c\" is invalid: spec.template";
        let failure = renamed(refused(json!({"code": 422, "message": words})), "web-0a1b2c", "web");
        assert_eq!(failure.to_string(), "Deployment.apps \"web\" is invalid: spec.template");
    }
}
