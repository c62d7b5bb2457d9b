//! What ends when: current versions, older ones, and uploads that were never finished, told apart.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{each, sorted_by};
use crate::xml::Element;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::defaults_of;

/// One rule of a bucket's lifecycle.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The rule's name, unique for the bucket.
    #[schemars(length(min = 1, max = 255))]
    pub id: String,
    /// Whether the rule is in effect.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Only objects whose key begins with it.
    pub prefix: Option<String>,
    /// Only objects that carry all of these tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Days after the write at which current objects are deleted. With versioning they get a delete marker; otherwise the data
    /// is gone. Needs `expiresLiveObjects`.
    #[schemars(range(min = 1))]
    pub expire_after_days: Option<u32>,
    /// Confirms that the rule is meant to delete objects that are in use.
    #[serde(default)]
    pub expires_live_objects: bool,
    /// Days after which versions that are no longer current are deleted.
    #[schemars(range(min = 1))]
    pub expire_noncurrent_after_days: Option<u32>,
    /// How many of these versions are kept.
    #[schemars(range(min = 1, max = 100))]
    pub keep_noncurrent_versions: Option<u32>,
    /// Days after which unfinished uploads in parts are aborted.
    #[schemars(range(min = 1))]
    pub abort_uploads_after_days: Option<u32>,
    /// Whether delete markers without other versions are removed.
    #[serde(default)]
    pub remove_expired_delete_markers: bool,
    /// Moves of current objects to other storage classes.
    #[serde(default)]
    pub transitions: Vec<Transition>,
}

/// A move to another class of storage.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// Days after the write.
    pub days: u32,
    /// Such as `GLACIER` or `STANDARD_IA`.
    pub storage_class: String,
}

fn yes() -> bool {
    true
}

static RULE: LazyLock<Map> = LazyLock::new(defaults_of::<Rule>);

pub fn normalise(rules: &Value) -> Value {
    let rules = each(rules, |rule| {
        let mut fields = Fields::of(rule, &RULE);
        fields.drop_empty();
        fields.map("transitions", Value::as_set);
        // Where nothing current ends there is nothing to be said about it.
        if fields.get("expireAfterDays").is_none() && fields.get("unsupported").is_none() {
            fields.set("expiresLiveObjects", false);
        }
        fields.build()
    });
    sorted_by(rules, "id")
}

/// Problems of a bucket's rules.
pub fn check(rules: &[Value], is_versioned: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        let pointer = format!("/lifecycle/{index}");
        let has = |field: &str| rule.get(field).is_some();
        let says = |field: &str| rule.get(field).and_then(Value::as_bool) == Some(true);
        if rule.get("id").and_then(Value::as_str).is_some_and(|id| !ids.insert(id)) {
            problems.push(Problem::error(format!("{pointer}/id"), "another rule has this id"));
        }
        if has("expireAfterDays") && !says("expiresLiveObjects") {
            let message = if is_versioned {
                "the rule expires current objects, so readers no longer find them"
            } else {
                "the rule deletes current objects for good: the bucket keeps no versions"
            };
            let help = "write `expireNoncurrentAfterDays` for older versions only, or `expiresLiveObjects: true` if this is intended";
            problems.push(Problem::error(format!("{pointer}/expireAfterDays"), message).help(help));
        }
        if (has("expireNoncurrentAfterDays") || has("keepNoncurrentVersions")) && !is_versioned {
            let message = "the rule is about older versions, but the bucket's spec does not have `versioning: true`";
            problems.push(Problem::warning(pointer.clone(), message));
        }
        if has("keepNoncurrentVersions") && !has("expireNoncurrentAfterDays") {
            let message = "`keepNoncurrentVersions` needs `expireNoncurrentAfterDays`";
            problems.push(Problem::error(format!("{pointer}/keepNoncurrentVersions"), message));
        }
        let has_tags = rule.get("tags").and_then(Value::as_map).is_some_and(|tags| !tags.is_empty());
        if has_tags && (has("abortUploadsAfterDays") || says("removeExpiredDeleteMarkers")) {
            let message = "unfinished uploads and delete markers have no tags; write a separate rule for them";
            problems.push(Problem::error(format!("{pointer}/tags"), message));
        }
        if says("removeExpiredDeleteMarkers") && has("expireAfterDays") {
            let message = "a rule cannot have both `expireAfterDays` and `removeExpiredDeleteMarkers`";
            problems.push(Problem::error(format!("{pointer}/removeExpiredDeleteMarkers"), message));
        }
        let does = ["expireAfterDays", "expireNoncurrentAfterDays", "abortUploadsAfterDays"];
        let moves = rule.get("transitions").and_then(Value::as_list).is_some_and(|list| !list.is_empty());
        if !does.iter().any(|field| has(field)) && !says("removeExpiredDeleteMarkers") && !moves {
            problems.push(Problem::error(pointer, "the rule does nothing"));
        }
    }
    problems
}

