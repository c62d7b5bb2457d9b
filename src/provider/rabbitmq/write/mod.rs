//! The writing half.
//!
//! A resource is looked at first: so a repeated step finds its own work, and somebody else's is a conflict. The API knows no
//! condition on a request, so between the look and the write somebody could come in between.

mod marked;
mod prove;
mod unmarked;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::client::Client;
use super::error::Failure;
use tenantry_provider::contract::{CommitGuard, ProviderError, Step, WriteError, Writer, Written};
use tenantry_transport::traced;

pub struct RabbitMqWriter {
    client: Arc<Client>,
    /// Virtual hosts are made one by one: the server takes longer for several at a time.
    making_vhosts: Mutex<()>,
}

impl RabbitMqWriter {
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, making_vhosts: Mutex::default() }
    }

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        match step.kind.name {
            "rabbitmq.vhost" => {
                let _turn = self.making_vhosts.lock().await;
                marked::write_vhost(&self.client, step).await
            }
            "rabbitmq.user" => marked::write_user(&self.client, step).await,
            _ => unmarked::write(&self.client, step).await,
        }
    }
}

#[async_trait]
impl Writer for RabbitMqWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            if let Err(lost) = guard.check().await {
                return Err(lost.of_step(index, done, step.attempted(&step.identity)));
            }
            match traced(self.step(step)).await {
                (Ok(()), _) => done.push(Written::default()),
                (Err(failure), is_written) => {
                    let mut error = failure.into_provider_error(step.attempted(&step.identity));
                    error.mask(batch.iter().flat_map(Step::secret_values));
                    error.is_in_doubt = is_written;
                    return Err(WriteError { step: index, done, error });
                }
            }
        }
        Ok(done)
    }

    async fn prove(&self, step: &Step) -> Result<(), ProviderError> {
        prove::try_out(&self.client, step).await.map_err(|failure| {
            let mut error = failure.into_provider_error(format!("trying {}", step.identity));
            error.mask(step.secret_values());
            error
        })
    }
}

/// The conflict of an update whose resource is gone.
fn vanished() -> Failure {
    Failure::Conflict("it no longer exists; plan again".to_owned())
}

/// The failure of an answer that is about something else than was asked.
fn another() -> Failure {
    Failure::Invalid("the answer is not about what was asked; is `url` the address of the management API?".to_owned())
}
