//! JSON Schemas of all documents and of `tenantry.toml`, generated from the types.
//!
//! They have two uses: editors complete and check with the files in `schemas/`, and this crate checks with the same schemas.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::targets::TargetForms;
use tenantry_core::model::config::{EstateConfig, TargetTable};
use tenantry_core::model::document::{
    API_VERSION, ApprovalSpec, BlueprintSpec, Metadata, PolicySpec, TenantSpec, TierSpec,
};

/// Where the schemas are published; the file's name follows.
const BASE: &str = "https://tenantry.dev/schemas/v1/";

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The file that describes `tenantry.toml`.
pub const CONFIG_FILE: &str = "tenantry.v1.schema.json";
/// The schema of a plan.
const PLAN_FILE: &str = "plan.v1.schema.json";
/// The schema of what `drift` found.
const DRIFT_FILE: &str = "drift.v1.schema.json";
/// The schema of an event that `event` takes.
const EVENT_FILE: &str = "event.v1.schema.json";

/// The file that describes a document of any kind.
const ANY_DOCUMENT_FILE: &str = "document.v1.schema.json";

/// A kind of document as an estate has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    Tenant,
    Tier,
    Blueprint,
    Approval,
    Policy,
}

impl DocumentKind {
    pub const ALL: [Self; 5] = [Self::Tenant, Self::Tier, Self::Blueprint, Self::Approval, Self::Policy];

    /// The value of `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "Tenant",
            Self::Tier => "Tier",
            Self::Blueprint => "Blueprint",
            Self::Approval => "Approval",
            Self::Policy => "Policy",
        }
    }

    /// The word for it in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Tier => "tier",
            Self::Blueprint => "blueprint",
            Self::Approval => "approval",
            Self::Policy => "policy",
        }
    }

    /// The word for several of it in a sentence.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Tenant => "tenants",
            Self::Tier => "tiers",
            Self::Blueprint => "blueprints",
            Self::Approval => "approvals",
            Self::Policy => "policies",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Tenant => "tenant.v1.schema.json",
            Self::Tier => "tier.v1.schema.json",
            Self::Blueprint => "blueprint.v1.schema.json",
            Self::Approval => "approval.v1.schema.json",
            Self::Policy => "policy.v1.schema.json",
        }
    }

    fn spec(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Tenant => generator.subschema_for::<TenantSpec>(),
            Self::Tier => generator.subschema_for::<TierSpec>(),
            Self::Blueprint => generator.subschema_for::<BlueprintSpec>(),
            Self::Approval => generator.subschema_for::<ApprovalSpec>(),
            Self::Policy => generator.subschema_for::<PolicySpec>(),
        }
    }
}

/// Every schema with its file name, which no file of a user's estate has: theirs is `tenant.schema.json`.
pub fn schemas(targets: &TargetForms) -> Vec<(&'static str, Value)> {
    let mut schemas: Vec<_> = DocumentKind::ALL.into_iter().map(|kind| (kind.file(), document(kind))).collect();
    schemas.push((ANY_DOCUMENT_FILE, any_document()));
    schemas.push((CONFIG_FILE, config_with(targets)));
    schemas.push((PLAN_FILE, written(tenantry_core::plan::json::schema(), PLAN_FILE)));
    schemas.push((DRIFT_FILE, written(tenantry_core::drift::json::schema(), DRIFT_FILE)));
    schemas.push((EVENT_FILE, written(super::event::schema(), EVENT_FILE)));
    schemas
}

