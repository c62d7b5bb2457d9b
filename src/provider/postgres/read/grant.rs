//! Grants: what a role was found to hold, compared with what it is to hold.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::PgConnection;

use super::held::{self, Held, HeldOnAll, Privileges};
use super::{Scope, text_set};
use crate::error::Failure;
use crate::types::grant::{ALL, Class, Extent, GrantSpec, column_of};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Subject, parse};

/// What other wanted grants give a role on objects of one class in one schema.
#[derive(Default)]
struct Wanted {
    /// On single objects.
    one: BTreeSet<String>,
    /// On all objects.
    all: BTreeSet<String>,
}

type WantedByRole<'a> = HashMap<(&'a str, Class, Option<&'a str>), Wanted>;

/// A grant as found: the privileges, and whether they may be given on.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    privileges: BTreeSet<String>,
    grantable: bool,
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let mut answers = Answers::new();
    let mut asked: Vec<(&Subject<'_>, GrantSpec)> = Vec::with_capacity(scope.subjects.len());
    for subject in &scope.subjects {
        match parse::<GrantSpec>(subject.spec) {
            Ok(grant) => asked.push((subject, grant)),
            Err(error) => {
                let reason = format!("its spec cannot be read: {error}");
                answers.push((subject.identity.clone(), Observed::Unknown(reason.into())));
            }
        }
    }
    if asked.is_empty() {
        return Ok(answers);
    }
    let grants: Vec<GrantSpec> = asked.iter().map(|(_, grant)| grant.clone()).collect();
    let privileges = held::fetch(connection, &grants).await?;

    // Also those that are on record and not asked for now: an apply asks for what it changes, and the rest goes on to hold.
    let mut wanted = WantedByRole::new();
    for (_, grant) in &asked {
        let of_role = wanted.entry((&grant.role, grant.on.class(), grant.schema.as_deref())).or_default();
        match grant.on.extent() {
            Extent::One => of_role.one.extend(grant.wanted(privileges.version)),
            Extent::All => of_role.all.extend(grant.wanted(privileges.version)),
            Extent::Default => {}
        }
    }
    for (subject, grant) in &asked {
        if let Some(doubt) = privileges.doubt(&held::object_of(grant)) {
            answers.push((subject.identity.clone(), Observed::Unknown(doubt.into())));
            continue;
        }
        let others = &wanted.get(&(&grant.role, grant.on.class(), grant.schema.as_deref()));
        let found = find(&privileges, grant, subject.is_wanted(), others.unwrap_or(&Wanted::default()));
        let observed = match found {
            Some(found) => {
                let spec = observed_spec(subject.spec, grant, &found, privileges.version);
                Observed::Present(Present { spec, ..Present::default() })
            }
            None => Observed::Absent,
        };
        answers.push((subject.identity.clone(), observed));
    }
    Ok(answers)
}

fn observed_spec(asked: &Map, grant: &GrantSpec, found: &Found, version: i32) -> Arc<Map> {
    // As it was asked for, where nothing is missing and nothing is too much.
    let is_all = grant.privileges.iter().any(|name| name == ALL) && grant.wanted(version) == found.privileges;
    let privileges = match is_all {
        true => Value::list([ALL.into()]),
        false => text_set(&found.privileges),
    };
    Arc::new(asked.with("privileges", privileges).with("withGrantOption", found.grantable.into()))
}

fn find(privileges: &Privileges, grant: &GrantSpec, is_wanted: bool, others: &Wanted) -> Option<Found> {
    let schema_exists = grant.schema.as_ref().is_none_or(|schema| privileges.schemas.contains(schema));
    if !privileges.roles.contains(&grant.role) || !schema_exists {
        return None;
    }
    let wanted = grant.wanted(privileges.version);
    // The wish that a role has nothing is met where it has nothing.
    let nothing = || {
        (is_wanted && wanted.is_empty())
            .then(|| Found { privileges: BTreeSet::new(), grantable: grant.with_grant_option })
    };
    let class = grant.on.class();
    match grant.on.extent() {
        Extent::One => {
            let object = held::object_of(grant);
            if !privileges.exists(&object) {
                return None;
            }
            let held = privileges.on_one(object, &grant.role);
            held.and_then(|held| found_on_one(grant, &wanted, is_wanted, held, &others.all)).or_else(nothing)
        }
        Extent::Default => {
            let found = |held: &Held| found_on_one(grant, &wanted, is_wanted, held, &BTreeSet::new());
            if grant.grantor.is_some() {
                let held = privileges.on_one(held::object_of(grant), &grant.role);
                return held.and_then(found).or_else(nothing);
            }
            // What several roles have said is never one grant. That of the login comes first; a reader with another login sees
            // the one that was written by what it says.
            let schema = grant.schema.as_deref().unwrap_or_default();
            let of_each = privileges.on_objects_to_come(class, schema, &grant.role);
            let of_each: Vec<Found> = of_each.into_iter().filter_map(found).collect();
            let as_wanted = |found: &&Found| found.privileges == wanted && found.grantable == grant.with_grant_option;
            let own = of_each.first().filter(|_| privileges.is_of_login(class, schema, &grant.role));
            let chosen = own.filter(as_wanted).or_else(|| of_each.iter().find(as_wanted)).or(own);
            chosen.or_else(|| of_each.first().filter(|_| is_wanted)).cloned().or_else(nothing)
        }
        Extent::All => {
            let schema = grant.schema.as_deref().unwrap_or_default();
            let none = HeldOnAll::default();
            let held = privileges.on_all(class, schema).unwrap_or(&none);
            found_on_all(grant, &wanted, is_wanted, held, &others.one)
        }
    }
}

