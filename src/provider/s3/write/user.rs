//! Users: made with their mark, then the policy, then the access key.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::api::Api;
use crate::error::{Failed as _, Failure};
use crate::keys::Note;
use crate::mark::{self, Tags, wanted_tags};
use crate::read::user::{self, User};
use crate::types::policy;
use crate::types::user::{AccessKey, POLICY, UserSpec};
use crate::xml::Element;
use tenantry_core::model::value::Value;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction, Written};

pub async fn write(api: &Api, step: &Step) -> Result<Written, Failure> {
    let spec: UserSpec = parse(step.spec())?;
    let name = spec.name.as_str();
    let existing = user::one(api, name).await?;
    if let Some(user) = &existing {
        step.check_owner(mark::read(&user.tags).as_ref()).map_err(Failure::conflict)?;
    }
    match (&step.action, existing) {
        (StepAction::Delete { .. }, None) => Ok(Written::default()),
        (StepAction::Delete { .. }, Some(_)) => remove(api, name).await.map(|()| Written::default()),
        (StepAction::Update { .. }, None) => Err(Failure::vanished()),
        (StepAction::Create { .. }, None) => {
            let user = create(api, step, &spec).await?;
            bring(api, step, &spec, user, &[], false).await
        }
        (StepAction::Create { .. }, Some(user)) => bring(api, step, &spec, user, &[], false).await,
        (StepAction::Update { changed, removed, .. }, Some(user)) => {
            let is_lost = changed.iter().any(|pointer| pointer == "/secretAccessKey");
            bring(api, step, &spec, user, removed, is_lost).await
        }
    }
}

/// Parameters for tags, from one on.
fn tag_parameters(tags: &Tags) -> Vec<(String, String)> {
    let numbered = tags.iter().zip(1..);
    numbered
        .flat_map(|((key, value), number)| {
            [(format!("Tags.member.{number}.Key"), key.clone()), (format!("Tags.member.{number}.Value"), value.clone())]
        })
        .collect()
}

