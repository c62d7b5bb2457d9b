//! A secret in the clear, in a document.

use crate::diagnostics::{Origin, codes};
use crate::model::clear::{can_be_secret, is_name_of_secret, is_secret_by_form};
use crate::model::config::Level;
use crate::model::document::{Positions, ResourceTemplate};
use crate::model::kind::Catalogue;
use crate::model::value::{Value, push_token, unescape_token};
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::SECRET_IN_DOCUMENT,
    level: Level::Warning,
    cause: "Everybody who can read the repository, now or in any copy of it, knows the secret, and it stays in the history of Git after it was removed.",
    example: "
kind: Tenant
metadata: {name: acme}
spec: {values: {sap: {user: tenantry, password: hunter2}}}",
    remedy: "Use `secret('NAME')`, which generates a secret and keeps it in the secret store, or let the cluster fetch it, for example with an ExternalSecret. Change the secret: it is known.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let estate = inputs.estate;
    for tier in &estate.tiers {
        let who = format!("tier `{}`", tier.metadata.name);
        tier.spec.values.iter().for_each(|(key, value)| values(&who, key, value, &tier.positions, findings));
    }
    for tenant in &estate.tenants {
        let who = format!("tenant `{}`", tenant.metadata.name);
        tenant.spec.values.iter().for_each(|(key, value)| values(&who, key, value, &tenant.positions, findings));
    }
    for blueprint in &estate.blueprints {
        for (index, template) in blueprint.spec.resources.iter().enumerate() {
            for pointer in in_template(inputs.catalogue, template) {
                let origin = blueprint.positions.origin(&format!("/spec/resources/{index}/spec{pointer}"));
                let field = pointer[1..].replace('/', ".");
                add(&format!("`{field}` of resource `{}`", template.id), origin, findings);
            }
        }
    }
}

fn add(what: &str, origin: Origin, findings: &mut Findings<'_>) {
    let message = format!("{what} is a secret in the clear");
    let help = "write ${secret('NAME')} in the blueprint instead, and change the secret, because it is known";
    findings.add_at(&RULE, origin, "in the clear here", message, help);
}

fn values(who: &str, key: &str, value: &Value, positions: &Positions, findings: &mut Findings<'_>) {
    value.for_each_leaf(&mut |below, leaf| {
        let pointer = format!("/{key}{below}");
        if leaf.as_str().is_some_and(|text| is_secret(&pointer, text)) {
            let origin = positions.origin(&format!("/spec/values{pointer}"));
            add(&format!("`values{}` of {who}", pointer.replace('/', ".")), origin, findings);
        }
    });
}

fn is_secret(pointer: &str, text: &str) -> bool {
    let name = pointer.rsplit('/').find(|token| !token.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default();
    (is_name_of_secret(&unescape_token(name)) && can_be_secret(text)) || is_secret_by_form(text)
}

/// Pointers of the secrets that the spec of a template holds as literals.
fn in_template(catalogue: &Catalogue, template: &ResourceTemplate) -> Vec<String> {
    let mut found = Vec::new();
    template.spec.for_each_leaf(&mut |pointer, leaf| {
        if leaf.as_str().is_some_and(|text| is_secret(pointer, text)) {
            found.push(pointer.to_owned());
        }
    });
    // What a kind never reads back, or masks, because it is a secret.
    let kind = catalogue.get(&template.kind);
    let secret =
        kind.into_iter().flat_map(|kind| kind.write_only.iter().filter(|pointer| kind.sensitive.contains(pointer)));
    for pointer in secret {
        let literal = template.spec.pointer(pointer).and_then(Value::as_str).is_some_and(can_be_secret);
        if literal && !found.iter().any(|found| found == pointer) {
            found.push((*pointer).to_owned());
        }
    }
    // The variables of containers are checked where their kind is known.
    found.retain(|pointer| !is_value_of_variable(&template.spec, pointer));
    found
}

fn is_value_of_variable(spec: &Value, pointer: &str) -> bool {
    let Some(item) = pointer.strip_suffix("/value") else { return false };
    let mut name = item.to_owned();
    push_token(&mut name, "name");
    spec.pointer(&name).is_some()
}
