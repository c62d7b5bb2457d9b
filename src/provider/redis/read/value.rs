//! Keys and hashes, a page of them in one round trip.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value as Answer, from_redis_value};

use crate::error::{Failed as _, Failure};
use crate::types::expiry::Expiry;
use crate::types::key::is_create_only;
use crate::types::{RedisKind, typed};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Asked, Subject};

/// Keys of one page: some hundred kilobytes at most, unless values are large.
const PAGE: usize = 500;

/// What the server says of every key besides its value.
struct Head {
    /// Empty if there is no such key.
    sort: String,
    /// Milliseconds since 1970, or negative.
    ends: i64,
    /// Milliseconds that are left, or negative.
    left: i64,
}

const HEAD: usize = 3;

fn ask_head(pipeline: &mut Pipeline, key: &str) {
    pipeline.cmd("TYPE").arg(key).cmd("PEXPIRETIME").arg(key).cmd("PTTL").arg(key);
}

impl Head {
    fn read(answers: &[RedisResult<Answer>]) -> Result<Self, Failure> {
        let [sort, ends, left] = answers else { return Err(short()) };
        let sort: String = from_redis_value(sort.clone()?).map_err(redis::RedisError::from)?;
        let sort = if sort == "none" { String::new() } else { sort };
        let number = |answer: &RedisResult<Answer>| -> Result<i64, Failure> {
            Ok(from_redis_value(answer.clone()?).map_err(redis::RedisError::from)?)
        };
        Ok(Self { sort, ends: number(ends)?, left: number(left)? })
    }

    /// Whether there is something of the wanted sort; what is of another is neither absent nor ours to touch.
    fn is(&self, wanted: &str) -> Result<bool, Failure> {
        match self.sort.as_str() {
            "" => Ok(false),
            sort if sort == wanted => Ok(true),
            other => {
                let message = format!("the key holds a {other}, not a {wanted}; remove it by hand, or use another key");
                Err(Failure::conflict(message))
            }
        }
    }
}

fn short() -> Failure {
    Failure::busy("the server returned fewer values than requested")
}

/// Runs one page's commands and hands each subject its part of the answers.
async fn page(
    connection: &mut MultiplexedConnection,
    asked: &Asked<'_, RedisKind>,
    ask: impl Fn(&mut Pipeline, &Subject<'_>, &str),
    answer: impl Fn(&Subject<'_>, &[RedisResult<Answer>]) -> Result<Option<Map>, Failure>,
) -> Result<Answers, Failure> {
    let mut all = Answers::with_capacity(asked.subjects.len());
    for subjects in asked.subjects.chunks(PAGE) {
        let mut pipeline = Pipeline::with_capacity(subjects.len() * (HEAD + 1));
        pipeline.ignore_errors();
        let mut ends = Vec::with_capacity(subjects.len());
        for subject in subjects {
            if let Some(key) = subject.text("key") {
                ask_head(&mut pipeline, key);
                ask(&mut pipeline, subject, key);
            }
            ends.push(pipeline.len());
        }
        let answers: Vec<RedisResult<Answer>> = pipeline.query_async(connection).await?;
        if answers.len() != pipeline.len() {
            return Err(short());
        }
        let mut begin = 0;
        for (subject, end) in subjects.iter().zip(ends) {
            let observed = match answer(subject, &answers[begin..end]) {
                Ok(None) => Observed::Absent,
                Ok(Some(spec)) => {
                    Observed::Present(Present { spec: asked.description.normal(&spec).shared(), ..Present::default() })
                }
                Err(failure) => {
                    let attempted = format!("reading key \"{}\"", subject.text("key").unwrap_or_default());
                    Observed::Unknown(failure.into_reason(attempted).into())
                }
            };
            all.push((subject.identity.clone(), observed));
            begin = end;
        }
    }
    Ok(all)
}

fn report(subject: &Subject<'_>, field: &str, value: Value, head: &Head) -> Map {
    let left_alone = subject.asked().filter(|spec| is_create_only(spec));
    let kept = |name: &str| left_alone.and_then(|spec| spec.get(name)).cloned();
    let value = kept(field).unwrap_or(value);
    let expire = kept("expire").unwrap_or_else(|| Expiry::observed(subject.asked(), head.ends, head.left));
    let create_only = is_create_only(subject.spec);
    let key = Value::from(subject.text("key").unwrap_or_default());
    let fields = [("key", key), (field, value), ("expire", expire), ("createOnly", create_only.into())];
    fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect()
}

pub async fn observe_keys(
    connection: &mut MultiplexedConnection,
    asked: &Asked<'_, RedisKind>,
) -> Result<Answers, Failure> {
    let ask = |pipeline: &mut Pipeline, _: &Subject<'_>, key: &str| {
        pipeline.cmd("GET").arg(key);
    };
    page(connection, asked, ask, |subject, answers| {
        let (head, value) = answers.split_at_checked(HEAD).ok_or_else(short)?;
        let head = Head::read(head)?;
        if !head.is("string")? {
            return Ok(None);
        }
        let [value] = value else { return Err(short()) };
        let value: Option<Vec<u8>> = from_redis_value(value.clone()?).map_err(redis::RedisError::from)?;
        // It ended between two commands of the page.
        let Some(value) = value else { return Ok(None) };
        let value = typed(subject.spec.get("value"), &value);
        Ok(Some(report(subject, "value", value, &head)))
    })
    .await
}

fn names_of<'a>(subject: &Subject<'a>) -> Vec<&'a str> {
    let fields = subject.spec.get("fields").and_then(Value::as_map);
    fields.into_iter().flat_map(Map::iter).map(|(name, _)| &**name).collect()
}

pub async fn observe_hashes(
    connection: &mut MultiplexedConnection,
    asked: &Asked<'_, RedisKind>,
) -> Result<Answers, Failure> {
    let ask = |pipeline: &mut Pipeline, subject: &Subject<'_>, key: &str| {
        let names = names_of(subject);
        if !names.is_empty() {
            pipeline.cmd("HMGET").arg(key).arg(names);
        }
    };
    page(connection, asked, ask, |subject, answers| {
        let (head, values) = answers.split_at_checked(HEAD).ok_or_else(short)?;
        let head = Head::read(head)?;
        if !head.is("hash")? {
            return Ok(None);
        }
        let values: Vec<Option<Vec<u8>>> = match values {
            [values] => from_redis_value(values.clone()?).map_err(redis::RedisError::from)?,
            _ => Vec::new(),
        };
        let wanted = subject.spec.get("fields");
        let fields = names_of(subject).into_iter().zip(values).filter_map(|(name, value)| {
            Some((Arc::from(name), typed(wanted.and_then(|wanted| wanted.get(name)), &value?)))
        });
        let fields: Map = fields.collect();
        Ok(Some(report(subject, "fields", fields.into(), &head)))
    })
    .await
}
