//! Makes an estate out of a folder of Kubernetes namespaces, one tenant each:
//!
//! ```text
//! cargo run --example estate-from-namespaces -- NAMESPACES ESTATE
//! ```
//!
//! `NAMESPACES` has one folder per tenant with a `00-namespace.yaml` in it, as public environments repositories have.
//! The tenant takes the namespace's name; its labels and annotations become `values`. Every tenant gets a role, a schema,
//! what the one may do in the other, row security over its records, and a row in a register that all share. The real
//! target is the PostgreSQL at `TENANTRY_POSTGRES_URL`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

const CONFIG: &str = r#"[estate]
name = "namespaces"

[secrets]
identity = "env:TENANTRY_AGE_IDENTITY"

[targets.main]
provider = "postgres"
url = "env:TENANTRY_POSTGRES_URL"
"#;

const BLUEPRINTS: &str = r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: development}
spec: {rank: 1, blueprints: [namespace], quotas: {users: 10}, values: {connections: 5}}
---
apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: production}
spec: {rank: 2, blueprints: [namespace], quotas: {users: unlimited}, values: {connections: 50}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: register}
spec:
  scope: estate
  resources:
    - id: register
      kind: postgres.schema
      spec: {name: register}
    - id: tenants
      kind: postgres.script
      dependsOn: [register]
      spec:
        name: register_tenants
        sql: |
          CREATE TABLE register.tenants (
              name text PRIMARY KEY, app_role name NOT NULL, max_users bigint NOT NULL,
              labels jsonb NOT NULL, annotations jsonb NOT NULL
          );
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: namespace}
spec:
  scope: tenant
  resources:
    - id: role
      kind: postgres.role
      spec:
        name: "${ident(tenant.name, 63)}"
        login: "${tenant.phase == 'active'}"
        password: "${secret('password')}"
        connectionLimit: "${tenant.values.connections}"
    - id: schema
      kind: postgres.schema
      spec: {name: "${ident(tenant.name, 63)}", exclusive: true}
    - id: usage
      kind: postgres.grant
      spec: {role: "${resources.role.name}", on: schema, schema: "${resources.schema.name}", privileges: [USAGE]}
    - id: tables_access
      kind: postgres.grant
      spec:
        role: "${resources.role.name}"
        on: defaultTables
        schema: "${resources.schema.name}"
        privileges: [SELECT, INSERT, UPDATE, DELETE]
    - id: records
      kind: postgres.script
      dependsOn: [tables_access]
      spec:
        name: "${resources.schema.name}"
        sql: |
          CREATE TABLE ${resources.schema.name}.records (
              id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL DEFAULT '${tenant.name}', body jsonb
          );
    - id: isolation
      kind: postgres.rls_policy
      dependsOn: [records]
      spec:
        schema: "${resources.schema.name}"
        table: records
        name: own
        roles: ["${resources.role.name}"]
        using: "tenant = '${tenant.name}'"
        withCheck: "tenant = '${tenant.name}'"
    - id: registration
      kind: postgres.row
      dependsOn: [estate/tenants]
      spec:
        schema: register
        table: tenants
        key: {name: "${tenant.name}"}
        columns:
          app_role: "${resources.role.name}"
          max_users: "${unlimited(tenant.quotas.users, -1)}"
          labels: "${tenant.values.labels}"
          annotations: "${tenant.values.annotations}"
"#;

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Writes the estate, with at most `limit` tenants, and returns their number.
///
/// # Errors
/// If a namespace cannot be read or a file not be written. Nothing is left out silently.
pub fn write_estate(namespaces: &Path, estate: &Path, limit: usize) -> Result<usize, Box<dyn Error>> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(namespaces)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    folders.sort();
    folders.truncate(limit);
    fs::create_dir_all(estate.join("tenants"))?;
    fs::write(estate.join("tenantry.toml"), CONFIG)?;
    fs::write(estate.join("tenants/blueprints.yaml"), BLUEPRINTS)?;
    for folder in &folders {
        let file = folder.join("00-namespace.yaml");
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let Namespace { metadata } =
            serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let Metadata { name, labels, annotations } = metadata;
        let production = labels.get("cloud-platform.justice.gov.uk/is-production").is_some_and(|value| value == "true");
        let display = annotations.get("cloud-platform.justice.gov.uk/application").unwrap_or(&name);
        let tenant = json!({
            "apiVersion": "tenantry.dev/v1",
            "kind": "Tenant",
            "metadata": {"name": name},
            "spec": {
                "displayName": display,
                "tier": if production { "production" } else { "development" },
                "phase": "active",
                "values": {"labels": labels, "annotations": annotations},
            },
        });
        fs::write(estate.join(format!("tenants/{name}.yaml")), serde_yaml::to_string(&tenant)?)?;
    }
    Ok(folders.len())
}

#[allow(dead_code, reason = "a test takes the function above and not the program")]
#[allow(clippy::disallowed_macros, reason = "a script writes to where it is told")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [namespaces, estate] = arguments.as_slice() else {
        return Err("usage: estate-from-namespaces NAMESPACES ESTATE".into());
    };
    let tenants = write_estate(Path::new(namespaces), Path::new(estate), usize::MAX)?;
    println!("{tenants} tenants");
    Ok(())
}
