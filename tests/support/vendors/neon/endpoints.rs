//! Compute endpoints: <https://neon.com/docs/reference/api/endpoints/create-project-endpoint> and its neighbours.
//!
//! What they do is an operation; until it ends they say `current_state: init` and `pending_state: active`. Lists have no pages.
//! The code and the words of the refusal of a second one for reading and writing are as users quote them; no page tells its status,
//! which here is that of other limits (`422 BRANCHES_LIMIT_EXCEEDED`).

use serde_json::{Value as Json, json};

use super::super::{State, patch};
use super::{TIME, begin, error, has_branch, locked, no_route, running, unknown};
use crate::support::server::{Asked, Reply};

const CHANGEABLE: [&str; 9] = [
    "autoscaling_limit_min_cu",
    "autoscaling_limit_max_cu",
    "provisioner",
    "settings",
    "pooler_enabled",
    "pooler_mode",
    "disabled",
    "passwordless_access",
    "suspend_timeout_seconds",
];

pub(super) fn answer(state: &mut State, asked: &Asked, project: &str, rest: &[&str]) -> Reply {
    match (asked.method.as_str(), rest) {
        ("GET", []) => list(state, None),
        ("POST", []) => create(state, project, &asked.json()["endpoint"]),
        (method, [id]) => {
            let Some(at) = state.neon.endpoints.iter().position(|endpoint| endpoint["id"] == *id) else {
                return if method == "DELETE" { Reply::empty(204) } else { error(404, "", "endpoint not found") };
            };
            one(state, asked, at)
        }
        _ => no_route(),
    }
}

pub(super) fn list(state: &State, branch: Option<&str>) -> Reply {
    let endpoints = state.neon.endpoints.iter();
    let endpoints = endpoints.filter(|endpoint| branch.is_none_or(|branch| endpoint["branch_id"] == branch));
    Reply::json(200, &json!({"endpoints": endpoints.map(|endpoint| told(state, endpoint)).collect::<Vec<_>>()}))
}

/// The refusal of a second endpoint for reading and writing.
pub(super) fn one_is_enough() -> Reply {
    error(422, "ENDPOINTS_LIMIT_EXCEEDED", "read_write endpoint already exists")
}

fn create(state: &mut State, project: &str, wanted: &Json) -> Reply {
    let branch = wanted["branch_id"].as_str().expect("the branch of an endpoint").to_owned();
    if !has_branch(state, &branch) {
        return error(404, "", "branch not found");
    }
    let is_taken = |endpoint: &Json| endpoint["branch_id"] == branch && endpoint["type"] == "read_write";
    if wanted["type"] == "read_write" && state.neon.endpoints.iter().any(is_taken) {
        return one_is_enough();
    }
    if let Some(refused) = locked(state, &branch) {
        return refused;
    }
    let (made, operations) = make(state, project, &branch, wanted);
    Reply::json(201, &json!({"endpoint": made, "operations": operations}))
}

/// Makes one, and begins to start it.
pub(super) fn make(state: &mut State, project: &str, branch: &str, wanted: &Json) -> (Json, Vec<Json>) {
    let kind = wanted["type"].as_str().expect("the type of an endpoint");
    assert!(["read_write", "read_only"].contains(&kind), "{kind}");
    let id = format!("ep-{}", state.next());
    let region = "us-east-2.aws.neon.tech";
    let (host, pooled) = (format!("{id}.c-3.{region}"), format!("{id}-pooler.c-3.{region}"));
    let mut made = json!({"id": id, "project_id": project, "branch_id": branch, "host": host, "proxy_host": region,
        "hosts": {format!("{kind}_host"): host, format!("{kind}_pooled_host"): pooled},
        "region_id": "aws-us-east-2", "type": kind, "autoscaling_limit_min_cu": 1, "autoscaling_limit_max_cu": 1,
        "settings": {"pg_settings": {}}, "pooler_enabled": false, "pooler_mode": "transaction", "disabled": false,
        "passwordless_access": true, "creation_source": "api", "provisioner": "k8s-neonvm",
        "suspend_timeout_seconds": 0, "created_at": TIME, "updated_at": TIME});
    patch(&mut made, wanted);
    is_sensible(&made);
    state.neon.endpoints.push(made.clone());
    let operations = begin(state, branch, Some(&id), &["start_compute"]);
    patch(&mut made, &json!({"current_state": "init", "pending_state": "active"}));
    (made, operations)
}

fn one(state: &mut State, asked: &Asked, at: usize) -> Reply {
    let endpoint = &state.neon.endpoints[at];
    if asked.method == "GET" {
        return Reply::json(200, &json!({"endpoint": told(state, endpoint)}));
    }
    let text = |field: &str| endpoint[field].as_str().expect("a text").to_owned();
    let (id, branch) = (text("id"), text("branch_id"));
    if let Some(refused) = locked(state, &branch) {
        return refused;
    }
    if asked.method == "DELETE" {
        let gone = told(state, &state.neon.endpoints[at]);
        state.neon.endpoints.remove(at);
        let operations = begin(state, &branch, Some(&id), &["suspend_compute"]);
        return Reply::json(200, &json!({"endpoint": gone, "operations": operations}));
    }
    let change = asked.json()["endpoint"].clone();
    if let Some(refused) = unknown(&change, &CHANGEABLE) {
        return refused;
    }
    patch(&mut state.neon.endpoints[at], &change);
    is_sensible(&state.neon.endpoints[at]);
    let action = if change["disabled"] == true { "suspend_compute" } else { "apply_config" };
    let operations = begin(state, &branch, Some(&id), &[action]);
    let endpoint = told(state, &state.neon.endpoints[at]);
    Reply::json(200, &json!({"endpoint": endpoint, "operations": operations}))
}

/// With the state it is in.
fn told(state: &State, endpoint: &Json) -> Json {
    let mut told = endpoint.clone();
    let starts =
        |operation: &Json| operation["action"] == "start_compute" && operation["endpoint_id"] == endpoint["id"];
    let states = if running(state).any(starts) {
        json!({"current_state": "init", "pending_state": "active"})
    } else {
        json!({"current_state": if endpoint["disabled"] == true { "idle" } else { "active" }})
    };
    patch(&mut told, &states);
    told
}

/// The limits that the reference gives.
fn is_sensible(endpoint: &Json) {
    let units = |field: &str| endpoint[field].as_f64().expect("a number of units");
    let (least, most) = (units("autoscaling_limit_min_cu"), units("autoscaling_limit_max_cu"));
    assert!(0.25 <= least && least <= most, "{least} to {most} units");
    let seconds = endpoint["suspend_timeout_seconds"].as_i64().expect("a number of seconds");
    assert!((-1..=604_800).contains(&seconds), "{seconds} seconds");
    assert_eq!(endpoint["pooler_mode"], "transaction");
}
