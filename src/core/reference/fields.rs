//! The fields that a JSON Schema describes, as rows of a table.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::cell;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As it is written, from the top: `price.currency`, `lifecycle[].id`, `targets.NAME.provider`.
    pub path: String,
    /// What it may hold, in words.
    pub form: String,
    pub is_required: bool,
    /// As JSON, if there is one that is not empty.
    pub default: Option<String>,
    /// What it is; empty if the schema does not say so.
    pub meaning: String,
}

impl Field {
    /// What it is if it is left out: `required`, its default, or nothing.
    pub fn absent(&self) -> String {
        match (&self.default, self.is_required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("`{}`", cell(default)),
            (None, false) => String::new(),
        }
    }
}

/// Every field of a schema, those within objects, lists and maps behind the field that holds them.
pub fn fields(schema: &Json) -> Vec<Field> {
    let mut walk = Walk { root: schema, within: Vec::new(), found: Vec::new() };
    walk.properties(schema, "");
    walk.found
}

/// A table of fields.
pub fn table(fields: &[Field]) -> String {
    let mut table = "| field | holds | default | meaning |\n|---|---|---|---|\n".to_owned();
    for field in fields {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            field.path,
            cell(&field.form),
            field.absent(),
            cell(&field.meaning)
        );
    }
    table
}

struct Walk<'s> {
    root: &'s Json,
    /// The definitions that are being described: one within itself is not described again.
    within: Vec<&'s str>,
    found: Vec<Field>,
}

impl<'s> Walk<'s> {
    fn properties(&mut self, schema: &'s Json, path: &str) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let path_is_top = path.is_empty();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let mut meaning = self.meaning(property);
            // What tells forms apart has no words but those of its form.
            if let (true, Some(only), Some(words)) =
                (meaning.is_empty(), property["const"].as_str(), schema["description"].as_str())
            {
                meaning = format!("`{only}`: {words}");
            }
            // Nor does the only field of a form.
            if meaning.is_empty() && !path_is_top && schema["properties"].as_object().is_some_and(|all| all.len() == 1)
            {
                schema["description"].as_str().unwrap_or_default().clone_into(&mut meaning);
            }
            self.property(property, path, required.iter().any(|required| required == name.as_str()), meaning);
        }
    }

    fn property(&mut self, property: &'s Json, path: String, is_required: bool, meaning: String) {
        let form = self.form(property);
        let default = property.get("default").filter(|default| !is_empty(default)).map(ToString::to_string);
        // One of several forms has the fields of all of them, each once.
        match self.found.iter_mut().find(|known| known.path == path) {
            Some(known) => {
                if known.form.starts_with('`') && !known.form.contains(&form) {
                    known.form = format!("{}, {form}", known.form);
                    let joined = format!("{} {meaning}", known.meaning);
                    joined.trim().clone_into(&mut known.meaning);
                }
            }
            None => self.found.push(Field { form, path: path.clone(), is_required, default, meaning }),
        }
        self.below(property, &path);
    }

    /// The fields within a value.
    fn below(&mut self, schema: &'s Json, path: &str) {
        let name = schema["$ref"].as_str();
        if name.is_some_and(|name| self.within.contains(&name)) {
            return;
        }
        self.within.extend(name);
        let schema = self.resolved(schema);
        self.properties(schema, path);
        for branch in branches(schema) {
            self.below(branch, path);
        }
        if schema["items"].is_object() {
            self.below(&schema["items"], &format!("{path}[]"));
        }
        let patterns = schema["patternProperties"].as_object().into_iter().flat_map(|patterns| patterns.values());
        let named = patterns.chain(Some(&schema["additionalProperties"]));
        for values in named.filter(|values| values.is_object()) {
            self.below(values, &format!("{path}.NAME"));
        }
        if name.is_some() {
            self.within.pop();
        }
    }

    fn resolved(&self, schema: &'s Json) -> &'s Json {
        let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| &self.root["$defs"][name])
    }

    /// What the field says itself, else what its type says.
    fn meaning(&self, schema: &'s Json) -> String {
        let own = schema["description"].as_str();
        let only = branches(schema).find_map(|branch| self.resolved(branch)["description"].as_str());
        own.or_else(|| self.resolved(schema)["description"].as_str()).or(only).unwrap_or_default().to_owned()
    }

    fn form(&self, schema: &'s Json) -> String {
        let schema = self.resolved(schema);
        if let Some(only) = schema.get("const") {
            return format!("`{}`", plain(only));
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
            return values.join(", ");
        }
        let branches: Vec<&Json> = branches(schema).collect();
        if !branches.is_empty() {
            let mut forms: Vec<String> = branches.iter().map(|branch| self.form(branch)).collect();
            let all_values = forms.iter().all(|form| form.starts_with('`'));
            forms.dedup();
            return forms.join(if all_values { ", " } else { " or " });
        }
        let types: Vec<&str> = match &schema["type"] {
            Json::String(only) => vec![only],
            Json::Array(several) => several.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect(),
            _ => Vec::new(),
        };
        let words: Vec<String> = types.iter().map(|name| self.word(name, schema)).collect();
        if words.is_empty() { "any value".to_owned() } else { words.join(" or ") }
    }

    fn word(&self, name: &str, schema: &'s Json) -> String {
        match name {
            "string" if schema["format"] == "date" => "date".to_owned(),
            "string" => "text".to_owned(),
            "integer" | "number" => bounded(name, schema),
            "array" if schema["items"].is_object() => format!("list: {}", self.form(&schema["items"])),
            "array" => "list".to_owned(),
            "object" => "mapping".to_owned(),
            other => other.to_owned(),
        }
    }
}

