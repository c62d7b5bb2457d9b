//! What a REST API wants to hear, as data: ready definitions that are compiled in, and those of an estate's own.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use tenantry_core::model::value::{Map, Value};

/// How a type of resource is created, found, changed and deleted.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// Such as `grafana.folder`.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9._-]*$"))]
    pub name: String,
    /// One sentence.
    #[serde(default)]
    pub summary: String,
    /// Placeholders of paths that a resource must provide in its `parameters`.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Where the name of an object is. Absent if it has none and is read by its parent.
    pub name_at: Option<String>,
    /// Whether only the part after the last slash is the name.
    #[serde(default)]
    pub name_is_last_segment: bool,
    /// Whether the body of a creation has the name at `nameAt`.
    #[serde(default = "yes")]
    pub name_in_body: bool,
    /// Where the id of an object is, `{id}` in paths; its name, if absent.
    pub id_at: Option<String>,
    /// Whether only the part after the last slash is the id.
    #[serde(default)]
    pub id_is_last_segment: bool,
    /// Whether each update creates another object with another id, as with versions.
    #[serde(default)]
    pub versioned: bool,
    /// The condition under which the object exists, for an API that also answers if it does not.
    pub present_if: Option<Condition>,
    /// How all objects are listed. Without it each is read separately.
    pub list: Option<ListCall>,
    /// How one object is read, if there is no list or the list has not all fields.
    pub read: Option<ReadCall>,
    pub create: WriteCall,
    /// Without it every change replaces the resource.
    pub update: Option<WriteCall>,
    pub delete: WriteCall,
    /// The request for new one-time secrets. Without it, the resource is replaced to get new ones.
    pub renew: Option<WriteCall>,
    #[serde(default)]
    pub mark: MarkAt,
    /// Pointers into `fields` of values that cannot change.
    #[serde(default)]
    pub immutable: Vec<String>,
    /// Pointers into `fields` of values that the API never returns.
    #[serde(default)]
    pub write_only: Vec<String>,
    /// Pointers into `fields` of values that are masked wherever they are shown.
    #[serde(default)]
    pub sensitive: Vec<String>,
    /// Pointers into `fields` of lists without order; `*` means every item.
    #[serde(default)]
    pub unordered: Vec<String>,
    /// Pointers into `fields` of texts that requests and objects have in Base64.
    #[serde(default)]
    pub base64: Vec<String>,
    /// Pointers to fields of an object that a write sends back, so that the API refuses it if somebody wrote in between.
    #[serde(default)]
    pub carried: Vec<String>,
    /// Fields that are at another place in an object than in a request: pointer into `fields`, pointer into the object.
    #[serde(default)]
    pub read_at: BTreeMap<String, String>,
    /// Whether deleting it destroys data that cannot be recreated.
    #[serde(default = "yes")]
    pub loses_data: bool,
    /// The condition under which it is ready; until then it is pending, without a time limit.
    pub ready: Option<Condition>,
    /// Outputs besides the id: the name in expressions, and the pointer into the object.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// One-time secrets: the name in expressions, and where the API returns it.
    #[serde(default)]
    pub captures: BTreeMap<String, Told>,
    /// Statuses that mean that the object does not exist.
    #[serde(default = "not_found")]
    pub absent: Vec<u16>,
    /// Statuses of a creation that mean that the object already exists.
    #[serde(default = "conflict")]
    pub exists: Vec<u16>,
}

/// Where a one-time secret is returned.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Told {
    /// Pointer into the answer to `create`, and to `renew`.
    pub at: String,
    /// What it is, for people.
    #[serde(default)]
    pub meaning: String,
}

/// A list of objects, page by page.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListCall {
    /// The path of the request.
    pub path: String,
    /// Where the list is in the answer; the answer itself, if empty.
    #[serde(default)]
    pub items_at: String,
    /// How further pages are asked for. One page if absent.
    pub paging: Option<Paging>,
    /// Whether the answer leaves out an empty list, as Google's APIs do. Such an answer must have no other content.
    #[serde(default)]
    pub omits_empty: bool,
    /// Where the answer names what it could not reach: then the list is incomplete.
    pub incomplete_at: Option<String>,
    /// Statuses that mean that the parent does not exist, and so neither do its objects.
    #[serde(default)]
    pub absent: Vec<u16>,
}

/// How the next page is requested.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "by", deny_unknown_fields)]
pub enum Paging {
    /// By number, from one, until a page is not full.
    #[serde(rename_all = "camelCase")]
    Page {
        /// The parameter of the query that takes the page's number, or the token.
        parameter: String,
        /// The parameter that takes the size of a page, if the API has one.
        size_parameter: Option<String>,
        /// How many items a full page has.
        size: usize,
    },
    /// By the value at `nextAt` of the answer: a token or a cursor.
    #[serde(rename_all = "camelCase")]
    Token {
        /// The parameter of the query that takes the page's number, or the token.
        parameter: String,
        /// A pointer to the token of the next page.
        next_at: String,
        /// Whether the last page names a next one as well, which is empty.
        #[serde(default)]
        ends_empty: bool,
    },
    /// By the header `Link` with `rel="next"` (RFC 8288).
    Link,
}