async fn ask(api: &Api, action: &str, name: &str, more: &[(String, String)]) -> Result<Element, Failure> {
    let mut parameters = vec![("UserName", name)];
    parameters.extend(more.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    api.iam(action, &parameters).await
}

/// Makes the user with its mark, where the server takes it, and looks whether it has it.
async fn create(api: &Api, step: &Step, spec: &UserSpec) -> Result<User, Failure> {
    let name = spec.name.as_str();
    let tags = wanted_tags(step, &spec.tags, &Tags::new(), &[])?;
    let mut parameters = vec![("Path".to_owned(), spec.path.clone())];
    parameters.extend(tag_parameters(&tags));
    let is_made = match ask(api, "CreateUser", name, &parameters).await {
        // Another run was faster, or an answer was lost: the mark tells.
        Err(failure) if failure.is_code("EntityAlreadyExists") => false,
        other => other.map(|_| true)?,
    };
    let user = user::one(api, name).await?.ok_or_else(Failure::vanished)?;
    let found = mark::read(&user.tags);
    // One that was just made has none yet where the server takes no tags with it.
    if found.is_some() || !is_made {
        step.check_owner(found.as_ref()).map_err(Failure::conflict)?;
    }
    Ok(user)
}

async fn set_tags(api: &Api, name: &str, before: &Tags, tags: &Tags) -> Result<(), Failure> {
    let gone: Vec<(String, String)> = before
        .keys()
        .filter(|key| !tags.contains_key(*key) && **key != Note::tag())
        .zip(1..)
        .map(|(key, number)| (format!("TagKeys.member.{number}"), key.clone()))
        .collect();
    if !gone.is_empty() {
        ask(api, "UntagUser", name, &gone).await?;
    }
    let new: Tags = tags.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(own).collect();
    if !new.is_empty() {
        ask(api, "TagUser", name, &tag_parameters(&new)).await?;
    }
    Ok(())
}

fn own((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

async fn bring(
    api: &Api,
    step: &Step,
    spec: &UserSpec,
    user: User,
    removed: &[String],
    is_lost: bool,
) -> Result<Written, Failure> {
    let name = spec.name.as_str();
    let tags = wanted_tags(step, &spec.tags, &user.tags, removed)?;
    set_tags(api, name, &user.tags, &tags).await?;
    let marked = user::one(api, name).await?.ok_or_else(Failure::vanished)?;
    if mark::read(&marked.tags).is_none() {
        let why = "it accepts tags but does not keep them, so the user would have no mark".to_owned();
        return Err(Failure::Unsupported { feature: "tags of users", why });
    }
    if marked.path != spec.path {
        ask(api, "UpdateUser", name, &[("NewPath".to_owned(), spec.path.clone())]).await?;
    }
    let wanted = spec.policy.as_ref().map(policy::normalise);
    if wanted != marked.policy.as_ref().map(policy::normalise) {
        let policy_name = ("PolicyName".to_owned(), POLICY.to_owned());
        match &wanted {
            Some(document) => {
                let document = ("PolicyDocument".to_owned(), policy::document(document));
                ask(api, "PutUserPolicy", name, &[policy_name, document]).await?;
            }
            None => gone_or(ask(api, "DeleteUserPolicy", name, &[policy_name]).await)?,
        }
    }
    let mut outputs: Vec<(std::sync::Arc<str>, Value)> = vec![("arn".into(), marked.arn.as_str().into())];
    let mut captured = BTreeMap::new();
    if let Some((id, secret)) = access_key(api, name, spec.access_key.as_ref(), &marked.tags, is_lost).await? {
        outputs.push(("accessKeyId".into(), id.into()));
        captured.extend(secret.map(|secret| ("secretAccessKey".into(), secret)));
    }
    Ok(Written { outputs: outputs.into_iter().collect(), captured, ..Written::default() })
}

/// Success where something is gone already.
fn gone_or(result: Result<Element, Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.is_missing() || failure.is_code("NoSuchEntity") => Ok(()),
        other => other.map(|_| ()),
    }
}

async fn delete_key(api: &Api, name: &str, id: &str) -> Result<(), Failure> {
    gone_or(ask(api, "DeleteAccessKey", name, &[("AccessKeyId".to_owned(), id.to_owned())]).await)
}

async fn note(api: &Api, name: &str, note: &Note) -> Result<(), Failure> {
    let tags = Tags::from([(Note::tag(), note.text())]);
    ask(api, "TagUser", name, &tag_parameters(&tags)).await.map(|_| ())
}

/// Brings the access key to what the spec says. Returns its id, and its secret if it was just made.
async fn access_key(
    api: &Api,
    name: &str,
    wanted: Option<&AccessKey>,
    tags: &Tags,
    is_lost: bool,
) -> Result<Option<(String, Option<SecretString>)>, Failure> {
    let noted = Note::of(tags);
    let Some(&AccessKey { rotation, keep_previous: keeps }) = wanted else {
        if let Some(noted) = noted {
            let there = user::keys(api, name).await?;
            for id in noted.keys(&there) {
                delete_key(api, name, id).await?;
            }
            ask(api, "UntagUser", name, &[("TagKeys.member.1".to_owned(), Note::tag())]).await?;
        }
        return Ok(None);
    };
    let there = user::keys(api, name).await?;
    let is_there = |id: &str| there.iter().any(|key| key.id == id && key.is_active);
    let previous = match &noted {
        Some(Note::Has { rotation: has, current, previous }) if *has == rotation && is_there(current) && !is_lost => {
            if let Some(old) = previous.as_ref().filter(|_| !keeps) {
                delete_key(api, name, old).await?;
                note(api, name, &Note::Has { rotation, current: current.clone(), previous: None }).await?;
            }
            return Ok(Some((current.clone(), None)));
        }
        // Its secret is not on record: nobody can use it.
        Some(Note::Has { rotation: has, current, previous }) if *has == rotation => {
            delete_key(api, name, current).await?;
            previous.clone()
        }
        Some(Note::Has { current, previous, .. }) => {
            if let Some(oldest) = previous {
                delete_key(api, name, oldest).await?;
            }
            Some(current.clone())
        }
        Some(making @ Note::Making { previous, .. }) => {
            for orphan in making.orphans(&there) {
                delete_key(api, name, &orphan.id).await?;
            }
            previous.clone()
        }
        None => None,
    };
    let beside = user::keys(api, name).await?.into_iter().map(|key| key.id).collect();
    note(api, name, &Note::Making { previous: previous.clone(), beside }).await?;
    let made = match ask(api, "CreateAccessKey", name, &[]).await {
        Ok(made) => made,
        Err(failure) => {
            if matches!(failure, Failure::Refused { status: 400..500, .. }) {
                not_made(api, name, noted).await?;
            }
            return Err(match failure {
                failure if failure.is_code("LimitExceeded") => Failure::conflict(
                    "it already has as many access keys as the server allows, created by somebody else; delete one of them"
                        .to_owned(),
                ),
                failure => failure,
            });
        }
    };
    let key = made.child("AccessKey").unwrap_or(&made);
    let (Some(id), Some(secret)) = (key.get("AccessKeyId"), key.get("SecretAccessKey")) else {
        return Err(Failure::Unreadable("the answer to the creation of an access key has no key".to_owned()));
    };
    note(api, name, &Note::Has { rotation, current: id.to_owned(), previous: previous.clone() }).await?;
    if let Some(old) = previous.filter(|_| !keeps) {
        delete_key(api, name, &old).await?;
        note(api, name, &Note::Has { rotation, current: id.to_owned(), previous: None }).await?;
    }
    Ok(Some((id.to_owned(), Some(SecretString::from(secret.to_owned())))))
}

/// Notes that no key is being made any more, after the server has refused it: what comes from now on is somebody else's.
async fn not_made(api: &Api, name: &str, before: Option<Note>) -> Result<(), Failure> {
    let before = match before {
        // Of a rotation that nobody wants, so that the next run makes one after it.
        Some(Note::Making { previous: Some(current), .. }) => Some(Note::Has { rotation: 0, current, previous: None }),
        Some(Note::Making { previous: None, .. }) | None => None,
        Some(has) => Some(has),
    };
    match before {
        Some(before) => note(api, name, &before).await,
        None => ask(api, "UntagUser", name, &[("TagKeys.member.1".to_owned(), Note::tag())]).await.map(|_| ()),
    }
}

/// Deletes a user that is ours, after what keeps the server from it.
async fn remove(api: &Api, name: &str) -> Result<(), Failure> {
    for key in user::keys(api, name).await? {
        delete_key(api, name, &key.id).await?;
    }
    let list = |answer: Element, list: &str| -> Vec<Element> {
        answer.child(list).into_iter().flat_map(|list| list.all("member")).cloned().collect()
    };
    match ask(api, "ListUserPolicies", name, &[]).await {
        Ok(answer) => {
            for policy in list(answer, "PolicyNames") {
                gone_or(ask(api, "DeleteUserPolicy", name, &[("PolicyName".to_owned(), policy.text)]).await)?;
            }
        }
        // Then our own is all that there can be.
        Err(failure) if user::is_unknown_action(&failure) => {
            gone_or(ask(api, "DeleteUserPolicy", name, &[("PolicyName".to_owned(), POLICY.to_owned())]).await)?;
        }
        other => gone_or(other)?,
    }
    match ask(api, "ListAttachedUserPolicies", name, &[]).await {
        Ok(answer) => {
            for policy in list(answer, "AttachedPolicies") {
                let arn = policy.get("PolicyArn").unwrap_or_default().to_owned();
                gone_or(ask(api, "DetachUserPolicy", name, &[("PolicyArn".to_owned(), arn)]).await)?;
            }
        }
        Err(failure) if user::is_unknown_action(&failure) => {}
        other => gone_or(other)?,
    }
    gone_or(ask(api, "DeleteUser", name, &[]).await)
}
