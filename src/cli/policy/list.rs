//! `tenantry policy list`: every rule, and what it is for.

use serde_json::json;

use super::super::arguments::Global;
use super::super::error::{Exit, Failure};
use super::super::list::table;
use super::super::output::Output;
use super::Read;
use tenantry_core::model::document::{Document, Narrow, PolicyRule, PolicySpec};
use tenantry_core::policy::Policies;
use tenantry_core::policy::compile::CompiledRule;

pub fn run(global: &Global, library: bool, output: &Output) -> Result<Exit, Failure> {
    let Read { policies, files } = if library { super::of_library()? } else { super::of_estate(global, output)? };
    let mut diagnostics = Vec::new();
    let compiled = Policies::compile(&policies, &files, &mut diagnostics);
    super::without_errors(diagnostics, files.clone())?;
    if output.is_json() {
        let of = |policy: &Document<PolicySpec>| {
            let rules = compiled.rules.iter().filter(|rule| std::ptr::eq(rule.policy, policy));
            json!({
                "name": policy.metadata.name,
                "description": policy.spec.description,
                "file": files.get(policy.positions.file).path,
                "tests": policy.spec.tests.len(),
                "rules": rules.map(rule_json).collect::<Vec<_>>(),
            })
        };
        output.json(&policies.iter().map(of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 6]> = compiled
        .rules
        .iter()
        .map(|CompiledRule { policy, rule, place, .. }| {
            [
                policy.metadata.name.to_string(),
                rule.id.to_string(),
                enforcement(rule),
                narrowed(rule),
                policy.spec.tests.len().to_string(),
                format!("{}:{}", place.file, place.line),
            ]
        })
        .collect();
    table(output, ["POLICY", "RULE", "ENFORCEMENT", "EVALUATED FOR", "TESTS", "FILE"], &rows)?;
    if policies.is_empty() {
        output
            .note("The estate has no policies. `tenantry policy list --library` shows those that ship with Tenantry.");
    }
    Ok(Exit::Done)
}

fn rule_json(CompiledRule { rule, place, .. }: &CompiledRule<'_>) -> serde_json::Value {
    json!({
        "id": rule.id,
        "each": rule.each,
        "only": rule.only,
        "when": rule.when,
        "expression": rule.expression,
        "enforcement": rule.enforcement,
        "approvers": rule.approvers,
        "line": place.line,
    })
}

fn enforcement(rule: &PolicyRule) -> String {
    match rule.approvers.as_slice() {
        [] => rule.enforcement.as_str().to_owned(),
        files => format!("{} ({})", rule.enforcement.as_str(), files.join(", ")),
    }
}

fn narrowed(rule: &PolicyRule) -> String {
    let Narrow { kinds, actions, tiers, phases } = &rule.only;
    let list = |name: &str, items: Vec<&str>| (!items.is_empty()).then(|| format!("{name} {}", items.join(", ")));
    let parts = [
        list("of kind", kinds.iter().map(|kind| &**kind).collect()),
        list("to", actions.iter().map(|action| action.as_str()).collect()),
        list("on tier", tiers.iter().map(|tier| &**tier).collect()),
        list("in phase", phases.iter().map(|phase| phase.as_str()).collect()),
        rule.when.as_ref().map(|_| "when …".to_owned()),
    ];
    let each = match rule.each.as_str() {
        "plan" => "the plan".to_owned(),
        each => format!("each {each}"),
    };
    std::iter::once(each).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(" ")
}
