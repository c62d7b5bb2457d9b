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
use crate::error::{Failed as _, Failure};
use crate::types::RabbitMqKind;
use crate::types::exchange::ExchangeSpec;
use crate::types::queue::QueueSpec;
use crate::types::unmarked::Unmarked as _;
use tenantry_kit::{ProviderKind as _, parse};
use tenantry_provider::contract::Step;
use tenantry_transport::StatusCode;

/// After how many milliseconds without use a queue that was declared for a trial goes by itself.
const EXPIRY: i64 = 5000;

/// See the module's page.
///
/// # Errors
/// If the server would refuse it, or does not answer.
pub async fn try_out(client: &Client, step: &Step) -> Result<(), Failure> {
    match RabbitMqKind::of(step.kind.name)? {
        RabbitMqKind::Queue => try_queue(client, step, parse(step.spec())?).await,
        RabbitMqKind::Exchange => try_exchange(client, parse(step.spec())?).await,
        // Made again in no time, or marked and never replaced.
        RabbitMqKind::Vhost
        | RabbitMqKind::User
        | RabbitMqKind::VhostLimits
        | RabbitMqKind::UserLimits
        | RabbitMqKind::Permission
        | RabbitMqKind::TopicPermission
        | RabbitMqKind::Policy
        | RabbitMqKind::Binding => Ok(()),
    }
}

async fn try_queue(client: &Client, step: &Step, wanted: QueueSpec) -> Result<(), Failure> {
    if wanted.sort == "stream" {
        return Ok(());
    }
    let digest = Sha256::digest(format!("{}\n{}", step.identity, step.idempotency_key).as_bytes());
    let tag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut trial = QueueSpec { name: format!("tenantry-trial-{tag}"), ..wanted.clone() };
    // Its own is checked by the server; a longer one would keep the trial.
    let expiry = trial.arguments.entry("x-expires").or_insert_with(|| EXPIRY.into());
    if expiry.as_i64().is_some_and(|own| own >= EXPIRY) {
        *expiry = EXPIRY.into();
    }
    let declared = trial.put(client).await;
    // Whatever became of the request: it is ours by its name.
    let deleted = client.delete(&trial.path()).await;
    match declared {
        Ok(()) => deleted,
        Err(failure) if is_untold(&failure) => Ok(()),
        Err(Failure::Refused { status, reason }) => {
            Err(Failure::Refused { status, reason: reason.replace(&trial.name, &wanted.name) })
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

async fn try_exchange(client: &Client, wanted: ExchangeSpec) -> Result<(), Failure> {
    let Some(overview) = client.get(&["overview"]).await? else { return Ok(()) };
    let Some(types) = overview.get("exchange_types").and_then(Json::as_array) else { return Ok(()) };
    let names: Vec<&str> = types.iter().filter_map(|sort| sort.get("name")?.as_str()).collect();
    if names.is_empty() || names.contains(&wanted.sort.as_str()) {
        return Ok(());
    }
    let message = format!("the server has no exchange type `{}`; it has: {}", wanted.sort, names.join(", "));
    Err(Failure::invalid(message))
}
