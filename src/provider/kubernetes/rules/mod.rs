//! Rules for objects of a cluster that one owner has together, one file each. What the server itself refuses is in
//! [`types`](super::types); what is here it takes, and it does not work.
//!
//! ```text
//! objects   one owner's objects of one cluster      selector   which labels a selector selects
//! makers    which Secrets and ConfigMaps are made, by whom, with which keys
//! ```

mod backend;
mod claim;
mod dns;
mod host;
mod image;
mod key;
mod makers;
mod monitor;
mod namespace;
mod objects;
mod outside;
mod readable;
mod reference;
mod request;
mod scaled;
mod selector;
mod service_pods;
mod service_port;
mod twice;

use objects::Objects;
use tenantry_core::rules::{Findings, OwnerView, Rule, RuleSet};

use crate::types::OBJECT;

type Check = fn(&Objects<'_>, &mut Findings<'_>);

const RULES: &[(&Rule, Check)] = &[
    (&outside::RULE, outside::check),
    (&namespace::RULE, namespace::check),
    (&dns::RULE, dns::check),
    (&service_pods::RULE, service_pods::check),
    (&service_port::RULE, service_port::check),
    (&monitor::RULE, monitor::check),
    (&reference::RULE, reference::check),
    (&key::RULE, key::check),
    (&twice::RULE, twice::check),
    (&request::RULE, request::check),
    (&claim::RULE, claim::check),
    (&image::RULE, image::check),
    (&scaled::RULE, scaled::check),
    (&readable::RULE, readable::check),
    (&backend::RULE, backend::check),
];

/// The rules of this provider.
pub fn rules() -> RuleSet {
    let rules = RULES.iter().map(|(rule, _)| *rule).chain([&host::RULE]).collect();
    RuleSet { rules, check, claims: host::claims }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for (target, objects) in view.by_target(OBJECT) {
        let objects = Objects::new(view, target, &objects);
        for (rule, check) in RULES {
            if findings.is_on(rule) {
                check(&objects, findings);
            }
        }
    }
}
