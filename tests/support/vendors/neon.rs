//! Neon: <https://api-docs.neon.tech/reference/createprojectbranch> and its neighbours.

use serde_json::{Value as Json, json};

use super::{State, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let error = |status, message: &str| Reply::json(status, &json!({"code": "", "message": message}));
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["projects", _, "branches"]) => {
            // Otherwise the latest change decides, and pages move while they are turned.
            assert_eq!(asked.parameter("sort_by").as_deref(), Some("created_at"));
            assert!((1..=10_000).contains(&size(asked, "limit")));
            let (page, next) = state.page(asked.parameter("cursor"), size(asked, "limit"));
            let mut answer = json!({"branches": page, "annotations": {}});
            if let Some(next) = next {
                answer["pagination"] = json!({"next": next, "sort_by": "updated_at", "sort_order": "desc"});
            }
            Reply::json(200, &answer)
        }
        ("POST", ["projects", project, "branches"]) => {
            let branch = &asked.json()["branch"];
            if state.position("/name", branch["name"].as_str().expect("a name")).is_some() {
                return error(409, "branch already exists");
            }
            assert_eq!(asked.json()["endpoints"][0]["type"], "read_write");
            let mut made = json!({"id": format!("br-{}", state.next()), "project_id": project, "parent_id": "br-main",
                "current_state": "ready", "protected": false, "creation_source": "api"});
            patch(&mut made, branch);
            for never_told in ["init_source", "archived"] {
                made.as_object_mut().expect("an object").remove(never_told);
            }
            state.objects.push(made.clone());
            let operation = format!("op-{}", state.next());
            let patience = state.patience;
            state.operations.push((operation.clone(), patience, Json::Null));
            let operations = json!([{"id": operation, "action": "create_branch", "status": "running"}]);
            Reply::json(201, &json!({"branch": made, "endpoints": [], "operations": operations}))
        }
        ("GET", ["projects", _, "operations", id]) => {
            let failure = state.failure.clone();
            let operation = state.operations.iter_mut().find(|(operation, ..)| operation == id).expect("an operation");
            let goes_on = operation.1 > 0;
            operation.1 = operation.1.saturating_sub(1);
            let status = match (&failure, goes_on) {
                (Some(_), _) => "failed",
                (None, true) => "running",
                (None, false) => "finished",
            };
            Reply::json(200, &json!({"operation": {"id": id, "status": status, "error": failure}}))
        }
        (method, ["projects", _, "branches", id]) => {
            let Some(at) = state.position("/id", id) else { return error(404, "branch not found") };
            if method == "DELETE" {
                let gone = state.objects.remove(at);
                return Reply::json(200, &json!({"branch": gone, "operations": []}));
            }
            let change = asked.json()["branch"].clone();
            let known = ["name", "protected", "expires_at"];
            if let Some(other) = change.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&&***name)) {
                return error(400, &format!("{} cannot be changed", other.0));
            }
            patch(&mut state.objects[at], &change);
            Reply::json(200, &json!({"branch": state.objects[at], "operations": []}))
        }
        _ => error(404, "this route does not exist"),
    }
}