/// `?lifecycle`.
pub fn xml(rules: &[Rule]) -> Element {
    rules.iter().fold(Element::new("LifecycleConfiguration"), |configuration, rule| configuration.with(rule_xml(rule)))
}

fn rule_xml(rule: &Rule) -> Element {
    let tags = rule.tags.iter().map(|(key, value)| Element::new("Tag").text("Key", key).text("Value", value));
    let prefix = rule.prefix.as_deref();
    let mut filter = Element::new("Filter");
    if rule.tags.len() + usize::from(prefix.is_some()) > 1 {
        let both = tags.fold(Element::new("And").maybe("Prefix", prefix), Element::with);
        filter = filter.with(both);
    } else {
        filter = tags.fold(filter, Element::with);
        if rule.tags.is_empty() {
            filter = filter.text("Prefix", prefix.unwrap_or_default());
        }
    }
    let mut element = Element::new("Rule")
        .text("ID", &rule.id)
        .with(filter)
        .text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    for transition in &rule.transitions {
        let moved = Element::new("Transition").text("Days", transition.days);
        element = element.with(moved.text("StorageClass", &transition.storage_class));
    }
    if rule.expire_after_days.is_some() || rule.remove_expired_delete_markers {
        let markers = rule.remove_expired_delete_markers.then_some(true);
        let expiration = Element::new("Expiration").maybe("Days", rule.expire_after_days);
        element = element.with(expiration.maybe("ExpiredObjectDeleteMarker", markers));
    }
    if let Some(days) = rule.expire_noncurrent_after_days {
        let expiration = Element::new("NoncurrentVersionExpiration").text("NoncurrentDays", days);
        element = element.with(expiration.maybe("NewerNoncurrentVersions", rule.keep_noncurrent_versions));
    }
    if let Some(days) = rule.abort_uploads_after_days {
        element = element.with(Element::new("AbortIncompleteMultipartUpload").text("DaysAfterInitiation", days));
    }
    element
}

/// Of `?lifecycle`.
pub fn of_xml(configuration: &Element) -> Value {
    Value::list(configuration.all("Rule").map(|rule| Value::from(rule_of(rule))))
}

