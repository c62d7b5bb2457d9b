//! A key that a Secret or ConfigMap does not have.

use super::objects::Objects;
use super::reference::references;
use tenantry_core::diagnostics::{codes, nearest};
use tenantry_core::model::config::Level;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::KEY_NOT_MADE,
    level: Level::Warning,
    cause: "A pod does not start while a key that it names is missing, even if the Secret or ConfigMap exists.",
    example:
        "
kind: Secret
metadata: {name: db}
stringData: {host: …, password: …}
---
kind: Deployment
spec: {template: {spec: {containers: [{env: [{name: DB_HOST, valueFrom: {secretKeyRef: {name: db, key: DB_HOST}}}]}]}}}",
    remedy: "Write the key as it is called there, or add it. Keys are compared where the owner makes the Secret or ConfigMap itself.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for pod in objects.pods() {
        for reference in references(pod) {
            let Some((key, pointer)) = reference.key else { continue };
            let makers = objects.makers().find(reference.kind, pod.object.namespace, reference.name);
            // All of their keys have to be known.
            let known: Option<Vec<&str>> = makers
                .iter()
                .map(|maker| maker.keys.as_ref().map(|keys| keys.iter().copied()))
                .collect::<Option<Vec<_>>>()
                .map(|all| all.into_iter().flatten().collect());
            let Some(known) = known.filter(|known| !makers.is_empty() && !known.contains(&key)) else { continue };
            let message = format!("{} `{}` has no key `{key}`", reference.kind, reference.name);
            let help = match nearest(key, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None if known.is_empty() => "add the key there".to_owned(),
                None => format!("its keys are {}", known.join(", ")),
            };
            findings.add(&RULE, pod.object.desired, pointer, message, help);
        }
    }
}
