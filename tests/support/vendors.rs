//! Stand-ins for the APIs of the ready definitions, written from their vendors' public documentation.
//!
//! - Neon: <https://api-docs.neon.tech/reference/createprojectbranch> and its neighbours
//! - Cloud Run: <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>
//! - Secret Manager: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets>
//! - Cloudflare: <https://developers.cloudflare.com/api/resources/custom_hostnames/>, and the status codes of Cloudflare for SaaS
//! - Grafana: <https://grafana.com/docs/grafana/latest/developers/http_api/>

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use tenantry::provider::contract::{Provider as _, Reader, Settings, Writer};
use tenantry::provider::http::Http;

use super::Workbench;
use super::server::{Asked, Reply, Server};

/// Which API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Neon,
    CloudRun,
    SecretManager,
    Cloudflare,
    Grafana,
    Webhooks,
}

type Fault = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
pub struct State {
    pub objects: Vec<Json>,
    pub asked: Vec<Asked>,
    pub fault: Option<Fault>,
    /// How often an operation says that it goes on.
    pub patience: usize,
    /// Why operations fail.
    pub failure: Option<String>,
    /// The status of certificates.
    pub certificate: Option<String>,
    /// Whether the test itself says who is let in.
    pub is_signed: bool,
    counter: usize,
    operations: Vec<(String, usize, Json)>,
}

/// A stand-in that runs.
pub struct Api {
    pub bench: Workbench,
    pub url: String,
    pub vendor: Vendor,
    state: Arc<Mutex<State>>,
    _server: Server,
}

impl Api {
    pub async fn start(vendor: Vendor) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start(move |asked| {
            let state = shared.clone();
            async move {
                let mut state = state.lock().expect("no panic");
                state.asked.push(asked.clone());
                if let Some(reply) = state.fault.as_ref().and_then(|fault| fault(&asked)) {
                    return reply;
                }
                let wanted = if vendor == Vendor::Grafana { "Basic YWRtaW46c2VjcmV0" } else { "Bearer secret-token" };
                if !state.is_signed && asked.header("authorization") != Some(wanted) {
                    return Reply::json(401, &json!({"message": "Unauthorized"}));
                }
                match vendor {
                    Vendor::Neon => neon(&mut state, &asked),
                    Vendor::CloudRun => cloud_run(&mut state, &asked),
                    Vendor::SecretManager => secret_manager(&mut state, &asked),
                    Vendor::Cloudflare => cloudflare(&mut state, &asked),
                    Vendor::Grafana => grafana(&mut state, &asked),
                    Vendor::Webhooks => webhooks(&mut state, &asked),
                }
            }
        })
        .await;
        Self { bench: Workbench::new(&Http), url: server.url.clone(), vendor, state, _server: server }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn settings(&self) -> Settings {
        let (values, secret) = match self.vendor {
            Vendor::Grafana => (json!({"url": self.url, "auth": "basic", "username": "admin"}), ("password", "secret")),
            _ => (json!({"url": self.url, "auth": "bearer"}), ("token", "secret-token")),
        };
        let mut values = values.as_object().expect("an object").clone();
        values.insert("requests_per_second".to_owned(), 500.into());
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values,
            secrets: [(secret.0.to_owned(), secret.1.to_owned().into())].into(),
            concurrency: 8,
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        Http.reader(&self.settings()).expect("valid settings")
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        Http.writer(&self.settings()).expect("valid settings")
    }

    pub fn take_asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state().asked);
        asked.into_iter().map(|asked| format!("{} {}?{}", asked.method, asked.path, asked.query)).collect()
    }
}

/// Lays JSON over JSON, as a merge patch (RFC 7396) does.
fn patch(object: &mut Json, over: &Json) {
    let Json::Object(fields) = over else {
        *object = over.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            object.as_object_mut().expect("an object").remove(name);
        } else {
            patch(&mut object[name], value);
        }
    }
}

impl State {
    fn position(&self, at: &str, value: &str) -> Option<usize> {
        let is_it = |object: &Json| match object.pointer(at) {
            Some(Json::String(text)) => text == value,
            Some(Json::Number(number)) => number.as_u64().map(|number| number.to_string()).as_deref() == Some(value),
            _ => false,
        };
        self.objects.iter().position(is_it)
    }

    fn next(&mut self) -> usize {
        self.counter += 1;
        self.counter
    }

    /// A page by token, which is a place in the list.
    fn page(&self, token: Option<String>, size: usize) -> (Vec<Json>, Option<String>) {
        let start = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let page: Vec<Json> = self.objects.iter().skip(start).take(size).cloned().collect();
        let end = start + page.len();
        (page, (end < self.objects.len()).then(|| end.to_string()))
    }
}

fn size(asked: &Asked, parameter: &str) -> usize {
    asked.parameter(parameter).and_then(|size| size.parse().ok()).expect("the size of a page")
}

fn segments(asked: &Asked) -> Vec<String> {
    let decode = |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
    asked.path.split('/').skip(1).map(decode).collect()
}

