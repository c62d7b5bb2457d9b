//! Prefixes: a tenant's part of a namespace that it shares with others.
//!
//! What is below one is deleted as a whole. So a prefix says where it ends, and names somebody: without the separator
//! `tenants/acme` would also hold what belongs to `acme-corp`.

use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value};

/// What names of tenants are made of, in one spelling or another: none of these ends a name.
const OF_NAMES: [char; 3] = ['-', '_', '.'];

/// What is wrong with the prefix in a field.
pub fn problems(spec: &Map, field: &str) -> Vec<Problem> {
    let Some(Value::Text(prefix)) = spec.get(field) else { return Vec::new() };
    let pointer = format!("/{field}");
    let help = "write the part of one tenant and the separator after it, such as `tenants/acme/` or `acme:`";
    let message = if !prefix.chars().any(char::is_alphanumeric) {
        format!("the prefix {prefix:?} names nobody: everything of every tenant would be deleted with it")
    } else if prefix.contains('*') {
        format!("{prefix:?} is a pattern, not a prefix: everything that begins with a prefix is below it")
    } else if prefix.chars().any(char::is_control) {
        format!("the prefix {prefix:?} has control characters")
    } else if prefix.ends_with(|last: char| last.is_alphanumeric() || OF_NAMES.contains(&last)) {
        format!(
            "the prefix {prefix:?} has no separator at its end: it would also hold what begins like it, such as {:?}",
            format!("{prefix}-2")
        )
    } else {
        return Vec::new();
    };
    vec![Problem::error(pointer, message).help(help)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_and_names_somebody() {
        let is_refused =
            |prefix: &str| !problems(&Map::from_fields([("prefix".into(), prefix.into())]), "prefix").is_empty();
        for good in ["tenants/acme/", "acme:", "tenant:acme:", "{acme}:", "été/", "acme|", "a b/"] {
            assert!(!is_refused(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "*",
            ":",
            "//",
            "{}",
            "acme",
            "acme-",
            "acme_",
            "acme.",
            "tenants/acme",
            "tenants/*",
            "*/acme/",
            "acme:*",
            "été",
            "acme\n",
        ] {
            assert!(is_refused(bad), "{bad}");
        }
        let deferred = Map::from_fields([("prefix".into(), Value::Null)]);
        assert_eq!(problems(&deferred, "prefix"), []);
    }
}
