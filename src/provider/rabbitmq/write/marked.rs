//! Virtual hosts and users, which carry marks.

use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::error::{Failed as _, Failure};
use crate::mark::{description, tag};
use crate::password;
use crate::types::unmarked::another;
use crate::types::user::{Account, UserSpec};
use crate::types::vhost::{self, VhostSpec};
use tenantry_kit::parse;
use tenantry_provider::contract::{OWN_USER, Step, StepAction};

pub async fn write_vhost(client: &Client, step: &Step) -> Result<(), Failure> {
    let spec: VhostSpec = parse(step.spec())?;
    let path = spec.path();
    let existing = look(client, &path, &spec.name).await?;
    if let Some(existing) = &existing {
        step.check_owner(vhost::of_api(existing).1.as_ref()).map_err(Failure::conflict)?;
    }
    match (&step.action, &existing) {
        (StepAction::Delete { .. }, Some(_)) => return client.delete(&path).await,
        // What is not there now may be somebody else's in a moment.
        (StepAction::Delete { .. }, None) => return Ok(()),
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        _ => {}
    }
    // What the API takes of a virtual host it takes as a whole.
    let tags: Vec<&str> =
        existing.iter().filter_map(|vhost| vhost["tags"].as_array()).flatten().filter_map(Json::as_str).collect();
    let mut body = json!({"description": description(&spec.description, &step.mark), "tags": tags.join(",")});
    if let Some(sort) = existing.as_ref().and_then(|vhost| vhost["default_queue_type"].as_str())
        && sort != "undefined"
    {
        body["default_queue_type"] = sort.into();
    }
    client.put(&path, &body).await
}

/// What is there of a name.
async fn look(client: &Client, path: &[&str], name: &str) -> Result<Option<Json>, Failure> {
    match client.get(path).await? {
        Some(found) if found.get("name").and_then(Json::as_str) != Some(name) => Err(another()),
        found => Ok(found),
    }
}

pub async fn write_user(client: &Client, step: &Step) -> Result<(), Failure> {
    let spec: UserSpec = parse(step.spec())?;
    let path = spec.path();
    if client.user() == spec.name {
        return Err(Failure::invalid(OWN_USER));
    }
    let existing = look(client, &path, &spec.name).await?.as_ref().map(Account::of_api);
    if let Some(account) = &existing {
        step.check_owner(account.mark.as_ref()).map_err(Failure::conflict)?;
    }
    let drops_password = match (&step.action, &existing) {
        (StepAction::Delete { .. }, Some(_)) => return client.delete(&path).await,
        (StepAction::Delete { .. }, None) => return Ok(()),
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Update { removed, .. }, _) => removed.iter().any(|pointer| pointer == "/password"),
        (StepAction::Create { .. }, _) => false,
    };
    // Without a word about the password the server would take the one away that is there.
    let (hash, algorithm, noted) = match (spec.password.as_deref(), existing) {
        (Some(""), _) => return Err(Failure::invalid("its password is empty")),
        (Some(password), _) => {
            let hash = password::hash(password);
            let noted = password::fingerprint(&hash);
            (hash, password::ALGORITHM.to_owned(), noted)
        }
        (None, Some(account)) if !drops_password => (account.password_hash, account.algorithm, None),
        (None, _) => (String::new(), password::ALGORITHM.to_owned(), None),
    };
    let mut tags = spec.tags.clone();
    tags.push(tag(&step.mark, noted.as_deref()));
    let body = json!({"password_hash": hash, "hashing_algorithm": algorithm, "tags": tags.join(",")});
    client.put(&path, &body).await
}