fn neon(state: &mut State, asked: &Asked) -> Reply {
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

fn google_error(status: u16, message: &str) -> Reply {
    // https://cloud.google.com/apis/design/errors
    let name = match status {
        400 => "INVALID_ARGUMENT",
        404 => "NOT_FOUND",
        _ => "ALREADY_EXISTS",
    };
    Reply::json(status, &json!({"error": {"code": status, "message": message, "status": name}}))
}

/// What the fields of an update mask become, whole.
fn masked(object: &mut Json, asked: &Asked) -> Result<(), Reply> {
    let mask = asked.parameter("updateMask").unwrap_or_default();
    let body = asked.json();
    for field in mask.split(',') {
        if field.is_empty() || field.contains('/') {
            return Err(google_error(400, &format!("Invalid field mask {mask}")));
        }
        match body.get(field) {
            Some(value) => object[field] = value.clone(),
            None => {
                object.as_object_mut().expect("an object").remove(field);
            }
        }
    }
    Ok(())
}

fn cloud_run(state: &mut State, asked: &Asked) -> Reply {
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
                return google_error(409, &format!("Resource '{id}' already exists."));
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
            let Some(at) = state.position("/name", &name) else { return google_error(404, "Resource was not found.") };
            let parent = rest[..4].join("/");
            if method == "DELETE" {
                let gone = state.objects.remove(at);
                return operation(state, &parent, gone);
            }
            let mut object = state.objects[at].clone();
            if let Err(reply) = masked(&mut object, asked) {
                return reply;
            }
            state.objects[at] = object.clone();
            operation(state, &parent, object)
        }
        _ => google_error(404, "Not Found"),
    }
}

fn secret_manager(state: &mut State, asked: &Asked) -> Reply {
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
                return google_error(409, "Secret already exists.");
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
                return google_error(404, "Secret not found.");
            };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::json(200, &json!({}));
            }
            let mut object = state.objects[at].clone();
            if let Err(reply) = masked(&mut object, asked) {
                return reply;
            }
            state.objects[at] = object.clone();
            Reply::json(200, &object)
        }
        _ => google_error(404, "Not Found"),
    }
}

fn cloudflare(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let done = |status: u16, result: Json| {
        Reply::json(status, &json!({"success": true, "errors": [], "messages": [], "result": result}))
    };
    let error = |status, code: u64, message: &str| {
        Reply::json(status, &json!({"success": false, "errors": [{"code": code, "message": message}], "result": null}))
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["zones", _, "custom_hostnames"]) => {
            let (size, page) =
                (size(asked, "per_page"), asked.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(1));
            assert!((5..=50).contains(&size));
            let start: usize = (page - 1) * size;
            let found: Vec<Json> = state.objects.iter().skip(start).take(size).cloned().collect();
            done(200, found.into())
        }
        ("POST", ["zones", _, "custom_hostnames"]) => {
            let body = asked.json();
            if state.position("/hostname", body["hostname"].as_str().expect("a hostname")).is_some() {
                return error(409, 1406, "Duplicate custom hostname found.");
            }
            let status = state.certificate.clone().unwrap_or_else(|| "active".to_owned());
            let mut made = json!({"id": format!("h{}", state.next()), "status": "active",
                "ssl": {"status": status, "bundle_method": "ubiquitous", "wildcard": false}});
            patch(&mut made, &body);
            state.objects.push(made.clone());
            done(201, made)
        }
        (method, ["zones", _, "custom_hostnames", id]) => {
            let Some(at) = state.position("/id", id) else {
                return error(404, 1436, "The custom hostname was not found.");
            };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::json(200, &json!({"id": id}));
            }
            let change = asked.json();
            let is_again = |ssl: &Json| {
                ssl.as_object().expect("an object").iter().all(|(name, value)| state.objects[at]["ssl"][name] == *value)
            };
            if change.get("ssl").is_some_and(is_again) {
                // The validation of the domain begins anew.
                state.objects[at]["ssl"]["status"] = "initializing".into();
            }
            patch(&mut state.objects[at], &change);
            done(202, state.objects[at].clone())
        }
        _ => error(404, 7003, "Could not route"),
    }
}

fn grafana(state: &mut State, asked: &Asked) -> Reply {
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

fn webhooks(state: &mut State, asked: &Asked) -> Reply {
    let segments = segments(asked);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", [collection]) => {
            let size = size(asked, "per_page");
            let (page, next) = state.page(asked.parameter("from"), size);
            let reply = Reply::json(200, &page.into());
            match next {
                Some(next) => {
                    reply.header("link", format!("</{collection}?per_page={size}&from={next}>; rel=\"next\""))
                }
                None => reply,
            }
        }
        ("POST", [collection]) => {
            let mut made = asked.json();
            let id = format!("w{}", state.next());
            made["id"] = id.as_str().into();
            made.as_object_mut().expect("an object").remove("secret");
            state.objects.push(made.clone());
            Reply::json(201, &made).header("location", format!("/{collection}/{id}"))
        }
        (method, [_, id]) => {
            let Some(at) = state.position("/id", id) else {
                return Reply::json(404, &json!({"detail": "no such webhook"}));
            };
            if method == "DELETE" {
                state.objects.remove(at);
                return Reply::empty(204);
            }
            let mut change = asked.json();
            change.as_object_mut().expect("an object").remove("secret");
            patch(&mut state.objects[at], &change);
            Reply::json(200, &state.objects[at])
        }
        _ => Reply::json(404, &json!({"detail": "no such collection"})),
    }
}
