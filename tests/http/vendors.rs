//! What the stand-ins promise, where other tests build on it: their files name the pages that say so.

use serde_json::{Value as Json, json};

use crate::support::vendors::{Api, Vendor};

/// A request by hand, with its body if it has one: the status and the answer.
async fn ask(api: &Api, method: &str, path: &str, body: Json) -> (u16, Json) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new()
        .request(method.parse().expect("a method"), format!("{}{path}", api.url))
        .bearer_auth("secret-token");
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.expect("a text")).unwrap_or(Json::Null))
}

/// An answer that has to have this status.
async fn told(api: &Api, status: u16, method: &str, path: &str, body: Json) -> Json {
    let (found, answer) = ask(api, method, path, body).await;
    assert_eq!(found, status, "{method} {path}: {answer}");
    answer
}

/// An error of Google's that has to have this name: its message.
async fn refused(api: &Api, name: &str, method: &str, path: &str, body: Json) -> String {
    let status = match name {
        "NOT_FOUND" => 404,
        "ABORTED" => 409,
        _ => 400,
    };
    let error = told(api, status, method, path, body).await["error"].clone();
    assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(name)));
    error["message"].as_str().expect("a message").to_owned()
}

async fn branch(api: &Api, body: Json) -> Json {
    told(api, 201, "POST", "/projects/p/branches", body).await
}

#[tokio::test]
async fn neon_has_one_endpoint_for_writing_on_a_branch() {
    let api = Api::start(Vendor::Neon).await;
    let made = branch(&api, json!({"branch": {"name": "acme"}, "endpoints": [{"type": "read_write"}]})).await;
    let id = made["branch"]["id"].as_str().expect("an id");
    let endpoint = &made["endpoints"][0];
    assert_eq!(endpoint["branch_id"], id);
    let name = endpoint["id"].as_str().expect("an id");
    assert_eq!(endpoint["host"], format!("{name}.c-3.us-east-2.aws.neon.tech"));
    assert_eq!(endpoint["hosts"]["read_write_pooled_host"], format!("{name}-pooler.c-3.us-east-2.aws.neon.tech"));
    let actions = made["operations"].as_array().expect("a list").iter().map(|operation| operation["action"].clone());
    assert_eq!(actions.collect::<Vec<_>>(), ["create_branch", "start_compute"]);

    let another = |kind: &str| json!({"endpoint": {"branch_id": id, "type": kind, "suspend_timeout_seconds": 60}});
    let refused = told(&api, 422, "POST", "/projects/p/endpoints", another("read_write")).await;
    assert_eq!(refused["code"], "ENDPOINTS_LIMIT_EXCEEDED");
    assert_eq!(refused["message"], "read_write endpoint already exists");
    let reading = told(&api, 201, "POST", "/projects/p/endpoints", another("read_only")).await;
    assert_eq!(reading["endpoint"]["current_state"], "init");
    assert_eq!(reading["endpoint"]["hosts"]["read_only_host"], reading["endpoint"]["host"]);
    assert_eq!(reading["operations"][0]["action"], "start_compute");

    let path = format!("/projects/p/endpoints/{name}");
    let size = json!({"endpoint": {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2, "disabled": true}});
    let changed = told(&api, 200, "PATCH", &path, size).await;
    assert_eq!(changed["operations"][0]["action"], "suspend_compute");
    let found = told(&api, 200, "GET", &path, Json::Null).await["endpoint"].clone();
    assert_eq!(found["autoscaling_limit_min_cu"], 0.25);
    assert_eq!(found["current_state"], "idle");
    told(&api, 400, "PATCH", &path, json!({"endpoint": {"type": "read_only"}})).await;

    let listed = told(&api, 200, "GET", "/projects/p/endpoints", Json::Null).await;
    assert_eq!(listed["endpoints"].as_array().map(Vec::len), Some(2));
    let of_the_root = told(&api, 200, "GET", "/projects/p/branches/br-main/endpoints", Json::Null).await;
    assert_eq!(of_the_root, json!({"endpoints": []}));
    told(&api, 200, "DELETE", &path, Json::Null).await;
    told(&api, 204, "DELETE", &path, Json::Null).await;
    told(&api, 404, "GET", &path, Json::Null).await;
    told(&api, 201, "POST", "/projects/p/endpoints", another("read_write")).await;
    told(&api, 200, "DELETE", &format!("/projects/p/branches/{id}"), Json::Null).await;
    let listed = told(&api, 200, "GET", "/projects/p/endpoints", Json::Null).await;
    assert_eq!(listed, json!({"endpoints": []}), "they went with their branch");
    told(&api, 404, "POST", "/projects/p/endpoints", another("read_write")).await;
}

