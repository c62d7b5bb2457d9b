//! What the APIs of Google have in common: <https://cloud.google.com/apis/design/errors>, and update masks.

use serde_json::{Value as Json, json};

use crate::support::server::{Asked, Reply};

pub(super) fn error(status: u16, message: &str) -> Reply {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        404 => "NOT_FOUND",
        _ => "ALREADY_EXISTS",
    };
    refusal(status, name, message)
}

/// An error of a sort that its status does not tell.
pub(super) fn refusal(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": status, "message": message, "status": name}}))
}

/// What the fields of an update mask become, whole.
pub(super) fn masked(object: &mut Json, asked: &Asked) -> Result<(), Reply> {
    let mask = asked.parameter("updateMask").unwrap_or_default();
    let body = asked.json();
    for field in mask.split(',') {
        if field.is_empty() || field.contains('/') {
            return Err(error(400, &format!("Invalid field mask {mask}")));
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
