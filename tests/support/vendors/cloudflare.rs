//! Cloudflare: <https://developers.cloudflare.com/api/resources/custom_hostnames/>, and the status codes of Cloudflare for SaaS.

use serde_json::{Value as Json, json};

use super::{State, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
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
