//! Values that go together → tiers; the rest → each tenant's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::template::Role;
use super::{Tenant, Tier, Values};
use crate::model::value::{Map, Value};

/// The least share of tenants, in percent, for whom a combination of figures is a tier.
const LEAST_SHARE: usize = 4;

/// More tiers than anybody sells.
const MOST_TIERS: usize = 5;

/// The name of a switch among a role's values.
const ENABLED: &str = "enabled";

/// One place for a value: role and name.
type Slot<'r> = (&'r str, &'r str);

/// What a tenant has at each slot; no entry if the resource has no such field.
type Held<'r> = BTreeMap<Slot<'r>, Value>;

pub fn assign(roles: &[Role<'_>], tenants: &BTreeSet<&Arc<str>>) -> (Vec<Tier>, BTreeMap<Arc<str>, Tenant>) {
    let mut held: BTreeMap<&Arc<str>, Held<'_>> = tenants.iter().map(|tenant| (*tenant, Held::new())).collect();
    let mut figures: BTreeSet<Slot<'_>> = BTreeSet::new();
    let mut each: Vec<&Role<'_>> = Vec::new();
    for role in roles {
        if role.is_each {
            each.push(role);
            continue;
        }
        let having: BTreeSet<&Arc<str>> = role.items.iter().map(|item| &item.tenant).collect();
        if having.len() < tenants.len() && role.switch == role.id {
            for (tenant, held) in &mut held {
                held.insert((&role.id, ENABLED), having.contains(*tenant).into());
            }
        }
        for (name, values) in &role.values {
            if role.items.iter().any(|item| item.is_quota) {
                figures.insert((&role.id, name));
            }
            for (item, value) in role.items.iter().zip(values) {
                if let Some(held) = held.get_mut(&item.tenant) {
                    held.insert((&role.id, name), value.clone().unwrap_or(Value::Null));
                }
            }
        }
    }
    let chosen = choose(&held, &figures);
    let mut tiers = Vec::new();
    let mut drafts = BTreeMap::new();
    for (name, members) in chosen {
        let defaults = defaults(&members, &held);
        for tenant in &members {
            let own = held.get(*tenant).into_iter().flatten();
            let differing = own.filter(|(slot, value)| defaults.get(*slot) != Some(*value));
            let mut values = nested(differing.map(|(slot, value)| (*slot, value.clone())));
            for role in &each {
                add_each(role, tenant, &mut values);
            }
            drafts.insert((**tenant).clone(), Tenant { tier: name.clone(), values });
        }
        let mut values = nested(defaults.into_iter());
        for role in &each {
            values.entry(role.id.clone()).or_default();
        }
        tiers.push(Tier { name, values, tenants: members.len() });
    }
    (tiers, drafts)
}

fn nested<'r>(slots: impl Iterator<Item = (Slot<'r>, Value)>) -> Values {
    let mut values = Values::new();
    for ((role, name), value) in slots {
        values.entry(role.to_owned()).or_default().insert(name.to_owned(), value);
    }
    values
}

fn add_each(role: &Role<'_>, tenant: &str, values: &mut Values) {
    for (at, item) in role.items.iter().enumerate().filter(|(_, item)| *item.tenant == *tenant) {
        let (key, value) = match role.is_whole {
            true => (format!("{}/{}", item.word, item.name), Value::from(item.spec.clone())),
            false => {
                let own =
                    role.values.iter().filter_map(|(name, values)| Some((name.as_str(), values.get(at)?.clone()?)));
                (item.name.to_string(), Value::map(own))
            }
        };
        values.entry(role.id.clone()).or_default().insert(key, value);
    }
}

