//! Grafana: <https://grafana.com/docs/grafana/latest/developers/http_api/>.

use serde_json::{Value as Json, json};

use super::{State, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let error = |status, message: &str| Reply::json(status, &json!({"message": message}));
    let of = |state: &State, sort: &str, asked: &Asked, parameter: &str| {
        let (size, page) =
            (size(asked, parameter), asked.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(1));
        let start: usize = (page - 1) * size;
        let objects = state.objects.iter().filter(|object| object["sort"] == sort);
        Json::from(objects.skip(start).take(size).map(|object| object["object"].clone()).collect::<Vec<_>>())
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["api", "folders"]) => {
            // Those of one folder, or those at the top; of each no more than this.
            let parent = asked.parameter("parentUid");
            let mut folders = of(state, "folder", asked, "limit");
            let list = folders.as_array_mut().expect("a list");
            list.retain(|folder| folder["parentUid"].as_str() == parent.as_deref());
            for folder in list {
                let told = ["id", "uid", "title", "parentUid"];
                folder.as_object_mut().expect("an object").retain(|name, _| told.contains(&&**name));
            }
            Reply::json(200, &folders)
        }
        ("POST", ["api", "folders"]) => {
            let mut made = asked.json();
            if state.position("/object/uid", made["uid"].as_str().expect("a uid")).is_some() {
                return error(409, "a folder with the same uid already exists");
            }
            made["id"] = state.next().into();
            made["version"] = 1.into();
            state.objects.push(json!({"sort": "folder", "object": made}));
            Reply::json(200, &made)
        }
        (method, ["api", "folders", uid]) => {
            let Some(at) = state.position("/object/uid", uid) else { return error(404, "folder not found") };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::json(200, &json!({"message": "Folder deleted", "id": 1}));
            }
            let mut change = asked.json();
            if change["overwrite"] != true && change["version"].is_null() {
                return error(412, "the folder has been changed by someone else");
            }
            change.as_object_mut().expect("an object").remove("overwrite");
            patch(&mut state.objects[at]["object"], &change);
            Reply::json(200, &state.objects[at]["object"])
        }
        ("POST", ["api", "dashboards", "db"]) => {
            let body = asked.json();
            let uid = body["dashboard"]["uid"].as_str().expect("a uid").to_owned();
            let object = json!({"dashboard": body["dashboard"], "meta": {"folderUid": body["folderUid"], "slug": "x"}});
            match state.position("/object/dashboard/uid", &uid) {
                Some(_) if body["overwrite"] != true => {
                    return Reply::json(
                        412,
                        &json!({"status": "name-exists", "message": "A dashboard with the same uid already exists"}),
                    );
                }
                Some(at) => state.objects[at]["object"] = object,
                None => state.objects.push(json!({"sort": "dashboard", "object": object})),
            }
            Reply::json(
                200,
                &json!({"id": 1, "uid": uid, "url": format!("/d/{uid}/x"), "status": "success", "version": 1}),
            )
        }
        (method, ["api", "dashboards", "uid", uid]) => {
            let Some(at) = state.position("/object/dashboard/uid", uid) else {
                return error(404, "Dashboard not found");
            };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::json(200, &json!({"title": "x", "message": "Dashboard deleted"}));
            }
            Reply::json(200, &state.objects[at]["object"])
        }
        ("GET", ["api", "users"]) => Reply::json(200, &of(state, "user", asked, "perpage")),
        ("POST", ["api", "admin", "users"]) => {
            let mut made = asked.json();
            if state.position("/object/login", made["login"].as_str().expect("a login")).is_some() {
                return error(412, "user already exists");
            }
            assert!(made["password"].is_string(), "a user is made with a password");
            made.as_object_mut().expect("an object").remove("password");
            made["id"] = state.next().into();
            made["isAdmin"] = false.into();
            state.objects.push(json!({"sort": "user", "object": made}));
            Reply::json(200, &json!({"id": made["id"], "message": "User created"}))
        }
        ("PUT", ["api", "users", id]) => {
            let Some(at) = state.position("/object/id", id) else { return error(404, "user not found") };
            assert!(asked.json().get("password").is_none(), "another endpoint changes it");
            patch(&mut state.objects[at]["object"], &asked.json());
            Reply::json(200, &json!({"message": "User updated"}))
        }
        ("DELETE", ["api", "admin", "users", id]) => {
            let Some(at) = state.position("/object/id", id) else { return error(404, "user not found") };
            state.objects.remove(at);
            Reply::json(200, &json!({"message": "User deleted"}))
        }
        _ => error(404, "Not found"),
    }
}
