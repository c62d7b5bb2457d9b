//! Users: one listing with their tags and policies, where the server has it; of each with an access key, one request more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;

use crate::api::Api;
use crate::error::{Failed as _, Failure};
use crate::keys::{Key, Note};
use crate::mark::{self, Tags};
use crate::types::text;
use crate::types::user::POLICY;
use crate::xml::Element;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Subject;
use tenantry_transport::Pages;

/// A user as the server has it.
pub struct User {
    pub name: String,
    pub path: String,
    pub arn: String,
    pub tags: Tags,
    /// The inline policy that is ours.
    pub policy: Option<Value>,
}

/// Every user that is asked for, and every other one that carries the estate's mark.
pub async fn observe(api: &Api, kind: &Kind, estate: &str, subjects: &[Subject<'_>]) -> KindObservation {
    let users = match all(api).await {
        Ok(users) => users,
        Err(failure) => {
            return KindObservation::unknown(failure.into_reason(format!("listing the users of {}", api.location())));
        }
    };
    let wanted: BTreeMap<&str, Subject<'_>> =
        subjects.iter().map(|subject| (text(subject.spec, "name"), *subject)).collect();
    let ours = |user: &&User| {
        wanted.contains_key(user.name.as_str()) || mark::read(&user.tags).is_some_and(|mark| *mark.estate == *estate)
    };
    let reads = users.iter().filter(ours).map(|user| async {
        let subject = wanted.get(user.name.as_str());
        let observed = match present(api, kind, user, subject.map(|subject| subject.spec)).await {
            Ok(present) => Observed::Present(present),
            Err(failure) => {
                let attempted = format!("reading user \"{}\" of {}", user.name, api.location());
                Observed::Unknown(failure.into_reason(attempted).into())
            }
        };
        (subject.map_or_else(|| Identity::from(user.name.as_str()), |subject| subject.identity.clone()), observed)
    });
    let mut resources: std::collections::HashMap<Identity, Observed> = join_all(reads).await.into_iter().collect();
    for subject in subjects {
        resources.entry(subject.identity.clone()).or_insert(Observed::Absent);
    }
    KindObservation { resources, incomplete: None }
}

async fn present(api: &Api, kind: &Kind, user: &User, spec: Option<&Map>) -> Result<Present, Failure> {
    let note = Note::of(&user.tags);
    let is_asked = note.is_some() || spec.is_some_and(|spec| spec.contains("accessKey"));
    let keys = if is_asked { keys(api, &user.name).await? } else { Vec::new() };
    let mut fields: Vec<(Arc<str>, Value)> = vec![
        ("name".into(), user.name.as_str().into()),
        ("path".into(), user.path.as_str().into()),
        ("tags".into(), Value::map(mark::others(&user.tags).into_iter().map(|(key, value)| (key, Value::from(value))))),
    ];
    fields.extend(user.policy.clone().map(|policy| ("policy".into(), policy)));
    let mut outputs: Vec<(Arc<str>, Value)> = vec![("arn".into(), user.arn.as_str().into())];
    if let Some(Note::Has { rotation, current, previous }) = &note
        && keys.iter().any(|key| key.id == *current && key.is_active)
    {
        outputs.push(("accessKeyId".into(), current.as_str().into()));
        let keeps = spec.and_then(|spec| spec.get("accessKey")?.get("keepPrevious")?.as_bool()).unwrap_or(true);
        // Where there is none before it, nothing is kept, whatever is asked for.
        let keeps = keeps || previous.as_ref().is_some_and(|previous| keys.iter().any(|key| key.id == *previous));
        let key = [("rotation", Value::from(i64::from(*rotation))), ("keepPrevious", keeps.into())];
        fields.push(("accessKey".into(), Value::map(key)));
    }
    let observed: Map = fields.into_iter().collect();
    Ok(Present {
        spec: Arc::new(kind.canonical(&observed)),
        mark: mark::read(&user.tags),
        outputs: Arc::new(outputs.into_iter().collect()),
        ..Present::default()
    })
}

/// All users. A server without the listing of everything is asked for each.
async fn all(api: &Api) -> Result<Vec<User>, Failure> {
    match pages(api, "GetAccountAuthorizationDetails", &[("Filter.member.1", "User")], "UserDetailList").await {
        Ok(users) => users.iter().map(detailed).collect(),
        Err(failure) if is_unknown_action(&failure) => {
            let names = pages(api, "ListUsers", &[], "Users").await?;
            let names: BTreeSet<&str> = names.iter().filter_map(|user| user.get("UserName")).collect();
            let users = join_all(names.into_iter().map(|name| one(api, name))).await;
            users.into_iter().filter_map(Result::transpose).collect()
        }
        Err(failure) => Err(failure),
    }
}

pub fn is_unknown_action(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { status: 501, .. } => true,
        Failure::Refused { code, .. } => {
            matches!(code.as_str(), "NotImplemented" | "InvalidAction" | "UnknownOperation")
        }
        _ => false,
    }
}

