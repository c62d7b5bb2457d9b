//! Keys and hashes.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, cmd};

use super::vanished;
use crate::error::Failure;
use crate::types::expiry::Expiry;
use crate::types::key::is_create_only;
use crate::types::text_of;
use tenantry_core::model::value::{Map, Value, unescape_token};
use tenantry_provider::contract::{Step, StepAction};

/// What is at a key, which is watched from now on.
async fn watch(connection: &mut MultiplexedConnection, key: &str, sort: &str) -> Result<bool, Failure> {
    cmd("WATCH").arg(key).exec_async(connection).await?;
    let found: String = cmd("TYPE").arg(key).query_async(connection).await?;
    match found.as_str() {
        "none" => Ok(false),
        found if found == sort => Ok(true),
        other => {
            unwatch(connection).await?;
            Err(Failure::Conflict(format!("the key holds a {other} and not a {sort}; remove it by hand")))
        }
    }
}

async fn unwatch(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    Ok(cmd("UNWATCH").exec_async(connection).await?)
}

/// Ends the watch after something was seen that keeps the step from being done.
async fn refuse(connection: &mut MultiplexedConnection, failure: Failure) -> Result<(), Failure> {
    unwatch(connection).await?;
    Err(failure)
}

/// Runs commands as one, unless the key has changed since it was looked at.
async fn execute(connection: &mut MultiplexedConnection, mut pipeline: Pipeline) -> Result<Vec<redis::Value>, Failure> {
    let answers: Option<Vec<redis::Value>> = pipeline.atomic().query_async(connection).await?;
    answers.ok_or_else(|| Failure::Busy("the key was changed at the same moment".to_owned()))
}

fn key_of(spec: &Map) -> Result<&str, Failure> {
    spec.get("key").and_then(Value::as_str).ok_or_else(|| Failure::Invalid("its spec names no key".to_owned()))
}

fn expiry_of(spec: &Map) -> Result<Expiry, Failure> {
    Expiry::of(spec).ok_or_else(|| Failure::Invalid("its `expire` is no time".to_owned()))
}

/// Adds the command that makes a key end as wanted, and one that tells whether it is still there then.
fn expire(pipeline: &mut Pipeline, key: &str, expiry: Expiry) {
    match expiry {
        Expiry::Never => pipeline.cmd("PERSIST").arg(key).ignore(),
        Expiry::After(seconds) => pipeline.cmd("EXPIRE").arg(key).arg(seconds).ignore(),
        Expiry::At(time) => pipeline.cmd("PEXPIREAT").arg(key).arg(time).ignore(),
    };
    pipeline.cmd("EXISTS").arg(key);
}

/// A time that has passed makes the server remove the key at once.
fn check_still_there(answers: &[redis::Value]) -> Result<(), Failure> {
    match answers.last() {
        Some(redis::Value::Int(0)) => {
            Err(Failure::Invalid("the time of its `expire` has passed, so it ended at once".to_owned()))
        }
        _ => Ok(()),
    }
}

fn is_changed(changed: &[String], field: &str) -> bool {
    changed.iter().any(|pointer| pointer.trim_start_matches('/').split('/').next() == Some(field))
}

async fn delete(connection: &mut MultiplexedConnection, key: &str, sort: &str) -> Result<(), Failure> {
    if !watch(connection, key, sort).await? {
        return unwatch(connection).await;
    }
    let mut pipeline = Pipeline::new();
    pipeline.cmd("UNLINK").arg(key);
    execute(connection, pipeline).await.map(|_| ())
}

pub async fn write_key(connection: &mut MultiplexedConnection, step: &Step) -> Result<(), Failure> {
    let (spec, keep_expiry) = match &step.action {
        StepAction::Delete { before } => return delete(connection, key_of(&before.spec)?, "string").await,
        StepAction::Create { spec, .. } => (spec, false),
        StepAction::Update { spec, changed, removed, .. } => {
            (spec, !is_changed(changed, "expire") && !is_changed(removed, "expire"))
        }
    };
    let key = key_of(spec)?;
    let text = spec.get("value").and_then(text_of).ok_or_else(|| Failure::Invalid("it has no value".to_owned()))?;
    let expiry = expiry_of(spec)?;
    let exists = watch(connection, key, "string").await?;
    match &step.action {
        StepAction::Create { .. } if exists => {
            let found: Vec<u8> = cmd("GET").arg(key).query_async(connection).await?;
            if found != text.as_bytes() {
                let conflict = Failure::Conflict("the key exists with another value".to_owned());
                return refuse(connection, conflict).await;
            }
        }
        StepAction::Update { .. } if !exists => return refuse(connection, vanished()).await,
        // What the product has made of it stays.
        StepAction::Update { .. } if is_create_only(spec) => return unwatch(connection).await,
        _ => {}
    }
    let mut pipeline = Pipeline::new();
    let set = pipeline.cmd("SET").arg(key).arg(text);
    if keep_expiry {
        set.arg("KEEPTTL").ignore();
    } else {
        set.ignore();
        expire(&mut pipeline, key, expiry);
    }
    let answers = execute(connection, pipeline).await?;
    if keep_expiry { Ok(()) } else { check_still_there(&answers) }
}

pub async fn write_hash(connection: &mut MultiplexedConnection, step: &Step) -> Result<(), Failure> {
    let (spec, removed, keep_expiry) = match &step.action {
        StepAction::Delete { before } => return delete(connection, key_of(&before.spec)?, "hash").await,
        StepAction::Create { spec, .. } => (spec, &[][..], false),
        StepAction::Update { spec, changed, removed, .. } => {
            (spec, removed.as_slice(), !is_changed(changed, "expire") && !is_changed(removed, "expire"))
        }
    };
    let key = key_of(spec)?;
    let expiry = expiry_of(spec)?;
    let (mut set, mut unset): (Vec<(&str, String)>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, value) in spec.get("fields").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        match text_of(value) {
            Some(text) => set.push((name, text)),
            None if value.is_null() => unset.push(name.to_string()),
            None => return Err(Failure::Invalid(format!("the value of field \"{name}\" is no text or number"))),
        }
    }
    let gone = removed.iter().filter_map(|pointer| pointer.strip_prefix("/fields/"));
    unset.extend(gone.map(|token| unescape_token(token).into_owned()));

    let exists = watch(connection, key, "hash").await?;
    match &step.action {
        StepAction::Create { .. } if exists => {
            let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
            let found: Vec<Option<Vec<u8>>> = cmd("HMGET").arg(key).arg(&names).query_async(connection).await?;
            let same =
                |(found, (_, wanted)): (&Option<Vec<u8>>, &(&str, String))| found.as_deref() == Some(wanted.as_bytes());
            if !found.iter().zip(&set).all(same) {
                let conflict = Failure::Conflict("the key exists with other fields".to_owned());
                return refuse(connection, conflict).await;
            }
        }
        StepAction::Update { .. } if !exists => return refuse(connection, vanished()).await,
        // What the product has made of it stays.
        StepAction::Update { .. } if is_create_only(spec) => return unwatch(connection).await,
        _ => {}
    }
    let mut pipeline = Pipeline::new();
    if !set.is_empty() {
        pipeline.cmd("HSET").arg(key).arg(&set).ignore();
    }
    if !unset.is_empty() {
        pipeline.cmd("HDEL").arg(key).arg(&unset).ignore();
    }
    if keep_expiry {
        pipeline.cmd("EXISTS").arg(key);
    } else {
        expire(&mut pipeline, key, expiry);
    }
    check_still_there(&execute(connection, pipeline).await?)
}
