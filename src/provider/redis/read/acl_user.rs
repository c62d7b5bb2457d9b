//! Users: one request for all of them.

use std::collections::HashSet;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;

use crate::acl::User;
use crate::error::{Failed as _, Failure};
use crate::types::RedisKind;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Asked, by_key};
use tenantry_provider::contract::OWN_USER;

pub async fn observe(
    connection: &mut MultiplexedConnection,
    asked: &Asked<'_, RedisKind>,
    own_user: &str,
) -> Result<Answers, Failure> {
    let lines: Vec<String> = redis::cmd("ACL").arg("LIST").query_async(connection).await?;
    let mut users = Vec::with_capacity(lines.len());
    let mut unreadable = HashSet::new();
    for line in &lines {
        match User::parse(line) {
            Some(user) => users.push(user),
            None => unreadable.extend(line.split_ascii_whitespace().nth(1)),
        }
    }
    let Asked { description, estate, subjects, .. } = asked;
    let found = users.iter().map(|user| (user.name.as_str(), user));
    let present = |user: &User, spec: Option<&Map>| present(description, user, spec);
    let mut answers = by_key(description, estate, subjects, found, |subject| subject.text("name"), present);
    for (subject, (_, observed)) in subjects.iter().zip(&mut answers) {
        match subject.text("name") {
            Some(name) if name == own_user => *observed = Observed::Unknown(OWN_USER.into()),
            Some(name) if unreadable.contains(name) => {
                let reason = "the server's description of this user has a form that Tenantry does not know";
                *observed = Observed::Unknown(reason.into());
            }
            _ => {}
        }
    }
    Ok(answers)
}

fn present(kind: &Kind, user: &User, asked: Option<&Map>) -> Present {
    let wanted = asked.and_then(|spec| spec.get("commands")?.as_list());
    let wanted: Vec<String> = wanted.into_iter().flatten().filter_map(|rule| Some(rule.as_str()?.to_owned())).collect();
    let list = |texts: &[String]| Value::list(texts.iter().map(|text| Value::from(text.as_str())));
    let fields = [
        ("name", Value::from(user.name.as_str())),
        ("enabled", user.enabled.into()),
        ("nopass", user.nopass.into()),
        ("keys", list(&user.keys)),
        ("readKeys", list(&user.read_keys)),
        ("writeKeys", list(&user.write_keys)),
        ("channels", list(&user.channels)),
        ("commands", list(&user.commands_for(&wanted))),
        ("selectors", list(&user.selectors)),
    ];
    let spec: Map = fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    let mut mark = user.label.as_ref().map(|label| label.mark.clone());
    if let Some(mark) = &mut mark
        && !user.passwords_are_ours()
    {
        mark.secret_hash = None;
    }
    Present { spec: kind.normal(&spec).shared(), mark, ..Present::default() }
}

/// One user.
pub async fn fetch(connection: &mut MultiplexedConnection, name: &str) -> Result<Option<User>, Failure> {
    let answer: redis::Value = redis::cmd("ACL").arg("GETUSER").arg(name).query_async(connection).await?;
    if answer == redis::Value::Nil {
        return Ok(None);
    }
    let unclear = || Failure::invalid("the server's description of this user has a form that Tenantry does not know");
    let line = line_of(name, &answer).ok_or_else(unclear)?;
    User::parse(&line).ok_or_else(unclear).map(Some)
}

/// What `ACL GETUSER` answers, as the line that `ACL LIST` has of the user.
fn line_of(name: &str, answer: &redis::Value) -> Option<String> {
    let mut words = vec!["user".to_owned(), name.to_owned()];
    for (field, value) in pairs(answer)? {
        match field.as_str() {
            "flags" => words.extend(texts(value)?),
            "passwords" => words.extend(texts(value)?.into_iter().map(|hash| format!("#{hash}"))),
            "commands" | "keys" | "channels" => words.push(text(value)?),
            "selectors" => {
                let redis::Value::Array(selectors) = value else { return None };
                for selector in selectors {
                    let parts: Vec<String> =
                        pairs(selector)?.iter().map(|(_, value)| text(value)).collect::<Option<_>>()?;
                    let parts: Vec<&str> =
                        parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
                    words.push(format!("({})", parts.join(" ")));
                }
            }
            // Whether it can be understood is for who reads the line.
            _ => words.push(text(value)?),
        }
    }
    Some(words.join(" "))
}

/// The fields of an answer, which an older protocol sends as a flat list.
fn pairs(answer: &redis::Value) -> Option<Vec<(String, &redis::Value)>> {
    match answer {
        redis::Value::Map(fields) => fields.iter().map(|(name, value)| Some((text(name)?, value))).collect(),
        redis::Value::Array(items) => items.chunks_exact(2).map(|pair| Some((text(&pair[0])?, &pair[1]))).collect(),
        _ => None,
    }
}

fn text(value: &redis::Value) -> Option<String> {
    redis::from_redis_value(value.clone()).ok()
}

fn texts(value: &redis::Value) -> Option<Vec<String>> {
    redis::from_redis_value(value.clone()).ok()
}
