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
