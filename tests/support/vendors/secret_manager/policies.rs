//! Who may do what with a secret: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/getIamPolicy> and
//! `…/setIamPolicy`.
//!
//! A policy is set whole. One that nobody set is `{"etag": "ACAB"}`. Its tag guards against changes by others; without one, what is
//! there is written over: <https://cloud.google.com/nodejs/docs/reference/bigtable/latest/bigtable/policy>, the same for all of
//! Google's APIs. A tag that is no more the present one is refused with 409 and in these words:
//! <https://github.com/pulumi/pulumi-gcp/issues/1028>. Conditions need version 3 in both directions: a reader that asks for less is
//! told roles that do not exist, ending in `_withcond_` and a hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::super::{State, google};
use crate::support::server::{Asked, Reply};

const NEVER_SET: &str = "ACAB";

fn has_conditions(policy: &Json) -> bool {
    policy["bindings"]
        .as_array()
        .is_some_and(|bindings| bindings.iter().any(|binding| binding.get("condition").is_some()))
}

fn present(state: &State, secret: &str) -> Json {
    state.secrets.policies.get(secret).cloned().unwrap_or_else(|| json!({"etag": NEVER_SET}))
}

pub(super) fn get(state: &State, asked: &Asked, secret: &str) -> Reply {
    let version = asked.parameter("options.requestedPolicyVersion").unwrap_or_default();
    if !["", "0", "1", "3"].contains(&version.as_str()) {
        return google::error(400, "Invalid requested policy version.");
    }
    let mut policy = present(state, secret);
    if version != "3" && has_conditions(&policy) {
        policy["version"] = 1.into();
        for (number, binding) in policy["bindings"].as_array_mut().into_iter().flatten().enumerate() {
            if binding.as_object_mut().expect("an object").remove("condition").is_some() {
                let role = binding["role"].as_str().expect("a role");
                binding["role"] = format!("{role}_withcond_{number:020x}").into();
            }
        }
    }
    Reply::json(200, &policy)
}

pub(super) fn set(state: &mut State, asked: &Asked, secret: &str) -> Reply {
    let body = asked.json();
    // Without a mask these are `bindings, etag`.
    assert!(body.get("updateMask").is_none(), "no masks here");
    let (policy, before) = (&body["policy"], present(state, secret));
    if !policy.is_object() {
        return google::error(400, "The policy is required.");
    }
    let tag = policy["etag"].as_str().filter(|tag| !tag.is_empty());
    if let Some(tag) = tag.filter(|tag| before["etag"] != **tag) {
        let (asked_for, found) = (in_words(tag), in_words(before["etag"].as_str().expect("a tag")));
        let message = format!(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. \
             The request's ETag '{asked_for}' did not match the current policy's ETag '{found}'."
        );
        return google::refusal(409, "ABORTED", &message);
    }
    let version = policy["version"].as_u64().unwrap_or(0);
    let needs_it = has_conditions(policy) || (tag.is_some() && has_conditions(&before));
    if ![0, 1, 3].contains(&version) || (needs_it && version != 3) {
        return google::error(400, "The policy version must be 3 for a policy with conditions.");
    }
    let bindings = policy["bindings"].as_array().cloned().unwrap_or_default();
    let is_empty = |binding: &Json| binding["members"].as_array().is_none_or(Vec::is_empty);
    if bindings.iter().any(|binding| !binding["role"].is_string() || is_empty(binding)) {
        return google::error(400, "Each binding needs a role and at least one member.");
    }
    let number = u32::try_from(state.next()).expect("few tests").to_be_bytes();
    let mut made = json!({"version": if has_conditions(policy) { 3 } else { 1 },
        "etag": STANDARD.encode([[7, 5, 0xF6, 0x42], number].concat())});
    if !bindings.is_empty() {
        made["bindings"] = bindings.into();
    }
    state.secrets.policies.insert(secret.to_owned(), made.clone());
    Reply::json(200, &made)
}

/// A tag as messages quote it: its bytes, and in octal digits what cannot be printed.
fn in_words(tag: &str) -> String {
    let bytes = STANDARD.decode(tag).unwrap_or_default();
    let word =
        |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte).to_string() } else { format!("\\{byte:03o}") };
    bytes.iter().map(word).collect()
}