#[tokio::test]
async fn neon_tells_the_password_of_a_role_when_it_is_made_or_reset() {
    let api = Api::start(Vendor::Neon).await;
    let made = branch(&api, json!({"branch": {"name": "acme"}})).await;
    let path = format!("/projects/p/branches/{}", made["branch"]["id"].as_str().expect("an id"));
    // What the root has.
    assert_eq!(made["roles"][0]["name"], "neondb_owner");
    assert_eq!(made["databases"][0]["owner_name"], "neondb_owner");

    let roles = format!("{path}/roles");
    let sally = json!({"role": {"name": "sally"}});
    let role = told(&api, 201, "POST", &roles, sally.clone()).await["role"].clone();
    let password = role["password"].as_str().expect("a password");
    let refused = told(&api, 409, "POST", &roles, sally).await;
    assert_eq!(refused["message"], r#"role already exists; role_name:"sally""#);
    let one = format!("{roles}/sally");
    let found = told(&api, 200, "GET", &one, Json::Null).await["role"].clone();
    assert_eq!((&found["name"], found.get("password")), (&json!("sally"), None));
    let listed = told(&api, 200, "GET", &roles, Json::Null).await;
    assert_eq!(listed["roles"][1], found);
    let revealed = told(&api, 200, "GET", &format!("{one}/reveal_password"), Json::Null).await;
    assert_eq!(revealed, json!({"password": password}));
    let reset = told(&api, 200, "POST", &format!("{one}/reset_password"), Json::Null).await["role"].clone();
    assert_ne!(reset["password"], password);
    api.state().neon.forgets_passwords = true;
    told(&api, 412, "GET", &format!("{one}/reveal_password"), Json::Null).await;

    let databases = format!("{path}/databases");
    let shop = |owner: &str| json!({"database": {"name": "shop", "owner_name": owner}});
    let refused = told(&api, 404, "POST", &databases, shop("nobody")).await;
    assert_eq!(refused["message"], r#"database owner not found; role_name:"nobody""#);
    let database = told(&api, 201, "POST", &databases, shop("neondb_owner")).await["database"].clone();
    assert!(database["id"].is_u64());
    told(&api, 409, "POST", &databases, shop("sally")).await;
    let one_database = format!("{databases}/shop");
    let changed = told(&api, 200, "PATCH", &one_database, shop("sally")).await["database"].clone();
    assert_eq!((&changed["id"], &changed["owner_name"]), (&database["id"], &json!("sally")));
    told(&api, 422, "DELETE", &one, Json::Null).await;
    told(&api, 200, "DELETE", &one_database, Json::Null).await;
    told(&api, 204, "DELETE", &one_database, Json::Null).await;
    told(&api, 200, "DELETE", &one, Json::Null).await;
    told(&api, 204, "DELETE", &one, Json::Null).await;
    told(&api, 404, "GET", "/projects/p/branches/br-none/roles", Json::Null).await;
}

#[tokio::test]
async fn neon_copies_roles_to_a_branch_and_their_passwords_unless_protected() {
    let api = Api::start(Vendor::Neon).await;
    let password = async |branch: &Json| {
        let id = branch["branch"]["id"].as_str().expect("an id");
        let path = format!("/projects/p/branches/{id}/roles/neondb_owner/reveal_password");
        told(&api, 200, "GET", &path, Json::Null).await["password"].clone()
    };
    let parent = branch(&api, json!({"branch": {"name": "acme", "protected": true}})).await;
    assert_eq!(password(&parent).await, "npg_0", "that of the root");
    let id = parent["branch"]["id"].as_str().expect("an id");
    let child = branch(&api, json!({"branch": {"name": "preview", "parent_id": id}})).await;
    assert_ne!(password(&child).await, "npg_0");
    for branch in [&child, &parent] {
        let path = format!("/projects/p/branches/{}", branch["branch"]["id"].as_str().expect("an id"));
        let gone = told(&api, 200, "DELETE", &path, Json::Null).await;
        assert_eq!(gone["operations"][0]["action"], "delete_timeline");
        told(&api, 204, "DELETE", &path, Json::Null).await;
        told(&api, 404, "GET", &path, Json::Null).await;
    }
    let state = api.state();
    let left = [&state.neon.roles, &state.neon.databases];
    assert!(left.iter().all(|left| left.len() == 1), "those of the root: {left:?}");
}

#[tokio::test]
async fn neon_refuses_what_conflicts_with_an_operation_until_it_ends() {
    let api = Api::start(Vendor::Neon).await;
    api.state().patience = 2;
    let made = branch(&api, json!({"branch": {"name": "acme"}, "endpoints": [{"type": "read_write"}]})).await;
    let (id, operation) = (made["branch"]["id"].as_str().expect("an id"), &made["operations"][1]["id"]);
    let roles = format!("/projects/p/branches/{id}/roles");
    let role = |name: &str| json!({"role": {"name": name}});
    let refused = told(&api, 423, "POST", &roles, role("ann")).await;
    let message = "project already has running conflicting operations, scheduling of new ones is prohibited";
    assert_eq!(refused["message"], message);
    told(&api, 201, "POST", "/projects/p/branches/br-main/roles", role("ann")).await;
    told(&api, 200, "GET", &roles, Json::Null).await;
    let endpoint = told(&api, 200, "GET", "/projects/p/endpoints", Json::Null).await["endpoints"][0].clone();
    assert_eq!((&endpoint["current_state"], &endpoint["pending_state"]), (&json!("init"), &json!("active")));
    let path = format!("/projects/p/operations/{}", operation.as_str().expect("an id"));
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(told(&api, 200, "GET", &path, Json::Null).await["operation"]["status"].clone());
    }
    assert_eq!(statuses, ["running", "finished"]);
    let endpoint = told(&api, 200, "GET", "/projects/p/endpoints", Json::Null).await["endpoints"][0].clone();
    assert_eq!((&endpoint["current_state"], endpoint.get("pending_state")), (&json!("active"), None));
    let made = told(&api, 201, "POST", &roles, role("ann")).await;
    assert_eq!(made["operations"][0]["action"], "apply_config");
    assert_eq!(made["operations"][0]["endpoint_id"], endpoint["id"]);
}

const SECRET: &str = "/v1/projects/p/secrets/acme";

async fn secret_manager() -> Api {
    let api = Api::start(Vendor::SecretManager).await;
    let secret = json!({"replication": {"automatic": {}}});
    told(&api, 200, "POST", "/v1/projects/p/secrets?secretId=acme", secret).await;
    api
}

#[tokio::test]
async fn secret_manager_numbers_versions_and_the_newest_is_the_latest_in_whatever_state() {
    let api = secret_manager().await;
    let add = format!("{SECRET}:addVersion");
    let at = |version: &str| format!("{SECRET}/versions/{version}");
    let none = "Secret [projects/123/secrets/acme] not found or has no versions.";
    assert_eq!(refused(&api, "NOT_FOUND", "GET", &at("latest:access"), Json::Null).await, none);
    assert_eq!(told(&api, 200, "GET", &format!("{SECRET}/versions"), Json::Null).await, json!({"totalSize": 0}));
    // The check value of CRC32C is that of these digits.
    let digits = json!({"payload": {"data": "MTIzNDU2Nzg5", "dataCrc32c": "3808858755"}});
    let made = told(&api, 200, "POST", &add, digits).await;
    assert_eq!(made["name"], "projects/123/secrets/acme/versions/1");
    assert_eq!((&made["state"], &made["clientSpecifiedPayloadChecksum"]), (&json!("ENABLED"), &json!(true)));
    assert_eq!(made.get("payload"), None);
    for wrong in [
        json!({"data": "MTIzNDU2Nzg5", "dataCrc32c": "1"}),
        json!({"data": "no base64"}),
        json!({"data": ""}),
        json!({"data": "A".repeat(65_540 * 4 / 3)}),
    ] {
        refused(&api, "INVALID_ARGUMENT", "POST", &add, json!({"payload": wrong})).await;
    }
    let second = told(&api, 200, "POST", &add, json!({"payload": {"data": "Yg=="}})).await;
    assert_eq!(second.get("clientSpecifiedPayloadChecksum"), None);
    let found = told(&api, 200, "GET", &at("latest:access"), Json::Null).await;
    let payload = json!({"data": "Yg==", "dataCrc32c": "3531649220"});
    assert_eq!(found, json!({"name": "projects/123/secrets/acme/versions/2", "payload": payload}));

    told(&api, 200, "POST", &at("2:disable"), json!({})).await;
    let message = refused(&api, "FAILED_PRECONDITION", "GET", &at("latest:access"), Json::Null).await;
    assert_eq!(message, "Secret Version [projects/123/secrets/acme/versions/2] is in DISABLED state.");
    let latest = told(&api, 200, "GET", &at("latest"), Json::Null).await;
    assert_eq!((&latest["name"], &latest["state"]), (&second["name"], &json!("DISABLED")));
    let etag = json!({"etag": second["etag"]});
    refused(&api, "FAILED_PRECONDITION", "POST", &at("2:enable"), etag).await;
    told(&api, 200, "POST", &at("2:enable"), json!({"etag": latest["etag"]})).await;
    let gone = told(&api, 200, "POST", &at("2:destroy"), json!({})).await;
    assert_eq!(gone["state"], "DESTROYED");
    assert!(gone["destroyTime"].is_string());
    for verb in ["enable", "disable", "destroy"] {
        let message = refused(&api, "FAILED_PRECONDITION", "POST", &at(&format!("2:{verb}")), json!({})).await;
        assert_eq!(message, "Secret Version [projects/123/secrets/acme/versions/2] is in DESTROYED state.");
    }
    told(&api, 200, "GET", &at("1:access"), Json::Null).await;
    let third = told(&api, 200, "POST", &add, json!({"payload": {"data": "Yw=="}})).await;
    assert_eq!(third["name"], "projects/123/secrets/acme/versions/3");
    let message = refused(&api, "NOT_FOUND", "GET", &at("4"), Json::Null).await;
    assert_eq!(message, "Secret Version [projects/123/secrets/acme/versions/4] not found.");

    let list = |query: &str| format!("{SECRET}/versions?{query}");
    let first_page = told(&api, 200, "GET", &list("pageSize=2"), Json::Null).await;
    assert_eq!(first_page["versions"][0], third, "the newest first");
    assert_eq!((first_page["versions"].as_array().map(Vec::len), &first_page["totalSize"]), (Some(2), &json!(3)));
    let token = first_page["nextPageToken"].as_str().expect("another page");
    let last_page = told(&api, 200, "GET", &list(&format!("pageSize=2&pageToken={token}")), Json::Null).await;
    assert_eq!(last_page["versions"][0]["name"], made["name"]);
    assert_eq!(last_page.get("nextPageToken"), None);
    let enabled = told(&api, 200, "GET", &list("filter=state%3AENABLED"), Json::Null).await;
    assert_eq!(enabled["totalSize"], 2);

    told(&api, 200, "PATCH", &format!("{SECRET}?updateMask=versionDestroyTtl"), json!({"versionDestroyTtl": "86400s"}))
        .await;
    let later = told(&api, 200, "POST", &at("3:destroy"), json!({})).await;
    assert_eq!((&later["state"], later["scheduledDestroyTime"].is_string()), (&json!("DISABLED"), true));
    told(&api, 200, "POST", &format!("{SECRET}:setIamPolicy"), json!({"policy": {}})).await;
    told(&api, 200, "DELETE", SECRET, Json::Null).await;
    let message = refused(&api, "NOT_FOUND", "POST", &add, json!({"payload": {"data": "Yw=="}})).await;
    assert_eq!(message, "Secret [projects/123/secrets/acme] not found.");
    assert!(api.state().secrets.versions.is_empty() && api.state().secrets.policies.is_empty(), "they went with it");
}

#[tokio::test]
async fn secret_manager_guards_a_policy_by_its_tag() {
    let api = secret_manager().await;
    let (get, set) = (format!("{SECRET}:getIamPolicy"), format!("{SECRET}:setIamPolicy"));
    assert_eq!(told(&api, 200, "GET", &get, Json::Null).await, json!({"etag": "ACAB"}));
    let reader = json!({"role": "roles/secretmanager.secretAccessor", "members": ["serviceAccount:acme@p.iam.gserviceaccount.com"]});
    let policy = |etag: &Json, bindings: &[&Json]| json!({"policy": {"etag": etag, "bindings": bindings}});
    let first = told(&api, 200, "POST", &set, policy(&json!("ACAB"), &[&reader])).await;
    assert_eq!((&first["bindings"], &first["version"]), (&json!([reader]), &json!(1)));
    assert_eq!(told(&api, 200, "GET", &get, Json::Null).await, first);
    let message = refused(&api, "ABORTED", "POST", &set, policy(&json!("ACAB"), &[])).await;
    let words = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. \
                 The request's ETag '\\000\\040\\001' did not match the current policy's ETag '\\007\\005\\366B\\000";
    assert!(message.starts_with(words), "{message}");
    assert_eq!(told(&api, 200, "GET", &get, Json::Null).await, first, "nothing was set");

    let mut sometimes = reader.clone();
    sometimes["condition"] =
        json!({"title": "while on trial", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"});
    let mut conditional = policy(&first["etag"], &[&reader, &sometimes]);
    refused(&api, "INVALID_ARGUMENT", "POST", &set, conditional.clone()).await;
    conditional["policy"]["version"] = 3.into();
    let second = told(&api, 200, "POST", &set, conditional).await;
    assert_ne!(second["etag"], first["etag"]);
    let whole = told(&api, 200, "GET", &format!("{get}?options.requestedPolicyVersion=3"), Json::Null).await;
    assert_eq!((&whole["version"], &whole["bindings"]), (&json!(3), &json!([reader, sometimes])));
    let old = told(&api, 200, "GET", &get, Json::Null).await;
    assert_eq!((&old["version"], &old["bindings"][0]), (&json!(1), &reader));
    let role = old["bindings"][1]["role"].as_str().expect("a role");
    assert!(role.starts_with("roles/secretmanager.secretAccessor_withcond_"), "{role}");
    assert_eq!(old["bindings"][1].get("condition"), None);
    refused(&api, "INVALID_ARGUMENT", "GET", &format!("{get}?options.requestedPolicyVersion=2"), Json::Null).await;
    refused(&api, "INVALID_ARGUMENT", "POST", &set, policy(&second["etag"], &[&reader])).await;
    let nobody = json!({"role": "roles/secretmanager.viewer", "members": []});
    refused(&api, "INVALID_ARGUMENT", "POST", &set, json!({"policy": {"bindings": [nobody]}})).await;

    // Without its tag it is written over, conditions and all.
    let third = told(&api, 200, "POST", &set, json!({"policy": {}})).await;
    assert_eq!((third.get("bindings"), &third["version"]), (None, &json!(1)));
    let none = "Secret [projects/123/secrets/other] not found.";
    let other = "/v1/projects/p/secrets/other:getIamPolicy";
    assert_eq!(refused(&api, "NOT_FOUND", "GET", other, Json::Null).await, none);
}
