//! An e-mail address that is none.

use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::NOT_AN_ADDRESS,
    level: Level::Warning,
    cause: "Invoices and notices to this contact would not arrive.",
    example: "
kind: Tenant
metadata: {name: acme}
spec: {contacts: {billing: {name: Jane, email: jane.example.com}}}",
    remedy: "Write an address of the form `name@example.com`.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    for tenant in &inputs.estate.tenants {
        for (name, contact) in &tenant.spec.contacts {
            let Some(_) = contact.email.as_deref().filter(|email| !is_address(email)) else { continue };
            let message =
                format!("the e-mail address of contact `{name}` of tenant `{}` is not valid", tenant.metadata.name);
            let origin = tenant.positions.origin(&format!("/spec/contacts/{name}/email"));
            findings.add_at(&RULE, origin, "not an e-mail address", message, "write one such as name@example.com");
        }
    }
}

/// Whether mail could be sent to it. Which characters a server takes is left to it.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let domain_ends = domain.rsplit('.').next().is_some_and(|last| last.len() > 1);
    !local.is_empty()
        && (!local.contains('@') || local.starts_with('"'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ','))
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && domain_ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for address in ["jane@example.com", "j.smith+billing@mail.example.co.uk", "jürgen@müller.de", "a@b-c.io"] {
            assert!(is_address(address), "{address}");
        }
        for other in [
            "not-an-address",
            "jane@",
            "@example.com",
            "jane@example",
            "jane @example.com",
            "Jane <j@example.com>",
            "a@b..com",
            "a@b@c.de",
        ] {
            assert!(!is_address(other), "{other}");
        }
    }
}