/// One object.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadCall {
    /// The path of the request.
    pub path: String,
    /// Where the object is in the answer; the answer itself, if empty.
    #[serde(default)]
    pub item_at: String,
    /// For objects without name and id: pointer to a field that every such object has, which shows that an answer is one.
    pub known_by: Option<String>,
}

/// A request that changes something.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteCall {
    pub method: Verb,
    /// The path of the request.
    pub path: String,
    /// Where the object is in the body; the body itself, if empty.
    #[serde(default)]
    pub within: String,
    /// Other fields of the body. A text `{parameter}` is replaced.
    #[serde(default)]
    pub body: BTreeMap<String, serde_json::Value>,
    /// Where the object is in the answer.
    #[serde(default)]
    pub item_at: String,
    /// Where the id is in the answer; at `idAt` of the object, if absent. `Location` for the last part of that header.
    pub id_from: Option<String>,
    /// Whether a removed field is sent as null (RFC 7396) or left out.
    #[serde(default)]
    pub removes_by_null: bool,
    /// Whether an update sends only the fields that differ, each as a whole, because sending a field has an effect.
    #[serde(default)]
    pub only_changed: bool,
    /// An operation that continues after the answer.
    pub wait: Option<Wait>,
    /// The header by which the API recognises a repeated request, such as `Idempotency-Key`. Without it, a request whose method
    /// is not idempotent is never sent twice.
    pub idempotency_key: Option<String>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    Post,
    Put,
    Patch,
    Delete,
}

/// How an operation is watched.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// Where the answer names the operation, or with `*` each one of a list; if it names none, there is nothing to wait for.
    pub operation_at: String,
    /// Its path, with `{operation}`.
    pub path: String,
    pub done: Condition,
    /// The condition under which the operation failed.
    pub failed: Option<Condition>,
    /// Where the operation says why it failed.
    pub message_at: Option<String>,
    /// How long to wait, in seconds. After that the resource is pending.
    #[serde(default = "two_minutes")]
    pub seconds: u64,
}

/// A condition on a value of an object.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// A pointer into the object.
    pub at: String,
    /// The allowed values; any value but null and false, if empty.
    #[serde(default)]
    pub is: Vec<serde_json::Value>,
}

/// Where the mark is kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum MarkAt {
    /// On a map of texts: labels, annotations, metadata.
    Map {
        /// A pointer to the map or the text.
        at: String,
        /// The prefix of its keys.
        prefix: String,
    },
    /// In the last line of a text for people.
    Text {
        /// A pointer to the map or the text.
        at: String,
    },
    /// Nowhere on the resource.
    #[default]
    Inventory,
}

fn yes() -> bool {
    true
}

fn not_found() -> Vec<u16> {
    vec![404]
}

fn conflict() -> Vec<u16> {
    vec![409]
}

fn two_minutes() -> u64 {
    120
}

/// The files of ready definitions.
const READY: &[&str] = &[
    include_str!("definitions/neon.branch.toml"),
    include_str!("definitions/neon.endpoint.toml"),
    include_str!("definitions/neon.role.toml"),
    include_str!("definitions/neon.database.toml"),
    include_str!("definitions/cloudrun.service.toml"),
    include_str!("definitions/secretmanager.secret.toml"),
    include_str!("definitions/secretmanager.version.toml"),
    include_str!("definitions/secretmanager.policy.toml"),
    include_str!("definitions/cloudflare.custom_hostname.toml"),
    include_str!("definitions/grafana.folder.toml"),
    include_str!("definitions/grafana.subfolder.toml"),
    include_str!("definitions/grafana.dashboard.toml"),
    include_str!("definitions/grafana.user.toml"),
    include_str!("definitions/webhook.subscription.toml"),
];

static DEFINITIONS: LazyLock<BTreeMap<String, Arc<Definition>>> = LazyLock::new(|| {
    let parse = |text: &&str| toml::from_str::<Definition>(text).expect("a test reads every definition");
    READY.iter().map(parse).map(|definition| (definition.name.clone(), Arc::new(definition))).collect()
});

/// The definition that a spec uses.
///
/// # Errors
/// In words, with the pointer of what is wrong.
pub fn of(spec: &Map) -> Result<Arc<Definition>, (&'static str, String)> {
    match (spec.get("use"), spec.get("definition")) {
        (Some(_), Some(_)) => Err(("/definition", "a resource cannot have both `use` and `definition`".to_owned())),
        (Some(Value::Text(name)), None) => DEFINITIONS.get(&**name).cloned().ok_or_else(|| {
            let known = DEFINITIONS.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            ("/use", format!("there is no definition `{name}`; definitions are {known}"))
        }),
        (None, Some(definition)) => serde_json::from_value(definition.to_json())
            .map(Arc::new)
            .map_err(|error| ("/definition", format!("it is not a valid definition: {error}"))),
        _ => Err(("", "a resource needs `use` or `definition`".to_owned())),
    }
}

