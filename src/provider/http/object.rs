//! An object of an API as a spec, and a spec as the body of a request.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use super::definition::{Definition, MarkAt, Verb, WriteCall, filled_in};
use super::mark;
use crate::failure::Failure;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::StepAction;

/// The name of an object.
pub fn name_of(definition: &Definition, object: &Json) -> Option<String> {
    let name = text_at(object, definition.name_at.as_ref()?)?;
    if definition.name_is_last_segment {
        return name.rsplit('/').next().map(str::to_owned);
    }
    Some(name)
}

/// The id of an object, as paths want it.
pub fn id_of(definition: &Definition, object: &Json) -> Option<String> {
    let id = match &definition.id_at {
        Some(at) => text_at(object, at),
        None => name_of(definition, object),
    }?;
    if definition.id_is_last_segment {
        return id.rsplit('/').next().map(str::to_owned);
    }
    Some(id)
}

/// Whether what an answer has is the object itself, and not something said about it.
pub fn is_object(definition: &Definition, object: &Json) -> bool {
    let identifies = if definition.name_at.is_some() { name_of } else { id_of };
    identifies(definition, object).is_some()
}

/// What an object tells of itself once it exists.
pub fn outputs(definition: &Definition, object: &Json) -> Vec<(Arc<str>, Value)> {
    let id = id_of(definition, object).map(|id| ("id".into(), id.into()));
    let others = definition.outputs.iter();
    let others = others.filter_map(|(name, at)| Some((name.as_str().into(), Value::from(object.pointer(at)?))));
    id.into_iter().chain(others.filter(|(_, value)| !value.is_null())).collect()
}

/// A text or a number.
pub fn text_at(object: &Json, at: &str) -> Option<String> {
    match object.pointer(at)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts and numbers that a pattern leads to.
pub fn texts_at(object: &Json, pattern: &str) -> Vec<String> {
    match pattern.split_once("/*") {
        None => text_at(object, pattern).into_iter().collect(),
        Some((list, rest)) => {
            let items = object.pointer(list).and_then(Json::as_array);
            items.into_iter().flatten().flat_map(|item| texts_at(item, rest)).collect()
        }
    }
}

/// What fills a placeholder of a path.
pub fn placeholder<'a>(spec: &'a Map, id: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    match name {
        "name" => spec.get("name").and_then(Value::as_str).map(Cow::Borrowed),
        "id" => id.map(Cow::Borrowed),
        other => spec.get("parameters")?.get(other)?.as_str().map(Cow::Borrowed),
    }
}

/// What is there, in the form of what is wanted there.
pub fn present(definition: &Definition, mut object: Json, spec: &Map) -> Present {
    let outputs = outputs(definition, &object);
    let pending = definition.ready.as_ref().filter(|ready| !ready.holds(&object)).map(|ready| {
        let state = text_at(&object, &ready.at).unwrap_or_else(|| "not told".to_owned());
        format!("{} is {state}", tenantry_core::model::value::readable_pointer(&ready.at)).into()
    });
    for (field, at) in &definition.read_at {
        if let Some(value) = object.pointer(at).cloned() {
            set(&mut object, field, value);
        }
    }
    let mark = mark::take(&definition.mark, &mut object);
    for pointer in &definition.base64 {
        let text = object.pointer(pointer).and_then(Json::as_str).and_then(|text| BASE64.decode(text).ok());
        if let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) {
            set(&mut object, pointer, text.into());
        }
    }
    let wanted = spec.get("fields").cloned().unwrap_or_default();
    let mut fields = aligned(&in_order(definition, Value::from(&object), ""), &wanted, false);
    for pointer in &definition.write_only {
        if let Some(wanted) = wanted.pointer(pointer) {
            fields = fields.with_pointer(pointer, wanted.clone());
        }
    }
    Present {
        spec: spec.with("fields", fields).into(),
        mark,
        outputs: Arc::new(Map::from_fields(outputs)),
        pending,
        ..Present::default()
    }
}

