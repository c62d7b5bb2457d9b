//! Rules about tenants, tiers and blueprints, one file each.

mod amount;
mod approval;
mod billed;
mod clear;
mod contact;
mod date;
mod estimate;
mod feature;
mod rank;
mod region;
mod residency;
mod retention;
mod shared_value;
mod unlimited;

use super::findings::Findings;
use super::{Inputs, Rule};

pub use amount::{in_cents, is_probably_cents};

type Check = fn(&Inputs<'_>, &mut Findings<'_>);

/// Rules that look at documents alone.
const DOCUMENTS: &[(&Rule, Check)] = &[
    (&rank::RULE, rank::check),
    (&feature::RULE, feature::check),
    (&estimate::RULE, estimate::check),
    (&shared_value::RULE, shared_value::check),
    (&contact::RULE, contact::check),
    (&clear::RULE, clear::check),
    (&unlimited::RULE, unlimited::check),
    (&date::RULE, date::check),
    (&retention::RULE, retention::check),
    (&billed::RULE, billed::check),
    (&amount::RULE, amount::check),
    (&region::RULE, region::check),
    (&approval::OUTDATED, approval::outdated),
    (&approval::OF_NOTHING, approval::of_nothing),
];

/// Rules that also look at the resources that documents yield.
const WITH_RESOURCES: &[(&Rule, Check)] = &[(&residency::RULE, residency::check)];

/// The rules of this room.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    DOCUMENTS.iter().chain(WITH_RESOURCES).map(|(rule, _)| *rule)
}

pub(super) fn check(inputs: &Inputs<'_>, with_resources: bool, findings: &mut Findings<'_>) {
    let more = if with_resources { WITH_RESOURCES } else { &[] };
    for (rule, check) in DOCUMENTS.iter().chain(more) {
        if findings.is_on(rule) {
            check(inputs, findings);
        }
    }
}
