//! Keys and hashes.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, cmd};

use crate::error::{Failed as _, Failure};
use crate::types::expiry::Expiry;
use crate::types::hash::HashSpec;
use crate::types::key::KeySpec;
use crate::types::text_of;
use tenantry_core::model::value::{Value, unescape_token};
use tenantry_kit::parse;
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
            Err(Failure::conflict(format!(
                "the key holds a {other}, not a {sort}; remove it by hand, or use another key"
            )))
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
    answers.ok_or_else(|| Failure::busy("the key was changed at the same moment"))
}

fn expiry_of(expire: &Value) -> Result<Expiry, Failure> {
    Expiry::of(Some(expire)).ok_or_else(|| Failure::invalid("its `expire` is not a valid time"))
}

/// Adds the command that makes a key end as wanted, and one that tells whether it is still there then.
fn expire_as(pipeline: &mut Pipeline, key: &str, expiry: Expiry) {
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
            Err(Failure::invalid("the time of its `expire` has passed, so the server removed it at once"))
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

/// Whether a step leaves it alone when the key ends.
fn keeps_expiry(action: &StepAction) -> bool {
    match action {
        StepAction::Update { changed, removed, .. } => !is_changed(changed, "expire") && !is_changed(removed, "expire"),
        StepAction::Create { .. } | StepAction::Delete { .. } => false,
    }
}

pub async fn write_key(connection: &mut MultiplexedConnection, step: &Step) -> Result<(), Failure> {
    let KeySpec { key, value, create_only, expire } = parse(step.spec())?;
    if step.is_delete() {
        return delete(connection, &key, "string").await;
    }
    let text = text_of(&value).ok_or_else(|| Failure::invalid("it has no value"))?;
    let expiry = expiry_of(&expire)?;
    let exists = watch(connection, &key, "string").await?;
    match &step.action {
        StepAction::Create { .. } if exists => {
            let found: Vec<u8> = cmd("GET").arg(&key).query_async(connection).await?;
            if found != text.as_bytes() {
                let conflict = Failure::conflict("the key exists with another value");
                return refuse(connection, conflict).await;
            }
        }
        StepAction::Update { .. } if !exists => return refuse(connection, Failure::vanished()).await,
        // What the product has made of it stays.
        StepAction::Update { .. } if create_only => return unwatch(connection).await,
        StepAction::Create { .. } | StepAction::Update { .. } | StepAction::Delete { .. } => {}
    }
    let mut pipeline = Pipeline::new();
    let set = pipeline.cmd("SET").arg(&key).arg(text);
    if keeps_expiry(&step.action) {
        set.arg("KEEPTTL").ignore();
        return execute(connection, pipeline).await.map(|_| ());
    }
    set.ignore();
    expire_as(&mut pipeline, &key, expiry);
    check_still_there(&execute(connection, pipeline).await?)
}

pub async fn write_hash(connection: &mut MultiplexedConnection, step: &Step) -> Result<(), Failure> {
    let HashSpec { key, fields, create_only, expire } = parse(step.spec())?;
    let removed = match &step.action {
        StepAction::Delete { .. } => return delete(connection, &key, "hash").await,
        StepAction::Create { .. } => &[][..],
        StepAction::Update { removed, .. } => removed.as_slice(),
    };
    let expiry = expiry_of(&expire)?;
    let (mut set, mut unset): (Vec<(&str, String)>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, value) in &fields {
        match text_of(value) {
            Some(text) => set.push((name, text)),
            None if value.is_null() => unset.push(name.clone()),
            None => return Err(Failure::invalid(format!("the value of field \"{name}\" is not a text or a number"))),
        }
    }
    let gone = removed.iter().filter_map(|pointer| pointer.strip_prefix("/fields/"));
    unset.extend(gone.map(|token| unescape_token(token).into_owned()));

    let exists = watch(connection, &key, "hash").await?;
    match &step.action {
        StepAction::Create { .. } if exists => {
            let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
            let found: Vec<Option<Vec<u8>>> = cmd("HMGET").arg(&key).arg(&names).query_async(connection).await?;
            let same =
                |(found, (_, wanted)): (&Option<Vec<u8>>, &(&str, String))| found.as_deref() == Some(wanted.as_bytes());
            if !found.iter().zip(&set).all(same) {
                let conflict = Failure::conflict("the key exists with other fields");
                return refuse(connection, conflict).await;
            }
        }
        StepAction::Update { .. } if !exists => return refuse(connection, Failure::vanished()).await,
        // What the product has made of it stays.
        StepAction::Update { .. } if create_only => return unwatch(connection).await,
        StepAction::Create { .. } | StepAction::Update { .. } | StepAction::Delete { .. } => {}
    }
    let mut pipeline = Pipeline::new();
    if !set.is_empty() {
        pipeline.cmd("HSET").arg(&key).arg(&set).ignore();
    }
    if !unset.is_empty() {
        pipeline.cmd("HDEL").arg(&key).arg(&unset).ignore();
    }
    if keeps_expiry(&step.action) {
        pipeline.cmd("EXISTS").arg(&key);
    } else {
        expire_as(&mut pipeline, &key, expiry);
    }
    check_still_there(&execute(connection, pipeline).await?)
}
