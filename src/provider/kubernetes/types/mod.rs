//! The kind `kubernetes.object`: any object of a cluster, its spec the object itself.
//!
//! ```text
//! object     type, name, identity         sorts      what is known of the server's own types
//! fields     where quantities, sets and texts stand   quantity, names   their forms
//! normal     the one canonical form       needs      what has to exist first
//! check, unique   what one object gets wrong   quota, capacity   what a tenant's objects cannot have together
//! ```
//!
//! Everything here is a function of specs; what only the server knows is left to it.

mod capacity;
mod check;
pub mod fields;
pub mod names;
mod needs;
mod normal;
pub mod object;
pub mod quantity;
mod quota;
pub mod sorts;
mod unique;

use tenantry_core::model::kind::{Batch, BySpec, Kind, MarkPlace};
use tenantry_core::model::value::Map;

pub use needs::needs;
pub use normal::{FILLED, normalise};

/// The name of the one kind.
pub const OBJECT: &str = "kubernetes.object";

pub fn kinds() -> Vec<Kind> {
    vec![kind()]
}

/// See the module's page.
pub fn kind() -> Kind {
    Kind {
        name: OBJECT,
        summary: "An object of a Kubernetes cluster, of any API version and kind; its spec is the object.",
        schema: schema(),
        identity: &[],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        reviewed: &["/roleRef", "/subjects", "/rules", "/aggregationRule"],
        // All maps, however deep: what a blueprint does not name belongs to others, as in server-side apply.
        owned_by_key: &[""],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Sequence,
        defaults: Map::default(),
        normalise: |object| object.replace(normalise),
        told: None,
        check: |spec| check::check(spec),
        check_together: Some(capacity::check_together),
        by_spec: Some(BySpec {
            needs: |spec| needs(spec),
            requires: |spec| needs::requires(spec),
            immutable: |spec| sorts::immutable(spec),
            sensitive: |spec| sorts::sensitive(spec),
            loses_data: |spec| sorts::loses_data(spec),
            left_out: check::left_out,
            ..BySpec::named(|spec| object::identity(spec))
        }),
        nesting: None,
    }
}

fn schema() -> schemars::Schema {
    let texts = |description: &str| {
        serde_json::json!({
            "description": description,
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "null"]},
        })
    };
    schemars::json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kubernetes.object",
        "description": "An object of a cluster, as `kubectl apply` takes it. Fields beyond these are the object's own.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": {"description": "Such as v1 or apps/v1.", "type": "string"},
            "kind": {"description": "Such as Deployment.", "type": "string"},
            "metadata": {
                "description": "What names the object in its cluster, and labels it.",
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"description": "The object's name.", "type": "string", "minLength": 1},
                    "namespace": {"description": "Not present for objects that belong to the whole cluster.", "type": ["string", "null"]},
                    "labels": texts("Short texts for selectors."),
                    "annotations": texts("Texts of any form."),
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_core::model::value::{Map, Value};

    #[test]
    fn the_schema_takes_any_object_with_a_name() {
        let kind = kind();
        let validator = jsonschema::validator_for(kind.schema.as_value()).expect("a valid schema");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": null}, "data": {"a": "b"}});
        assert!(validator.is_valid(&object));
        for wrong in [
            json!({"kind": "ConfigMap", "metadata": {"name": "c"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"production": true}}}),
        ] {
            assert!(!validator.is_valid(&wrong), "{wrong}");
        }
    }

    #[test]
    fn the_identity_is_made_of_the_spec() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}});
        let Value::Map(spec) = Value::from(object) else { panic!("a map") };
        assert_eq!(kind().identity_of(&kind().normal(&spec)).as_deref(), Some("ConfigMap/a/c"));
        assert_eq!(kind().identity_of(&kind().normal(&Map::default())), None);
    }
}
