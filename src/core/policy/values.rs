//! What the rules of policies look at, as values of expressions.
//!
//! Sensitive values are masked before an expression sees them, so that no message has one. A value that is only known after
//! apply stays what it is: a rule that needs it cannot be computed, which refuses the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnostics::nearest;
use crate::model::address::{Address, Owner};
use crate::model::clear::{is_name_of_secret, is_secret_by_form};
use crate::model::document::Subject;
use crate::model::kind::{Catalogue, Kind};
use crate::model::resource::{Desired, TargetName};
use crate::model::value::{Map, Value, is_within, unescape_token};
use crate::plan::{Change, FieldChange, Plan, Summary, sensitive};
use crate::resolve;

/// The variables of a rule, by what it is evaluated for.
pub fn variables(each: Subject) -> &'static [&'static str] {
    match each {
        Subject::Plan => &["plan", "tenants", "estate", "values", "now"],
        Subject::Tenant => &["tenant", "oldTenant", "tier", "oldTier", "plan", "estate", "values", "now"],
        Subject::Change => &["change", "tenant", "oldTenant", "tier", "oldTier", "plan", "estate", "values", "now"],
        Subject::Resource => &["resource", "tenant", "oldTenant", "tier", "oldTier", "plan", "estate", "values", "now"],
    }
}

/// A value of each variable whose fields are the same everywhere, with nothing in it. `None` for one that has no such fields.
pub fn empty(variable: &str) -> Option<Value> {
    match variable {
        "tenant" | "oldTenant" => Some(resolve::empty().0),
        "tier" | "oldTier" => Some(resolve::empty().1),
        "change" => Some(Value::map(CHANGE.iter().map(|(name, value)| (*name, value.value())))),
        "resource" => Some(Value::map(RESOURCE.iter().map(|(name, value)| (*name, value.value())))),
        "plan" => Some(Value::map(PLAN.iter().map(|(name, value)| (*name, value.value())))),
        "estate" => Some(Value::map([("name", Value::from("test"))])),
        _ => None,
    }
}

/// What an empty field is.
#[derive(Clone, Copy)]
enum Empty {
    Null,
    Text,
    False,
    Zero,
    List,
    Map,
    Summary,
}

impl Empty {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text => "".into(),
            Self::False => false.into(),
            Self::Zero => 0.into(),
            Self::List => Value::list([]),
            Self::Map => Map::default().into(),
            Self::Summary => summary(&Summary::default()),
        }
    }
}

const CHANGE: &[(&str, Empty)] = &[
    ("address", Empty::Text),
    ("owner", Empty::Text),
    ("id", Empty::Text),
    ("kind", Empty::Text),
    ("target", Empty::Text),
    ("residency", Empty::Null),
    ("identity", Empty::Null),
    ("action", Empty::Text),
    ("cause", Empty::Text),
    ("fields", Empty::List),
    ("before", Empty::Null),
    ("after", Empty::Null),
    ("losesData", Empty::False),
    ("protected", Empty::False),
    ("bills", Empty::False),
];

const RESOURCE: &[(&str, Empty)] = &[
    ("address", Empty::Text),
    ("owner", Empty::Text),
    ("id", Empty::Text),
    ("kind", Empty::Text),
    ("target", Empty::Text),
    ("residency", Empty::Null),
    ("identity", Empty::Null),
    ("spec", Empty::Map),
    ("losesData", Empty::False),
    ("protected", Empty::False),
    ("bills", Empty::False),
    ("literalSecrets", Empty::List),
];

const PLAN: &[(&str, Empty)] = &[
    ("estate", Empty::Text),
    ("environment", Empty::Null),
    ("revision", Empty::Null),
    ("simulated", Empty::False),
    ("summary", Empty::Summary),
    ("deletions", Empty::List),
    ("blocked", Empty::List),
    ("tenants", Empty::Zero),
    ("tenantsChanged", Empty::Zero),
    ("resources", Empty::Zero),
];