fn rule_of(rule: &Element) -> Map {
    let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
    let mut tags = BTreeMap::new();
    // What a rule can say and the spec cannot: it has to show, so that it is not taken for what was asked.
    let mut unsupported = Vec::new();
    let days = |element: &Element, name: &str| element.number(name).filter(|days| *days > 0).map(Value::from);
    let mut filters = vec![rule];
    while let Some(filter) = filters.pop() {
        for part in &filter.children {
            match part.name.as_str() {
                "Filter" | "And" => filters.push(part),
                "Prefix" if !part.text.is_empty() => _ = fields.insert("prefix", part.text.as_str().into()),
                "Tag" => {
                    let text = |name| part.get(name).unwrap_or_default();
                    tags.insert(text("Key").to_owned(), Value::from(text("Value")));
                }
                "ObjectSizeGreaterThan" | "ObjectSizeLessThan" => unsupported.push(part.name.clone()),
                _ => {}
            }
        }
    }
    let mut transitions = Vec::new();
    for part in &rule.children {
        match part.name.as_str() {
            "ID" => _ = fields.insert("id", part.text.as_str().into()),
            "Status" => _ = fields.insert("enabled", (part.text == "Enabled").into()),
            "Expiration" => {
                if let Some(days) = days(part, "Days") {
                    fields.insert("expireAfterDays", days);
                    fields.insert("expiresLiveObjects", true.into());
                }
                if part.is("ExpiredObjectDeleteMarker", "true") {
                    fields.insert("removeExpiredDeleteMarkers", true.into());
                }
                if part.get("Date").is_some_and(|date| !date.is_empty()) {
                    unsupported.push("Expiration/Date".to_owned());
                }
            }
            "NoncurrentVersionExpiration" => {
                if let Some(days) = days(part, "NoncurrentDays") {
                    fields.insert("expireNoncurrentAfterDays", days);
                }
                if let Some(kept) = days(part, "NewerNoncurrentVersions") {
                    fields.insert("keepNoncurrentVersions", kept);
                }
            }
            "AbortIncompleteMultipartUpload" => {
                if let Some(days) = days(part, "DaysAfterInitiation") {
                    fields.insert("abortUploadsAfterDays", days);
                }
            }
            "Transition" if part.number("Days").is_some() => transitions.push(Value::map([
                ("days", Value::from(part.number("Days").unwrap_or_default())),
                ("storageClass", Value::from(part.get("StorageClass").unwrap_or_default())),
            ])),
            "Filter" | "Prefix" => {}
            _ => unsupported.push(part.name.clone()),
        }
    }
    fields.insert("tags", Value::map(tags));
    fields.insert("transitions", Value::list(transitions));
    if !unsupported.is_empty() {
        fields.insert("unsupported", Value::list(unsupported.into_iter().map(Value::from)));
    }
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_core::diagnostics::Severity;

    #[test]
    fn rules_read_back_as_they_were_written_in_any_order() {
        let rules = json!([
            {"id": "d", "prefix": "a/", "tags": {"x": "1", "y": "2"}, "expireAfterDays": 3, "expiresLiveObjects": true},
            {"id": "c", "tags": {"x": "1"}, "enabled": false, "transitions": [{"days": 0, "storageClass": "GLACIER"}]},
            {"id": "b", "prefix": "logs/", "expireNoncurrentAfterDays": 7, "keepNoncurrentVersions": 2},
            {"id": "a", "abortUploadsAfterDays": 1, "removeExpiredDeleteMarkers": true},
        ]);
        let typed: Vec<Rule> = serde_json::from_value(rules.clone()).expect("valid");
        assert_eq!(normalise(&of_xml(&xml(&typed))), normalise(&Value::from(rules)));
    }

    #[test]
    fn what_the_spec_cannot_say_shows() {
        let text = "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Expiration><Date>2030-01-01</Date>\
                    </Expiration></Rule></LifecycleConfiguration>";
        let rules = of_xml(&Element::parse(text.as_bytes()).expect("XML"));
        assert_eq!(rules.pointer("/0/unsupported/0"), Some(&Value::from("Expiration/Date")));
    }

    #[test]
    fn a_rule_that_ends_live_objects_has_to_say_so() {
        let found = |rule: serde_json::Value, versioned| {
            let rules = normalise(&Value::list([Value::from(rule)]));
            let problems = check(rules.as_list().unwrap_or_default(), versioned);
            problems.iter().map(|problem| (problem.severity, problem.pointer.clone())).collect::<Vec<_>>()
        };
        let error = |pointer: &str| vec![(Severity::Error, format!("/lifecycle/0{pointer}"))];
        assert_eq!(found(json!({"id": "a", "expireAfterDays": 3}), true), error("/expireAfterDays"));
        assert_eq!(found(json!({"id": "a", "expireAfterDays": 3, "expiresLiveObjects": true}), false), []);
        assert_eq!(found(json!({"id": "a", "expireNoncurrentAfterDays": 3}), true), []);
        assert_eq!(
            found(json!({"id": "a", "expireNoncurrentAfterDays": 3}), false),
            [(Severity::Warning, "/lifecycle/0".to_owned())]
        );
        assert_eq!(found(json!({"id": "a"}), true), error(""));
        assert_eq!(found(json!({"id": "a", "tags": {"a": "b"}, "abortUploadsAfterDays": 3}), true), error("/tags"));
    }
}
