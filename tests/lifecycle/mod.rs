//! The life of a tenant on a clock that the tests set: phases, trials, retention, legal holds, and what stays behind.

mod optional;
mod retention;
mod transitions;
mod trial;

use std::process::Output;

use serde_json::Value as Json;

use crate::review::Estate;

/// A tenant of this estate has a schema, which holds data and is only asked for while the tenant is in; a role that may log in while it
/// has access; and a row that says since when it is where it is.
const BLUEPRINT: &str = r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: base}
spec:
  scope: tenant
  resources:
    - id: role
      kind: postgres.role
      spec: {name: "${ident(tenant.name)}", login: "${tenant.phase in ['trial', 'active']}"}
    - id: schema
      kind: postgres.schema
      when: "${tenant.phase != 'deleting'}"
      spec: {name: "tenant_${ident(tenant.name)}", owner: "${resources.role.name}"}
    - id: row
      kind: postgres.row
      spec:
        table: tenants
        key: {id: "${tenant.name}"}
        columns: {phase: "${tenant.phase}", since: "${tenant.phaseSince}", deletes: "${tenant.deletesAfter}"}
"#;

const TIERS: &str = r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: small}
spec:
  rank: 1
  blueprints: [base]
  price: {currency: eur, amount: "49.00", interval: month, trialDays: 14}
"#;

const ALLOWS: &str = r#"apiVersion: tenantry.dev/v1
kind: Approval
metadata: {name: offboarding}
spec:
  allow: [delete, massDelete]
  addresses: ["acme/*"]
  reason: the contract ended
  expires: 2040-01-01
"#;

pub struct Life {
    pub estate: Estate,
}

impl Life {
    pub fn new() -> Self {
        let estate = Estate::new();
        for name in ["ant", "bee", "cat", "dog"] {
            estate.remove(&format!("tenants/{name}.yaml"));
        }
        estate.write("tenants/blueprints.yaml", BLUEPRINT);
        estate.write("tenants/tiers.yaml", TIERS);
        Self { estate }
    }

    /// Asks for a phase, with more of the tenant's spec, such as `, trialEnds: 2027-01-01`.
    pub fn asks(&self, phase: &str, more: &str) {
        self.asks_for("acme", phase, more);
    }

    pub fn asks_for(&self, tenant: &str, phase: &str, more: &str) {
        let text = format!(
            "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {tenant}}}\nspec: {{displayName: Acme, tier: small, phase: {phase}{more}}}\n"
        );
        self.estate.write(&format!("tenants/{tenant}.yaml"), &text);
    }

    pub fn allow_deletions(&self) {
        self.estate.write("policies/offboarding.yaml", ALLOWS);
    }

    pub fn apply(&self, day: &str) -> Output {
        self.estate.run(&["apply", "--auto-approve", "--now", &time(day)])
    }

    pub fn must_apply(&self, day: &str) -> String {
        let output = self.apply(day);
        assert!(output.status.success(), "{day}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What an apply that a guard refuses says.
    pub fn refused(&self, day: &str) -> String {
        let output = self.apply(day);
        assert_eq!(output.status.code(), Some(3), "{day}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn plan(&self, day: &str) -> Json {
        let output = self.estate.run(&["plan", "--format", "json", "--now", &time(day)]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Actions and addresses.
    pub fn planned(&self, day: &str) -> String {
        let plan = self.plan(day);
        let changes = plan["changes"].as_array().expect("changes").iter();
        let words = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        changes
            .map(|change| format!("{} {}", words(&change["action"]), words(&change["address"])))
            .collect::<Vec<_>>()
            .join(", ")
    }

    pub fn listed(&self, day: &str) -> Json {
        let output = self.estate.run(&["list", "--format", "json", "--now", &time(day)]);
        let list: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        list[0].clone()
    }
}

/// Noon of a day, or the time itself.
fn time(day: &str) -> String {
    if day.contains('T') { day.to_owned() } else { format!("{day}T12:00:00Z") }
}
