//! The value of a resource's spec: compact, shared, and explicit about values that are not known yet.
//!
//! A plan of ten thousand tenants holds several values per resource, most of them alike. Texts, lists and maps are therefore
//! reference-counted, so that a literal of a blueprint exists once, and maps are sorted slices, which are a tenth of the size
//! of a tree for the handful of fields that a spec has. It also has two things that JSON cannot express: a secret, which is
//! only a reference, and an output of another resource, which is known when that resource exists. Both are [`Deferred`].

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub use super::deferred::{Deferred, Part};

/// A JSON-like value that may have deferred parts.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    List(Arc<[Value]>),
    Map(Arc<Map>),
    /// A text whose parts are not all known: it refers to a secret or to an output of another resource.
    Deferred(Arc<Deferred>),
}

/// Fields sorted by name.
#[derive(Clone, PartialEq, Default)]
pub struct Map(Box<[(Arc<str>, Value)]>);

impl Map {
    /// Builds a map; of two fields with one name the later wins.
    pub fn from_fields(fields: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        if !fields.is_sorted_by(|a, b| a.0 < b.0) {
            fields = fields.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
        }
        Self(fields.into_boxed_slice())
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.binary_search_by(|(key, _)| (**key).cmp(name)).ok().map(|index| &self.0[index].1)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This map with one field set.
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Self {
        let mut fields: BTreeMap<Arc<str>, Value> = self.0.iter().cloned().collect();
        fields.insert(name.into(), value);
        Self(fields.into_iter().collect())
    }

    /// This map without one field.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(key, _)| &**key != name).cloned().collect())
    }

    /// This map with every field of `over` merged over it, and nested maps likewise.
    #[must_use]
    pub fn overlaid(&self, over: &Map) -> Self {
        let mut fields: BTreeMap<Arc<str>, Value> = self.0.iter().cloned().collect();
        for (key, value) in over.iter() {
            let merged = match (fields.get(key), value) {
                (Some(Value::Map(below)), Value::Map(above)) => Value::Map(Arc::new(below.overlaid(above))),
                _ => value.clone(),
            };
            fields.insert(key.clone(), merged);
        }
        Self(fields.into_iter().collect())
    }
}

