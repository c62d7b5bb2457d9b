//! Approvals that cannot count any more.

use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::model::document::{Allowance, ApprovalSpec};
use crate::model::time::until;
use crate::policy::matches;
use crate::rules::{Findings, Inputs, Rule};

pub const OUTDATED: Rule = Rule {
    code: codes::APPROVAL_OUTDATED,
    level: Level::Warning,
    cause: "An expired Approval allows nothing, but a reader may believe that it does. If somebody renews it later, it allows a change that was approved only once.",
    example: "
kind: Approval
metadata: {name: drop-acme}
spec: {allow: [delete], addresses: [acme/schema], reason: the contract has ended, expires: 2025-12-31}",
    remedy: "Remove the document: Git keeps it, and the journal names it in the runs that used it.",
};

pub const OF_NOTHING: Rule = Rule {
    code: codes::APPROVAL_OF_NOTHING,
    level: Level::Warning,
    cause: "A pattern that matches no tenant, tier or the estate allows nothing; the name is probably misspelt, and what it was meant for is refused. It would allow something for a tenant that gets this name later.",
    example: "
kind: Approval
metadata: {name: drop-acme}
spec: {allow: [delete], addresses: [amce/schema], reason: the contract has ended, expires: 2026-01-31}",
    remedy: "Correct the address or the name of the policy, or remove the document.",
};

pub fn outdated(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    for approval in &inputs.estate.approvals {
        let expires = &approval.spec.expires;
        if until(expires).is_some_and(|end| inputs.now < end) {
            continue;
        }
        findings.add_at(
            &OUTDATED,
            approval.positions.origin("/spec/expires"),
            "in the past",
            format!("Approval `{}` expired at {expires}", approval.metadata.name),
            "remove it, or renew it if it is still needed",
        );
    }
}

pub fn of_nothing(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let estate = inputs.estate;
    let tenants = estate.tenants.iter().map(|tenant| (&tenant.metadata, ""));
    let tiers = estate.tiers.iter().map(|tier| (&tier.metadata, "tier:"));
    let owners: Vec<String> = tenants
        .chain(tiers)
        .flat_map(|(metadata, prefix)| {
            let names = std::iter::once(&metadata.name).chain(&metadata.previously);
            names.map(move |name| format!("{prefix}{name}"))
        })
        .chain(["estate".to_owned()])
        .collect();
    for approval in &estate.approvals {
        let ApprovalSpec { allow, addresses, policies, .. } = &approval.spec;
        let name = &approval.metadata.name;
        for (index, glob) in addresses.iter().enumerate() {
            let owner = glob.split_once('/').map_or(&**glob, |(owner, _)| owner);
            let is_plan = &**glob == "plan" && allow.contains(&Allowance::Policy);
            if is_plan || owners.iter().any(|known| matches(owner, known)) {
                continue;
            }
            findings.add_at(
                &OF_NOTHING,
                approval.positions.origin(&format!("/spec/addresses/{index}")),
                "matches nothing",
                format!("`{glob}` of Approval `{name}` matches no tenant, no tier and not the estate"),
                "correct the address, or remove it; `tenantry list` shows the tenants",
            );
        }
        for (index, policy) in policies.iter().enumerate() {
            if estate.policies.iter().any(|known| matches(policy, known.metadata.name.as_str())) {
                continue;
            }
            findings.add_at(
                &OF_NOTHING,
                approval.positions.origin(&format!("/spec/policies/{index}")),
                "matches no policy",
                format!("Approval `{name}` is for the policy `{policy}`, which does not exist"),
                "correct the name, or remove it; `tenantry policy list` shows the policies",
            );
        }
    }
}
