//! Whether the server would take a queue or an exchange that comes in the place of another, asked before the other one is
//! deleted. Nothing of either can change, so that every change is a replacement.
//!
//! A queue is declared under a name that nobody has, with `x-expires` besides, and deleted at once: the server itself deletes
//! it a few seconds later, should the process end in between ("Queue TTL", durable queues too, once the broker is back). A
//! stream knows no `x-expires`, and an exchange goes only with its last binding: neither is declared for a trial. Of an
//! exchange the overview tells whether the server has its type, the only thing that it usually refuses.
//!
//! What a trial cannot tell refuses nothing: a limit that the living queue counts for, and permissions on names.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::client::Client;
use crate::error::Failure;
use crate::types::{queue, text};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::Step;
use tenantry_transport::StatusCode;

/// After how many milliseconds without use a queue that was declared for a trial goes by itself.
const EXPIRY: i64 = 5000;

/// See the module's page.
///
/// # Errors
/// If the server would refuse it, or does not answer.
pub async fn try_out(client: &Client, step: &Step) -> Result<(), Failure> {
    let spec = step.spec();
    match step.kind.name {
        "rabbitmq.queue" if text(spec, "type") != "stream" => try_queue(client, step, spec).await,
        "rabbitmq.exchange" => try_exchange(client, spec).await,
        _ => Ok(()),
    }
}

async fn try_queue(client: &Client, step: &Step, spec: &Map) -> Result<(), Failure> {
    let digest = Sha256::digest(format!("{}\n{}", step.identity, step.idempotency_key).as_bytes());
    let tag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("tenantry-trial-{tag}");
    let arguments = spec.get("arguments").and_then(Value::as_map).cloned().unwrap_or_default();
    // Its own is checked by the server; a longer one would keep the trial.
    let own = arguments.get("x-expires").filter(|own| own.as_integer().is_none_or(|own| own < EXPIRY)).cloned();
    let arguments = arguments.with("x-expires", own.unwrap_or_else(|| EXPIRY.into()));
    let trial = spec.with("name", name.as_str().into()).with("arguments", arguments.into());
    let declared = client.put(&queue::path(&trial), &queue::body(&trial)).await;
    // Whatever became of the request: it is ours by its name.
    let deleted = client.delete(&queue::path(&trial)).await;
    match declared {
        Ok(()) => deleted,
        Err(failure) if is_untold(&failure) => Ok(()),
        Err(Failure::Refused { status, reason }) => {
            Err(Failure::Refused { status, reason: reason.replace(&name, text(spec, "name")) })
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a refusal is one of the trial alone.
fn is_untold(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => true,
        Failure::Refused { reason, .. } => reason.contains("queue limit in vhost"),
        _ => false,
    }
}

async fn try_exchange(client: &Client, spec: &Map) -> Result<(), Failure> {
    let Some(overview) = client.get(&["overview"]).await? else { return Ok(()) };
    let Some(types) = overview.get("exchange_types").and_then(Json::as_array) else { return Ok(()) };
    let names: Vec<&str> = types.iter().filter_map(|sort| sort.get("name")?.as_str()).collect();
    let wanted = text(spec, "type");
    if names.is_empty() || names.contains(&wanted) {
        return Ok(());
    }
    Err(Failure::Invalid(format!("the server has no exchange type `{wanted}`; it has: {}", names.join(", "))))
}
