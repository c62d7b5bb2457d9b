//! Lists → observations. What shares a definition and its parameters shares one list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value as Json;

use crate::api::{Api, Reply, fill};
use crate::definition::{self, Definition, ListCall, Paging};
use crate::failure::{Failed as _, Failure};
use crate::object::{id_of, is_object, name_of, nameless, placeholder, present, text_at};
use crate::types;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};
use tenantry_transport::{Method, Pages, Url};

pub struct HttpReader {
    api: Arc<Api>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// Objects by name.
pub type Objects = HashMap<String, Vec<Json>>;

/// What shares one list.
struct Group<'a> {
    definition: Arc<Definition>,
    /// One of the specs, for the parameters.
    spec: &'a Map,
    subjects: Vec<(&'a Identity, &'a Map)>,
}

/// What tells groups apart: the definition and its parameters.
pub fn group_key(definition: &Definition, spec: &Map) -> String {
    let parameters = spec.get("parameters").map(Value::to_json).unwrap_or_default();
    let inline = spec.get("definition").map(Value::to_json).unwrap_or_default();
    format!("{}\n{parameters}\n{inline}", definition.name)
}

/// Every object of a list, page after page.
///
/// # Errors
/// If any page fails: part of a list is no list.
pub async fn list(api: &Api, definition: &Definition, spec: &Map) -> Result<Objects, Failure> {
    let mut objects = Objects::new();
    let Some(call) = &definition.list else { return Ok(objects) };
    let path = fill(&call.path, |name| placeholder(spec, None, name))?;
    let unreadable = |why: String| Failure::Unreadable(format!("the answer to {path} {why}"));
    let mut first = api.url(&path)?;
    if let Some(Paging::Page { size_parameter: Some(parameter), size, .. }) = &call.paging {
        first.query_pairs_mut().append_pair(parameter, &size.to_string());
    }
    let mut url = first.clone();
    let mut pages = Pages::default();
    for page in 1.. {
        let reply = api.call(Method::GET, url.clone(), None, None).await?;
        // Of a later page it says that the list has changed, or that the link leads nowhere.
        if page == 1 && reply.says_absent(&call.absent) {
            return Ok(Objects::new());
        }
        let reply = api.done(reply)?;
        let items =
            items(call, &reply.json).ok_or_else(|| unreadable(format!("has no list at \"{}\"", call.items_at)))?;
        let incomplete = call.incomplete_at.as_ref().and_then(|at| reply.json.pointer(at));
        if let Some(left_out) = incomplete.filter(|left_out| !is_nothing(left_out)) {
            return Err(unreadable(format!("is not the complete list: the API could not reach {left_out}")));
        }
        for item in items.iter().filter(|item| definition.is_there(item)) {
            let name = name_of(definition, item).ok_or_else(nameless)?;
            objects.entry(name).or_default().push(item.clone());
        }
        let Some(next) = next(api, call, &first, page, &reply, items.len())? else { break };
        pages
            .turn(items.iter().map(Json::to_string), next.as_str())
            .map_err(|endless| Failure::Unreadable(format!("{path}: {endless}")))?;
        url = next;
    }
    Ok(objects)
}

/// Where the page after this one is; nothing after the last.
fn next(
    api: &Api,
    call: &ListCall,
    first: &Url,
    page: usize,
    reply: &Reply,
    count: usize,
) -> Result<Option<Url>, Failure> {
    let with = |parameter: &str, value: &str| {
        let mut next = first.clone();
        next.query_pairs_mut().append_pair(parameter, value);
        next
    };
    Ok(match &call.paging {
        None => None,
        Some(Paging::Page { parameter, size, .. }) => {
            (count >= *size).then(|| with(parameter, &(page + 1).to_string()))
        }
        Some(Paging::Token { parameter, next_at, ends_empty }) => {
            let token = text_at(&reply.json, next_at).filter(|token| !token.is_empty());
            token.filter(|_| !ends_empty || count > 0).map(|token| with(parameter, &token))
        }
        Some(Paging::Link) => reply.next.as_deref().map(|next| api.answered(next)).transpose()?,
    })
}

/// The items of an answer.
fn items<'a>(call: &ListCall, json: &'a Json) -> Option<&'a [Json]> {
    match json.pointer(&call.items_at) {
        Some(Json::Array(items)) => Some(items),
        None if call.omits_empty && says_nothing_else(call, json) => Some(&[]),
        _ => None,
    }
}

/// Whether an answer without a list says nothing at all, but where the next page is. One that says something is about
/// something else.
fn says_nothing_else(call: &ListCall, json: &Json) -> bool {
    let token = match &call.paging {
        Some(Paging::Token { next_at, .. }) => next_at.split('/').nth(1),
        _ => None,
    };
    json.as_object()
        .is_some_and(|fields| fields.iter().all(|(name, value)| Some(&**name) == token || is_nothing(value)))
}

/// Whether a value is the one that a field has without being set (proto3).
fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(is) => !is,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
    }
}

/// One object, read by itself; `None` if there is none. Whether it counts as there its definition says.
///
/// # Errors
/// If that could not be told.
pub async fn read(api: &Api, definition: &Definition, spec: &Map, id: Option<&str>) -> Result<Option<Json>, Failure> {
    let Some(call) = &definition.read else { return Ok(None) };
    let path = fill(&call.path, |name| placeholder(spec, id, name))?;
    let reply = api.call(Method::GET, api.url(&path)?, None, None).await?;
    if reply.says_absent(&definition.absent) {
        return Ok(None);
    }
    let reply = api.done(reply)?;
    let unreadable =
        |what: &str| Failure::Unreadable(format!("the answer to {path} has {what} at \"{}\"", call.item_at));
    let object = reply.json.pointer(&call.item_at).filter(|object| object.is_object());
    let object = object.ok_or_else(|| unreadable("no object"))?;
    let is_known = match &call.known_by {
        Some(at) => object.pointer(at).is_some(),
        None => is_object(definition, object),
    };
    let is_asked = definition.name_at.is_none()
        || name_of(definition, object).as_deref() == spec.get("name").and_then(Value::as_str);
    match is_known && is_asked {
        true => Ok(Some(object.clone())),
        false => Err(unreadable("another object than the requested one")),
    }
}