impl Condition {
    /// Whether it holds for an object.
    pub fn holds(&self, object: &serde_json::Value) -> bool {
        match object.pointer(&self.at) {
            None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) if self.is.is_empty() => false,
            Some(_) if self.is.is_empty() => true,
            Some(value) => self.is.contains(value),
            None => self.is.contains(&serde_json::Value::Null),
        }
    }
}

impl WriteCall {
    /// Whether sending it twice is sending it once (RFC 9110, 9.2.2).
    pub fn is_repeatable(&self) -> bool {
        matches!(self.method, Verb::Put | Verb::Delete) || self.idempotency_key.is_some()
    }
}

impl Definition {
    /// Whether an object that the API answered counts as there.
    pub fn is_there(&self, object: &serde_json::Value) -> bool {
        self.present_if.as_ref().is_none_or(|condition| condition.holds(object))
    }

    /// What is wrong with it, besides its form.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.list.is_some() && self.name_at.is_none() {
            problems.push("`list` needs `nameAt`, to find objects in it".to_owned());
        }
        if self.renew.is_some() && self.captures.is_empty() {
            problems.push("`renew` needs `captures`, which names the one-time secrets".to_owned());
        }
        if self.versioned && (self.update.is_none() || self.id_at.is_none()) {
            problems.push("`versioned` needs `update` and `idAt`".to_owned());
        }
        let taken = |name: &&String| {
            matches!(name.as_str(), "id" | "use" | "definition" | "name" | "parameters" | "fields" | "rotation")
        };
        for name in self.outputs.keys().chain(self.captures.keys()).filter(taken) {
            problems.push(format!("`{name}` is reserved; give the output another name"));
        }
        for name in self.captures.keys().filter(|name| self.outputs.contains_key(*name)) {
            problems.push(format!("`{name}` is in both `captures` and `outputs`; remove it from one of them"));
        }
        let mut paths = vec![("create", &self.create.path), ("delete", &self.delete.path)];
        paths.extend(self.update.iter().map(|call| ("update", &call.path)));
        paths.extend(self.renew.iter().map(|call| ("renew", &call.path)));
        paths.extend(self.list.iter().map(|call| ("list", &call.path)));
        paths.extend(self.read.iter().map(|call| ("read", &call.path)));
        let bodies =
            [Some(&self.create), self.update.as_ref()].into_iter().flatten().flat_map(|call| call.body.values());
        for name in bodies.filter_map(|value| filled_in(value.as_str()?)) {
            if !self.parameters.iter().any(|parameter| parameter == name) {
                problems.push(format!("a body has {{{name}}}, which is not a parameter"));
            }
        }
        for (what, path) in paths {
            if !path.starts_with('/') || path.starts_with("//") {
                problems.push(format!("the path of `{what}` must begin with one slash"));
            }
            for placeholder in placeholders(path) {
                let is_own = matches!(placeholder, "name" | "id" | "changed");
                if !is_own && !self.parameters.iter().any(|parameter| parameter == placeholder) {
                    problems.push(format!("the path of `{what}` has {{{placeholder}}}, which is not a parameter"));
                }
            }
        }
        if self.list.is_none() && self.read.is_none() {
            problems.push("`list` or `read` is needed to observe objects".to_owned());
        }
        if self.name_at.is_none()
            && self.id_at.is_none()
            && self.read.as_ref().is_some_and(|read| read.known_by.is_none())
        {
            problems
                .push("`nameAt`, `idAt` or `read.knownBy` is needed to recognise an object in an answer".to_owned());
        }
        if self.list.is_none()
            && self.read.as_ref().is_some_and(|read| read.path.contains("{id}"))
            && self.id_at.is_some()
        {
            problems.push("`read` cannot use {id} without `list`, because only a list finds an id that the API generates; use {name}".to_owned());
        }
        problems
    }
}

/// The name that a text of nothing but `{name}` stands for.
pub fn filled_in(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}')
}

/// The names in braces of a path.
pub fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_definition_is_sound() {
        for text in READY {
            let definition: Definition = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(definition.problems(), [""; 0], "{}", definition.name);
            assert!(!definition.summary.is_empty());
        }
        assert_eq!(DEFINITIONS.len(), READY.len());
    }

    #[test]
    fn a_condition_is_about_a_value() {
        let object = serde_json::json!({"done": true, "state": "READY", "nothing": null});
        let holds =
            |at: &str, is: &[serde_json::Value]| Condition { at: at.to_owned(), is: is.to_vec() }.holds(&object);
        assert!(
            holds("/done", &[]) && holds("/state", &["READY".into()]) && holds("/nothing", &[serde_json::Value::Null])
        );
        assert!(!holds("/nothing", &[]) && !holds("/other", &[]) && !holds("/state", &["FAILED".into()]));
    }
}
