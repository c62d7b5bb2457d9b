//! Neon, written from its API reference.
//!
//! - Branches: <https://api-docs.neon.tech/reference/createprojectbranch> and its neighbours. A new one has its parent's roles and
//!   databases, and new passwords if the parent is protected: <https://neon.com/docs/guides/protected-branches>
//! - Endpoints: <https://neon.com/docs/reference/api/endpoints>
//! - Roles and databases: <https://neon.com/docs/reference/api/branches>
//! - Operations: <https://neon.com/docs/manage/operations>. While one runs, what conflicts with it is refused with 423 and is safe to
//!   ask again: <https://github.com/neondatabase/website/pull/4749>. What conflicts is told nowhere; here it is a write to the same
//!   branch, or a branch made of it.

mod endpoints;
mod roles;

use serde_json::{Value as Json, json};

use super::{State, patch, segments, size};
use crate::support::server::{Asked, Reply};

/// The branch that every project begins with. It is in no list here: lists begin empty.
const ROOT: &str = "br-main";

const TIME: &str = "2026-01-01T00:00:00Z";

/// What a project has beside its branches.
pub struct Project {
    pub endpoints: Vec<Json>,
    /// With their passwords.
    pub roles: Vec<Json>,
    pub databases: Vec<Json>,
    /// Whether passwords are kept nowhere (`store_passwords` of a project), and so never told again.
    pub forgets_passwords: bool,
}

impl Default for Project {
    fn default() -> Self {
        let role = json!({"branch_id": ROOT, "name": "neondb_owner", "password": "npg_0", "protected": false,
            "authentication_method": "password", "created_at": TIME, "updated_at": TIME});
        let database = json!({"id": 1, "branch_id": ROOT, "name": "neondb", "owner_name": "neondb_owner",
            "created_at": TIME, "updated_at": TIME});
        Self { endpoints: vec![], roles: vec![role], databases: vec![database], forgets_passwords: false }
    }
}

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["projects", project, rest @ ..] = parts.as_slice() else { return no_route() };
    match (asked.method.as_str(), rest) {
        ("GET", ["branches"]) => list(state, asked),
        ("POST", ["branches"]) => create(state, project, &asked.json()),
        (_, ["branches", id]) => branch(state, asked, id),
        ("GET", ["operations", id]) => operation(state, id),
        (_, ["endpoints", rest @ ..]) => endpoints::answer(state, asked, project, rest),
        (_, ["branches", branch, ..]) if !has_branch(state, branch) => error(404, "", "branch not found"),
        ("GET", ["branches", branch, "endpoints"]) => endpoints::list(state, Some(branch)),
        (_, ["branches", branch, "roles", rest @ ..]) => roles::roles(state, asked, branch, rest),
        (_, ["branches", branch, "databases", rest @ ..]) => roles::databases(state, asked, branch, rest),
        _ => no_route(),
    }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"request_id": "r", "code": code, "message": message}))
}

fn no_route() -> Reply {
    error(404, "", "this route does not exist")
}

fn has_branch(state: &State, id: &str) -> bool {
    id == ROOT || state.position("/id", id).is_some()
}

/// Begins operations, one after the other, on a branch.
fn begin(state: &mut State, branch: &str, endpoint: Option<&str>, actions: &[&str]) -> Vec<Json> {
    let mut begun = Vec::new();
    for action in actions {
        let status = if begun.is_empty() { "running" } else { "scheduling" };
        let mut operation = json!({"id": format!("op-{}", state.next()), "branch_id": branch, "action": action,
            "status": status, "failures_count": 0, "created_at": TIME, "updated_at": TIME, "total_duration_ms": 0});
        if let Some(endpoint) = endpoint {
            operation["endpoint_id"] = endpoint.into();
        }
        let id = operation["id"].as_str().expect("an id").to_owned();
        state.operations.push((id, state.patience, operation.clone()));
        begun.push(operation);
    }
    begun
}

/// The operations that go on.
fn running(state: &State) -> impl Iterator<Item = &Json> {
    let has_failed = state.failure.is_some();
    state.operations.iter().filter(move |(_, left, _)| *left > 0 && !has_failed).map(|(.., operation)| operation)
}

