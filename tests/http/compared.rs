//! What the planner makes of resources of which the API does not tell everything.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tenantry_core::diff::{Known, Verdict, diff};
use tenantry_core::model::resource::{Applied, Begun, BegunWrite, Desired, Observed, Present};
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_core::ownership::{self, Claim, NotOurs, Ownership};
use tenantry_core::plan::Hindrance;
use tenantry_http::Http;
use tenantry_provider::contract::Provider as _;

use crate::support::{Workbench, map};

const ESTATE: &str = crate::support::ESTATE;

fn bench() -> Workbench {
    let _ = Http.name();
    Workbench::new(&Http)
}

/// As it is on record after it was written.
fn on_record(desired: &Desired, outputs: Json) -> Applied {
    Applied {
        address: desired.address.clone(),
        kind: desired.kind.name.into(),
        marked: None,
        target: desired.target.clone(),
        identity: desired.identity.clone().expect("an identity"),
        spec: serde_json::to_string(&*desired.spec).expect("JSON").into(),
        outputs: outputs.to_string().into(),
        generation: 1,
        protect: false,
        depends_on: Vec::new(),
    }
}

/// As the reader tells it: what is never given back stands there as it is wanted.
fn as_wanted(desired: &Desired, outputs: Json) -> Present {
    Present { spec: desired.spec.shared(), outputs: Arc::new(map(outputs)), ..Present::default() }
}

fn verdict(desired: &Desired, present: &Present, applied: Option<&Applied>, begun: bool) -> Verdict {
    let observed = Observed::Present(present.clone());
    let write = Begun { generation: 1, write: BegunWrite::Write, spec: None };
    let begun = begun.then_some(&write);
    // Every secret is to be had.
    let secret = tenantry_core::diff::Secret::Hash(Some("hash"));
    diff(&Known { scope: ESTATE, desired, earlier: &[], observed: &observed, applied, begun, secret })
}

fn version(data: Value) -> Desired {
    let spec = json!({"use": "secretmanager.version", "name": "acme-db", "parameters": {"project": "p1"}, "fields": {"payload": {"data": ""}}});
    let mut desired = bench().desired("http.unmarked", "acme/value", spec);
    let spec = Value::from(Map::clone(&desired.spec)).with_pointer("/fields/payload/data", data);
    desired.spec = desired.kind.normal(spec.as_map().expect("a map"));
    desired
}

fn secret(version: u32) -> Value {
    let owner = "acme/value".parse::<tenantry_core::model::address::Address>().expect("an address").owner;
    let reference =
        SecretReference { owner, name: "password".into(), version: SecretVersion::new(version).expect("a version") };
    Value::Deferred(Arc::new(Deferred { parts: vec![Part::Secret(reference)] }))
}

fn paths(verdict: &Verdict) -> Vec<&str> {
    match verdict {
        Verdict::Update(update) => update.differences.iter().map(|difference| &*difference.pointer).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_was_a_secret_and_is_none_any_more_is_written() {
    let (before, after) = (version(secret(1)), version("not secret".into()));
    let applied = on_record(&before, json!({"id": "1"}));
    let found = verdict(&after, &as_wanted(&after, json!({"id": "1"})), Some(&applied), false);
    assert_eq!(paths(&found), ["/fields/payload/data"], "{found:?}");
}

#[test]
fn what_was_begun_and_cannot_be_compared_is_written_again() {
    // Begun with another value, which the repository does not ask for any more.
    for value in ["text".into(), secret(1)] {
        let desired = version(value);
        let applied = on_record(&desired, json!({"id": "1"}));
        for applied in [Some(&applied), None] {
            let found = verdict(&desired, &as_wanted(&desired, json!({"id": "1"})), applied, true);
            assert_eq!(paths(&found), ["/fields/payload/data"], "{found:?}");
        }
        assert_eq!(
            verdict(&desired, &as_wanted(&desired, json!({"id": "1"})), Some(&applied), false),
            Verdict::Unchanged
        );
    }
}

#[test]
fn an_interrupted_creation_is_not_undone_for_what_it_began_with() {
    let spec = json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}, "fields": {"init_source": "schema-only"}});
    let desired = bench().desired("http.unmarked", "acme/branch", spec);
    let found = verdict(&desired, &as_wanted(&desired, json!({"id": "br-1"})), None, true);
    assert!(matches!(found, Verdict::Record { .. }), "{found:?}");
}

