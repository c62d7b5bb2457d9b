//! What a tenant may be without.

use super::Life;

const BLUEPRINT: &str = r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: base}
spec:
  scope: tenant
  resources:
    - id: schema
      kind: postgres.schema
      spec: {name: "tenant_${ident(tenant.name)}"}
    - id: reports
      kind: postgres.role
      optional: true
      spec: {name: "${ident(tenant.name)}_reports", memberOf: [made_by_nobody]}
    - id: customer
      kind: stripe.customer
      spec: {key: "${tenant.name}", name: "${tenant.displayName}"}
"#;

/// The sandbox refuses the role `reports`, because it is to be a member of a role that does not exist.
fn with_a_role_that_fails(optional: bool) -> Life {
    let life = Life::new();
    let config = "[estate]\nname = \"shop\"\n\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n\n[targets.bills]\nprovider = \"stripe\"\nsandbox = true\n";
    life.estate.write("tenantry.toml", config);
    let blueprint = if optional { BLUEPRINT.to_owned() } else { BLUEPRINT.replace("      optional: true\n", "") };
    life.estate.write("tenants/blueprints.yaml", &blueprint);
    life.asks("active", "");
    life
}

#[test]
fn a_tenant_is_active_without_what_it_may_be_without() {
    let life = with_a_role_that_fails(true);
    let output = life.apply("2027-01-01");
    assert_eq!(output.status.code(), Some(5), "what failed is named: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("acme/reports: failed") && text.contains("made_by_nobody"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("acme: now active"), "{output:?}");
    let tenant = life.listed("2027-01-02");
    assert_eq!((&tenant["appliedPhase"], &tenant["resources"]), (&"active".into(), &2.into()));
    // It is tried again by the next apply.
    assert_eq!(life.planned("2027-01-02"), "create acme/reports");
}

#[test]
fn and_held_back_by_what_it_needs() {
    let life = with_a_role_that_fails(false);
    let output = life.apply("2027-01-01");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let tenant = life.listed("2027-01-02");
    assert_eq!((&tenant["appliedPhase"], &tenant["state"]), (&serde_json::Value::Null, &"provisioning".into()));
}