impl FromIterator<(Arc<str>, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(fields: I) -> Self {
        Self::from_fields(fields)
    }
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(items.into_iter().collect())
    }

    pub fn map<K: Into<Arc<str>>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Arc::new(Map::from_fields(fields.into_iter().map(|(key, value)| (key.into(), value)))))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The field `name`, if this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(name))
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, token| match value {
            Self::Map(map) => map.get(&unescape_token(token)),
            Self::List(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// This value with the one at a JSON pointer replaced; parents that are missing are made as maps.
    #[must_use]
    pub fn with_pointer(&self, pointer: &str, value: Value) -> Value {
        let Some(rest) = pointer.strip_prefix('/') else { return value };
        let (token, rest) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        match self {
            Self::List(items) => {
                let mut items = items.to_vec();
                if let Some(item) = token.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                    *item = item.with_pointer(rest, value);
                }
                Self::List(items.into())
            }
            other => {
                let token = unescape_token(token);
                let empty = Map::default();
                let map = other.as_map().unwrap_or(&empty);
                let child = map.get(&token).unwrap_or(&Value::Null).with_pointer(rest, value);
                Self::Map(Arc::new(map.with(&token, child)))
            }
        }
    }

    /// Calls `visit` with every value that is neither a list nor a map, and its JSON pointer.
    pub fn for_each_leaf(&self, visit: &mut impl FnMut(&str, &Value)) {
        self.for_each(&|value| !matches!(value, Self::Map(_) | Self::List(_)), visit);
    }

    /// Calls `visit` with every value that `is_leaf` takes for one or that is neither a list nor a map, and its JSON pointer.
    pub fn for_each(&self, is_leaf: &impl Fn(&Value) -> bool, visit: &mut impl FnMut(&str, &Value)) {
        fn walk(
            value: &Value,
            pointer: &mut String,
            is_leaf: &impl Fn(&Value) -> bool,
            visit: &mut impl FnMut(&str, &Value),
        ) {
            let length = pointer.len();
            match value {
                leaf if is_leaf(leaf) => visit(pointer, leaf),
                Value::Map(map) => {
                    for (key, value) in map.iter() {
                        push_token(pointer, key);
                        walk(value, pointer, is_leaf, visit);
                        pointer.truncate(length);
                    }
                }
                Value::List(items) => {
                    for (index, value) in items.iter().enumerate() {
                        push_token(pointer, &index.to_string());
                        walk(value, pointer, is_leaf, visit);
                        pointer.truncate(length);
                    }
                }
                leaf => visit(pointer, leaf),
            }
        }
        walk(self, &mut String::new(), is_leaf, visit);
    }

    /// This value with each number in its one form: JSON does not tell 49.0 from 49, and a server that is given the one may
    /// return the other.
    #[must_use]
    pub fn with_whole_numbers(&self) -> Self {
        fn whole(number: f64) -> Option<i64> {
            // Beyond it, not every integer has a form as a float.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
            (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
        }
        fn has_whole(value: &Value) -> bool {
            match value {
                Value::Float(number) => whole(*number).is_some(),
                Value::List(items) => items.iter().any(has_whole),
                Value::Map(map) => map.iter().any(|(_, value)| has_whole(value)),
                _ => false,
            }
        }
        match self {
            Self::Float(number) => whole(*number).map_or_else(|| self.clone(), Self::Integer),
            Self::List(items) if has_whole(self) => Self::list(items.iter().map(Self::with_whole_numbers)),
            Self::Map(map) if has_whole(self) => {
                Self::map(map.iter().map(|(name, value)| (name.clone(), value.with_whole_numbers())))
            }
            other => other.clone(),
        }
    }

    /// Whether any part is deferred.
    pub fn has_deferred(&self) -> bool {
        match self {
            Self::Deferred(_) => true,
            Self::List(items) => items.iter().any(Value::has_deferred),
            Self::Map(map) => map.iter().any(|(_, value)| value.has_deferred()),
            _ => false,
        }
    }

    /// Whether a secret is among its parts.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Deferred(deferred) => deferred.has_secret(),
            Self::List(items) => items.iter().any(Value::has_secret),
            Self::Map(map) => map.iter().any(|(_, value)| value.has_secret()),
            _ => false,
        }
    }

    /// This value with every deferred part replaced by the result of `resolve`.
    ///
    /// # Errors
    /// The first error of `resolve`.
    pub fn try_map_deferred<E>(&self, resolve: &mut impl FnMut(&Deferred) -> Result<Value, E>) -> Result<Value, E> {
        Ok(match self {
            Self::Deferred(deferred) => resolve(deferred)?,
            Self::List(items) if self.has_deferred() => {
                Self::List(items.iter().map(|item| item.try_map_deferred(resolve)).collect::<Result<_, _>>()?)
            }
            Self::Map(map) if self.has_deferred() => Self::Map(Arc::new(Map(map
                .0
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.try_map_deferred(resolve)?)))
                .collect::<Result<_, E>>()?))),
            other => other.clone(),
        })
    }

    /// The word for this value's type, as a message uses it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "number",
            Self::Text(_) => "text",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Deferred(deferred) if deferred.has_secret() => "secret",
            Self::Deferred(_) => "value known after apply",
        }
    }

    /// As JSON, with a deferred value as the text that describes it.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(text) => serde_json::Value::String(text.to_string()),
            Self::List(items) => items.iter().map(Value::to_json).collect(),
            Self::Map(map) => {
                serde_json::Value::Object(map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect())
            }
            Self::Deferred(deferred) => serde_json::Value::String(deferred.to_string()),
        }
    }

    /// The total order used wherever a list has no order of its own.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.to_json().to_string().cmp(&other.to_json().to_string()),
        }
    }

    /// This list sorted and without repetitions; anything else as it is.
    #[must_use]
    pub fn as_set(&self) -> Value {
        match self {
            Self::List(items) => {
                let mut items = items.to_vec();
                items.sort_by(Value::compare);
                items.dedup();
                Self::List(items.into())
            }
            other => other.clone(),
        }
    }
}