/// The schema of a whole document of one kind.
pub fn document(kind: DocumentKind) -> Value {
    let mut generator = generator();
    let metadata = generator.subschema_for::<Metadata>();
    let spec = kind.spec(&mut generator);
    let mut definitions = generator.take_definitions(true);
    // The description of the kind is the one of its spec's type.
    let spec_type = spec.as_value()["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or("");
    let description = definitions.get_mut(spec_type).and_then(|spec| spec.as_object_mut()?.remove("description"));
    let mut described = spec;
    described.insert("description".to_owned(), format!("What the {} is.", kind.noun()).into());
    json!({
        "$schema": DIALECT,
        "$id": format!("{BASE}{}", kind.file()),
        "title": kind.name(),
        "description": description,
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "The version of the document's form."},
            "kind": {"const": kind.name(), "description": "What the document describes."},
            "metadata": metadata,
            "spec": described,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The schema of a document of any kind, for files that hold several.
fn any_document() -> Value {
    let choose = |kind: DocumentKind| json!({"if": {"properties": {"kind": {"const": kind.name()}}, "required": ["kind"]}, "then": {"$ref": kind.file()}});
    json!({
        "$schema": DIALECT,
        "$id": format!("{BASE}{ANY_DOCUMENT_FILE}"),
        "title": "Document",
        "description": "A document of an estate, of any kind.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "The version of the document's form."},
            "kind": {"enum": DocumentKind::ALL.map(DocumentKind::name), "description": "What the document describes."},
        },
        "required": ["apiVersion", "kind"],
        "allOf": DocumentKind::ALL.map(choose),
    })
}

/// The schema of what a command writes or takes.
fn written(mut schema: Value, file: &str) -> Value {
    schema["$schema"] = DIALECT.into();
    schema["$id"] = format!("{BASE}{file}").into();
    schema
}

/// The schema of `tenantry.toml`, with the settings that each provider has.
fn config_with(targets: &TargetForms) -> Value {
    let mut schema = config();
    let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) else { return schema };
    let mut choices = Vec::new();
    for (provider, mut table) in targets.schemas() {
        let name = format!("Target.{provider}");
        // What a provider's own settings refer to stands beside them in its schema.
        let own = table.as_object_mut().and_then(|table| table.remove("$defs"));
        definitions.extend(own.and_then(|own| own.as_object().cloned()).into_iter().flatten());
        choices.push(json!({"$ref": format!("#/$defs/{name}")}));
        definitions.insert(name, table);
    }
    if choices.is_empty() {
        return schema;
    }
    let description = definitions.get("TargetTable").and_then(|table| table.get("description")).cloned();
    definitions.insert("TargetTable".to_owned(), json!({"description": description, "oneOf": choices}));
    definitions.insert("TargetPart".to_owned(), targets.schema_of_part());
    let parts = schema.pointer_mut("/$defs/EnvironmentTable/properties/targets/patternProperties");
    for part in parts.and_then(Value::as_object_mut).into_iter().flat_map(|parts| parts.values_mut()) {
        *part = json!({"$ref": "#/$defs/TargetPart"});
    }
    schema
}

/// The fields of a target of any provider.
pub fn target_table() -> Value {
    let mut generator = generator();
    let mut schema = plain(TargetTable::json_schema(&mut generator));
    schema["$defs"] = generator.take_definitions(true).into();
    schema
}

/// A schema in the words that this room checks and describes with.
pub fn plain(mut schema: Schema) -> Value {
    for transform in generator().transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.into()
}

/// The schema of `tenantry.toml`, as far as it shows without knowing providers.
pub fn config() -> Value {
    let mut generator = generator();
    let mut schema = EstateConfig::json_schema(&mut generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    let definitions = generator.take_definitions(true);
    let mut root = Map::from_iter([
        ("$schema".to_owned(), DIALECT.into()),
        ("$id".to_owned(), format!("{BASE}{CONFIG_FILE}").into()),
    ]);
    if let Value::Object(schema) = Value::from(schema) {
        root.extend(schema);
    }
    root.insert("$defs".to_owned(), definitions.into());
    Value::Object(root)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with_transform(schemars::transform::RecursiveTransform(without_null))
        .with_transform(schemars::transform::RecursiveTransform(with_integer_bounds))
        .with_transform(schemars::transform::RecursiveTransform(with_plain_words))
        .into_generator()
}

/// An optional field is left out, never null: `tier:` with nothing behind it is a mistake worth a message.
fn without_null(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.values_mut() {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                property.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(branches)) = property.get_mut("anyOf") {
            branches.retain(|branch| branch != &json!({"type": "null"}));
            if let [Value::Object(only)] = &branches[..] {
                let only = only.clone();
                property.remove("anyOf");
                property.extend(only);
            }
        }
        if property.get("default") == Some(&Value::Null) {
            property.remove("default");
        }
        if let Some(Value::Object(default)) = property.get_mut("default") {
            default.retain(|_, value| !value.is_null());
        }
    }
}

/// Says in numbers what `format: uint32` says to Rust only, so that whatever passes the schema also has room in its type.
fn with_integer_bounds(schema: &mut Schema) {
    let maximum = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => json!(u32::MAX),
        Some("uint64" | "uint") => json!(i64::MAX),
        _ => return,
    };
    schema.remove("format");
    if schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), maximum);
    }
}

/// Makes one list of the values that a type has, described or not, and one line of a description.
fn with_plain_words(schema: &mut Schema) {
    let mut description = schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
    let branches = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let values = |branch: &Value| match (branch.get("const"), branch.get("enum").and_then(Value::as_array)) {
        (Some(only), _) => Some(vec![only.clone()]),
        (None, several) => several.cloned(),
    };
    let all: Option<Vec<Vec<Value>>> = branches.iter().map(values).collect();
    if let Some(all) = all.filter(|all| !all.is_empty()) {
        for (branch, values) in branches.iter().zip(&all) {
            if let (Some(Value::String(words)), [value]) = (branch.get("description"), &values[..]) {
                description.push_str(&format!(" `{}`: {words}", value.as_str().unwrap_or_default()));
            }
        }
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), all.concat().into());
    }
    if !description.is_empty() {
        schema.insert("description".to_owned(), description.trim_start().into());
    }
}