/// Tenants by tier, in order of rank.
fn choose<'t>(
    held: &BTreeMap<&'t Arc<str>, Held<'_>>,
    figures: &BTreeSet<Slot<'_>>,
) -> Vec<(String, Vec<&'t Arc<str>>)> {
    let of = |held: &Held<'_>| -> Vec<Option<String>> {
        figures.iter().map(|slot| held.get(slot).map(|value| value.to_json().to_string())).collect()
    };
    let mut combinations: BTreeMap<Vec<Option<String>>, Vec<&'t Arc<str>>> = BTreeMap::new();
    for (tenant, held) in held {
        combinations.entry(of(held)).or_default().push(tenant);
    }
    let least = (held.len() * LEAST_SHARE).div_ceil(100).max(2);
    let mut usual: Vec<(Vec<Option<String>>, usize)> =
        combinations.iter().map(|(figures, tenants)| (figures.clone(), tenants.len())).collect();
    usual.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let kept = usual.iter().enumerate().filter(|(at, (_, count))| *at == 0 || *count >= least).take(MOST_TIERS);
    let kept: Vec<Vec<Option<String>>> = kept.map(|(_, (figures, _))| figures.clone()).collect();
    let mut members: Vec<Vec<&'t Arc<str>>> = vec![Vec::new(); kept.len()];
    for (figures, tenants) in combinations {
        let same = |tier: &Vec<Option<String>>| tier.iter().zip(&figures).filter(|(a, b)| a == b).count();
        // The most figures in common; of two the more usual.
        let best = (0..kept.len()).max_by_key(|at| (same(&kept[*at]), kept.len() - at));
        if let Some(members) = best.and_then(|at| members.get_mut(at)) {
            members.extend(tenants);
        }
    }
    let size = |figures: &[Option<String>]| -> f64 {
        figures.iter().flatten().filter_map(|text| magnitude(text)).map(|size| size.max(1.0).ln()).sum()
    };
    let standard = kept.first().map(|figures| size(figures)).unwrap_or_default();
    let mut sized: Vec<(f64, Vec<&'t Arc<str>>)> =
        kept.iter().zip(members).map(|(figures, members)| (size(figures) - standard, members)).collect();
    let is_standard: Vec<bool> = (0..sized.len()).map(|at| at == 0).collect();
    let mut named: Vec<(f64, bool, Vec<&'t Arc<str>>)> = sized
        .drain(..)
        .zip(is_standard)
        .map(|((size, mut members), standard)| {
            members.sort();
            (size, standard, members)
        })
        .collect();
    named.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let at = named.iter().position(|(_, standard, _)| *standard).unwrap_or(0);
    let name = |position: usize| match position.cmp(&at) {
        std::cmp::Ordering::Equal => "standard".to_owned(),
        std::cmp::Ordering::Less if at == 1 => "small".to_owned(),
        std::cmp::Ordering::Less => format!("small-{}", at - position),
        std::cmp::Ordering::Greater if position == at + 1 => "large".to_owned(),
        std::cmp::Ordering::Greater => format!("large-{}", position - at),
    };
    named.into_iter().enumerate().map(|(position, (_, _, members))| (name(position), members)).collect()
}

/// How large a figure is, with its suffix; for an order, not for sums.
fn magnitude(json: &str) -> Option<f64> {
    let text = json.trim_matches('"');
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some(
        number
            * match &text[end..] {
                "m" => 0.001,
                "k" => 1e3,
                "Ki" => 1024.0,
                "M" => 1e6,
                "Mi" => 1024.0 * 1024.0,
                "G" => 1e9,
                "Gi" => 1024.0 * 1024.0 * 1024.0,
                "T" => 1e12,
                "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
                _ => 1.0,
            },
    )
}

/// What most members have, where most have the same; and nothing where some have none.
fn defaults<'r>(members: &[&Arc<str>], held: &BTreeMap<&Arc<str>, Held<'r>>) -> Held<'r> {
    let mut counts: BTreeMap<Slot<'r>, BTreeMap<String, (usize, Value)>> = BTreeMap::new();
    for held in members.iter().filter_map(|tenant| held.get(*tenant)) {
        for (slot, value) in held {
            let count =
                counts.entry(*slot).or_default().entry(value.to_json().to_string()).or_insert((0, value.clone()));
            count.0 += 1;
        }
    }
    let mut defaults = Held::new();
    for (slot, values) in counts {
        let all: usize = values.values().map(|(count, _)| count).sum();
        let has_null = values.values().any(|(_, value)| value.is_null());
        let usual = values.into_values().max_by_key(|(count, _)| *count);
        match usual {
            // A map of a tier and one of a tenant are laid over each other, so that only an empty one can be a default.
            Some((count, value)) if count * 2 > all && count > 1 && value.as_map().is_none_or(Map::is_empty) => {
                defaults.insert(slot, value);
            }
            _ if has_null => {
                defaults.insert(slot, Value::Null);
            }
            _ => {}
        }
    }
    defaults
}
