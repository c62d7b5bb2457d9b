//! The tables of targets, held against what their providers say of their settings.
//!
//! A setting that nobody reads is a mistake that nobody notices: `sanbox = true` would have a rehearsal write for real. So the
//! form of a target's table is closed: it has the fields of every target and those of its provider. An environment may give
//! any part of a table; what is required has to be there once the parts are put together.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::node::{Data, Node, first_line};
use super::schema::{Form, Subject};
use super::schemas;
use super::words::{Notation, dotted, lower_first};
use tenantry_core::diagnostics::{Diagnostic, FileId, codes, nearest};
use tenantry_core::model::value::push_token;

/// What a target's table can have, by provider.
#[derive(Default)]
pub struct TargetForms {
    providers: BTreeMap<&'static str, TargetForm>,
}

struct TargetForm {
    /// Of any part of a table.
    form: Form,
    /// Every field, with its schema.
    properties: Map<String, Value>,
    required: Vec<String>,
}

/// A target's table, or an environment's part of it.
struct Part<'a> {
    pointer: String,
    node: &'a Node,
}

impl TargetForms {
    /// The forms of providers, from their names and the schemas of their settings.
    ///
    /// # Panics
    /// If a schema that a provider generates is none.
    pub fn new(settings: impl IntoIterator<Item = (&'static str, Schema)>) -> Self {
        let providers = settings.into_iter().map(|(provider, schema)| (provider, TargetForm::new(schema)));
        Self { providers: providers.collect() }
    }

    /// Checks every target of `tenantry.toml`, in every environment. `reported` are pointers that have a message already.
    pub fn check(&self, file: FileId, text: &str, root: &Node, reported: &mut HashSet<String>) -> Vec<Diagnostic> {
        let mut checked = Checked { forms: self, file, text, root, reported, diagnostics: Vec::new() };
        let base = parts(root, "/targets");
        for part in base.values() {
            checked.part(part, provider_of(part));
        }
        let environments = entries(root.get("environments"));
        for (environment, _) in &environments {
            let own = parts(root, &pointer(&["environments", environment, "targets"]));
            for (name, part) in &own {
                let below = base.get(name);
                checked.part(part, provider_of(part).or_else(|| below.and_then(provider_of)));
                checked.left_over(part, below);
            }
            for name in base.keys().chain(own.keys()).collect::<BTreeSet<_>>() {
                checked.whole(base.get(name), own.get(name), Some(environment));
            }
        }
        // Where environments complete the tables, those alone may be no target yet.
        if environments.is_empty() {
            base.values().for_each(|part| checked.whole(Some(part), None, None));
        }
        checked.diagnostics
    }

    /// The schema of one provider's targets and its name, for each.
    pub fn schemas(&self) -> Vec<(&'static str, Value)> {
        let closed = |(provider, form): (&&'static str, &TargetForm)| {
            let mut schema = form.form.schema().clone();
            schema.as_object_mut().map(|schema| schema.remove("$schema"));
            schema["properties"]["provider"] = json!({"const": provider, "description": "The provider."});
            schema["required"] = json!(["provider"]);
            (*provider, schema)
        };
        self.providers.iter().map(closed).collect()
    }

    /// The schema of an environment's part of a target, whose provider the environment need not repeat.
    pub fn schema_of_part(&self) -> Value {
        let mut properties: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (name, property) in self.providers.values().flat_map(|form| &form.properties) {
            let known = properties.entry(name).or_default();
            if !known.contains(&property) {
                known.push(property);
            }
        }
        let property = |schemas: &Vec<&Value>| match schemas.as_slice() {
            [only] => (*only).clone(),
            several => json!({"anyOf": several, "description": "A setting of the target's provider."}),
        };
        let properties: Map<String, Value> =
            properties.iter().map(|(name, schemas)| ((*name).to_owned(), property(schemas))).collect();
        json!({
            "description": "Settings that a target has differently in this environment.",
            "type": "object", "properties": properties, "additionalProperties": false,
        })
    }
}

impl TargetForm {
    fn new(settings: Schema) -> Self {
        let mut schema = schemas::plain(settings);
        let of_every_target = schemas::target_table();
        let required = schema.as_object_mut().and_then(|schema| schema.remove("required")).unwrap_or_default();
        let names = required.as_array().into_iter().flatten();
        let required = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let mut properties = of_every_target["properties"].as_object().cloned().unwrap_or_default();
        properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        let mut definitions = of_every_target["$defs"].as_object().cloned().unwrap_or_default();
        definitions.extend(schema["$defs"].as_object().cloned().unwrap_or_default());
        schema["$defs"] = definitions.into();
        schema["properties"] = properties.clone().into();
        schema["additionalProperties"] = false.into();
        Self { form: Form::new(schema).expect("a generated schema compiles"), properties, required }
    }
}

struct Checked<'a> {
    forms: &'a TargetForms,
    file: FileId,
    text: &'a str,
    root: &'a Node,
    reported: &'a mut HashSet<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Checked<'_> {
    /// What a table says, whether or not it says all.
    fn part(&mut self, part: &Part<'_>, provider: Option<&str>) {
        // Of a provider that does not exist there is a message of its own.
        let Some(form) = provider.and_then(|provider| self.forms.providers.get(provider)) else { return };
        let subject = Subject {
            file: self.file,
            text: self.text,
            root: self.root,
            beneath: None,
            base: &part.pointer,
            incomplete: true,
            notation: Notation::Toml,
            code: Some(codes::CONFIG_INVALID),
        };
        self.diagnostics.extend(form.form.check(&part.node.to_json(), &subject, self.reported));
    }

    /// What a target's own table has for another provider than the environment's.
    fn left_over(&mut self, part: &Part<'_>, below: Option<&Part<'_>>) {
        let Some((provider, below)) = provider_of(part).zip(below) else { return };
        let Some(form) = self.forms.providers.get(provider).filter(|_| provider_of(below) != Some(provider)) else {
            return;
        };
        for (name, _) in entries(Some(below.node)) {
            if form.properties.contains_key(name) || !self.reported.insert(child(&part.pointer, name)) {
                continue;
            }
            let message = format!("`{name}` of `{}` is not a valid setting of {provider}", dotted(&below.pointer));
            self.diagnostics.push(
                Diagnostic::error(codes::CONFIG_INVALID, message)
                    .at(first_line(self.file, self.text, part.node.span), "another provider here")
                    .help("use another name for the target in this environment"),
            );
        }
    }

    /// Whether a real target has what its provider cannot do without.
    fn whole(&mut self, below: Option<&Part<'_>>, above: Option<&Part<'_>>, environment: Option<&str>) {
        let field = |name: &str| {
            let parts = above.into_iter().chain(below);
            parts.map(|part| part.node).find_map(|node| node.get(name))
        };
        let provider = field("provider").and_then(Node::as_str);
        let Some((provider, form)) = provider.and_then(|name| Some((name, self.forms.providers.get(name)?))) else {
            return;
        };
        if matches!(field("sandbox"), Some(Node { data: Data::Bool(true), .. })) {
            return;
        }
        // The place is where the target is declared, unless it is this environment's own.
        let Some(part) = below.or(above) else { return };
        // A misspelled field is not missing too.
        let written = above.into_iter().chain(below).flat_map(|part| entries(Some(part.node)));
        let unknown: Vec<&str> =
            written.map(|(name, _)| name).filter(|name| !form.properties.contains_key(*name)).collect();
        let is_meant = |name: &str| unknown.iter().any(|unknown| nearest(unknown, [name]).is_some());
        for name in form.required.iter().filter(|name| field(name).is_none() && !is_meant(name)) {
            if !self.reported.insert(child(&part.pointer, name)) {
                continue;
            }
            let within = environment.map(|name| format!(" in environment `{name}`")).unwrap_or_default();
            let message = format!("`{}` has no `{name}`{within}", dotted(&part.pointer));
            let what = form.properties.get(name).and_then(|schema| schema.get("description")?.as_str());
            let help = what.map_or_else(
                || format!("add `{name}`, or `sandbox = true`"),
                |what| format!("add `{name}`: {}; or `sandbox = true`", lower_first(what)),
            );
            self.diagnostics.push(
                Diagnostic::error(codes::CONFIG_INVALID, message)
                    .at(first_line(self.file, self.text, part.node.span), format!("{provider} needs `{name}`"))
                    .help(help),
            );
        }
    }
}

fn provider_of<'a>(part: &Part<'a>) -> Option<&'a str> {
    part.node.get("provider")?.as_str()
}

/// The tables within the table at a pointer, by name.
fn parts<'a>(root: &'a Node, at: &str) -> BTreeMap<&'a str, Part<'a>> {
    let tables = entries(root.pointer(at)).into_iter();
    tables.map(|(name, node)| (name, Part { pointer: child(at, name), node })).collect()
}

/// The fields of a table that are tables.
fn entries(table: Option<&Node>) -> Vec<(&str, &Node)> {
    let Some(Data::Map(fields)) = table.map(|table| &table.data) else { return Vec::new() };
    fields.iter().map(|field| (&*field.key, &field.value)).collect()
}

fn pointer(tokens: &[&str]) -> String {
    let mut pointer = String::new();
    tokens.iter().for_each(|token| push_token(&mut pointer, token));
    pointer
}

fn child(parent: &str, name: &str) -> String {
    let mut pointer = parent.to_owned();
    push_token(&mut pointer, name);
    pointer
}
