//! Webhooks of no vendor in particular: pages by links (RFC 8288), secrets that are never told.

use serde_json::json;

use super::{State, patch, segments, size};
use crate::support::server::{Asked, Reply};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
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