/// Time passes with each question about an operation, for all of them.
fn pass(state: &mut State) {
    for (_, left, _) in &mut state.operations {
        *left = left.saturating_sub(1);
    }
}

/// Refuses a write to a branch on which an operation goes on.
fn locked(state: &mut State, branch: &str) -> Option<Reply> {
    running(state).find(|operation| operation["branch_id"] == branch)?;
    pass(state);
    let message = "project already has running conflicting operations, scheduling of new ones is prohibited";
    Some(error(423, "", message))
}

fn operation(state: &mut State, id: &str) -> Reply {
    let failure = state.failure.clone();
    let (_, left, operation) = state.operations.iter().find(|(operation, ..)| operation == id).expect("an operation");
    let mut operation = operation.clone();
    let status = match (&failure, *left > 0) {
        (Some(_), _) => "failed",
        (None, true) => "running",
        (None, false) => "finished",
    };
    patch(&mut operation, &json!({"status": status, "error": failure}));
    pass(state);
    Reply::json(200, &json!({"operation": operation}))
}

fn list(state: &State, asked: &Asked) -> Reply {
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

fn create(state: &mut State, project: &str, body: &Json) -> Reply {
    let branch = &body["branch"];
    if state.position("/name", branch["name"].as_str().expect("a name")).is_some() {
        return error(409, "", "branch already exists");
    }
    let wanted = body["endpoints"].as_array().cloned().unwrap_or_default();
    if wanted.iter().filter(|endpoint| endpoint["type"] == "read_write").count() > 1 {
        return endpoints::one_is_enough();
    }
    let parent = branch["parent_id"].as_str().unwrap_or(ROOT);
    if let Some(refused) = locked(state, parent) {
        return refused;
    }
    let id = format!("br-{}", state.next());
    let mut made = json!({"id": id, "project_id": project, "parent_id": ROOT,
        "current_state": "ready", "protected": false, "creation_source": "api"});
    patch(&mut made, branch);
    for never_told in ["init_source", "archived"] {
        made.as_object_mut().expect("an object").remove(never_told);
    }
    state.objects.push(made.clone());
    let (roles, databases) = roles::inherit(state, parent, &id);
    let mut operations = begin(state, &id, None, &["create_branch"]);
    let mut endpoints = Vec::new();
    for wanted in &wanted {
        let (endpoint, begun) = endpoints::make(state, project, &id, wanted);
        endpoints.push(endpoint);
        operations.extend(begun);
    }
    let answer = json!({"branch": made, "endpoints": endpoints, "operations": operations, "roles": roles, "databases": databases});
    Reply::json(201, &answer)
}

fn branch(state: &mut State, asked: &Asked, id: &str) -> Reply {
    let Some(at) = state.position("/id", id) else {
        return if asked.method == "DELETE" { Reply::empty(204) } else { error(404, "", "branch not found") };
    };
    if asked.method == "GET" {
        return Reply::json(200, &json!({"branch": state.objects[at]}));
    }
    if let Some(refused) = locked(state, id) {
        return refused;
    }
    if asked.method == "DELETE" {
        let gone = state.objects.remove(at);
        let is_of_it = |object: &Json| object["branch_id"] == id;
        let mut operations = Vec::new();
        for endpoint in state.neon.endpoints.extract_if(.., |endpoint| is_of_it(endpoint)).collect::<Vec<_>>() {
            operations.extend(begin(state, id, endpoint["id"].as_str(), &["suspend_compute"]));
        }
        state.neon.roles.retain(|role| !is_of_it(role));
        state.neon.databases.retain(|database| !is_of_it(database));
        operations.extend(begin(state, id, None, &["delete_timeline"]));
        return Reply::json(200, &json!({"branch": gone, "operations": operations}));
    }
    let change = asked.json()["branch"].clone();
    if let Some(refused) = unknown(&change, &["name", "protected", "expires_at"]) {
        return refused;
    }
    patch(&mut state.objects[at], &change);
    Reply::json(200, &json!({"branch": state.objects[at], "operations": []}))
}

/// Refuses a change of what cannot be changed.
fn unknown(change: &Json, known: &[&str]) -> Option<Reply> {
    let (other, _) = change.as_object()?.iter().find(|(name, _)| !known.contains(&&***name))?;
    Some(error(400, "", &format!("{other} cannot be changed")))
}