/// Whether a pointer is `at`, or points to a part of it.
pub fn is_within(pointer: &str, at: &str) -> bool {
    pointer.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Appends one reference token to a JSON pointer.
pub fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// `a text`, `an integer`.
pub fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// A JSON pointer as a sentence has it: `/columns/max_users` is `columns.max_users`.
pub fn readable_pointer(pointer: &str) -> String {
    pointer.split('/').skip(1).map(unescape_token).collect::<Vec<_>>().join(".")
}

/// A reference token of a JSON pointer as the name it stands for.
pub fn unescape_token(token: &str) -> std::borrow::Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.to_json())
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Self::Integer(integer),
                (None, Some(float)) => Self::Float(float),
                (None, None) => Self::text(number.to_string()),
            },
            serde_json::Value::String(text) => Self::text(text.as_str()),
            serde_json::Value::Array(items) => items.iter().map(Value::from).collect::<Vec<_>>().into(),
            serde_json::Value::Object(fields) => {
                Self::map(fields.iter().map(|(key, value)| (key.as_str(), Value::from(value))))
            }
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        Self::from(&json)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items.into())
    }
}

impl schemars::JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "Any JSON value; a secret is written as the text `secret(owner/name, vN)`."})
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
            Self::Deferred(deferred) => serializer.collect_str(deferred),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }
            #[expect(clippy::cast_precision_loss, reason = "a number beyond 64 bits has no exact form")]
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }
            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0));
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
                let mut map = Vec::with_capacity(fields.size_hint().unwrap_or(0));
                while let Some((key, value)) = fields.next_entry::<Arc<str>, Value>()? {
                    map.push((key, value));
                }
                Ok(Value::Map(Arc::new(Map::from_fields(map))))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        serde_json::json!({"b": [1, {"c": "x"}], "a": {"d/e": true}}).into()
    }

    #[test]
    fn a_number_has_one_form() {
        let written = serde_json::json!({"a": 49.0, "b": [1.5, -2.0, {"c": 0.0}], "d": 1e300, "e": "1.0", "f": 7});
        let whole = serde_json::json!({"a": 49, "b": [1.5, -2, {"c": 0}], "d": 1e300, "e": "1.0", "f": 7});
        assert_eq!(Value::from(&written).with_whole_numbers().to_json(), whole);
        assert_eq!(Value::from(&whole).with_whole_numbers().to_json(), whole);
    }

    #[test]
    fn a_pointer_finds_what_it_set() {
        let value = sample().with_pointer("/b/1/c", "y".into()).with_pointer("/new/deep", 7.into());
        assert_eq!(value.pointer("/b/1/c"), Some(&"y".into()));
        assert_eq!(value.pointer("/new/deep"), Some(&Value::Integer(7)));
        assert_eq!(value.pointer("/a/d~1e"), Some(&Value::Bool(true)));
        assert_eq!(value.pointer("/b/7"), None);
    }

    #[test]
    fn json_survives_the_round_trip() {
        let text = serde_json::to_string(&sample()).expect("values serialize");
        assert_eq!(text, r#"{"a":{"d/e":true},"b":[1,{"c":"x"}]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("own output parses"), sample());
    }

    #[test]
    fn overlaying_merges_maps_and_replaces_the_rest() {
        let below = sample();
        let over: Value = serde_json::json!({"b": [], "a": {"z": 1}}).into();
        let merged = below.as_map().expect("map").overlaid(over.as_map().expect("map"));
        assert_eq!(Value::from(merged).to_json(), serde_json::json!({"a": {"d/e": true, "z": 1}, "b": []}));
    }
}
