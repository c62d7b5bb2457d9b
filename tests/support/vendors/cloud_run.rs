//! Cloud Run: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>.

use serde_json::{Value as Json, json};

use super::{State, google, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let operation = |state: &mut State, parent: &str, object: Json| {
        let name = format!("{parent}/operations/{}", state.next());
        let patience = state.patience;
        state.operations.push((name.clone(), patience, object));
        Reply::json(200, &json!({"name": name, "metadata": {}, "done": false}))
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["v2", "projects", _, "locations", _, "services"]) => {
            let (page, next) = state.page(asked.parameter("pageToken"), size(asked, "pageSize"));
            let mut answer = json!({});
            if !page.is_empty() {
                answer["services"] = page.into();
            }
            if let Some(next) = next {
                answer["nextPageToken"] = next.into();
            }
            Reply::json(200, &answer)
        }
        ("POST", ["v2", "projects", project, "locations", location, "services"]) => {
            let parent = format!("projects/{project}/locations/{location}");
            let id = asked.parameter("serviceId").expect("an id");
            let name = format!("{parent}/services/{id}");
            if state.position("/name", &name).is_some() {
                return google::error(409, &format!("Resource '{id}' already exists."));
            }
            let mut made = json!({"name": name, "uid": "u", "generation": "1", "uri": format!("https://{id}.run.example"),
                "ingress": "INGRESS_TRAFFIC_ALL", "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}});
            patch(&mut made, &asked.json());
            // Containers come back with what the platform fills in.
            for container in made.pointer_mut("/template/containers").and_then(Json::as_array_mut).into_iter().flatten()
            {
                if container["resources"].is_null() {
                    container["resources"] = json!({"limits": {"cpu": "1000m", "memory": "512Mi"}});
                }
            }
            state.objects.push(made.clone());
            operation(state, &parent, made)
        }
        ("GET", ["v2", rest @ ..]) if rest.contains(&"operations") => {
            let name = rest.join("/");
            let failure = state.failure.clone();
            let operation =
                state.operations.iter_mut().find(|(operation, ..)| *operation == name).expect("an operation");
            let goes_on = operation.1 > 0;
            operation.1 = operation.1.saturating_sub(1);
            let mut answer = json!({"name": name, "done": !goes_on || failure.is_some()});
            match failure {
                Some(message) => answer["error"] = json!({"code": 9, "message": message}),
                None if goes_on => {}
                None => answer["response"] = operation.2.clone(),
            }
            Reply::json(200, &answer)
        }
        (method, ["v2", rest @ ..]) => {
            let name = rest.join("/");
            let Some(at) = state.position("/name", &name) else { return google::error(404, "Resource was not found.") };
            let parent = rest[..4].join("/");
            if method == "DELETE" {
                let gone = state.objects.remove(at);
                return operation(state, &parent, gone);
            }
            let mut object = state.objects[at].clone();
            if let Err(reply) = google::masked(&mut object, asked) {
                return reply;
            }
            state.objects[at] = object.clone();
            operation(state, &parent, object)
        }
        _ => google::error(404, "Not Found"),
    }
}
