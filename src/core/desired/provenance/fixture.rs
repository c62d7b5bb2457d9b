//! Estates that are written down as JSON, with a line for each value.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::*;
use crate::desired::{Outputs, desired};
use crate::diagnostics::{FileId, SourceFiles};
use crate::lifecycle::{TenantRecords, Times};
use crate::model::config::EstateConfig;
use crate::model::document::{Estate, Metadata};
use crate::model::kind::{Batch, Catalogue, Kind, MarkPlace};
use crate::model::value::Map;
use crate::resolve::{environment, resolve};

/// Documents by path, one to a file.
pub type Files = Vec<(&'static str, Json)>;

pub fn tenant(name: &str, tier: &str, more: Json) -> Json {
    let mut spec = json!({"displayName": name, "tier": tier, "phase": "active"});
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({"kind": "Tenant", "metadata": {"name": name}, "spec": spec})
}

pub fn tier(name: &str, blueprints: &[&str], more: Json) -> Json {
    let mut spec = json!({"rank": 1, "blueprints": blueprints});
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({"kind": "Tier", "metadata": {"name": name}, "spec": spec})
}

pub fn blueprint(name: &str, resources: Json) -> Json {
    json!({"kind": "Blueprint", "metadata": {"name": name}, "spec": {"scope": "tenant", "resources": resources}})
}

pub fn thing(id: &str, spec: Json) -> Json {
    let mut all = json!({"name": format!("${{tenant.name}}-{id}")});
    all.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
    json!({"id": id, "kind": "test.thing", "spec": all})
}

pub fn with(mut resource: Json, field: &str, value: &str) -> Json {
    resource[field] = value.into();
    resource
}

fn catalogue() -> Catalogue {
    Catalogue::new([Kind {
        name: "test.thing",
        summary: "",
        schema: schemars::json_schema!({"type": "object"}),
        identity: &["name"],
        immutable: &[],
        write_only: &[],
        reviewed: &[],
        sensitive: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Single,
        defaults: Map::default(),
        normalise: |_| {},
        told: None,
        check: |_| Vec::new(),
        check_together: None,
        by_spec: None,
        nesting: None,
    }])
}

/// Writes a document with a line for each value, and tells where each stands.
fn write(value: &Json, pointer: &mut String, depth: usize, text: &mut String, spans: &mut Vec<(String, Span)>) {
    let length = pointer.len();
    let byte = |text: &String| u32::try_from(text.len()).expect("a short text");
    let fields: Vec<(String, String, &Json)> = match value {
        Json::Array(items) if items.is_empty() => {
            let start = byte(text);
            text.push_str("[]");
            spans.push((pointer.clone(), Span { start, end: byte(text) }));
            return;
        }
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), format!("{key}:"), value)).collect(),
        Json::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), "-".to_owned(), item)).collect()
        }
        leaf => {
            let start = byte(text);
            text.push_str(&leaf.to_string());
            spans.push((pointer.clone(), Span { start, end: byte(text) }));
            return;
        }
    };
    // The value begins with its first entry.
    let start = byte(text) + u32::try_from(depth * 2).expect("a shallow document");
    for (token, key, value) in fields {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&key);
        push_token(pointer, &token);
        let is_block = value.as_object().is_some_and(|map| !map.is_empty())
            || value.as_array().is_some_and(|list| !list.is_empty());
        if is_block {
            text.push('\n');
            write(value, pointer, depth + 1, text, spans);
        } else {
            text.push(' ');
            write(value, pointer, depth + 1, text, spans);
            text.push('\n');
        }
        pointer.truncate(length);
    }
    spans.push((pointer.clone(), Span { start, end: byte(text) }));
}

fn document<S: DeserializeOwned>(json: &Json, positions: Positions) -> Document<S> {
    let metadata: Metadata = serde_json::from_value(json["metadata"].clone()).expect("metadata");
    Document { metadata, spec: serde_json::from_value(json["spec"].clone()).expect("a spec"), positions }
}

