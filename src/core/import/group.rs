//! Which things are the same thing of different tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::template::{misfits, variety};
use super::{Group, Item, pattern};
use crate::model::value::Value;

/// The least share of tenants, in percent, for whom a role is worth a resource of its own.
const LEAST_SHARE: usize = 4;

/// What is rarer than this has to be alike to be worth one.
const USUAL_SHARE: usize = 50;

/// The least number of things that a list is made of.
const LEAST_LIST: usize = 3;

/// Of a group, one in so many may be set aside so that the others are alike.
const MISFIT_SHARE: usize = 50;

/// Gathers items into groups; each is in one.
pub fn groups(items: &[Item], tenants: usize) -> Vec<Group<'_>> {
    let mut sorts: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items {
        sorts.entry(&item.sort).or_default().push(item);
    }
    let mut groups = Vec::new();
    let mut single = Vec::new();
    let mut ids = BTreeSet::from(["objects".to_owned()]);
    for items in sorts.into_values() {
        let (roles, rest) = roles(&items, tenants);
        let word = items.first().map(|item| item.word.clone()).unwrap_or_default();
        let is_only = roles.len() == 1;
        for (name, items) in roles {
            let suffix = pattern::snake(&name.replace(pattern::TENANT, "-"));
            let is_usual = items.len() * 100 >= tenants * USUAL_SHARE;
            let is_plain = (is_only && is_usual) || suffix.is_empty() || suffix == word;
            let id = if is_plain { word.clone() } else { format!("{word}_{suffix}") };
            groups.push(Group { id: unique(id, &mut ids), is_each: false, is_whole: false, items });
        }
        let names: BTreeSet<(&str, &str)> = rest.iter().map(|item| (&*item.tenant, &*item.name)).collect();
        let having: BTreeSet<&Arc<str>> = rest.iter().map(|item| &item.tenant).collect();
        if rest.len() >= LEAST_LIST && having.len() > 1 && names.len() == rest.len() {
            let many = pattern::plural(&word);
            let id = if is_only || groups.iter().any(|group| group.id.starts_with(&word)) {
                format!("other_{many}")
            } else {
                many
            };
            groups.push(Group { id: unique(id, &mut ids), is_each: true, is_whole: false, items: rest });
        } else {
            single.extend(rest);
        }
    }
    if !single.is_empty() {
        groups.push(Group { id: "objects".into(), is_each: true, is_whole: true, items: single });
    }
    groups
}

fn unique(id: String, ids: &mut BTreeSet<String>) -> String {
    let mut candidate = id.clone();
    let mut count = 2;
    while !ids.insert(candidate.clone()) {
        candidate = format!("{id}_{count}");
        count += 1;
    }
    candidate
}

/// Things by role, which is their name up to the tenant's own.
type Roles<'a> = BTreeMap<String, Vec<&'a Item>>;

fn roles<'a>(items: &[&'a Item], tenants: usize) -> (Roles<'a>, Vec<&'a Item>) {
    let mut by_name: BTreeMap<&str, BTreeSet<&Arc<str>>> = BTreeMap::new();
    for item in items {
        by_name.entry(&item.name).or_default().insert(&item.tenant);
    }
    let mut roles: Roles<'a> = BTreeMap::new();
    for item in items {
        let shared = by_name.get(&*item.name).is_some_and(|having| having.len() > 1);
        let role = match pattern::of(&item.name, &item.tenant, None) {
            Some(pattern) if !shared => pattern,
            _ => item.name.to_string(),
        };
        roles.entry(role).or_default().push(item);
    }
    let mut rest = Vec::new();
    let least = (tenants * LEAST_SHARE).div_ceil(100).max(2);
    roles.retain(|_, items| {
        let having: BTreeSet<&Arc<str>> = items.iter().map(|item| &item.tenant).collect();
        let is_usual = items.len() * 100 >= tenants * USUAL_SHARE;
        let is_own = having.len() == items.len() && items.len() >= least && (is_usual || is_alike(items));
        if !is_own {
            rest.append(items);
        }
        is_own
    });
    for items in roles.values_mut() {
        set_aside(items, &mut rest);
    }
    rest.sort_by_key(|item| (item.tenant.clone(), item.name.clone()));
    (roles, rest)
}

/// Leaves that say what a thing is and not how: API version, kind, name, namespace.
const NAMING_LEAVES: usize = 4;

/// Whether at most a third of what is in them differs.
fn is_alike(items: &[&Item]) -> bool {
    let (differing, all) = variety(items);
    differing * 3 <= all.saturating_sub(NAMING_LEAVES)
}

/// Takes those few out that are not as all the others are, or whose lists have another form than everybody's.
fn set_aside<'a>(items: &mut Vec<&'a Item>, rest: &mut Vec<&'a Item>) {
    let forms: Vec<String> = items.iter().map(|item| form(&Value::from(item.spec.clone()), &item.tenant)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for form in &forms {
        *counts.entry(form).or_default() += 1;
    }
    let usual = counts.iter().max_by_key(|(_, count)| **count).map(|(form, _)| (*form).to_owned());
    take_out(items, rest, &forms.iter().map(|form| Some(form) != usual.as_ref()).collect::<Vec<_>>());
    let lists: Option<Vec<&[Value]>> = items.iter().map(|item| item.spec.get("subjects")?.as_list()).collect();
    if let Some(lists) = lists {
        let misfits = misfits(&lists);
        take_out(items, rest, &misfits);
    }
}

/// A spec with the tenant's name replaced.
fn form(value: &Value, tenant: &str) -> String {
    let mut leaves = String::new();
    value.for_each_leaf(&mut |pointer, leaf| {
        let text = leaf.as_str().map(|text| pattern::of(text, tenant, None).unwrap_or_else(|| text.to_owned()));
        leaves.push_str(pointer);
        leaves.push_str(&text.unwrap_or_else(|| leaf.to_json().to_string()));
        leaves.push('\n');
    });
    leaves
}

fn take_out<'a>(items: &mut Vec<&'a Item>, rest: &mut Vec<&'a Item>, misfits: &[bool]) {
    let count = misfits.iter().filter(|misfit| **misfit).count();
    if count == 0 || count * MISFIT_SHARE > items.len() {
        return;
    }
    let mut at = 0;
    items.retain(|item| {
        let is_misfit = misfits.get(at).copied().unwrap_or(false);
        at += 1;
        if is_misfit {
            rest.push(*item);
        }
        !is_misfit
    });
}