/// A value whose lists without an order are sorted; `prefix` is the pointer of the fields in it.
pub fn in_order(definition: &Definition, value: Value, prefix: &str) -> Value {
    definition.unordered.iter().fold(value, |mut value, pattern| {
        for pointer in places(&value, prefix, pattern) {
            if let Some(list) = value.pointer(&pointer).map(Value::as_set) {
                value = value.with_pointer(&pointer, list);
            }
        }
        value
    })
}

/// The pointers that a pattern stands for: `*` is every item of a list.
fn places(value: &Value, prefix: &str, pattern: &str) -> Vec<String> {
    let Some((before, after)) = pattern.split_once("/*") else { return vec![format!("{prefix}{pattern}")] };
    let list = format!("{prefix}{before}");
    let count = value.pointer(&list).and_then(Value::as_list).map_or(0, <[Value]>::len);
    (0..count).flat_map(|index| places(value, &format!("{list}/{index}"), after)).collect()
}

/// An observed value in the spelling of the wanted one. In a list, which is compared as a whole, an item keeps the fields that
/// are asked for, because an API fills in others; numbers may come as texts.
fn aligned(observed: &Value, wanted: &Value, in_list: bool) -> Value {
    match (observed, wanted) {
        (Value::Map(observed), Value::Map(wanted)) => {
            let kept = observed.iter().filter(|(name, _)| !in_list || wanted.contains(name));
            Value::map(kept.map(|(name, value)| {
                let value = wanted.get(name).map_or_else(|| value.clone(), |wanted| aligned(value, wanted, in_list));
                (name.clone(), value)
            }))
        }
        (Value::List(observed), Value::List(wanted)) if observed.len() == wanted.len() => {
            Value::list(observed.iter().zip(wanted.iter()).map(|(observed, wanted)| aligned(observed, wanted, true)))
        }
        (Value::Text(text), Value::Integer(number)) if **text == *number.to_string() => wanted.clone(),
        (Value::Integer(number), Value::Text(text)) if **text == *number.to_string() => wanted.clone(),
        (observed, _) => observed.clone(),
    }
}

/// Sets a value in JSON; parents that are missing are made as objects.
pub fn set(json: &mut Json, pointer: &str, value: Json) {
    let mut place = json;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        place = match place {
            Json::Array(items) => match token.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            other => {
                if !other.is_object() {
                    *other = Json::Object(serde_json::Map::new());
                }
                &mut other[token]
            }
        };
    }
    *place = value;
}

fn remove(json: &mut Json, pointer: &str) {
    let Some((parent, token)) = pointer.rsplit_once('/') else { return };
    if let Some(parent) = json.pointer_mut(parent).and_then(Json::as_object_mut) {
        parent.remove(&token.replace("~1", "/").replace("~0", "~"));
    }
}

/// `over` laid over `below`, maps within maps likewise.
fn overlaid(below: &Json, over: &Json) -> Json {
    let (Json::Object(below), Json::Object(over)) = (below, over) else { return over.clone() };
    let mut merged = below.clone();
    for (name, value) in over {
        let value = below.get(name).map_or_else(|| value.clone(), |below| overlaid(below, value));
        merged.insert(name.clone(), value);
    }
    Json::Object(merged)
}