/// The alternatives of a schema, without the one that stands for being absent.
fn branches(schema: &Json) -> impl Iterator<Item = &Json> {
    let several = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array());
    several.flatten().filter(|branch| branch["type"] != "null")
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A default that says no more than that there is nothing: no value, or a table of defaults of its own fields.
fn is_empty(default: &Json) -> bool {
    match default {
        Json::Null | Json::Object(_) => true,
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

fn bounded(name: &str, schema: &Json) -> String {
    // Bounds that say no more than which numbers a computer has.
    let bound = |word: &str| schema[word].as_i64().filter(|bound| bound.unsigned_abs() < u64::from(u32::MAX));
    match (bound("minimum"), bound("maximum")) {
        (Some(from), Some(to)) => format!("{name}, {from} to {to}"),
        (Some(from), None) => format!("{name}, {from} or more"),
        (None, Some(to)) => format!("{name}, {to} or less"),
        (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_has_a_row_wherever_it_is() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The\nname."},
                "size": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                "price": {"anyOf": [{"$ref": "#/$defs/Price"}, {"type": "null"}]},
                "rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "default": []},
                "limits": {"type": "object", "patternProperties": {"^a$": {"$ref": "#/$defs/Price"}}},
            },
            "required": ["name"],
            "$defs": {
                "Price": {"type": "object", "description": "What it costs.", "properties": {
                    "currency": {"enum": ["eur", "usd"], "description": "Of the amount."},
                }},
                "Rule": {"oneOf": [
                    {"type": "object", "properties": {"at": {"type": "string"}, "by": {"const": "page"}}},
                    {"type": "object", "properties": {"by": {"const": "link"}, "within": {"$ref": "#/$defs/Rule"}}},
                ]},
            },
        });
        let expected = "\
| field | holds | default | meaning |
|---|---|---|---|
| `limits` | mapping |  |  |
| `limits.NAME.currency` | `eur`, `usd` |  | Of the amount. |
| `name` | text | required | The name. |
| `price` | mapping |  | What it costs. |
| `price.currency` | `eur`, `usd` |  | Of the amount. |
| `rules` | list: mapping |  |  |
| `rules[].at` | text |  |  |
| `rules[].by` | `page`, `link` |  |  |
| `rules[].within` | mapping |  |  |
| `size` | integer, 1 to 9 | `3` |  |
";
        assert_eq!(table(&fields(&schema)), expected);
    }
}
