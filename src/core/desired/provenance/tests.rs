//! Estates before and after an edit, and the line that is named for what the edit changes.

use serde_json::{Value as Json, json};

use super::fixture::{Files, blueprint, lines, tenant, thing, tier, with};

fn shop() -> Files {
    let resources = json!([
        thing("role", json!({"limit": "${tenant.quotas.users}", "size": "${tenant.values.size}m", "fixed": 1})),
        with(thing("service", json!({"name": "${tenant.name}-${each}"})), "forEach", "${tenant.values.services}"),
        with(thing("reports", json!({})), "when", "${'reporting' in tenant.features}"),
        with(thing("login", json!({"role": "${resources.role.limit}"})), "when", "${tenant.phase == 'active'}"),
    ]);
    let extra = json!([thing("backup", json!({})), thing("audit", json!({"of": "${resources.backup.name}"}))]);
    vec![
        ("acme", tenant("acme", "basic", json!({}))),
        ("beta", tenant("beta", "basic", json!({"values": {"size": 7}}))),
        ("gamma", tenant("gamma", "pro", json!({}))),
        (
            "basic",
            tier(
                "basic",
                &["saas"],
                json!({"quotas": {"users": 10}, "values": {"size": 1, "services": ["auth", "mail"]}}),
            ),
        ),
        (
            "pro",
            tier(
                "pro",
                &["saas", "extra"],
                json!({"quotas": {"users": 100}, "features": ["reporting"], "values": {"size": 2, "services": ["auth", "mail", "chat"]}}),
            ),
        ),
        ("saas", blueprint("saas", resources)),
        ("extra", blueprint("extra", extra)),
    ]
}

/// The same files with one value changed, or removed where it is null.
fn edited(files: &Files, path: &str, pointer: &str, value: Json) -> Files {
    let mut files = files.clone();
    let (_, json) = files.iter_mut().find(|(known, _)| *known == path).expect("a file");
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    match json.pointer_mut(parent).expect("a place") {
        Json::Object(map) if value.is_null() => drop(map.remove(last)),
        Json::Object(map) => drop(map.insert(last.to_owned(), value)),
        Json::Array(items) if value.is_null() => drop(items.remove(last.parse().expect("an index"))),
        Json::Array(items) => items[last.parse::<usize>().expect("an index")] = value,
        _ => panic!("nothing to edit at {pointer}"),
    }
    files
}

fn without(files: &Files, paths: &[&str]) -> Files {
    files.iter().filter(|(path, _)| !paths.contains(path)).cloned().collect()
}