/// The members of a list that comes in pages.
async fn pages(api: &Api, action: &str, parameters: &[(&str, &str)], list: &str) -> Result<Vec<Element>, Failure> {
    let mut members = Vec::new();
    let mut marker: Option<String> = None;
    let mut pages = Pages::default();
    loop {
        let mut asked = parameters.to_vec();
        asked.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = api.iam(action, &asked).await?;
        let unreadable = |what: &str| Failure::Unreadable(format!("the answer to {action} {what}"));
        let found = page.child(list).ok_or_else(|| unreadable("has no list"))?;
        let before = members.len();
        members.extend(found.all("member").cloned());
        if !page.is("IsTruncated", "true") {
            return Ok(members);
        }
        let next = page.get("Marker").filter(|next| !next.is_empty());
        let next = next.ok_or_else(|| unreadable("is marked as incomplete, but names no next page"))?;
        let items = members[before..].iter().map(|member| format!("{member:?}"));
        pages.turn(items, next).map_err(|endless| Failure::Unreadable(format!("{action}: {endless}")))?;
        marker = Some(next.to_owned());
    }
}

fn tags_of(user: &Element) -> Tags {
    let tags = user.child("Tags").into_iter().flat_map(|tags| tags.all("member"));
    tags.filter_map(|tag| Some((tag.get("Key")?.to_owned(), tag.get("Value").unwrap_or_default().to_owned()))).collect()
}

/// A policy document, which AWS answers percent-encoded (RFC 3986).
fn document(text: &str) -> Result<Value, Failure> {
    let unreadable = || Failure::Unreadable("a policy of the user is not a valid document".to_owned());
    let decoded = match text.trim_start().starts_with('{') {
        true => text.to_owned(),
        false => percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| unreadable())?.into_owned(),
    };
    let json: serde_json::Value = serde_json::from_str(&decoded).map_err(|_| unreadable())?;
    Ok(Value::from(json))
}

fn basics(user: &Element) -> Result<User, Failure> {
    let text = |name: &str| user.get(name).unwrap_or_default().to_owned();
    let name = text("UserName");
    if name.is_empty() {
        return Err(Failure::Unreadable("the listing has a user without a name".to_owned()));
    }
    let path = if text("Path").is_empty() { "/".to_owned() } else { text("Path") };
    Ok(User { name, path, arn: text("Arn"), tags: tags_of(user), policy: None })
}

fn detailed(user: &Element) -> Result<User, Failure> {
    let policies = user.child("UserPolicyList").into_iter().flat_map(|list| list.all("member"));
    let ours = policies.into_iter().find(|policy| policy.get("PolicyName") == Some(POLICY));
    let policy = ours.and_then(|policy| policy.get("PolicyDocument")).map(document).transpose()?;
    Ok(User { policy, ..basics(user)? })
}

/// One user; `None` if there is none.
///
/// # Errors
/// If that cannot be told.
pub async fn one(api: &Api, name: &str) -> Result<Option<User>, Failure> {
    let asked = [("UserName", name)];
    let missing = |failure: &Failure| failure.is_missing() || failure.is_code("NoSuchEntity");
    let answer = match api.iam("GetUser", &asked).await {
        Ok(answer) => answer,
        Err(failure) if missing(&failure) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let user = answer.child("User").ok_or_else(|| Failure::Unreadable("the answer has no user".to_owned()))?;
    let mut user = basics(user)?;
    if user.name != name {
        return Err(Failure::Unreadable("the answer is about another user than the requested one".to_owned()));
    }
    if user.tags.is_empty() {
        // Some servers tell them apart only.
        match api.iam("ListUserTags", &asked).await {
            Ok(tags) => user.tags = tags_of(&tags),
            Err(failure) if missing(&failure) => return Ok(None),
            Err(failure) if is_unknown_action(&failure) => {}
            Err(failure) => return Err(failure),
        }
    }
    match api.iam("GetUserPolicy", &[("UserName", name), ("PolicyName", POLICY)]).await {
        Ok(policy) => user.policy = policy.get("PolicyDocument").map(document).transpose()?,
        Err(failure) if missing(&failure) => {}
        Err(failure) => return Err(failure),
    }
    Ok(Some(user))
}

/// The access keys of a user.
///
/// # Errors
/// If they cannot be told.
pub async fn keys(api: &Api, name: &str) -> Result<Vec<Key>, Failure> {
    let keys = pages(api, "ListAccessKeys", &[("UserName", name)], "AccessKeyMetadata").await?;
    let keys = keys.iter().filter(|key| key.get("UserName").is_none_or(|user| user == name));
    Ok(keys
        .filter_map(|key| {
            let is_active = key.get("Status").is_none_or(|status| status == "Active");
            Some(Key { id: key.get("AccessKeyId")?.to_owned(), is_active })
        })
        .collect())
}
