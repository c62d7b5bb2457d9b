//! What must hold of every kind's description, told of a sample of each.

use serde_json::Value as Json;

use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Value;

/// Every kind has a sample that its schema accepts as it is written and as it is normalised, and nothing beside its fields.
#[track_caller]
pub fn assert_samples(kinds: &[Kind], samples: &[(&'static str, Json)]) {
    assert_eq!(kinds.len(), samples.len());
    for (name, sample) in samples {
        let kind = kinds.iter().find(|kind| kind.name == *name).expect(name);
        let validator = jsonschema::validator_for(kind.schema.as_value()).expect("a valid schema");
        let errors =
            |json: &Json| -> Vec<String> { validator.iter_errors(json).map(|error| error.to_string()).collect() };
        let mut written = sample.clone();
        written.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        assert_eq!(errors(&written), [""; 0], "{name}");
        let Value::Map(spec) = Value::from(sample) else { panic!("a map") };
        let normalised = kind.normal(&spec);
        assert_eq!(errors(&normalised.value().to_json()), [""; 0], "{name}");
        assert_eq!(kind.normal(&normalised), normalised, "{name} is normalised once and for all");
        assert_eq!((kind.check)(&normalised), [], "{name}");
        assert!(kind.identity_of(&normalised).is_some(), "{name}");
        written["colour"] = "red".into();
        assert_ne!(errors(&written), [""; 0], "{name}");
    }
}

/// The schema says of every field what it is when it is absent: required, null, or a default.
#[track_caller]
pub fn assert_defaults(kinds: &[Kind]) {
    for kind in kinds {
        let schema = kind.schema.as_value();
        let validator = |property: &Json| {
            let mut alone = property.clone();
            if let Some(definitions) = schema.get("$defs") {
                alone["$defs"] = definitions.clone();
            }
            jsonschema::validator_for(&alone).expect("a valid schema")
        };
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().expect("properties") {
            let is_required = required.iter().any(|required| required == name.as_str());
            let has_default = property.get("default").is_some_and(|default| !default.is_null());
            let told = is_required || has_default || validator(property).is_valid(&Json::Null);
            assert!(told, "{}: {name} has no default in the schema", kind.name);
        }
    }
}

/// Whatever a description points at is a field of the spec.
#[track_caller]
pub fn assert_pointers(kinds: &[Kind]) {
    for kind in kinds {
        let properties = kind.schema.as_value()["properties"].as_object().expect("properties").clone();
        let pointers = [kind.immutable, kind.write_only, kind.sensitive, kind.owned_by_key].concat();
        let referring = kind.references.iter().map(|reference| reference.pointer);
        let limited = kind.name_limits.iter().map(|limit| limit.pointer);
        let pointed = pointers.into_iter().chain(referring).chain(limited);
        let captured = kind.captures.iter().filter_map(|capture| capture.field);
        let pointed = pointed.chain(captured).map(|pointer| pointer.trim_start_matches('/'));
        for field in kind.identity.iter().copied().chain(pointed) {
            let field = field.split('/').next().expect("a field");
            assert!(properties.contains_key(field), "{}: {field}", kind.name);
        }
    }
}