/// The body of a request that makes an object, or brings one to what a spec says.
pub fn body(
    definition: &Definition,
    call: &WriteCall,
    action: &StepAction,
    current: Option<&Json>,
    mark: &Mark,
) -> Json {
    let (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }) = action else { return Json::Null };
    let wanted = spec.get("fields").map_or_else(|| Json::Object(serde_json::Map::new()), Value::to_json);
    let mut object = wanted.clone();
    if let (Some(current), Some(fields)) = (current, object.as_object_mut()) {
        // Maps are owned key by key: what else is in them stays.
        for (name, value) in fields.iter_mut() {
            if let Some(below) = current.get(name) {
                *value = overlaid(below, value);
            }
        }
        if let MarkAt::Map { at, .. } | MarkAt::Text { at } = &definition.mark
            && wanted.pointer(at).is_none()
            && let Some(there) = current.pointer(at)
        {
            let mut there = there.clone();
            if let Json::String(text) = &there {
                // Without the mark that is on it already.
                let mut whole = Json::Null;
                set(&mut whole, at, text.clone().into());
                mark::take(&definition.mark, &mut whole);
                there = whole.pointer(at).cloned().unwrap_or_default();
            }
            set(&mut object, at, there);
        }
        for pointer in &definition.immutable {
            remove(&mut object, pointer);
        }
    }
    if let StepAction::Update { removed, .. } = action {
        for pointer in removed.iter().filter_map(|pointer| pointer.strip_prefix("/fields")) {
            remove(&mut object, pointer);
            if call.removes_by_null {
                set(&mut object, pointer, Json::Null);
            }
        }
    }
    if let Some(name_at) = definition.name_at.as_ref().filter(|_| definition.name_in_body && call.method != Verb::Patch)
    {
        set(&mut object, name_at, spec.get("name").map(Value::to_json).unwrap_or_default());
    }
    mark::put(&definition.mark, &mut object, mark);
    if call.only_changed
        && let (StepAction::Update { .. }, Some(fields)) = (action, object.as_object_mut())
    {
        let changed = changed_names(definition, action);
        fields.retain(|name, _| changed.contains(name));
    }
    for pointer in &definition.base64 {
        if let Some(text) = object.pointer(pointer).and_then(Json::as_str).map(|text| BASE64.encode(text)) {
            set(&mut object, pointer, text.into());
        }
    }
    let mut body = fixed(call, spec);
    let below = body.pointer(&call.within).map_or_else(|| object.clone(), |below| overlaid(below, &object));
    set(&mut body, &call.within, below);
    body
}

/// What the body of a request has besides the object.
pub fn fixed(call: &WriteCall, spec: &Map) -> Json {
    let more = call.body.iter().map(|(name, value)| {
        let parameter = value.as_str().and_then(filled_in);
        let value = match parameter.and_then(|parameter| placeholder(spec, None, parameter)) {
            Some(text) => text.as_ref().into(),
            None => value.clone(),
        };
        (name.clone(), value)
    });
    Json::Object(more.collect())
}

/// Puts on a body what the API wants back of what is there.
pub fn carry(definition: &Definition, call: &WriteCall, body: &mut Json, there: Option<&Json>) {
    for pointer in &definition.carried {
        if let Some(value) = there.and_then(|there| there.pointer(pointer)) {
            set(body, &format!("{}{pointer}", call.within), value.clone());
        }
    }
}

/// The names of fields that an update changes, for APIs that want to be told.
pub fn changed(definition: &Definition, body: &Json, action: &StepAction) -> String {
    let mut names: Vec<String> = body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    if let StepAction::Update { .. } = action {
        names = changed_names(definition, action);
    }
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// The fields that an update changes, with that of the mark.
pub fn changed_names(definition: &Definition, action: &StepAction) -> Vec<String> {
    let StepAction::Update { spec, before, changed, removed, .. } = action else { return Vec::new() };
    let top = |pointer: &String| pointer.strip_prefix("/fields/")?.split('/').next().map(str::to_owned);
    let mut names: Vec<String> = changed.iter().chain(removed).filter_map(top).collect();
    if changed.iter().any(|pointer| pointer == "/fields") {
        let fields = |spec: &Map| spec.get("fields").and_then(Value::as_map).cloned().unwrap_or_default();
        let (wanted, there) = (fields(spec), fields(&before.spec));
        let differing = wanted.iter().filter(|(name, value)| !there.get(name).is_some_and(|there| holds(there, value)));
        names.extend(differing.map(|(name, _)| name.to_string()));
    }
    if let MarkAt::Map { at, .. } | MarkAt::Text { at } = &definition.mark {
        names.extend(at.split('/').nth(1).map(str::to_owned));
    }
    names
}

/// Whether a value has all that is wanted of it. A map may have more.
fn holds(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Map(there), Value::Map(wanted)) => {
            wanted.iter().all(|(name, wanted)| there.get(name).is_some_and(|there| holds(there, wanted)))
        }
        (there, wanted) => there == wanted,
    }
}

/// Nothing but what a request refused can be about.
pub fn nameless() -> Failure {
    Failure::Unreadable("the API returned an object without a name or an id".to_owned())
}