/// What is wrong with a path of an expression, with a remedy: a field that its variable never has.
pub fn unknown_field(path: &[Arc<str>], values: &BTreeMap<Arc<str>, Value>) -> Option<(String, String)> {
    let [variable, field, ..] = path else { return None };
    let known: Vec<Arc<str>> = match &**variable {
        "values" => values.keys().cloned().collect(),
        "resources" | "each" => return None,
        variable => empty(variable)?.as_map()?.iter().map(|(name, _)| name.clone()).collect(),
    };
    if known.contains(field) {
        return None;
    }
    let help = match nearest(field, known.iter().map(|name| &**name)) {
        Some(nearest) => format!("did you mean `{variable}.{nearest}`?"),
        None if known.is_empty() => "the policy has no `values`; add them to its spec".to_owned(),
        None => format!("it has {}", known.join(", ")),
    };
    Some((format!("`{variable}` has no field `{field}`"), help))
}

/// The type that a path always has, if that is known.
pub fn type_of(path: &[Arc<str>], values: &BTreeMap<Arc<str>, Value>) -> Option<&'static str> {
    let [variable, field] = path else { return None };
    let value = match &**variable {
        "values" => values.get(field)?.clone(),
        variable => empty(variable)?.get(field)?.clone(),
    };
    (!value.is_null()).then(|| value.type_name())
}

/// Where the data of each target is kept, as `tenantry.toml` says.
pub type Residencies = BTreeMap<TargetName, Arc<str>>;

fn of_option(text: Option<impl AsRef<str>>) -> Value {
    text.map_or(Value::Null, |text| text.as_ref().into())
}

fn of_address(address: &Address) -> [(&'static str, Value); 3] {
    let owner: &Owner = &address.owner;
    [("address", address.to_string().into()), ("owner", owner.to_string().into()), ("id", address.id.clone().into())]
}

/// The variable `change`.
pub fn change(change: &Change, catalogue: &Catalogue, residencies: &Residencies) -> Value {
    let masked = |spec: Option<&Arc<Map>>| {
        spec.map_or(Value::Null, |spec| sensitive::mask(Value::Map(spec.clone()), &change.sensitive))
    };
    let field = |FieldChange { path, before, after, .. }: &FieldChange| {
        let shown = |value: &Option<Value>| match value {
            Some(value) if sensitive::covers(&change.sensitive, path) => {
                sensitive::masked(Some(value)).unwrap_or_default()
            }
            value => value.clone().unwrap_or_default(),
        };
        Value::map([("path", Value::from(path.clone())), ("before", shown(before)), ("after", shown(after))])
    };
    let cause = serde_json::to_value(change.cause).map(Value::from).unwrap_or_default();
    Value::map(of_address(&change.address).into_iter().chain([
        ("kind", change.kind.clone().into()),
        ("target", change.target.to_string().into()),
        ("residency", of_option(residencies.get(&change.target))),
        ("identity", of_option(change.work.identity().map(ToString::to_string))),
        ("action", change.action().as_str().into()),
        ("cause", cause),
        ("fields", Value::list(change.work.fields().iter().map(field))),
        ("before", masked(change.work.before())),
        ("after", masked(change.work.after())),
        ("losesData", change.loses_data.into()),
        ("protected", change.protected.into()),
        ("bills", catalogue.get(&change.kind).is_some_and(|kind| kind.bills).into()),
    ]))
}

/// The variable `resource`.
pub fn resource(desired: &Desired, residencies: &Residencies) -> Value {
    let kind: &Kind = &desired.kind;
    let literal = literal_secrets(desired);
    Value::map(of_address(&desired.address).into_iter().chain([
        ("kind", Value::from(kind.name)),
        ("target", desired.target.to_string().into()),
        ("residency", of_option(residencies.get(&desired.target))),
        ("identity", of_option(desired.identity.as_ref().map(ToString::to_string))),
        ("spec", sensitive::mask(desired.spec.value(), &sensitive::of(desired))),
        ("losesData", kind.loses_data_of(&desired.spec).into()),
        ("protected", desired.protect.into()),
        ("bills", kind.bills.into()),
        ("literalSecrets", Value::list(literal.into_iter().map(Value::from))),
    ]))
}

/// Pointers of texts in a resource that are secrets and no reference to a secret: by their form, or in a sensitive field
/// whose name means a secret.
fn literal_secrets(desired: &Desired) -> Vec<String> {
    let of_kind = desired.kind.sensitive_in(&desired.spec);
    let mut found = Vec::new();
    desired.spec.value().for_each_leaf(&mut |pointer, value| {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return };
        let name = pointer.rsplit('/').map(unescape_token).next().unwrap_or_default();
        let is_sensitive = of_kind.iter().any(|sensitive| is_within(pointer, sensitive));
        if is_secret_by_form(text) || is_sensitive && is_name_of_secret(&name) {
            found.push(pointer.to_owned());
        }
    });
    found
}

