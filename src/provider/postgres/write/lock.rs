//! Locks on what tenants share.
//!
//! The server keeps the privileges of an object in one row of its catalogue and lets only one session change it: the second
//! fails with "tuple concurrently updated" instead of waiting. So transactions that grant on objects of one schema, on
//! one database, or change default privileges of one role wait for each other here. All keys are taken at the beginning
//! and in one order, so that nobody waits in a circle.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::types::PostgresKind;
use crate::types::grant::{Class, Extent, GrantSpec};
use tenantry_core::model::value::Value;
use tenantry_kit::{ProviderKind as _, parse};
use tenantry_provider::contract::Step;

/// Keys of advisory locks, in order. The owners of the steps are among them: should another run write for one of them, the
/// two wait for each other.
pub fn keys(steps: &[Step]) -> BTreeSet<i64> {
    let owner = |step: &Step| format!("owner/{}/{}", step.mark.estate, step.mark.address.owner);
    steps.iter().flat_map(names).chain(steps.iter().map(owner)).map(|name| key(&name)).collect()
}

/// The key of a named thing. Two names with one key would only wait without need.
pub fn key(name: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(format!("tenantry\0{name}")).into();
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    i64::from_be_bytes(*first)
}

fn names(step: &Step) -> Vec<String> {
    let spec = step.spec();
    let text = |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or_default();
    let Ok(kind) = PostgresKind::of(step.kind.name) else { return Vec::new() };
    match kind {
        PostgresKind::Grant => match parse::<GrantSpec>(spec) {
            Ok(grant) => match (grant.on.extent(), grant.on.class()) {
                (Extent::Default, _) => vec![format!("defaults/{}/{}", text("grantor"), text("schema"))],
                (_, Class::Database) => vec!["database".to_owned()],
                _ => vec![format!("schema/{}", text("schema"))],
            },
            Err(_) => Vec::new(),
        },
        // Taking away privileges that nobody asked for.
        PostgresKind::Schema if spec.contains("foreignGrants") => vec![format!("schema/{}", text("name"))],
        PostgresKind::Policy => vec![format!("schema/{}", text("schema"))],
        PostgresKind::Extension => vec!["extensions".to_owned()],
        PostgresKind::Role => {
            let groups = spec.get("memberOf").and_then(Value::as_list).unwrap_or_default();
            groups.iter().filter_map(Value::as_str).map(|group| format!("role/{group}")).collect()
        }
        PostgresKind::Database | PostgresKind::Schema | PostgresKind::Script | PostgresKind::Row => Vec::new(),
    }
}
