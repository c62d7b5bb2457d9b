//! A resource that waits for a bill.

use std::collections::BTreeMap;

use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::model::document::{ResourceTemplate, Scope};
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::BILLED_BEFORE,
    level: Level::Warning,
    cause: "What charges a customer is written last, after everything that the customer pays for. A resource that depends on it is written after the bill: if it fails, the tenant pays for what it has not.",
    example: "
resources:
  - {id: subscription, kind: stripe.subscription, spec: {…}}
  - id: quota
    kind: redis.key
    dependsOn: [subscription]
    spec: {…}",
    remedy: "Remove the id from `dependsOn`. A resource that writes a value of the subscription, such as its id, refers to it in an expression instead.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let bills = |template: &ResourceTemplate| inputs.catalogue.get(&template.kind).is_some_and(|kind| kind.bills);
    // By id: `dependsOn` may name a resource of another blueprint that the tier has too.
    let mut billing: BTreeMap<&str, Vec<Scope>> = BTreeMap::new();
    for blueprint in &inputs.estate.blueprints {
        for template in blueprint.spec.resources.iter().filter(|template| bills(template)) {
            billing.entry(&template.id).or_default().push(blueprint.spec.scope);
        }
    }
    for blueprint in &inputs.estate.blueprints {
        for (index, template) in blueprint.spec.resources.iter().enumerate().filter(|(_, template)| !bills(template)) {
            for (at, id) in template.depends_on.iter().enumerate() {
                let scope = if id.starts_with("estate/") { Scope::Estate } else { blueprint.spec.scope };
                let named = billing.get(id.trim_start_matches("estate/"));
                if !named.is_some_and(|scopes| scopes.contains(&scope)) {
                    continue;
                }
                let message = format!(
                    "resource `{}` waits for `{id}`, which charges the customer: the customer would pay before the resource exists",
                    template.id
                );
                let origin = blueprint.positions.origin(&format!("/spec/resources/{index}/dependsOn/{at}"));
                let help = "remove it from `dependsOn`: what charges a customer is written last by itself";
                findings.add_at(&RULE, origin, "waits for the bill", message, help);
            }
        }
    }
}
