//! The pages of `docs/reference/` about what is read: the fields of documents and of `tenantry.toml`.

use std::fmt::Write as _;

use serde_json::Value;
use tenantry_core::reference::fields::{Field, fields, table};
use tenantry_core::reference::{GENERATED, cell};

use super::schemas::{self, DocumentKind};
use super::targets::TargetForms;

/// The fields of every kind of document.
pub fn documents() -> String {
    let mut page = format!(
        "# Fields of documents\n\n{GENERATED}\n\n\
         `NAME` stands for any name, and `[]` for each item of a list. `tenantry schema tenant` and so on print the same as JSON \
         Schema; `schemas/` has the files for editors. How documents are read is on the page of \
         [documents](../documents.md).\n"
    );
    for (index, kind) in DocumentKind::ALL.into_iter().enumerate() {
        let schema = schemas::document(kind);
        let (metadata, own): (Vec<Field>, Vec<Field>) =
            fields(&schema).into_iter().partition(|field| !is_within(field, "spec"));
        if index == 0 {
            let kinds: Vec<String> = DocumentKind::ALL.map(|kind| format!("`{}`", kind.name())).into();
            let all = metadata.into_iter().map(|field| match field.path.as_str() {
                "kind" => Field { form: kinds.join(", "), ..field },
                _ => field,
            });
            let metadata: Vec<Field> = all.collect();
            let _ = write!(page, "\n## Every document\n\n{}", table(&metadata));
        }
        let own: Vec<Field> = own.into_iter().filter(|field| field.path != "spec").collect();
        let summary = schema["description"].as_str().unwrap_or_default();
        let _ = write!(page, "\n## {}\n\n{}\n\n{}", kind.name(), cell(summary), table(&own));
    }
    page
}

/// The fields of `tenantry.toml`, with those that each provider adds to a target.
pub fn configuration(targets: &TargetForms) -> String {
    let config = schemas::config();
    let of_targets = schemas::target_table();
    let mut page = format!(
        "# Fields of tenantry.toml\n\n{GENERATED}\n\n\
         `NAME` stands for a name that you choose, and `[]` for each table of a list. Secrets are written as `env:NAME` (a \
         variable) or `file:PATH`, never in the clear. An environment has the tables `store`, `secrets` and `targets` once more; \
         its fields take the place of the estate's own.\n"
    );
    // A rule's level is on the page of findings, with its code.
    let is_elsewhere = |field: &Field| is_within(field, "targets.NAME") || field.path.starts_with("rules.TY");
    let all: Vec<Field> = fields(&config).into_iter().filter(|field| !is_elsewhere(field)).collect();
    for name in config["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
        let own: Vec<Field> =
            all.iter().filter(|field| is_within(field, name) && field.path != *name).cloned().collect();
        if own.is_empty() || name == "environments" {
            continue;
        }
        let described = all.iter().find(|field| field.path == *name).map(|field| field.meaning.clone());
        let _ = write!(page, "\n## {name}\n\n{}\n\n{}", cell(&described.unwrap_or_default()), table(&own));
        if name == "rules" {
            page.push_str("\nBesides, the level of each rule by its code: see [findings](../findings.md).\n");
        }
    }
    let _ = write!(page, "\n## targets.NAME\n\nOne configured system. These fields are those of any provider.\n\n");
    let common = fields(&of_targets);
    page.push_str(&table(&common));
    for (provider, schema) in targets.schemas() {
        let own = own_fields(&schema, &common);
        let summary = schema["description"].as_str().unwrap_or_default();
        let _ = write!(
            page,
            "\n## targets.NAME of {provider}\n\n{} See [the provider](../providers/{provider}.md).\n\n{}",
            cell(summary),
            table(&own)
        );
    }
    page
}

fn own_fields(schema: &Value, common: &[Field]) -> Vec<Field> {
    let is_common = |field: &Field| common.iter().any(|other| other.path == field.path);
    fields(schema).into_iter().filter(|field| !is_common(field)).collect()
}

fn is_within(field: &Field, name: &str) -> bool {
    field.path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
