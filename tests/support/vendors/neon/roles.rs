//! Roles and databases of a branch: <https://neon.com/docs/reference/api/branches/create-project-branch-role> and its neighbours.
//!
//! A password is told when a role is made, when it is reset, and by `reveal_password`. Lists have no pages. A role that owns a
//! database is not deleted: <https://neon.com/docs/manage/roles>. On a branch without an endpoint there is no operation. No page
//! tells the statuses of refusals other than 404 and 412, nor their words but for those of an owner that is not found.

use serde_json::{Value as Json, json};

use super::super::{State, patch};
use super::{TIME, begin, error, locked, no_route, unknown};
use crate::support::server::{Asked, Reply};

fn position(objects: &[Json], branch: &str, name: &str) -> Option<usize> {
    objects.iter().position(|object| object["branch_id"] == branch && object["name"] == name)
}

fn of<'a>(objects: &'a [Json], branch: &'a str) -> impl Iterator<Item = &'a Json> {
    objects.iter().filter(move |object| object["branch_id"] == branch)
}

fn without_password(role: &Json) -> Json {
    let mut told = role.clone();
    told.as_object_mut().expect("an object").remove("password");
    told
}

/// Lets the endpoint of a branch know what it is to be like.
fn apply(state: &mut State, branch: &str) -> Vec<Json> {
    let id = of(&state.neon.endpoints, branch)
        .find(|endpoint| endpoint["type"] == "read_write")
        .map(|endpoint| endpoint["id"].as_str().expect("an id").to_owned());
    id.map(|id| begin(state, branch, Some(&id), &["apply_config"])).unwrap_or_default()
}

/// Gives a new branch what its parent has. Passwords are new ones if that is protected.
pub(super) fn inherit(state: &mut State, parent: &str, branch: &str) -> (Vec<Json>, Vec<Json>) {
    let is_protected = state.position("/id", parent).is_some_and(|at| state.objects[at]["protected"] == true);
    let mut roles: Vec<Json> = of(&state.neon.roles, parent).cloned().collect();
    let mut databases: Vec<Json> = of(&state.neon.databases, parent).cloned().collect();
    for role in &mut roles {
        role["branch_id"] = branch.into();
        if is_protected && role["password"].is_string() {
            role["password"] = format!("npg_{}", state.next()).into();
        }
    }
    for database in &mut databases {
        patch(database, &json!({"branch_id": branch, "id": state.next()}));
    }
    state.neon.roles.extend(roles.clone());
    state.neon.databases.extend(databases.clone());
    (roles.iter().map(without_password).collect(), databases)
}

pub(super) fn roles(state: &mut State, asked: &Asked, branch: &str, rest: &[&str]) -> Reply {
    let at = rest.first().and_then(|name| position(&state.neon.roles, branch, name));
    match (asked.method.as_str(), rest, at) {
        ("GET", [], _) => {
            let roles: Vec<Json> = of(&state.neon.roles, branch).map(without_password).collect();
            return Reply::json(200, &json!({"roles": roles}));
        }
        ("DELETE", [_], None) => return Reply::empty(204),
        (_, [_, ..], None) => return error(404, "", "role not found"),
        ("GET", [_], Some(at)) => {
            return Reply::json(200, &json!({"role": without_password(&state.neon.roles[at])}));
        }
        ("GET", [_, "reveal_password"], Some(_)) if state.neon.forgets_passwords => {
            return error(412, "", "storing passwords is disabled");
        }
        ("GET", [_, "reveal_password"], Some(at)) => {
            return Reply::json(200, &json!({"password": state.neon.roles[at]["password"]}));
        }
        _ => {}
    }
    if let Some(refused) = locked(state, branch) {
        return refused;
    }
    match (asked.method.as_str(), rest, at) {
        ("POST", [], _) => {
            let wanted = &asked.json()["role"];
            let name = wanted["name"].as_str().expect("the name of a role");
            assert!(name.len() <= 63, "{name}");
            if position(&state.neon.roles, branch, name).is_some() {
                return error(409, "", &format!("role already exists; role_name:{name:?}"));
            }
            let mut made =
                json!({"branch_id": branch, "name": name, "protected": false, "created_at": TIME, "updated_at": TIME});
            if wanted["no_login"] == true {
                made["authentication_method"] = "no_login".into();
            } else {
                made["authentication_method"] = "password".into();
                made["password"] = format!("npg_{}", state.next()).into();
            }
            state.neon.roles.push(made.clone());
            Reply::json(201, &json!({"role": made, "operations": apply(state, branch)}))
        }
        ("POST", [_, "reset_password"], Some(at)) => {
            state.neon.roles[at]["password"] = format!("npg_{}", state.next()).into();
            let role = state.neon.roles[at].clone();
            Reply::json(200, &json!({"role": role, "operations": apply(state, branch)}))
        }
        ("DELETE", [name], Some(at)) => {
            if of(&state.neon.databases, branch).any(|database| database["owner_name"] == *name) {
                return error(422, "", "role owns databases");
            }
            let gone = without_password(&state.neon.roles.remove(at));
            Reply::json(200, &json!({"role": gone, "operations": apply(state, branch)}))
        }
        _ => no_route(),
    }
}

pub(super) fn databases(state: &mut State, asked: &Asked, branch: &str, rest: &[&str]) -> Reply {
    let at = rest.first().and_then(|name| position(&state.neon.databases, branch, name));
    match (asked.method.as_str(), rest, at) {
        ("GET", [], _) => {
            let databases: Vec<&Json> = of(&state.neon.databases, branch).collect();
            return Reply::json(200, &json!({"databases": databases}));
        }
        ("DELETE", [_], None) => return Reply::empty(204),
        (_, [_, ..], None) => return error(404, "", "database not found"),
        ("GET", [_], Some(at)) => return Reply::json(200, &json!({"database": state.neon.databases[at]})),
        _ => {}
    }
    if let Some(refused) = locked(state, branch) {
        return refused;
    }
    let wanted = asked.json()["database"].clone();
    if let Some(owner) = wanted["owner_name"].as_str()
        && position(&state.neon.roles, branch, owner).is_none()
    {
        return error(404, "", &format!("database owner not found; role_name:{owner:?}"));
    }
    if let Some(name) = wanted["name"].as_str()
        && position(&state.neon.databases, branch, name).is_some_and(|other| Some(other) != at)
    {
        return error(409, "", &format!("database already exists; database_name:{name:?}"));
    }
    match (asked.method.as_str(), rest, at) {
        ("POST", [], _) => {
            assert!(wanted["name"].is_string() && wanted["owner_name"].is_string(), "{wanted}");
            let made = json!({"id": state.next(), "branch_id": branch, "name": wanted["name"],
                "owner_name": wanted["owner_name"], "created_at": TIME, "updated_at": TIME});
            state.neon.databases.push(made.clone());
            Reply::json(201, &json!({"database": made, "operations": apply(state, branch)}))
        }
        ("PATCH", [_], Some(at)) => {
            if let Some(refused) = unknown(&wanted, &["name", "owner_name"]) {
                return refused;
            }
            patch(&mut state.neon.databases[at], &wanted);
            let database = state.neon.databases[at].clone();
            Reply::json(200, &json!({"database": database, "operations": apply(state, branch)}))
        }
        ("DELETE", [_], Some(at)) => {
            let gone = state.neon.databases.remove(at);
            Reply::json(200, &json!({"database": gone, "operations": apply(state, branch)}))
        }
        _ => no_route(),
    }
}
