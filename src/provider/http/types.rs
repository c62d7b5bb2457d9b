//! The kinds of this provider. They differ in where the mark stands, and in nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::{self, Definition, MarkAt, Told};
use super::object::in_order;
use tenantry_core::model::kind::{Batch, BySpec, Capture, Instance, Kind, MarkPlace, Problem, escape};
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value, push_token};

/// A resource of a REST API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "http.resource")]
#[expect(dead_code, reason = "the schema is made of it; it is read from the map")]
pub struct ResourceSpec {
    /// A built-in definition, such as `grafana.folder`.
    pub r#use: Option<String>,
    /// Or a definition of your own.
    pub definition: Option<Definition>,
    /// Its name in the API.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Other values that the definition's paths need, such as a project.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// A higher number requests a new one-time secret, such as a password.
    #[schemars(range(min = 1))]
    pub rotation: Option<u32>,
    /// The fields of the object. Owned key by key: other keys are left alone.
    #[serde(default)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

pub const MARKED: &str = "http.resource";
pub const UNMARKED: &str = "http.unmarked";

pub fn kinds() -> Vec<Kind> {
    vec![
        kind(MARKED, "A resource of a REST API that has room for the mark.", MarkPlace::Target),
        kind(UNMARKED, "A resource of a REST API that has no room for the mark.", MarkPlace::Inventory),
    ]
}

fn kind(name: &'static str, summary: &'static str, mark: MarkPlace) -> Kind {
    Kind {
        name,
        summary,
        schema: schemars::schema_for!(ResourceSpec),
        identity: &["name"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        reviewed: &[],
        owned_by_key: &["/fields"],
        outputs: &[("id", "The API's id of it")],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills: false,
        mark,
        batch: Batch::Single,
        defaults: Map::default(),
        normalise: |spec| spec.replace(normalise),
        told: None,
        check: match mark {
            MarkPlace::Inventory => |spec| check_unmarked(spec),
            _ => |spec| check_marked(spec),
        },
        check_together: None,
        by_spec: Some(BySpec {
            immutable: |spec| immutable(spec),
            sensitive: |spec| sensitive(spec),
            write_only: |spec| pointers(spec, |definition| &definition.write_only),
            outputs,
            captures,
            instance: if matches!(mark, MarkPlace::Inventory) { instance } else { |_| None },
            instance_source: |spec| definition::of(spec).ok()?.id_at.as_deref().map(Into::into),
            loses_data: |spec| loses_data(spec),
            ..BySpec::named(|spec| identity(spec))
        }),
        nesting: None,
    }
}

fn normalise(spec: &Map) -> Map {
    let present: Map =
        spec.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect();
    let present = ["parameters", "fields"].iter().fold(present, |spec, field| match spec.get(field) {
        Some(_) => spec,
        None => spec.with(field, Map::default().into()),
    });
    let Ok(definition) = definition::of(&present) else { return present };
    let with_rotation = match present.contains("rotation") || definition.captures.is_empty() {
        true => present,
        false => present.with("rotation", 1.into()),
    };
    let value = in_order(&definition, Value::from(with_rotation), "/fields");
    value.as_map().cloned().unwrap_or_default()
}

/// The definition, its parameters in their order, and the name.
fn identity(spec: &Map) -> Option<Identity> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(|text| escape(text).into_owned());
    let definition = match spec.get("definition") {
        Some(definition) => text(definition.get("name"))?,
        None => text(spec.get("use"))?,
    };
    let mut parts = vec![definition];
    if let Some(Value::Map(parameters)) = spec.get("parameters") {
        for (_, value) in parameters.iter() {
            parts.push(text(Some(value))?);
        }
    }
    parts.push(text(spec.get("name"))?);
    Some(parts.join("/").into())
}

fn pointers(spec: &Map, of: impl Fn(&Definition) -> &[String]) -> Vec<Cow<'static, str>> {
    let Ok(definition) = definition::of(spec) else { return Vec::new() };
    of(&definition).iter().map(|pointer| Cow::Owned(format!("/fields{pointer}"))).collect()
}

fn immutable(spec: &Map) -> Vec<Cow<'static, str>> {
    match definition::of(spec) {
        Ok(definition) if definition.update.is_none() => vec!["/fields".into()],
        _ => pointers(spec, |definition| &definition.immutable),
    }
}

fn sensitive(spec: &Map) -> Vec<Cow<'static, str>> {
    pointers(spec, |definition| &definition.sensitive)
}

fn outputs(spec: &Map) -> Vec<Cow<'static, str>> {
    let Ok(definition) = definition::of(spec) else { return Vec::new() };
    definition.outputs.keys().cloned().map(Cow::Owned).collect()
}

fn captures(spec: &Map) -> Vec<Capture> {
    let Ok(definition) = definition::of(spec) else { return Vec::new() };
    let capture = |(name, told): (&String, &Told)| Capture {
        name: name.clone().into(),
        meaning: told.meaning.clone().into(),
        field: Some("/rotation"),
        replaces: definition.renew.is_none(),
    };
    definition.captures.iter().map(capture).collect()
}

