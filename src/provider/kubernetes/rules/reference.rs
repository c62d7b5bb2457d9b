//! A Secret or ConfigMap that pods need and nothing makes.

use super::makers::Makers;
use super::objects::{Object, Objects, Pod};
use crate::types::OBJECT;
use crate::types::object::CONFIG_MAPS_EVERYWHERE;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule, is_elsewhere};

pub const RULE: Rule = Rule {
    code: codes::OBJECT_NOT_MADE,
    level: Level::Warning,
    cause: "A pod waits until every Secret and ConfigMap that it names exists, and does not start before.",
    example: "
kind: Deployment
metadata: {name: web, namespace: acme}
spec: {template: {spec: {containers: [{env: [{name: DB_HOST, valueFrom: {secretKeyRef: {name: db, key: host}}}]}]}}}
# and nothing that makes Secret `db` in namespace `acme`",
    remedy: "Make it in the blueprint: as a Secret, an ExternalSecret, a SealedSecret or a Certificate. If something else makes it, list it in `rules.elsewhere`, such as `Secret/acme/db` or `Secret/*`. The rule is silent where an operator or Argo CD may make it, and about `imagePullSecrets`.",
};

/// What a pod refers to.
pub struct Reference<'a> {
    /// `Secret` or `ConfigMap`.
    pub kind: &'static str,
    pub name: &'a str,
    /// A key of it that has to exist, with the pointer of the field that names it.
    pub key: Option<(&'a str, String)>,
    /// Of the field with the name.
    pub pointer: String,
}

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for pod in objects.pods() {
        let namespace = pod.object.namespace;
        if objects.may_have_more(namespace) {
            continue;
        }
        let mut missing: Vec<(&str, &str)> = Vec::new();
        for Reference { kind, name, pointer, .. } in references(pod) {
            let known = kind == "ConfigMap" && CONFIG_MAPS_EVERYWHERE.contains(&name);
            let made = || !objects.makers().find(kind, namespace, name).is_empty();
            let elsewhere = || is_elsewhere(objects.view.settings, &format!("{kind}/{namespace}/{name}"));
            if known
                || missing.contains(&(kind, name))
                || made()
                || elsewhere()
                || is_shared(objects, kind, namespace, name)
            {
                continue;
            }
            missing.push((kind, name));
            let message = format!(
                "nothing makes {kind} `{name}` in namespace `{namespace}`, without which the pod does not start"
            );
            let help = format!(
                "make it in the blueprint, or list `{kind}/{namespace}/{name}` in `rules.elsewhere` of tenantry.toml if something else makes it"
            );
            findings.add(&RULE, pod.object.desired, pointer, message, help);
        }
    }
}

/// Whether the estate or a tier makes it.
fn is_shared(objects: &Objects<'_>, kind: &'static str, namespace: &str, name: &str) -> bool {
    let of_cluster =
        objects.view.shared.iter().filter(|desired| desired.kind.name == OBJECT && *desired.target == *objects.target);
    let shared: Vec<Object<'_>> =
        of_cluster.filter_map(|desired| Object::new(desired)).filter(|object| object.namespace == namespace).collect();
    !Makers::of(&shared).find(kind, namespace, name).is_empty() || shared.iter().any(Object::has_children)
}

/// Every Secret and ConfigMap without which a pod does not start.
pub fn references<'a>(pod: &Pod<'a>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    for container in pod.containers() {
        for (index, variable) in list(container.value, "env").iter().enumerate() {
            let Some(source) = variable.get("valueFrom") else { continue };
            for (field, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
                let pointer = format!("{}/env/{index}/valueFrom/{field}", container.pointer);
                found.extend(source.get(field).and_then(|reference| refer(kind, reference, "name", &pointer)));
            }
        }
        for (index, source) in list(container.value, "envFrom").iter().enumerate() {
            for (field, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
                let pointer = format!("{}/envFrom/{index}/{field}", container.pointer);
                found.extend(source.get(field).and_then(|reference| refer(kind, reference, "name", &pointer)));
            }
        }
    }
    for (index, volume) in list(pod.spec, "volumes").iter().enumerate() {
        for (field, kind, name) in [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")] {
            let pointer = format!("{}/volumes/{index}/{field}", pod.pointer);
            if let Some(source) = volume.get(field) {
                found.extend(refer(kind, source, name, &pointer));
                found.extend(items(kind, source, name, &pointer));
            }
        }
        let sources = volume.get("projected").map(|projected| list(projected, "sources")).unwrap_or_default();
        for (at, source) in sources.iter().enumerate() {
            for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
                let pointer = format!("{}/volumes/{index}/projected/sources/{at}/{field}", pod.pointer);
                if let Some(source) = source.get(field) {
                    found.extend(refer(kind, source, "name", &pointer));
                    found.extend(items(kind, source, "name", &pointer));
                }
            }
        }
    }
    found
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_list).unwrap_or_default()
}

fn is_optional(reference: &Value) -> bool {
    reference.get("optional") == Some(&Value::Bool(true))
}

fn refer<'a>(kind: &'static str, reference: &'a Value, field: &str, pointer: &str) -> Option<Reference<'a>> {
    let name = reference.get(field).and_then(Value::as_str).filter(|_| !is_optional(reference))?;
    let key = reference.get("key").and_then(Value::as_str).map(|key| (key, format!("{pointer}/key")));
    Some(Reference { kind, name, key, pointer: format!("{pointer}/{field}") })
}

/// The keys that a volume picks.
fn items<'a>(kind: &'static str, source: &'a Value, field: &str, pointer: &str) -> Vec<Reference<'a>> {
    let Some(name) = source.get(field).and_then(Value::as_str).filter(|_| !is_optional(source)) else {
        return Vec::new();
    };
    let item = |(index, item): (usize, &'a Value)| {
        let key = item.get("key")?.as_str()?;
        let at = format!("{pointer}/items/{index}/key");
        Some(Reference { kind, name, key: Some((key, at)), pointer: format!("{pointer}/{field}") })
    };
    list(source, "items").iter().enumerate().filter_map(item).collect()
}
