//! Secret Manager: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets>.

use serde_json::json;

use super::{State, google, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["v1", "projects", _, "secrets"]) => {
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
        ("POST", ["v1", "projects", _, "secrets"]) => {
            let name = format!("projects/123/secrets/{}", asked.parameter("secretId").expect("an id"));
            if state.position("/name", &name).is_some() {
                return google::error(409, "Secret already exists.");
            }
            let mut made = json!({"name": name, "createTime": "2026-01-01T00:00:00Z", "etag": "\"1\""});
            patch(&mut made, &asked.json());
            for input_only in ["ttl", "tags"] {
                made.as_object_mut().expect("an object").remove(input_only);
            }
            state.objects.push(made.clone());
            Reply::json(200, &made)
        }
        (method, ["v1", "projects", _, "secrets", id]) => {
            let Some(at) = state.position("/name", &format!("projects/123/secrets/{id}")) else {
                return google::error(404, "Secret not found.");
            };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::json(200, &json!({}));
            }
            let mut object = state.objects[at].clone();
            if let Err(reply) = google::masked(&mut object, asked) {
                return reply;
            }
            state.objects[at] = object.clone();
            Reply::json(200, &object)
        }
        _ => google::error(404, "Not Found"),
    }
}
