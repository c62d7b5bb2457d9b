//! A message about drift to people, when it is another than before.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::error::{Exit, Failure};
use super::mail::Mail;
use super::output::Output;
use super::session::Session;
use super::system;
use tenantry_core::drift::Drift;
use tenantry_provider::timeouts::Timeouts;
use tenantry_render::drift::view::DriftView;
use tenantry_render::drift::{mail, webhook};
use tenantry_store::contract::{DriftReported, JournalEvent, Note, Store};
use tenantry_transport::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tenantry_transport::{Effect, MOST_BYTES, Method, Options, Request, Transport, Url, base_url};

/// Sends a message if the set of drifted resources, or what was done to one of them, is not what the last message was about.
/// What could not be read says nothing of drift, so that such a run ends no alarm.
pub async fn send(session: &Session, store: &dyn Store, drift: &Drift<'_>, output: &Output) -> Result<(), Failure> {
    let (url, mail) = (webhook_of(session)?, Mail::of(session)?);
    if url.is_none() && mail.is_none() {
        return Err(Failure::new(
            Exit::Error,
            "`--notify` needs a webhook or a mail server, and the estate has neither",
        )
        .help("set `webhook` or the table `mail` in the table [drift] of tenantry.toml"));
    }
    let digest: Option<Arc<str>> = drift.digest().map(Into::into);
    let before = store.last(JournalEvent::DriftReported).await?;
    let before = before.and_then(|entry| entry.detail.get("digest")?.as_str().map(Arc::<str>::from));
    let is_judged = drift.unknown.is_empty();
    if digest == before || (digest.is_none() && !is_judged) {
        output.note(match (&digest, &before) {
            (None, None) => "There is no drift, so no message is sent.",
            (None, Some(_)) => {
                "Not everything could be read, so it is not known whether the drift is over. No message is sent."
            }
            _ => "The drift is as it was when the last message was sent, so none is sent.",
        });
        return Ok(());
    }
    let view = DriftView::new(drift, false);
    let mut told: Vec<&str> = Vec::new();
    if let Some(url) = &url {
        post(url, &json!({"text": webhook::message(&view)})).await?;
        told.push(host(url));
    }
    if let Some(mail) = &mail {
        let (subject, text) = mail::mail(&view);
        mail.send(subject, text).await?;
        told.push(mail.host());
    }
    let resources = u64::try_from(drift.drifted.len()).unwrap_or(u64::MAX);
    let report = DriftReported { actor: system::actor(), at: system::now(), digest, resources };
    store.note(&Note::DriftReported(report)).await?;
    output.note(&format!("A message about the drift was sent to {}.", told.join(" and ")));
    Ok(())
}

/// Messages name the host alone: the path of a webhook is its password.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn webhook_of(session: &Session) -> Result<Option<Url>, Failure> {
    let invalid = |message: String| {
        Failure::new(Exit::Error, message).help(
            "set `webhook = \"env:NAME\"` in the table [drift] of tenantry.toml to the URL of an incoming webhook",
        )
    };
    let Some(reference) = session.environment.drift.webhook.as_deref() else { return Ok(None) };
    let found = session.lookup(reference).map_err(|cause| invalid(format!("`webhook` in [drift]: {cause}")))?;
    let text = found.ok_or_else(|| invalid("`webhook` in [drift] must be given as env:NAME or file:PATH".into()))?;
    // What is behind a question mark is part of the password, as the path is.
    let (address, query) = match text.expose_secret().split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (text.expose_secret(), None),
    };
    let mut url = base_url(address).map_err(|cause| invalid(format!("`webhook` in [drift]: {cause}")))?;
    url.set_query(query);
    Ok(Some(url))
}

async fn post(url: &Url, message: &serde_json::Value) -> Result<(), Failure> {
    let failed = |cause: String| {
        Failure::new(Exit::Error, format!("sending a message to {}: {cause}", host(url)))
            .help("nothing is recorded, so the next run sends it again")
    };
    let transport = Transport::new(&Options {
        roots: None,
        requests_per_second: 10,
        concurrency: 1,
        timeouts: Timeouts::default(),
        most_bytes: MOST_BYTES,
        secrets: vec![url.path().into(), url.query().unwrap_or_default().into()],
    })
    .map_err(|failure| failed(failure.to_string()))?;
    let request = Request {
        method: Method::POST,
        url: url.clone(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: Some(message.to_string().into_bytes()),
        effect: Effect::Once,
    };
    let answer = transport.send(&request).await.map_err(|failure| failed(transport.masked(&failure.to_string())))?;
    match answer.status.is_success() {
        true => Ok(()),
        false => {
            let body = String::from_utf8_lossy(&answer.body);
            let words: String = transport.masked(&body).chars().take(200).collect();
            Err(failed(format!("it answered {}: {}", answer.status, words.trim())))
        }
    }
}
