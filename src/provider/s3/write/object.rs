//! Objects.

use crate::api::{Api, Call};
use crate::error::{Failed as _, Failure};
use crate::read::object_head;
use crate::types::object::{self, ObjectSpec};
use tenantry_core::model::mark::{Mark, fields, fits_name, parse_fields};
use tenantry_core::model::value::Map;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};
use tenantry_transport::{Answer, Method};

pub async fn write(api: &Api, step: &Step) -> Result<Map, Failure> {
    let ObjectSpec { bucket, key, content_type, cache_control, .. } = &parse(step.spec())?;
    let existing = object_head(api, bucket, key, None).await?;
    let mark = existing.as_ref().and_then(mark_of);
    if let Some(mark) = mark.as_ref().filter(|mark| !step.may_change(Some(mark)) && !mark.is_same_owner(&step.mark)) {
        // What was renamed in the estate, or adopted, carries another address of it.
        let is_update = matches!(step.action, StepAction::Update { .. }) && mark.is_of(&step.mark.estate);
        if !is_update {
            let whose = format!("it carries the mark of {} in estate \"{}\"", mark.address, mark.estate);
            return Err(Failure::conflict(whose));
        }
    }
    if matches!(step.action, StepAction::Delete { .. }) {
        if let Some(head) = &existing {
            if mark.is_none() && !is_content(head, step.spec()) {
                let message = "somebody has overwritten it, so it is not deleted; delete it by hand if nobody needs it";
                return Err(Failure::conflict(message.to_owned()));
            }
            api.call(Method::DELETE, Call { bucket, key, ..Call::default() }).await?;
        }
        return Ok(Map::default());
    }
    let content = object::content(step.spec()).ok_or_else(|| Failure::invalid("it has no content".to_owned()))?;
    let hash = object::etag(&content);
    let before = existing.as_ref().and_then(|head| head.header("etag"));
    match (&step.action, &existing) {
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Update { before, .. }, Some(head)) if mark.is_none() && !is_as_planned(head, &before.spec) => {
            return Err(Failure::conflict(
                "somebody has overwritten it since the plan was made; plan again".to_owned(),
            ));
        }
        (StepAction::Create { .. }, Some(_))
            if mark.is_none() && before.map(|etag| etag.trim_matches('"')) != Some(hash.as_str()) =>
        {
            return Err(Failure::conflict("it already exists with other content".to_owned()));
        }
        _ => {}
    }
    let mark = fields(&step.mark, [], fits_name).join(":");
    let mut headers = vec![
        ("content-type", content_type.as_deref().unwrap_or_default()),
        (object::HASH, hash.as_str()),
        (object::MARK, mark.as_str()),
    ];
    headers.extend(cache_control.as_deref().map(|cache| ("cache-control", cache)));
    // Somebody may have come in between since the look.
    headers.push(match before {
        Some(etag) => ("if-match", etag),
        None => ("if-none-match", "*"),
    });
    let body = Some(content.to_vec());
    match api.call(Method::PUT, Call { bucket, key, headers: &headers, body, ..Call::default() }).await {
        Err(Failure::Refused { status: 412, .. }) => {
            Err(Failure::conflict("somebody else wrote it at the same time; plan again".to_owned()))
        }
        other => other.map(|_| Map::default()),
    }
}

/// Whether an object holds what a spec says. What it holds instead stands in no repository.
fn is_content(head: &Answer, spec: &Map) -> bool {
    let etag = head.header("etag").map(|etag| etag.trim_matches('"'));
    object::content(spec).is_some_and(|content| etag == Some(object::etag(&content).as_str()))
}

/// Whether an object holds what a plan saw: of another content than the wanted one the hash is told in its place.
fn is_as_planned(head: &Answer, seen: &Map) -> bool {
    let etag = head.header("etag").unwrap_or_default().trim_matches('"');
    let told = ["content", "contentBase64"].iter().find_map(|field| seen.get(field)?.as_str());
    // Of what holds a secret nothing is told.
    told.is_none_or(|told| is_content(head, seen) || told.contains(etag))
}

/// The mark in an object's metadata.
fn mark_of(head: &Answer) -> Option<Mark> {
    parse_fields(head.header(object::MARK)?.split(':')).map(|(mark, _)| mark)
}
