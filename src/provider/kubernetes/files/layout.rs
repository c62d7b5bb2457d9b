//! Which file an object stands in.
//!
//! `FOLDER/OWNER/kind_name.yaml`; with the group behind the kind if it is a custom resource, and with the namespace before
//! the name if that is not called like the owner. An underscore is in none of these, so that no two objects meet.

use sha2::{Digest as _, Sha256};

use crate::types::object::{self, Type};
use tenantry_core::model::address::Owner;
use tenantry_core::model::value::Map;

pub const KUSTOMIZATION: &str = "kustomization.yaml";

/// File systems take 255 bytes; the temporary file's name is longer by a few.
const LONGEST: usize = 200;

/// The folder of an owner. What is no tenant begins with an underscore, which a tenant's name does not have.
pub fn folder_of(owner: &Owner) -> String {
    match owner {
        Owner::Estate => "_estate".into(),
        Owner::Tier(tier) => format!("_tier.{tier}"),
        Owner::Tenant(tenant) => tenant.to_string(),
    }
}

/// The file's name; `None` while type or name are not known.
pub fn file_of(owner: &Owner, spec: &Map) -> Option<String> {
    let of = Type::of(spec)?;
    let name = object::name(spec)?;
    let mut stem = of.kind.to_ascii_lowercase();
    if of.is_custom() {
        stem.push('.');
        stem.push_str(of.group);
    }
    stem.push('_');
    let owned = owner.tenant().map(|tenant| &**tenant);
    if let Some(namespace) = object::namespace(spec).filter(|namespace| Some(*namespace) != owned) {
        stem.push_str(namespace);
        stem.push('_');
    }
    stem.push_str(name);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    // Names of RBAC may have any character, and capitals that some file systems do not tell apart.
    if stem.len() > LONGEST || !stem.chars().all(fits) || name.contains('_') {
        let identity = object::identity(spec)?;
        let hash: String =
            Sha256::digest(identity.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let replaced = stem.chars().map(|c| if fits(c) { c } else { '-' });
        stem = format!("{}_{hash}", replaced.take(LONGEST).collect::<String>());
    }
    Some(format!("{stem}.yaml"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_core::model::value::Value;

    fn file(owner: &Owner, api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> String {
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        let Value::Map(spec) = Value::from(object) else { panic!("a map") };
        file_of(owner, &spec).expect("a name")
    }

    #[test]
    fn files_are_called_by_kind_and_name() {
        let acme = Owner::from("acme");
        assert_eq!(file(&acme, "v1", "Namespace", None, "acme"), "namespace_acme.yaml");
        assert_eq!(file(&acme, "apps/v1", "Deployment", Some("acme"), "web.a"), "deployment_web.a.yaml");
        assert_eq!(file(&acme, "apps/v1", "Deployment", Some("other"), "web"), "deployment_other_web.yaml");
        assert_eq!(
            file(&acme, "cert-manager.io/v1", "Certificate", Some("acme"), "a"),
            "certificate.cert-manager.io_a.yaml"
        );
    }

    #[test]
    fn names_that_files_cannot_have_end_with_a_hash() {
        let acme = Owner::from("acme");
        let role = |name: &str| file(&acme, "rbac.authorization.k8s.io/v1", "Role", Some("acme"), name);
        assert_eq!(role("system:Node"), "role_system--ode_0b4fb3c2a3.yaml");
        assert_ne!(role("a:b"), role("a-b"));
        assert_ne!(role("A"), role("a"));
        assert!(file(&acme, "v1", "ConfigMap", Some("acme"), &"a".repeat(253)).len() < 230);
    }

    #[test]
    fn owners_do_not_meet() {
        assert_eq!(
            ["estate", "tier:pro", "acme"].map(|owner| folder_of(&owner.into())),
            ["_estate", "_tier.pro", "acme"]
        );
    }
}
