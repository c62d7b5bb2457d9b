//! What one owner has below the place of another: it would go with that.

use std::sync::Arc;

use super::findings::{Found, Where};
use super::{Inputs, Levels, Rule};
use crate::diagnostics::{Label, codes};
use crate::model::config::Level;
use crate::model::resource::{Desired, TargetName};

pub const RULE: Rule = Rule {
    code: codes::PREFIX_OF_OTHERS,
    level: Level::Error,
    cause: "A prefix is emptied when its tenant is deleted. Everything that another tenant, a tier or the estate has below it would be deleted with it.",
    example: "
kind: s3.prefix
spec: {bucket: shop-files, prefix: tenants/}   # beside one that has tenants/acme/",
    remedy: "Give each tenant a prefix that begins with no other's, such as `tenants/${tenant.name}/`.",
};

pub(super) fn check(inputs: &Inputs<'_>, levels: &Levels<'_>) -> Vec<Found> {
    let all = || inputs.owners.iter().flat_map(|owner| &owner.resources);
    if levels.of(&RULE) == Level::Off || !all().any(|desired| desired.kind.holds_others()) {
        return Vec::new();
    }
    let mut places: Vec<(&TargetName, String, &Desired)> =
        all().filter_map(|desired| Some((&desired.target, desired.kind.place_of(&desired.spec)?, desired))).collect();
    places.sort_by(|(target, place, one), (other_target, other_place, other)| {
        (target, place, &one.address).cmp(&(other_target, other_place, &other.address))
    });
    let mut found = Vec::new();
    for (at, (target, place, holder)) in places.iter().enumerate() {
        if !holder.kind.holds_others() {
            continue;
        }
        // What has the very same name is reported as two resources that would be one.
        let below = places[at + 1..].iter().take_while(|(of, name, _)| of == target && name.starts_with(&**place));
        let mut others = below.filter(|(_, name, other)| {
            other.address.owner != holder.address.owner && (name != place || other.kind.name != holder.kind.name)
        });
        let Some((_, name, other)) = others.next() else { continue };
        let more = others.take(MOST).count();
        let more = match more {
            0 => String::new(),
            MOST => format!(" and of {MOST} or more others"),
            more => format!(" and of {more} more"),
        };
        let related = (holder.origin != other.origin)
            .then(|| Label { origin: other.origin, text: format!("of {}", other.address) });
        found.push(Found {
            rule: &RULE,
            place: Where::Resource {
                address: holder.address.clone(),
                kind: holder.kind.name,
                origin: holder.origin,
                pointer: "/prefix".to_owned(),
                spec: Arc::new(holder.spec.clone()),
            },
            message: format!("it holds `{name}` of {}{more}, which would be deleted with it", other.address),
            label: String::new(),
            help: "give each tenant a prefix that begins with no other's".to_owned(),
            related,
        });
    }
    found
}

/// How many others are counted: a prefix that holds every tenant says so without counting them all.
const MOST: usize = 10;