/// Whether a privilege on one column says nothing that is not said of the whole table.
fn is_covered(name: &str, by: &BTreeSet<String>) -> bool {
    column_of(name).is_some_and(|(privilege, _)| by.contains(privilege))
}

/// `others` is what the role is to hold on it by a grant on all objects of the schema.
fn found_on_one(
    grant: &GrantSpec,
    wanted: &BTreeSet<String>,
    is_wanted: bool,
    held: &Held,
    others: &BTreeSet<String>,
) -> Option<Found> {
    let of_table: BTreeSet<String> = held.privileges.keys().filter(|name| column_of(name).is_none()).cloned().collect();
    let said = |name: &&String| !is_covered(name, &of_table) && !is_covered(name, others);
    let held_names: BTreeSet<String> = held.privileges.keys().filter(said).cloned().collect();
    let mut privileges: BTreeSet<String> = held_names.difference(others).cloned().collect();
    if is_wanted {
        privileges.extend(held_names.intersection(wanted).cloned());
    }
    // An owner can always give itself what it lacks, so more than was asked for means nothing.
    if held.is_owner && wanted.is_subset(&held_names) {
        return Some(Found { privileges: wanted.clone(), grantable: grant.with_grant_option });
    }
    if privileges.is_empty() {
        return None;
    }
    let mut grantable = privileges.iter().map(|name| held.privileges.get(name) == Some(&true));
    let grantable = if grant.with_grant_option { grantable.all(|yes| yes) } else { grantable.any(|yes| yes) };
    Some(Found { privileges, grantable })
}

/// `others` is what the role is to hold on single objects among them.
///
/// Where there is no object the wish is met, as soon as it is one: nothing is missing. A privilege that is held on some objects only
/// is not reported, so that it shows as missing; one that nobody asked for is reported even if it is held on one
/// object only.
fn found_on_all(
    grant: &GrantSpec,
    wanted: &BTreeSet<String>,
    is_wanted: bool,
    held: &HeldOnAll,
    others: &BTreeSet<String>,
) -> Option<Found> {
    let objects: i64 = held.objects.iter().filter(|(owner, _)| **owner != grant.role).map(|(_, count)| count).sum();
    let met = || is_wanted.then(|| Found { privileges: wanted.clone(), grantable: grant.with_grant_option });
    if objects == 0 {
        return met();
    }
    let Some(counts) = held.counts.get(&grant.role).filter(|counts| !counts.is_empty()) else {
        return if wanted.is_empty() { met() } else { None };
    };
    let mut privileges = BTreeSet::new();
    for (name, count) in counts {
        let report = match (is_wanted, wanted.contains(name)) {
            (true, true) => count.objects == objects,
            (true, false) => !others.contains(name) && !is_covered(name, wanted) && !is_covered(name, others),
            (false, _) => true,
        };
        if report {
            privileges.insert(name.clone());
        }
    }
    if privileges.is_empty() && !counts.keys().any(|name| wanted.contains(name)) {
        return if wanted.is_empty() { met() } else { None };
    }
    let relevant = counts.iter().filter(|(name, _)| !is_wanted || wanted.contains(*name)).map(|(_, count)| count);
    let grantable = if grant.with_grant_option {
        relevant.clone().all(|count| count.all_grantable)
    } else {
        relevant.clone().any(|count| count.any_grantable)
    };
    Some(Found { privileges, grantable })
}

#[cfg(test)]
mod tests {
    use super::super::held::Count;
    use super::*;

    fn grant(on: &str, privileges: &[&str]) -> GrantSpec {
        serde_json::from_value(serde_json::json!({"role": "r", "on": on, "schema": "s", "privileges": privileges}))
            .expect("a grant")
    }