#[test]
fn where_nothing_changed_a_value_is_found_where_it_is_written() {
    let shop = shop();
    let asked = [
        ("acme/role", "/limit"),
        ("acme/role", "/size"),
        ("beta/role", "/size"),
        ("acme/role", "/fixed"),
        ("acme/role", "/name"),
        ("acme/role", "/removed"),
        ("acme/login", "/role"),
        ("acme/role", ""),
        ("acme/service[\"auth\"]", "/name"),
        ("acme", "/spec/phase"),
        ("tier:pro", "/spec/rank"),
        ("nobody/role", ""),
    ];
    insta::assert_snapshot!(lines(&shop, &shop, &asked), @r#"
    acme/role/limit → basic: users: 10
    acme/role/size → basic: size: 1
    beta/role/size → beta: size: 7
    acme/role/fixed → saas: fixed: 1
    acme/role/name → saas: name: "${tenant.name}-role"
    acme/role/removed → saas: spec:
    acme/login/role → basic: users: 10
    acme/role → saas: id: "role"
    acme/service["auth"]/name → saas: name: "${tenant.name}-${each}"
    acme/spec/phase → acme: phase: "active"
    tier:pro/spec/rank → pro: rank: 1
    nobody/role → nowhere
    "#);
}

#[test]
fn an_edited_value_is_named_in_the_document_that_has_it() {
    let shop = shop();
    let of_tier = edited(&shop, "basic", "/spec/quotas/users", json!(15));
    insta::assert_snapshot!(lines(&shop, &of_tier, &[("acme/role", "/limit"), ("acme/login", "/role")]), @r"
    acme/role/limit → basic: users: 15
    acme/login/role → basic: users: 15
    ");
    let of_tenant = edited(&shop, "acme", "/spec/quotas", json!({"users": 12}));
    insta::assert_snapshot!(lines(&shop, &of_tenant, &[("acme/role", "/limit"), ("acme/login", "/role")]), @r"
    acme/role/limit → acme: users: 12
    acme/login/role → acme: users: 12
    ");
    let overridden = edited(&shop, "basic", "/spec/values/size", json!(3));
    insta::assert_snapshot!(lines(&shop, &overridden, &[("acme/role", "/size")]), @"acme/role/size → basic: size: 3");
    let given_up = edited(&shop, "beta", "/spec/values", Json::Null);
    insta::assert_snapshot!(lines(&shop, &given_up, &[("beta/role", "/size")]), @"beta/role/size → beta: spec:");
}

#[test]
fn an_edited_blueprint_is_named() {
    let shop = shop();
    let of_literal = edited(&shop, "saas", "/spec/resources/0/spec/fixed", json!(2));
    insta::assert_snapshot!(lines(&shop, &of_literal, &[("acme/role", "/fixed")]), @"acme/role/fixed → saas: fixed: 2");
    let removed = edited(&shop, "saas", "/spec/resources/0/spec/fixed", Json::Null);
    insta::assert_snapshot!(lines(&shop, &removed, &[("acme/role", "/fixed")]), @"acme/role/fixed → saas: spec:");
    let around = edited(&shop, "saas", "/spec/resources/0/spec/size", json!("${tenant.values.size}Mi"));
    insta::assert_snapshot!(lines(&shop, &around, &[("acme/role", "/size"), ("beta/role", "/size")]), @r#"
    acme/role/size → saas: size: "${tenant.values.size}Mi"
    beta/role/size → saas: size: "${tenant.values.size}Mi"
    "#);
    let within = edited(&shop, "saas", "/spec/resources/0/spec/limit", json!("${tenant.quotas.users + 1}"));
    insta::assert_snapshot!(lines(&shop, &within, &[("acme/role", "/limit"), ("gamma/role", "/limit")]), @r#"
    acme/role/limit → saas: limit: "${tenant.quotas.users + 1}"
    gamma/role/limit → saas: limit: "${tenant.quotas.users + 1}"
    "#);
    let name = edited(&shop, "saas", "/spec/resources/0/spec/name", json!("${tenant.name}_role"));
    insta::assert_snapshot!(lines(&shop, &name, &[("acme/role", "/name")]), @r#"
    acme/role/name → saas: name: "${tenant.name}_role"
    "#);
    let added = edited(&shop, "saas", "/spec/resources/3/id", json!("session"));
    insta::assert_snapshot!(lines(&shop, &added, &[("acme/session", ""), ("acme/login", "")]), @r#"
    acme/session → acme: phase: "active"
    acme/login → saas: resources:
    "#);
}

#[test]
fn what_is_new_in_a_blueprint_under_a_condition_that_held_before_is_named_there() {
    let shop = shop();
    let resources = shop.iter().find(|(path, _)| *path == "saas").expect("a blueprint").1["spec"]["resources"].clone();
    let mut resources = resources.as_array().expect("a list").clone();
    resources.push(with(thing("session", json!({})), "when", "${tenant.phase == 'active'}"));
    let added = edited(&shop, "saas", "/spec/resources", resources.into());
    insta::assert_snapshot!(lines(&shop, &added, &[("acme/session", "")]), @r#"
    acme/session → saas: id: "session"
    "#);
}

#[test]
fn a_changed_tier_of_a_tenant_is_named() {
    let shop = shop();
    let upgraded = edited(&shop, "acme", "/spec/tier", json!("pro"));
    let asked = [
        ("acme/role", "/limit"),
        ("acme/role", "/size"),
        ("acme/backup", ""),
        ("acme/reports", ""),
        ("acme/service[\"chat\"]", ""),
        ("acme/login", "/role"),
    ];
    insta::assert_snapshot!(lines(&shop, &upgraded, &asked), @r#"
    acme/role/limit → acme: tier: "pro"
    acme/role/size → acme: tier: "pro"
    acme/backup → acme: tier: "pro"
    acme/reports → acme: tier: "pro"
    acme/service["chat"] → acme: tier: "pro"
    acme/login/role → acme: tier: "pro"
    "#);
    // Without others on the new tier that could tell.
    let small = without(&shop, &["beta", "gamma"]);
    let upgraded = edited(&small, "acme", "/spec/tier", json!("pro"));
    assert_eq!(
        lines(&small, &upgraded, &asked),
        lines(&shop, &edited(&shop, "acme", "/spec/tier", json!("pro")), &asked)
    );

    let downgraded = edited(&shop, "gamma", "/spec/tier", json!("basic"));
    let asked = [
        ("gamma/role", "/limit"),
        ("gamma/backup", ""),
        ("gamma/audit", ""),
        ("gamma/reports", ""),
        ("gamma/service[\"chat\"]", ""),
    ];
    insta::assert_snapshot!(lines(&shop, &downgraded, &asked), @r#"
    gamma/role/limit → gamma: tier: "basic"
    gamma/backup → gamma: tier: "basic"
    gamma/audit → gamma: tier: "basic"
    gamma/reports → gamma: tier: "basic"
    gamma/service["chat"] → gamma: tier: "basic"
    "#);
    let small = without(&shop, &["acme", "beta"]);
    let downgraded_alone = edited(&small, "gamma", "/spec/tier", json!("basic"));
    assert_eq!(lines(&small, &downgraded_alone, &asked), lines(&shop, &downgraded, &asked));
}

#[test]
fn a_tier_that_overrides_and_a_tenant_that_says_nothing_are_told_apart() {
    let mut shop = shop();
    shop.push(("delta", tenant("delta", "basic", json!({"quotas": {"users": 25}}))));
    // That delta, which has a quota of its own, stays as it is does not mean that acme was on another tier.
    let of_tier = edited(&shop, "basic", "/spec/quotas/users", json!(15));
    insta::assert_snapshot!(lines(&shop, &of_tier, &[("acme/role", "/limit")]), @"acme/role/limit → basic: users: 15");
}

#[test]
fn what_took_a_resource_away_is_named() {
    let shop = shop();
    let suspended = edited(&shop, "acme", "/spec/phase", json!("suspended"));
    insta::assert_snapshot!(lines(&shop, &suspended, &[("acme/login", "")]), @r#"
    acme/login → acme: phase: "suspended"
    "#);
    let shorter = edited(&shop, "basic", "/spec/values/services", json!(["auth"]));
    insta::assert_snapshot!(lines(&shop, &shorter, &[("acme/service[\"mail\"]", "")]), @r#"
    acme/service["mail"] → basic: services:
    "#);
    let own_list = edited(&shop, "acme", "/spec/values", json!({"services": ["mail"]}));
    insta::assert_snapshot!(lines(&shop, &own_list, &[("acme/service[\"auth\"]", "")]), @r#"
    acme/service["auth"] → acme: services:
    "#);
    let feature = edited(&shop, "pro", "/spec/features", Json::Null);
    insta::assert_snapshot!(lines(&shop, &feature, &[("gamma/reports", "")]), @r#"
    gamma/reports → saas: when: "${'reporting' in tenant.features}"
    "#);
    let never = edited(&shop, "saas", "/spec/resources/2/when", json!(false));
    insta::assert_snapshot!(lines(&shop, &never, &[("gamma/reports", "")]), @"gamma/reports → saas: when: false");
    let one = edited(&shop, "saas", "/spec/resources/1/forEach", Json::Null);
    let one = edited(&one, "saas", "/spec/resources/1/spec/name", json!("${tenant.name}-service"));
    insta::assert_snapshot!(lines(&shop, &one, &[("acme/service[\"auth\"]", "")]), @r#"
    acme/service["auth"] → saas: id: "service"
    "#);
    let deleted = edited(&shop, "acme", "/spec/phase", json!("deleted"));
    insta::assert_snapshot!(lines(&shop, &deleted, &[("acme/role", ""), ("acme/service[\"auth\"]", "")]), @r#"
    acme/role → acme: phase: "deleted"
    acme/service["auth"] → acme: phase: "deleted"
    "#);
}

#[test]
fn the_blueprint_that_a_resource_was_removed_from_is_named() {
    let shop = shop();
    let removed = edited(&shop, "saas", "/spec/resources/3", Json::Null);
    insta::assert_snapshot!(lines(&shop, &removed, &[("acme/login", "")]), @"acme/login → saas: resources:");
    // Of two blueprints, the one that has what it needed.
    let removed = edited(&shop, "extra", "/spec/resources/1", Json::Null);
    insta::assert_snapshot!(lines(&shop, &removed, &[("gamma/audit", "")]), @"gamma/audit → extra: resources:");
    let emptied = edited(&shop, "saas", "/spec/resources", json!([]));
    insta::assert_snapshot!(lines(&shop, &emptied, &[("acme/role", "")]), @"acme/role → saas: resources: []");
    let unnamed = edited(&shop, "pro", "/spec/blueprints/1", Json::Null);
    insta::assert_snapshot!(lines(&shop, &unnamed, &[("gamma/backup", "")]), @"gamma/backup → pro: blueprints:");
    let gone = without(&edited(&shop, "pro", "/spec/blueprints/1", Json::Null), &["extra"]);
    insta::assert_snapshot!(lines(&shop, &gone, &[("gamma/backup", "")]), @"gamma/backup → saas: resources:");
    let of_tier = edited(&shop, "extra", "/spec/scope", json!("tier"));
    let of_tier = edited(
        &of_tier,
        "extra",
        "/spec/resources",
        json!([{"id": "backup", "kind": "test.thing", "spec": {"name": "shared"}}]),
    );
    insta::assert_snapshot!(lines(&shop, &of_tier, &[("gamma/backup", "")]), @r#"
    gamma/backup → extra: scope: "tier"
    "#);
}

#[test]
fn what_is_shared_follows_its_tier_and_its_blueprint() {
    let mut shop = shop();
    let resource =
        |value: &str| json!([{"id": "price", "kind": "test.thing", "spec": {"name": "${tier.name}", "value": value}}]);
    let mut prices = blueprint("prices", resource("${tier.rank}"));
    prices["spec"]["scope"] = "tier".into();
    let mut platform = blueprint("platform", json!([{"id": "meter", "kind": "test.thing", "spec": {"name": "meter"}}]));
    platform["spec"]["scope"] = "estate".into();
    shop.extend([("prices", prices), ("platform", platform)]);
    let shop = edited(&shop, "basic", "/spec/blueprints", json!(["saas", "prices"]));
    let ranked = edited(&shop, "basic", "/spec/rank", json!(2));
    let asked = [("tier:basic/price", "/value"), ("tier:basic/price", "/name"), ("estate/meter", "/name")];
    insta::assert_snapshot!(lines(&shop, &ranked, &asked), @r#"
    tier:basic/price/value → basic: rank: 2
    tier:basic/price/name → prices: name: "${tier.name}"
    estate/meter/name → platform: name: "meter"
    "#);
    let unnamed = edited(&shop, "basic", "/spec/blueprints/1", Json::Null);
    insta::assert_snapshot!(lines(&shop, &unnamed, &[("tier:basic/price", "")]), @"tier:basic/price → basic: blueprints:");
    let removed = edited(&shop, "prices", "/spec/resources", json!([]));
    let removed = edited(&removed, "platform", "/spec/resources", json!([]));
    let asked = [("tier:basic/price", ""), ("estate/meter", ""), ("tier:gone/price", "")];
    insta::assert_snapshot!(lines(&shop, &removed, &asked), @r"
    tier:basic/price → prices: resources: []
    estate/meter → platform: resources: []
    tier:gone/price → nowhere
    ");
}
