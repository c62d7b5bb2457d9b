//! Rules for pages of other origins.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::each;
use crate::xml::Element;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::defaults_of;

/// What origins may do. The server applies the first rule that matches.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The rule's name.
    pub id: Option<String>,
    /// Such as `https://app.example.com`, or `*`.
    #[schemars(length(min = 1))]
    pub origins: Vec<String>,
    /// The methods that pages of these origins may use.
    #[schemars(length(min = 1))]
    pub methods: Vec<Method>,
    /// Headers that a request may have.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Headers of an answer that a page may read.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// How long browsers may keep the answer.
    #[schemars(range(min = 1))]
    pub max_age_seconds: Option<u32>,
}

/// Those that S3 has.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Put,
    Post,
    Delete,
    Head,
}

/// Lists of a rule, as the spec and as the server calls them.
const LISTS: [(&str, &str); 4] = [
    ("headers", "AllowedHeader"),
    ("methods", "AllowedMethod"),
    ("origins", "AllowedOrigin"),
    ("exposeHeaders", "ExposeHeader"),
];

static RULE: LazyLock<Map> = LazyLock::new(defaults_of::<Rule>);

pub fn normalise(rules: &Value) -> Value {
    each(rules, |rule| {
        let mut fields = Fields::of(rule, &RULE);
        for (list, _) in LISTS {
            fields.map(list, Value::as_set);
        }
        fields.drop_empty();
        fields.build()
    })
}

/// `?cors`.
pub fn xml(rules: &[Rule]) -> Element {
    rules.iter().fold(Element::new("CORSConfiguration"), |configuration, rule| {
        let mut element = Element::new("CORSRule").maybe("ID", rule.id.as_deref());
        let json = serde_json::to_value(rule).unwrap_or_default();
        for (list, name) in LISTS {
            for item in json[list].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
                element = element.text(name, item);
            }
        }
        configuration.with(element.maybe("MaxAgeSeconds", rule.max_age_seconds))
    })
}

/// Of `?cors`.
pub fn of_xml(configuration: &Element) -> Value {
    Value::list(configuration.all("CORSRule").map(|rule| {
        let lists = LISTS.iter().map(|(list, name)| {
            ((*list).into(), Value::list(rule.all(name).map(|element| Value::from(element.text.as_str()))))
        });
        let id = rule.get("ID").filter(|id| !id.is_empty()).map(|id| ("id".into(), Value::from(id)));
        // Some servers say that it is nothing where nothing was said.
        let age =
            rule.number("MaxAgeSeconds").filter(|age| *age > 0).map(|age| ("maxAgeSeconds".into(), Value::from(age)));
        Value::from(lists.chain(id).chain(age).collect::<Map>())
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_read_back_as_they_were_written_and_lists_have_no_order() {
        let rules = json!([
            {"id": "a", "origins": ["https://b", "https://a"], "methods": ["PUT", "GET"], "maxAgeSeconds": 5},
            {"origins": ["*"], "methods": ["HEAD"], "headers": ["*"], "exposeHeaders": ["ETag"]},
        ]);
        let typed: Vec<Rule> = serde_json::from_value(rules.clone()).expect("valid");
        assert_eq!(normalise(&of_xml(&xml(&typed))), normalise(&Value::from(rules)));
    }
}
