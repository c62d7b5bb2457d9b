//! Policies over plans: what refuses, what lets pass, and which Approvals count.

use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use super::values::Residencies;
use super::{Allowance, Approved, Context, Policies, Why, granted};
use crate::diagnostics::{FileId, SourceFiles, Span, codes};
use crate::fixture;
use crate::lifecycle::Life;
use crate::model::document::{
    ApprovalFile, ApprovalSpec, Document, Phase, PolicySpec, Positions, TenantSpec, TierSpec,
};
use crate::model::value::Value;
use crate::plan::Plan;
use crate::resolve::{self, Resolved, ResolvedTenant, ResolvedTier};

fn document<S: serde::de::DeserializeOwned>(name: &str, spec: &Json) -> Document<S> {
    Document {
        metadata: serde_json::from_value(json!({"name": name})).expect("metadata"),
        spec: serde_json::from_value(spec.clone()).expect("a spec"),
        positions: Positions::new(FileId(0), Vec::<(String, Span)>::new()),
    }
}

/// Plans a world with one policy of some rules. `tenants` and `old` have resolved tenants by name, over an empty one.
fn planned(world: &Json, rules: &Json, tenants: &Json, old: &Json) -> Plan {
    let spec = json!({"rules": rules, "values": {"most": 5}});
    let policies: Vec<Document<PolicySpec>> = vec![document("limits", &spec)];
    let mut files = SourceFiles::default();
    files.add("policies/limits.yaml", "");
    let mut diagnostics = Vec::new();
    let compiled = Policies::compile(&policies, &files, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let (empty, empty_tier) = resolve::empty();
    let over = |name: &str, fields: &Json| {
        let fields = Value::from(fields);
        let map = empty.as_map().expect("a map").overlaid(fields.as_map().expect("a map"));
        Value::from(map.with("name", name.into()))
    };
    let tier: Document<TierSpec> = document("test", &json!({"rank": 1, "blueprints": []}));
    let object = |json: &Json| json.as_object().cloned().unwrap_or_default();
    let documents: Vec<Document<TenantSpec>> = object(tenants)
        .keys()
        .map(|name| document(name, &json!({"displayName": "", "tier": "test", "phase": "active"})))
        .collect();
    let resolved = Resolved {
        tenants: documents
            .iter()
            .map(|document| {
                let value = over(document.metadata.name.as_str(), &tenants[document.metadata.name.as_str()]);
                ResolvedTenant {
                    document,
                    tier: &tier,
                    life: Life::of_phase(Phase::Active, jiff::Timestamp::UNIX_EPOCH),
                    value,
                }
            })
            .collect(),
        tiers: vec![ResolvedTier { document: &tier, value: empty_tier }],
        estate: Value::map([("name", Value::from("shop"))]),
    };
    let applied: BTreeMap<Arc<str>, Value> =
        object(old).iter().map(|(name, fields)| (name.as_str().into(), over(name, fields))).collect();
    let residencies = Residencies::from([("main".into(), "eu".into())]);
    let context = Context { policies: &compiled, resolved: &resolved, residencies: &residencies };
    fixture::plan_with(world, Some(context), &applied)
}

fn lines(plan: &Plan) -> String {
    let line = |finding: &crate::plan::Finding| {
        let word = if finding.refuses { "refused" } else { "warning" };
        format!("{word} {} {}", finding.code, finding.sentence())
    };
    // What is not needed here is of no interest here.
    let found = plan.findings.iter().filter(|finding| *finding.code != *codes::APPROVAL_UNUSED.0);
    let mut lines: Vec<String> = found.map(line).collect();
    lines.extend(plan.approvals.keys().map(|name| format!("uses {name}")));
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}

fn rule(each: &str, expression: &str, enforcement: &str) -> Json {
    let message = match each {
        "plan" => "not so",
        "change" => "${change.action} is not allowed",
        "resource" => "${resource.id} of ${resource.kind}",
        _ => "${oldTenant == null ? 'new' : string(oldTenant.quotas.users)} → ${tenant.quotas.users}",
    };
    json!([{"id": "one", "each": each, "expression": expression, "message": message, "enforcement": enforcement}])
}

#[test]
fn a_tenant_is_compared_with_what_was_last_applied() {
    let rules = rule("tenant", "oldTenant == null || tenant.quotas.users <= oldTenant.quotas.users * 2", "deny");
    let judged = |now: Json, old: Json| lines(&planned(&json!({}), &rules, &now, &old));
    let old = json!({"acme": {"quotas": {"users": 10}}});
    assert_snapshot!(judged(json!({"acme": {"quotas": {"users": 21}}}), old.clone()), @"refused TY0440 policy `limits`: acme: 10 → 21");
    assert_snapshot!(judged(json!({"acme": {"quotas": {"users": 20}}}), old.clone()), @"nothing");
    // What was never recorded has nothing to be compared with.
    assert_snapshot!(judged(json!({"acme": {"quotas": {"users": 99}}}), json!({})), @"nothing");
    // Who is as applied does not change, and contacts are not recorded.
    let never = rule("tenant", "false", "deny");
    let same = json!({"acme": {"quotas": {"users": 10}, "contacts": {"primary": {"name": "Ann"}}}});
    assert_snapshot!(lines(&planned(&json!({}), &never, &same, &old)), @"nothing");
}

#[test]
fn each_subject_is_judged_once() {
    let world = json!({
        "wanted": {"acme/a": {"name": "a", "size": 2}, "acme/b": {"name": "b"}, "estate/c": {"name": "c", "size": 9}},
        "recorded": {"acme/a": {"name": "a", "size": 1}, "acme/b": {"name": "b"}},
        "there": [{"name": "a", "size": 1, "mark": "acme/a"}, {"name": "b", "mark": "acme/b"}],
    });
    let tenants = json!({"acme": {}, "beta": {}});
    let judged = |rules: Json| lines(&planned(&world, &rules, &tenants, &json!({})));
    assert_snapshot!(judged(rule("change", "change.action == 'create'", "warn")), @"warning TY0441 policy `limits`: acme/a: update is not allowed");
    assert_snapshot!(judged(rule("resource", "!has(resource.spec.size) || resource.spec.size < values.most", "deny")), @"refused TY0440 policy `limits`: estate/c: c of test.thing");
    assert_snapshot!(judged(rule("resource", "resource.residency == 'eu'", "deny")), @"nothing");
    assert_snapshot!(judged(rule("plan", "plan.tenantsChanged == 1 && plan.tenants == 2 && tenants.size() == 2", "deny")), @"nothing");
    assert_snapshot!(judged(rule("plan", "plan.summary.create == 0", "deny")), @"refused TY0440 policy `limits`: not so");
    // What belongs to the estate has no tenant.
    assert_snapshot!(judged(rule("change", "tenant != null || change.owner == 'estate'", "deny")), @"nothing");
}

#[test]
fn what_cannot_be_computed_refuses() {
    let world = json!({"wanted": {"acme/a": {"name": "a"}}});
    let judged = |rules: Json| lines(&planned(&world, &rules, &json!({"acme": {}}), &json!({})));
    assert_snapshot!(judged(rule("change", "change.after.size < 5", "warn")), @"refused TY0443 policy `limits`: acme/a: rule `one` cannot be computed: `change.after.size < 5`: `change.after` has no field `size`");
    assert_snapshot!(judged(rule("change", "change.after.name", "deny")), @"refused TY0443 policy `limits`: acme/a: rule `one` cannot be computed: `change.after.name` yields a text, not true or false");
}

#[test]
fn an_approval_lifts_the_rules_that_ask_for_one() {
    let world = |addresses: Json| json!({"wanted": {"acme/a": {"name": "a"}, "beta/a": {"name": "b"}}, "approved": addresses, "allow": ["policy"], "policies": ["limits"]});
    let tenants = json!({"acme": {"quotas": {"users": 9}}, "beta": {"quotas": {"users": 1}}});
    let judged = |world: Json, each: &str, enforcement: &str| {
        let expression = match each {
            "tenant" => "tenant.quotas.users < values.most",
            "change" => "change.owner != 'acme'",
            _ => "false",
        };
        lines(&planned(&world, &rule(each, expression, enforcement), &tenants, &json!({})))
    };
    assert_snapshot!(judged(world(json!(["acme/*"])), "tenant", "approval"), @"uses agreed");
    assert_snapshot!(judged(world(json!(["acme"])), "tenant", "approval"), @"uses agreed");
    assert_snapshot!(judged(world(json!(["acme/a"])), "change", "approval"), @"uses agreed");
    assert_snapshot!(judged(world(json!(["plan"])), "plan", "approval"), @"uses agreed");
    // One resource is not the tenant, another tenant is not this one, and `deny` knows no Approval.
    assert_snapshot!(judged(world(json!(["acme/a"])), "tenant", "approval"), @"refused TY0442 policy `limits`: acme: new → 9");
    assert_snapshot!(judged(world(json!(["beta/*"])), "change", "approval"), @"refused TY0442 policy `limits`: acme/a: create is not allowed");
    assert_snapshot!(judged(world(json!(["acme/*"])), "plan", "approval"), @"refused TY0442 policy `limits`: not so");
    assert_snapshot!(judged(world(json!(["acme/*"])), "tenant", "deny"), @"refused TY0440 policy `limits`: acme: new → 9");
}

#[test]
fn many_changes_are_judged_on_several_threads_in_the_same_order() {
    let wanted: serde_json::Map<String, Json> =
        (0..2_000).map(|number| (format!("acme/r{number:04}"), json!({"name": format!("n{number:04}")}))).collect();
    let world = |threads: u32| json!({"wanted": wanted, "threads": threads});
    let rules = rule("change", "!change.id.endsWith('7')", "deny");
    let judged = |threads| lines(&planned(&world(threads), &rules, &json!({"acme": {}}), &json!({})));
    assert_eq!(judged(1), judged(2));
    assert_eq!(judged(2).lines().count(), 200);
}

/// Which of some Approvals count.
#[test]
fn an_approval_counts_only_as_it_is_committed_and_where_it_is_asked_for() {
    let approval = |file: ApprovalFile| {
        let spec = json!({"allow": ["delete"], "addresses": ["acme/*"], "reason": "agreed", "expires": "2026-01-01"});
        let mut document: Document<ApprovalSpec> = document("agreed", &spec);
        document.spec.file = file;
        document
    };
    let judged = |file: ApprovalFile, now: &str, files: &[Arc<str>]| {
        let now = now.parse().expect("a time");
        match granted(&[approval(file)], now, files, |spec| spec.allow.contains(&Allowance::Delete)) {
            Approved::By(name, _) => name.to_string(),
            Approved::Not(not) => match &not[0].why {
                Why::Expired(_) => "expired".to_owned(),
                Why::Uncommitted(_) => "uncommitted".to_owned(),
                Why::OtherFile(_) => "other file".to_owned(),
            },
        }
    };
    let file = |path: &str| ApprovalFile { path: path.into(), ..ApprovalFile::default() };
    let finance = file("policies/approvals/finance/a.yaml");
    let (day, files) = ("2026-01-01T00:00:00Z", ["policies/approvals/finance/*".into()]);
    assert_eq!(judged(finance.clone(), day, &[]), "agreed");
    assert_eq!(judged(finance.clone(), day, &files), "agreed");
    assert_eq!(judged(finance.clone(), "2026-01-02T00:00:00Z", &files), "expired");
    assert_eq!(judged(file("policies/approvals/sales/a.yaml"), day, &files), "other file");
    // The content of a link has other owners than its path.
    assert_eq!(judged(ApprovalFile { is_linked: true, ..finance.clone() }, day, &files), "other file");
    let edited = ApprovalFile { uncommitted: Some("has uncommitted changes".into()), ..finance };
    assert_eq!(judged(edited.clone(), day, &files), "uncommitted");
    // In the sandbox nothing real is at stake.
    let counting = super::counting(&[approval(edited)], true);
    assert_eq!(counting[0].spec.file.uncommitted, None);
}

#[test]
fn an_expression_is_checked_for_names_and_types_before_it_runs() {
    let compiled = |each: &str, expression: &str| {
        let rules = json!({"values": {"most": 5}, "rules": [{"id": "one", "each": each, "expression": expression, "message": "x", "enforcement": "deny"}]});
        let policies: Vec<Document<PolicySpec>> = vec![document("limits", &rules)];
        let mut files = SourceFiles::default();
        files.add("policies/limits.yaml", expression);
        let mut diagnostics = Vec::new();
        let count = Policies::compile(&policies, &files, &mut diagnostics).rules.len();
        assert_eq!(count == 1, diagnostics.is_empty());
        diagnostics.first().map_or_else(|| "good".to_owned(), |one| one.message.clone())
    };
    assert_eq!(compiled("change", "change.losesData"), "good");
    assert_eq!(compiled("change", "change.address"), "`change.address` yields a text, not true or false");
    assert_eq!(compiled("tenant", "tenant.quotas.users > values.most"), "good");
    assert_eq!(compiled("tenant", "tenant.quota.users > 1"), "`tenant` has no field `quota`");
    assert_eq!(compiled("tenant", "tenant.quotas.users > values.least"), "`values` has no field `least`");
    assert_eq!(compiled("tenant", "change.losesData"), "`change.losesData`: `change` is not a variable");
    assert_eq!(compiled("plan", "tenants.all(tenant, tenant.anything == 1)"), "good");
    assert_eq!(
        compiled("tenant", "has(oldTenant.values.region) ? 'a' : 'b'"),
        "`has(oldTenant.values.region) ? 'a' : 'b'` yields a text, not true or false"
    );
}
