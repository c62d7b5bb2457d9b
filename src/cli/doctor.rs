//! `tenantry doctor`: checks everything that a run needs.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::json;

use super::arguments::Global;
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::fingerprint::{Other, Standing, Told, standing};
use tenantry_core::model::resource::TargetName;
use tenantry_engine::observe::{self, describe};
use tenantry_render::style::Label;
use tenantry_render::words::count;
use tenantry_store::OpenMode;
use tenantry_store::contract::{KnownTarget, StoreError};

/// One check with its result.
struct Check {
    what: String,
    result: Result<String, String>,
}

/// Adds which system a target is, and which one it was accepted as.
fn who(target: &TargetName, text: String, known: Option<&KnownTarget>, told: &Told) -> Result<String, String> {
    let since = known.map(|known| known.since).unwrap_or_default();
    match standing(known.map(|known| &known.fingerprint), told) {
        Standing::Same => Ok(match known.and_then(|known| known.fingerprint.as_ref()) {
            Some(fingerprint) => format!("{text}; {fingerprint}, accepted at {since}"),
            None => format!("{text}; accepted at {since} although it does not reveal which system it is"),
        }),
        Standing::New(now) => Ok(format!("{text}; {now}, which the next apply accepts")),
        Standing::Nameless => Ok(text),
        Standing::Untold(reason) => Ok(format!("{text}; it does not reveal which system it is: {reason}")),
        Standing::Withheld { was, reason } => Err(format!(
            "{text}; it was accepted at {since} as {was}, and does not reveal whether it still is: {reason}"
        )),
        Standing::Unasked(reason) => Err(format!("{text}; it could not be identified: {reason}")),
        Standing::Other { was, now } => {
            let other = Other { target: target.clone(), was, now };
            Err(format!(
                "{text}; {other} (accepted at {since}; correct its settings, or run `tenantry target accept {target}`)"
            ))
        }
    }
}

pub async fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let mut checks = vec![Check {
        what: "estate".into(),
        result: Ok(format!("{}, {}", session.environment.estate, count(session.estate.tenants.len(), "tenant"))),
    }];
    let mut known = BTreeMap::new();
    checks.push(match session.store().await {
        Err(failure) => Check { what: "store".into(), result: Err(failure.message) },
        Ok(store) => {
            let looked = async {
                let entries = store.verify_journal().await?;
                known = store.targets().await?;
                let (location, scope) = (store.location(), store.scope());
                let entries = count(usize::try_from(entries).unwrap_or(usize::MAX), "entry");
                Ok::<_, StoreError>(format!("{location}, {scope}: the journal of {entries} is complete"))
            };
            Check { what: "store".into(), result: looked.await.map_err(|error| error.to_string()) }
        }
    });
    checks.push(match session.secrets() {
        Err(failure) => Check { what: "secrets".into(), result: Err(failure.message) },
        Ok(secrets) => {
            let result = match secrets.list().await {
                Ok(all) => Ok(format!("{}, {}", secrets.location(), count(all.len(), "secret"))),
                Err(error) => Err(error.to_string()),
            };
            Check { what: "secrets".into(), result }
        }
    });
    let targets = session.targets();
    checks.extend(
        join_all(targets.names().map(|name| {
            let targets = &targets;
            let known = known.get(name);
            async move {
                let result = match targets.reader(name) {
                    Err(error) => Err(describe(&error)),
                    Ok(reader) => reader.probe().await.map_err(|error| match &error.remedy {
                        Some(remedy) => format!("{error} ({remedy})"),
                        None => error.to_string(),
                    }),
                };
                let result = match result {
                    Ok(text) => who(name, text, known, &observe::ask(targets, name).await),
                    Err(text) => Err(text),
                };
                Check { what: format!("target {name}"), result }
            }
        }))
        .await,
    );
    let ill = checks.iter().filter(|check| check.result.is_err()).count();
    if output.is_json() {
        let list: Vec<_> = checks
            .iter()
            .map(|Check { what, result }| match result {
                Ok(text) => json!({"check": what, "healthy": true, "detail": text}),
                Err(text) => json!({"check": what, "healthy": false, "detail": text}),
            })
            .collect();
        output.json(&list)?;
    } else {
        output.data(|out| {
            for Check { what, result } in &checks {
                match result {
                    Ok(text) => writeln!(out, "{} {what}: {text}", Label::Good.paint("ok    "))?,
                    Err(text) => writeln!(out, "{} {what}: {text}", Label::Error.paint("failed"))?,
                }
            }
            Ok(())
        })?;
    }
    Ok(if ill == 0 { Exit::Done } else { Exit::Error })
}
