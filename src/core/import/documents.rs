//! A draft as the documents of an estate.

use super::template::{Hole, Template};
use super::{Draft, Presence, Resource, Tier, Values, pattern};
use crate::model::value::{Map, Value};
use crate::yaml::{Entry, Yaml, text};

/// Characters in a line before a list or map is broken up.
const WIDTH: usize = 120;

/// How the documents are made.
pub struct Names<'a> {
    pub blueprint: &'a str,
    /// The kind of every resource.
    pub kind: &'a str,
    /// Where every tenant is: a provider's key and the target. `None` if there is one place only.
    pub placement: Option<(&'a str, &'a str)>,
}

/// Files by path, relative to the estate.
pub fn files(draft: &Draft, names: &Names<'_>) -> Vec<(String, String)> {
    let mut files = vec![
        (format!("tenants/blueprints/{}.yaml", names.blueprint), blueprint(draft, names)),
        ("tenants/tiers.yaml".to_owned(), tiers(draft, names)),
    ];
    for (name, tenant) in &draft.tenants {
        let mut spec =
            vec![Entry::new("displayName", &**name), Entry::new("tier", &*tenant.tier), Entry::new("phase", "active")];
        if let Some((key, target)) = names.placement {
            spec.push(Entry::new("placement", Yaml::Map(vec![Entry::new(key, target)])));
        }
        if !tenant.values.is_empty() {
            spec.push(Entry::new("values", values(&tenant.values)));
        }
        let document = document("Tenant", name, spec, Vec::new());
        let schema = "# yaml-language-server: $schema=../../schemas/tenant.v1.schema.json\n";
        files.push((format!("tenants/customers/{name}.yaml"), format!("{schema}{}", text(&document, WIDTH))));
    }
    files
}

fn document(kind: &str, name: &str, spec: Vec<Entry>, comment: Vec<String>) -> Yaml {
    let mut first = Entry::new("apiVersion", "tenantry.dev/v1");
    first.comment = comment;
    Yaml::Map(vec![
        first,
        Entry::new("kind", kind),
        Entry::new("metadata", Yaml::Map(vec![Entry::new("name", name)])),
        Entry::new("spec", Yaml::Map(spec)),
    ])
}

fn blueprint(draft: &Draft, names: &Names<'_>) -> String {
    let resources = draft.resources.iter().map(|resource| self::resource(resource, names)).collect();
    let spec = vec![Entry::new("scope", "tenant"), Entry::new("resources", Yaml::List(resources))];
    let comment =
        vec!["The resources of every tenant. Imported from existing objects; `adopt` takes them over.".to_owned()];
    let document = document("Blueprint", names.blueprint, spec, comment);
    let schema = "# yaml-language-server: $schema=../../schemas/blueprint.v1.schema.json\n";
    format!("{schema}{}", text(&document, WIDTH))
}

fn resource(resource: &Resource, names: &Names<'_>) -> Yaml {
    let Resource { id, presence, is_whole, spec, items, tenants } = resource;
    let mut entries = vec![Entry::new("id", &**id)];
    match presence {
        Presence::Always => {}
        Presence::Switched(switch) => {
            let who = if *tenants == 1 { "1 tenant has it.".to_owned() } else { format!("{tenants} tenants have it.") };
            entries[0].comment.push(who);
            entries.push(Entry::new("when", format!("${{tenant.values.{switch}.enabled}}").as_str()));
        }
        Presence::Each => {
            let what = if *is_whole { "each a value as a whole" } else { "one for each name" };
            entries[0].comment.push(format!(
                "{items} of {tenants}, {what}.",
                items = counted(*items, "object"),
                tenants = counted(*tenants, "tenant")
            ));
            entries.push(Entry::new("forEach", format!("${{tenant.values.{id}.map(name, name)}}").as_str()));
        }
    }
    entries.push(Entry::new("kind", names.kind));
    entries.push(Entry::new("adopt", Value::Bool(true)));
    let place = match presence {
        Presence::Each => format!("tenant.values.{id}[each]"),
        Presence::Always | Presence::Switched(_) => format!("tenant.values.{id}"),
    };
    entries.push(Entry::new("spec", self::template(spec, &place, *presence == Presence::Each)));
    Yaml::Map(entries)
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn template(template: &Template, place: &str, is_each: bool) -> Yaml {
    let below = |template: &Template| self::template(template, place, is_each);
    match template {
        Template::Literal(value) => Yaml::from(&escaped(value)),
        Template::Pattern(pattern) => pattern::written(pattern).as_str().into(),
        Template::List(items) => Yaml::List(items.iter().map(below).collect()),
        Template::Map(fields) => {
            // In the order in which objects are written, which a map of values knows.
            let order: Map = fields.keys().map(|key| (key.as_str().into(), Value::Null)).collect();
            let Yaml::Map(mut entries) = Yaml::from(&order) else { return Yaml::Map(Vec::new()) };
            for entry in &mut entries {
                if let Some(template) = fields.get(&entry.key) {
                    entry.value = below(template);
                }
            }
            Yaml::Map(entries)
        }
        Template::Value(hole) => expression(&value_of(hole, place, is_each)),
        Template::Wrapped { hole, field, rest } => {
            let fields: Vec<String> = std::iter::once(format!("'{field}': it"))
                .chain(rest.iter().map(|(key, value)| format!("'{key}': '{}'", value.as_str().unwrap_or_default())))
                .collect();
            expression(&format!("{}.map(it, {{{}}})", value_of(hole, place, is_each), fields.join(", ")))
        }
    }
}

fn expression(cel: &str) -> Yaml {
    format!("${{{cel}}}").as_str().into()
}

/// Values of a tenant have a default in its tier; those of one among several have none.
fn value_of(hole: &Hole, place: &str, is_each: bool) -> String {
    let value = format!("{place}.{}", hole.name);
    match (is_each, hole.or_each, hole.is_optional) {
        (true, true, _) => format!("has({value}) ? {value} : each"),
        (true, false, true) => format!("has({value}) ? {value} : null"),
        _ => value,
    }
}

/// A literal in which nothing is an expression.
fn escaped(value: &Value) -> Value {
    match value {
        Value::Text(text) if text.contains("${") => pattern::written(text).into(),
        Value::List(items) => Value::list(items.iter().map(escaped)),
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), escaped(value))).collect::<Map>().into(),
        other => other.clone(),
    }
}

fn tiers(draft: &Draft, names: &Names<'_>) -> String {
    let mut out = String::from("# yaml-language-server: $schema=../schemas/document.v1.schema.json\n");
    for (at, Tier { name, values, tenants }) in draft.tiers.iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        let rank = i64::try_from(at + 1).unwrap_or(i64::MAX);
        let spec = vec![
            Entry::new("rank", Value::Integer(rank)),
            Entry::new("blueprints", Value::list([names.blueprint.into()])),
            Entry::new("values", self::values(values)).comment(
                "The values of most of its tenants; a tenant's own values override them. null: most tenants have none.",
            ),
        ];
        let who = if *tenants == 1 { "1 tenant is".to_owned() } else { format!("{tenants} tenants are") };
        out.push_str(&text(&document("Tier", name, spec, vec![format!("{who} on it.")]), WIDTH));
    }
    out
}

fn values(values: &Values) -> Yaml {
    let role = |(id, values): (&String, &std::collections::BTreeMap<String, Value>)| {
        let fields = values.iter().map(|(name, value)| Entry::new(name.as_str(), value)).collect();
        Entry::new(id.as_str(), Yaml::Map(fields))
    };
    Yaml::Map(values.iter().map(role).collect())
}