fn estate(files: &Files) -> Estate {
    let config = r#"{"estate": {"name": "shop"}, "targets": {"main": {"provider": "test"}}}"#;
    let config: EstateConfig = serde_json::from_str(config).expect("a configuration");
    let mut sources = SourceFiles::default();
    let config_file = sources.add("tenantry.toml", "");
    let mut estate = Estate {
        config,
        config_positions: Positions::new(config_file, Vec::<(String, Span)>::new()),
        tenants: Vec::new(),
        tiers: Vec::new(),
        blueprints: Vec::new(),
        approvals: Vec::new(),
        policies: Vec::new(),
        files: SourceFiles::default(),
        revision: None,
    };
    for (path, json) in files {
        let (mut text, mut spans) = (String::new(), Vec::new());
        write(json, &mut String::new(), 0, &mut text, &mut spans);
        let file: FileId = sources.add(*path, text);
        let positions = Positions::new(file, spans);
        match json["kind"].as_str() {
            Some("Tenant") => estate.tenants.push(document(json, positions)),
            Some("Tier") => estate.tiers.push(document(json, positions)),
            _ => estate.blueprints.push(document(json, positions)),
        }
    }
    estate.files = sources;
    estate
}

/// What is asked for, as it is on record once it was applied.
fn applied(files: &Files) -> Inventory {
    let mut found = Inventory::default();
    expanded(&estate(files), |_, _, owners, _| {
        for desired in owners.iter().flat_map(|owner| &owner.resources) {
            let applied = Applied {
                address: desired.address.clone(),
                kind: desired.kind.name.into(),
                marked: None,
                target: desired.target.clone(),
                identity: desired.identity.clone().expect("a name"),
                spec: serde_json::to_string(&*desired.spec).expect("JSON").into(),
                outputs: "{}".into(),
                generation: 1,
                protect: false,
                depends_on: desired.depends_on.clone(),
            };
            found.insert(applied.address.clone(), applied);
        }
    });
    found
}

fn expanded(estate: &Estate, then: impl FnOnce(&Inputs<'_>, &Blueprints<'_>, &[OwnerResources], &Resolved<'_>)) {
    let mut problems = Vec::new();
    let environment = environment(&estate.config, &estate.config_positions, None).expect("an environment");
    let (catalogue, outputs, keys) = (catalogue(), Outputs::new(), BTreeMap::new());
    let (records, now) = (TenantRecords::new(), jiff::Timestamp::UNIX_EPOCH);
    let times = Times { records: &records, offboarding: &environment.offboarding, now };
    let resolved = resolve(estate, times, &mut problems);
    let blueprints = Blueprints::compile(estate, &catalogue, &mut problems);
    let inputs = Inputs {
        estate,
        environment: &environment,
        catalogue: &catalogue,
        placement_keys: &keys,
        outputs: &outputs,
        now: "2026-01-01T00:00:00Z",
        threads: 1,
    };
    let owners = desired(&inputs, &blueprints, &resolved, &mut problems);
    assert_eq!(problems, []);
    then(&inputs, &blueprints, &owners, &resolved);
}

/// Looks at where the values of an estate come from that was never applied.
pub fn look<T>(files: &Files, look: impl FnOnce(&Provenance<'_, '_>) -> T) -> T {
    let (estate, inventory) = (estate(files), Inventory::default());
    let mut looked = None;
    expanded(&estate, |inputs, blueprints, owners, resolved| {
        looked = Some(look(&Provenance::new(inputs, blueprints, resolved, owners, &inventory)));
    });
    looked.expect("it was looked at")
}

/// The lines that are named for fields of addresses, once the estate is `after` and what was applied is `before`.
pub fn lines(before: &Files, after: &Files, asked: &[(&str, &str)]) -> String {
    let inventory = applied(before);
    let estate = estate(after);
    let mut told = Vec::new();
    expanded(&estate, |inputs, blueprints, owners, resolved| {
        let provenance = Provenance::new(inputs, blueprints, resolved, owners, &inventory);
        for (address, pointer) in asked {
            // Without an id, the address is its owner.
            let owner = || Address { owner: (*address).into(), id: "".into(), each: None };
            let origin = provenance.origin(&address.parse().unwrap_or_else(|_| owner()), pointer);
            let line = origin.map_or_else(
                || "nowhere".to_owned(),
                |origin| {
                    let file = estate.files.get(origin.file);
                    let (line, _) = estate.files.line_column(origin);
                    format!("{}: {}", file.path, file.text.lines().nth(line - 1).unwrap_or_default().trim())
                },
            );
            told.push(format!("{address}{pointer} → {line}"));
        }
    });
    told.join("\n")
}