#[test]
fn what_only_seems_to_be_as_desired_is_nobodys() {
    let user = json!({"use": "grafana.user", "name": "ann", "fields": {"name": "Ann", "password": "first"}});
    let role = json!({"use": "neon.role", "name": "app", "parameters": {"project": "p1", "branch": "br-1"}});
    for spec in [user, role] {
        let desired = bench().desired("http.unmarked", "acme/it", spec);
        let found = verdict(&desired, &as_wanted(&desired, json!({"id": "7"})), None, false);
        assert!(matches!(found, Verdict::Blocked(_)), "{found:?}");
    }
    let endpoint = json!({"use": "neon.endpoint", "name": "br-1", "parameters": {"project": "p1"}});
    let desired = bench().desired("http.unmarked", "acme/it", endpoint);
    let applied = on_record(&desired, json!({"id": "ep-1"}));
    let found = verdict(&desired, &as_wanted(&desired, json!({"id": "ep-2"})), Some(&applied), false);
    assert!(matches!(found, Verdict::Blocked(Hindrance::NotOurs { cause: NotOurs::Another })), "{found:?}");
    let found = verdict(&desired, &as_wanted(&desired, json!({"id": "ep-1"})), None, false);
    assert!(
        matches!(found, Verdict::Record { .. }),
        "what is seen to be as desired takes nothing from anybody: {found:?}"
    );
}

fn own(more: &[(&str, Json)]) -> Json {
    let mut definition = json!({"name": "example.key", "nameAt": "/name", "list": {"path": "/keys"},
        "create": {"method": "POST", "path": "/keys"}, "update": {"method": "PATCH", "path": "/keys/{id}"},
        "delete": {"method": "DELETE", "path": "/keys/{id}"}});
    for (name, value) in more {
        definition[*name] = value.clone();
    }
    json!({"definition": definition, "name": "acme"})
}

#[test]
fn a_secret_is_not_made_anew_because_something_else_is_told_of_its_resource() {
    let more =
        [("idAt", json!("/id")), ("outputs", json!({"state": "/state"})), ("captures", json!({"key": {"at": "/key"}}))];
    let desired = bench().desired("http.unmarked", "acme/key", own(&more));
    let applied = on_record(&desired, json!({"id": "1", "state": "starting", "key": "secret(acme/key.key, v1)"}));
    let verdict_at = |outputs: Json| verdict(&desired, &as_wanted(&desired, outputs), Some(&applied), false);
    assert_eq!(verdict_at(json!({"id": "1", "state": "starting"})), Verdict::Unchanged);
    assert_eq!(verdict_at(json!({"id": "1", "state": "running"})), Verdict::Unchanged);
}

#[test]
fn what_gets_an_id_in_its_definition_is_still_ours() {
    let before = bench().desired("http.unmarked", "acme/key", own(&[]));
    let after = bench().desired("http.unmarked", "acme/key", own(&[("idAt", json!("/id"))]));
    let elsewhere = bench().desired("http.unmarked", "acme/key", own(&[("idAt", json!("/uuid"))]));
    for (before, after, told) in [(&before, &after, "acme"), (&after, &elsewhere, "17"), (&elsewhere, &before, "ab-cd")]
    {
        let applied = on_record(before, json!({"id": told}));
        let present = as_wanted(after, json!({"id": "something else"}));
        let claim = Claim {
            scope: ESTATE,
            kind: &after.kind,
            address: &after.address,
            earlier: &[],
            recorded: Some(&applied),
            begun: false,
        };
        assert_eq!(ownership::of(&claim, &present), Ownership::Ours { outdated: false });
    }
}