    fn on_one_of(grant: &GrantSpec, is_wanted: bool, held: &Held, others: &BTreeSet<String>) -> Option<Found> {
        found_on_one(grant, &grant.wanted(150_000), is_wanted, held, others)
    }

    fn on_all_of(grant: &GrantSpec, is_wanted: bool, held: &HeldOnAll, others: &BTreeSet<String>) -> Option<Found> {
        found_on_all(grant, &grant.wanted(150_000), is_wanted, held, others)
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn on_all(objects: i64, counts: &[(&str, i64)]) -> HeldOnAll {
        let counts = counts.iter().map(|(name, objects)| {
            ((*name).to_owned(), Count { objects: *objects, all_grantable: false, any_grantable: false })
        });
        HeldOnAll {
            objects: HashMap::from([("owner".to_owned(), objects), ("r".to_owned(), 5)]),
            counts: HashMap::from([("r".to_owned(), counts.collect())]),
        }
    }

    fn privileges(found: Option<Found>) -> Option<Vec<String>> {
        found.map(|found| found.privileges.into_iter().collect())
    }

    #[test]
    fn all_means_each_single_one() {
        let wanted = grant("allTables", &["INSERT", "SELECT"]);
        let nothing = BTreeSet::new();
        let found = |held: HeldOnAll| privileges(on_all_of(&wanted, true, &held, &nothing));
        assert_eq!(found(on_all(2, &[("SELECT", 2), ("INSERT", 2)])), Some(vec!["INSERT".into(), "SELECT".into()]));
        assert_eq!(
            found(on_all(2, &[("SELECT", 2), ("INSERT", 1)])),
            Some(vec!["SELECT".into()]),
            "missing on a new table"
        );
        assert_eq!(
            found(on_all(2, &[("SELECT", 2), ("INSERT", 2), ("DELETE", 1)])),
            Some(vec!["DELETE".into(), "INSERT".into(), "SELECT".into()]),
            "more than was asked for on one table"
        );
        assert_eq!(found(on_all(2, &[])), None);
        assert_eq!(found(on_all(0, &[])), Some(vec!["INSERT".into(), "SELECT".into()]), "no table, nothing missing");
        assert_eq!(privileges(on_all_of(&wanted, false, &on_all(0, &[]), &nothing)), None, "and nothing to take away");
        assert_eq!(
            privileges(on_all_of(
                &wanted,
                true,
                &on_all(2, &[("SELECT", 2), ("INSERT", 2), ("DELETE", 1)]),
                &names(&["DELETE"])
            )),
            Some(vec!["INSERT".into(), "SELECT".into()]),
            "what another grant asks for on one table is no surplus"
        );
        assert_eq!(
            privileges(on_all_of(&wanted, true, &on_all(2, &[("DELETE", 1)]), &names(&["DELETE"]))),
            None,
            "and is not the grant either"
        );
    }

    #[test]
    fn one_object_shows_what_is_held_beyond_other_grants() {
        let wanted = grant("schema", &["USAGE"]);
        let held = |names: &[&str], is_owner| Held {
            privileges: names.iter().map(|name| ((*name).to_owned(), false)).collect(),
            is_owner,
        };
        let nothing = BTreeSet::new();
        assert_eq!(
            privileges(on_one_of(&wanted, true, &held(&["USAGE"], false), &nothing)),
            Some(vec!["USAGE".into()])
        );
        assert_eq!(
            privileges(on_one_of(&wanted, true, &held(&["CREATE", "USAGE"], false), &nothing)),
            Some(vec!["CREATE".into(), "USAGE".into()])
        );
        assert_eq!(
            privileges(on_one_of(&wanted, true, &held(&["CREATE", "USAGE"], true), &nothing)),
            Some(vec!["USAGE".into()])
        );
        assert_eq!(on_one_of(&wanted, false, &held(&["USAGE"], false), &names(&["USAGE"])), None);
    }

    #[test]
    fn the_grant_option_has_to_cover_all_that_is_wanted() {
        let mut wanted = grant("schema", &["CREATE", "USAGE"]);
        let held =
            Held { privileges: [("CREATE".to_owned(), true), ("USAGE".to_owned(), false)].into(), is_owner: false };
        let nothing = BTreeSet::new();
        assert_eq!(on_one_of(&wanted, true, &held, &nothing).map(|found| found.grantable), Some(true), "too much");
        wanted.with_grant_option = true;
        assert_eq!(on_one_of(&wanted, true, &held, &nothing).map(|found| found.grantable), Some(false), "too little");
    }
}