fn summary(summary: &Summary) -> Value {
    serde_json::to_value(summary).map(Value::from).unwrap_or_default()
}

fn count(number: usize) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// The variable `plan`. `tenants` is how many the estate has, `changed` how many of them change, and `existing` the number of
/// resources in the inventory.
pub fn plan(plan: &Plan, tenants: usize, changed: usize, existing: usize) -> Value {
    let deletions = plan.changes.iter().filter(|change| change.action().destroys()).map(|change| {
        Value::map(of_address(&change.address).into_iter().chain([
            ("kind", Value::from(change.kind.clone())),
            ("action", change.action().as_str().into()),
            ("losesData", change.loses_data.into()),
        ]))
    });
    Value::map([
        ("estate", Value::from(plan.estate.clone())),
        ("environment", of_option(plan.environment.as_ref())),
        ("revision", of_option(plan.revision.as_ref())),
        ("simulated", plan.simulated.into()),
        ("summary", summary(&plan.summary())),
        ("deletions", Value::list(deletions)),
        ("blocked", Value::list(plan.blocked.iter().map(|blocked| blocked.address.to_string().into()))),
        ("tenants", count(tenants)),
        ("tenantsChanged", count(changed)),
        ("resources", count(existing)),
    ])
}

/// The variable `now`.
pub fn now(now: Timestamp) -> Value {
    now.to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    fn names(value: &Value) -> Vec<String> {
        value.as_map().expect("a map").iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn an_empty_value_has_the_fields_of_a_real_one() {
        let catalogue = fixture::catalogue();
        let made = fixture::plan(&json!({"wanted": {"acme/db": {"kind": "test.store", "name": "a", "size": 1}}}));
        let one = change(&made.changes[0], &catalogue, &Residencies::new());
        assert_eq!(names(&one), names(&empty("change").expect("a change")));
        let desired = fixture::desired(&catalogue, "acme/db", &json!({"kind": "test.store", "name": "a"}));
        let one = resource(&desired, &Residencies::from([("main".into(), "eu".into())]));
        assert_eq!(names(&one), names(&empty("resource").expect("a resource")));
        assert_eq!(one.get("residency"), Some(&"eu".into()));
        let whole = plan(&made, 1, 1, 0);
        assert_eq!(names(&whole), names(&empty("plan").expect("a plan")));
        assert_eq!(whole.get("summary").and_then(|summary| summary.get("create")), Some(&1.into()));
    }

    #[test]
    fn a_secret_is_literal_unless_it_is_a_reference() {
        let catalogue = fixture::catalogue();
        let found = |spec| literal_secrets(&fixture::desired(&catalogue, "acme/db", &spec));
        assert_eq!(found(json!({"name": "a", "tags": {"url": "postgres://app:hunter2@db/acme"}})), ["/tags/url"]);
        assert!(found(json!({"name": "a", "tags": {"url": "postgres://db/acme"}})).is_empty());
    }
}