/// An id that the API invents is another for each that is made, or for each version.
fn instance(spec: &Map) -> Option<Instance> {
    let definition = definition::of(spec).ok().filter(|definition| definition.id_at.is_some())?;
    Some(if definition.versioned { Instance::Written("id") } else { Instance::Made("id") })
}

fn loses_data(spec: &Map) -> bool {
    definition::of(spec).is_ok_and(|definition| definition.loses_data)
}

fn check_marked(spec: &Map) -> Vec<Problem> {
    check(spec, true)
}

fn check_unmarked(spec: &Map) -> Vec<Problem> {
    check(spec, false)
}

fn check(spec: &Map, is_marked: bool) -> Vec<Problem> {
    let definition = match definition::of(spec) {
        Ok(definition) => definition,
        Err((pointer, message)) => return vec![Problem::error(pointer, message)],
    };
    let mut problems: Vec<Problem> =
        definition.problems().into_iter().map(|message| Problem::error("/definition", message)).collect();
    let source = if spec.contains("use") { "/use" } else { "/definition/mark" };
    match (is_marked, &definition.mark) {
        (true, MarkAt::Inventory) => {
            let message = format!("`{}` has no room for a mark", definition.name);
            problems.push(Problem::error(source, message).help(format!("use the kind {UNMARKED}")));
        }
        (false, MarkAt::Map { .. } | MarkAt::Text { .. }) => {
            let message = format!("`{}` has room for a mark", definition.name);
            problems.push(Problem::error(source, message).help(format!("use the kind {MARKED}")));
        }
        _ => {}
    }
    if spec.contains("rotation") && definition.captures.is_empty() {
        let message = format!("`{}` returns no one-time secret, so `rotation` has no effect", definition.name);
        problems.push(Problem::error("/rotation", message).help("leave it out"));
    }
    let empty = Map::default();
    let parameters = spec.get("parameters").and_then(Value::as_map).unwrap_or(&empty);
    for wanted in &definition.parameters {
        if !parameters.contains(wanted) {
            problems
                .push(Problem::error("/parameters", format!("`{}` needs the parameter `{wanted}`", definition.name)));
        }
    }
    for (name, value) in parameters.iter() {
        let mut pointer = "/parameters".to_owned();
        push_token(&mut pointer, name);
        if !definition.parameters.iter().any(|wanted| *wanted == **name) {
            problems.push(Problem::error(&*pointer, format!("`{}` has no parameter `{name}`", definition.name)));
        }
        if value.as_str().is_some_and(is_no_segment) {
            problems.push(Problem::error(&*pointer, "it cannot be used as a part of a path"));
        }
    }
    if spec.get("name").and_then(Value::as_str).is_some_and(is_no_segment) {
        problems.push(Problem::error("/name", "it cannot be used as a part of a path"));
    }
    problems
}

/// Whether a text would lead a path elsewhere.
fn is_no_segment(text: &str) -> bool {
    text.is_empty() || matches!(text, "." | "..") || text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    fn messages(is_marked: bool, spec: serde_json::Value) -> Vec<String> {
        check(&normalise(&map(spec)), is_marked)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.pointer, problem.message))
            .collect()
    }

    #[test]
    fn the_identity_is_the_definition_its_parameters_and_the_name() {
        let spec = json!({"use": "cloudrun.service", "name": "a/b", "parameters": {"project": "p", "location": "eu"}});
        assert_eq!(identity(&map(spec)).as_deref(), Some("cloudrun.service/eu/p/a%2Fb"));
    }

    #[test]
    fn a_spec_fits_its_definition_and_its_kind() {
        let folder = |name: &str| json!({"use": "grafana.folder", "name": name, "fields": {"title": "A"}});
        assert_eq!(messages(false, folder("a")), [""; 0]);
        assert_eq!(messages(true, folder("a")), ["/use: `grafana.folder` has no room for a mark"]);
        assert_eq!(messages(false, folder("..")), ["/name: it cannot be used as a part of a path"]);
        assert_eq!(
            messages(false, json!({"use": "neon.branch", "name": "a", "parameters": {"colour": "red"}})),
            [
                "/parameters: `neon.branch` needs the parameter `project`",
                "/parameters/colour: `neon.branch` has no parameter `colour`"
            ]
        );
        assert_eq!(messages(true, json!({"use": "nothing", "name": "a"})).len(), 1);
        let own = json!({"name": "own", "nameAt": "/name", "create": {"method": "POST", "path": "//elsewhere/x"},
            "delete": {"method": "DELETE", "path": "/x/{id}/{what}"}});
        assert_eq!(messages(false, json!({"definition": own, "name": "a"})).len(), 3);
    }

    #[test]
    fn normalising_twice_is_normalising_once() {
        let spec = map(json!({"use": "webhook.subscription", "name": "a", "fields": {"events": ["b", "a", "b"]}}));
        let normalised = normalise(&spec);
        assert_eq!(normalised.get("fields").map(Value::to_json), Some(json!({"events": ["a", "b"]})));
        assert_eq!(normalise(&normalised), normalised);
    }
}
