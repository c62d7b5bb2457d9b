//! Secret Manager, written from its REST reference.
//!
//! - Secrets: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets>. Names come back with the number of
//!   the project, here 123.
//! - Tags of secrets and of versions, each of which changes with every write and may be given along with one. Another one than the
//!   present is refused: <https://cloud.google.com/secret-manager/docs/etags>

mod policies;
mod versions;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{State, google, patch, segments, size};
use crate::support::server::{Asked, Reply};

const TIME: &str = "2026-01-01T00:00:00Z";

/// What secrets hold.
#[derive(Default)]
pub struct Contents {
    /// The oldest first.
    pub versions: Vec<Version>,
    /// By the name of the secret: those that somebody set.
    pub policies: BTreeMap<String, Json>,
}

/// A version of a secret.
pub struct Version {
    pub told: Json,
    /// In base64; `None` when it was destroyed.
    pub data: Option<String>,
}

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["v1", "projects", _, "secrets", rest @ ..] = parts.as_slice() else { return no_route() };
    let Some((id, rest)) = rest.split_first() else {
        return match asked.method.as_str() {
            "GET" => list(state, asked),
            "POST" => create(state, asked),
            _ => no_route(),
        };
    };
    let (id, verb) = id.split_once(':').unwrap_or((id, ""));
    let name = format!("projects/123/secrets/{id}");
    let Some(at) = state.position("/name", &name) else {
        return google::error(404, &format!("Secret [{name}] not found."));
    };
    match (asked.method.as_str(), verb, rest) {
        ("GET", "", []) => Reply::json(200, &state.objects[at]),
        ("PATCH", "", []) => update(state, asked, at),
        ("DELETE", "", []) => delete(state, asked, at),
        ("GET", "getIamPolicy", []) => policies::get(state, asked, &name),
        ("POST", "setIamPolicy", []) => policies::set(state, asked, &name),
        ("POST", "addVersion", []) => versions::add(state, asked, &name),
        ("GET", "", ["versions"]) => versions::list(state, asked, &name),
        (_, "", ["versions", version]) => versions::answer(state, asked, &name, version),
        _ => no_route(),
    }
}

fn no_route() -> Reply {
    google::error(404, "Not Found")
}

/// Refuses another tag than the present one, if one is given.
fn is_outdated(given: Option<&str>, present: &Json) -> Option<Reply> {
    let given = given.filter(|given| !given.is_empty() && present["etag"] != *given)?;
    let message = format!("The provided etag [{given}] does not match the current etag [{}].", present["etag"]);
    Some(google::refusal(400, "FAILED_PRECONDITION", &message))
}

fn next_tag(state: &mut State) -> Json {
    format!("\"{}\"", state.next()).into()
}

fn list(state: &State, asked: &Asked) -> Reply {
    let (page, next) = state.page(asked.parameter("pageToken"), size(asked, "pageSize"));
    let mut answer = json!({"totalSize": state.objects.len()});
    if !page.is_empty() {
        answer["secrets"] = page.into();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Reply::json(200, &answer)
}

fn create(state: &mut State, asked: &Asked) -> Reply {
    let name = format!("projects/123/secrets/{}", asked.parameter("secretId").expect("an id"));
    if state.position("/name", &name).is_some() {
        return google::error(409, &format!("Secret [{name}] already exists."));
    }
    let mut made = json!({"name": name, "createTime": TIME, "etag": next_tag(state)});
    patch(&mut made, &asked.json());
    for input_only in ["ttl", "tags"] {
        made.as_object_mut().expect("an object").remove(input_only);
    }
    state.objects.push(made.clone());
    Reply::json(200, &made)
}

fn update(state: &mut State, asked: &Asked, at: usize) -> Reply {
    let mut object = state.objects[at].clone();
    if let Some(refused) = is_outdated(asked.json()["etag"].as_str(), &object) {
        return refused;
    }
    if let Err(reply) = google::masked(&mut object, asked) {
        return reply;
    }
    object["etag"] = next_tag(state);
    state.objects[at] = object.clone();
    Reply::json(200, &object)
}

fn delete(state: &mut State, asked: &Asked, at: usize) -> Reply {
    if let Some(refused) = is_outdated(asked.parameter("etag").as_deref(), &state.objects[at]) {
        return refused;
    }
    let gone = state.objects.remove(at);
    let name = gone["name"].as_str().expect("a name");
    state.secrets.versions.retain(|version| !version.is_of(name));
    state.secrets.policies.remove(name);
    Reply::json(200, &json!({}))
}
