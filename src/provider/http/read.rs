//! Lists → observations. What shares a definition and its parameters shares one list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value as Json;

use super::api::{Api, Failure, fill};
use super::definition::{self, Definition, Paging};
use super::object::{id_of, name_of, placeholder, present};
use super::types;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};
use tenantry_transport::Method;

/// Pages after which a list is taken for one without an end.
const MOST_PAGES: usize = 10_000;

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
    let first = api.url(&path)?;
    let mut url = first.clone();
    if let Some(Paging::Page { size_parameter: Some(parameter), size, .. }) = &call.paging {
        url.query_pairs_mut().append_pair(parameter, &size.to_string());
    }
    let with_size = url.clone();
    for page in 1..=MOST_PAGES {
        let reply = api.call(Method::GET, url.clone(), None, None).await?;
        if call.absent.contains(&reply.status) && !reply.is_page {
            return Ok(Objects::new());
        }
        let reply = api.done(reply)?;
        let Some(items) = items(&reply.json, &call.items_at) else {
            return Err(Failure::Unreadable(format!("the answer to {path} has no list at \"{}\"", call.items_at)));
        };
        let count = items.len();
        for item in items.iter().filter(|item| definition.is_there(item)) {
            let name = name_of(definition, item).ok_or_else(super::object::nameless)?;
            objects.entry(name).or_default().push(item.clone());
        }
        let next = match &call.paging {
            None => None,
            Some(Paging::Page { parameter, size, .. }) if count >= *size => {
                let mut next = with_size.clone();
                next.query_pairs_mut().append_pair(parameter, &(page + 1).to_string());
                Some(next)
            }
            Some(Paging::Page { .. }) => None,
            Some(Paging::Token { parameter, next_at }) => {
                let token = super::object::text_at(&reply.json, next_at).filter(|token| !token.is_empty());
                // Some say where the last page ends as well.
                token.filter(|_| count > 0).map(|token| {
                    let mut next = first.clone();
                    next.query_pairs_mut().append_pair(parameter, &token);
                    next
                })
            }
            Some(Paging::Link) => reply.next.as_deref().map(|next| api.answered(next)).transpose()?,
        };
        match next {
            None => return Ok(objects),
            Some(next) if next == url => break,
            Some(next) => url = next,
        }
    }
    Err(Failure::Unreadable(format!("the list {path} does not come to an end")))
}

/// The items of an answer. An empty list may be left out, as Google does.
fn items<'a>(json: &'a Json, at: &str) -> Option<&'a [Json]> {
    match json.pointer(at) {
        Some(Json::Array(items)) => Some(items),
        None if json.is_object() && !at.is_empty() => Some(&[]),
        _ => None,
    }
}

/// One object, read by itself; nothing if there is none. Whether it counts as there its definition says.
///
/// # Errors
/// If that could not be told.
pub async fn read(api: &Api, definition: &Definition, spec: &Map, id: Option<&str>) -> Result<Option<Json>, Failure> {
    let Some(call) = &definition.read else { return Ok(None) };
    let path = fill(&call.path, |name| placeholder(spec, id, name))?;
    let reply = api.call(Method::GET, api.url(&path)?, None, None).await?;
    if definition.absent.contains(&reply.status) && !reply.is_page {
        return Ok(None);
    }
    let reply = api.done(reply)?;
    match reply.json.pointer(&call.item_at) {
        Some(object) if object.is_object() => Ok(Some(object.clone())),
        _ => Err(Failure::Unreadable(format!("the answer to {path} has no object at \"{}\"", call.item_at))),
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
            return Err(Failure::Conflict(format!("there are several of the name `{name}`; keep one")));
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
            found.spec = Arc::new((kind.normalise)(&found.spec));
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
            let Some(identity) = kind.identity_of(&spec).filter(|identity| !asked.contains(identity)) else { continue };
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