/// The object of a spec's name.
///
/// # Errors
/// If there are several, or it could not be told.
pub async fn find(api: &Api, definition: &Definition, spec: &Map, objects: &Objects) -> Result<Option<Json>, Failure> {
    let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
    let listed = match (definition.list.is_some(), objects.get(name).map(Vec::as_slice)) {
        (true, None | Some([])) => return Ok(None),
        (true, Some([_, _, ..])) => {
            return Err(Failure::conflict(format!("several objects have the name `{name}`; keep one of them")));
        }
        (true, Some([one])) => Some(one),
        (false, _) => None,
    };
    match (&definition.read, listed) {
        (None, listed) => Ok(listed.cloned()),
        (Some(_), listed) => {
            let id = listed.and_then(|object| id_of(definition, object));
            read(api, definition, spec, id.as_deref()).await
        }
    }
}

impl HttpReader {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, kinds: types::kinds().into_iter().map(|kind| (kind.name, kind)).collect() }
    }

    async fn group(&self, kind: &Kind, group: Group<'_>, estate: &str) -> Vec<(Identity, Observed)> {
        let Group { definition, spec, subjects } = group;
        let unknown = |failure: &Failure| {
            Observed::Unknown(format!("reading {} at {}: {failure}", definition.name, self.api.location()).into())
        };
        let objects = match list(&self.api, &definition, spec).await {
            Ok(objects) => objects,
            Err(failure) => {
                return subjects.iter().map(|(identity, _)| (Identity::clone(identity), unknown(&failure))).collect();
            }
        };
        let seen = |object: Json, spec: &Map| {
            let mut found = present(&definition, object, spec);
            found.spec = Arc::new(kind.canonical(&found.spec));
            Observed::Present(found)
        };
        let answers = subjects.iter().map(async |(identity, spec)| {
            let observed = match find(&self.api, &definition, spec, &objects).await {
                Ok(Some(object)) if definition.is_there(&object) => seen(object, spec),
                Ok(_) => Observed::Absent,
                Err(failure) => unknown(&failure),
            };
            (Identity::clone(identity), observed)
        });
        let mut answers = join_all(answers).await;
        // What carries our mark and nobody asks for.
        let asked: std::collections::HashSet<Identity> = answers.iter().map(|(identity, _)| identity.clone()).collect();
        for (name, objects) in &objects {
            let [object] = objects.as_slice() else { continue };
            let spec = spec.with("name", name.as_str().into()).with("fields", Map::default().into());
            let Some(identity) = kind.identity_of(&kind.normal(&spec)).filter(|identity| !asked.contains(identity))
            else {
                continue;
            };
            let observed = seen(object.clone(), &spec);
            if matches!(&observed, Observed::Present(found) if found.mark.as_ref().is_some_and(|mark| mark.is_of(estate)))
            {
                answers.push((identity, observed));
            }
        }
        answers
    }
}

#[async_trait]
impl Reader for HttpReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let mut observations: BTreeMap<&'static str, KindObservation> = BTreeMap::new();
        let mut groups: BTreeMap<(&'static str, String), Group<'_>> = BTreeMap::new();
        let wanted = request.wanted.iter().flat_map(|(kind, wanted)| {
            wanted.iter().filter_map(|desired| Some((*kind, desired.identity.as_ref()?, &*desired.spec)))
        });
        let known = request
            .known
            .iter()
            .flat_map(|(kind, known)| known.iter().map(|known| (*kind, known.identity, &known.spec)));
        for kind in request.wanted.keys().chain(request.known.keys()) {
            observations.entry(kind).or_default();
        }
        for (kind, identity, spec) in wanted.chain(known) {
            match definition::of(spec) {
                Ok(definition) => {
                    let key = (kind, group_key(&definition, spec));
                    let group = groups.entry(key).or_insert_with(|| Group { definition, spec, subjects: Vec::new() });
                    group.subjects.push((identity, spec));
                }
                Err((_, reason)) => {
                    let observation = observations.entry(kind).or_default();
                    observation.resources.insert(identity.clone(), Observed::Unknown(reason.into()));
                }
            }
        }
        let answers = join_all(groups.into_iter().filter_map(|((name, _), group)| {
            let kind = self.kinds.get(name)?;
            Some(async move { (name, self.group(kind, group, request.estate).await) })
        }));
        for (kind, answers) in answers.await {
            observations.entry(kind).or_default().resources.extend(answers);
        }
        observations
    }

    /// The address that paths are appended to, in which an API often has the account: what else it is nobody knows.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        Ok(Fingerprint::new(format!("address {}", self.api.location())))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.api.location();
        let failed = |failure: Failure| failure.into_provider_error(format!("asking the API at {location}"));
        let url = self.api.url("/").map_err(failed)?;
        // What an API answers to nothing in particular is its own business: that it answers at all, and lets us in, is ours.
        match self.api.call(Method::GET, url, None, None).await {
            Ok(reply) if matches!(reply.status, 401 | 403) || reply.status >= 500 => {
                self.api.done(reply).map(|_| String::new()).map_err(failed)
            }
            Ok(_) | Err(Failure::Unreadable(_)) => Ok(format!("REST API at {location}")),
            Err(failure) => Err(failed(failure)),
        }
    }
}
