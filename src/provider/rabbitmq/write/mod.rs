//! The writing half.
//!
//! A resource is looked at first: so a repeated step finds its own work, and somebody else's is a conflict. The API knows no
//! condition on a request, so between the look and the write somebody could come in between.

mod marked;
mod unmarked;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::client::Client;
use super::error::Failure;
use crate::core::model::value::{Map, Value};
use crate::provider::contract::{ProviderError, Step, StepAction, WriteError, Writer, Written};

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
    async fn write(&self, batch: &[Step]) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            match self.step(step).await {
                Ok(()) => done.push(Written::default()),
                Err(failure) => {
                    let mut error = failure.into_provider_error(attempted(step));
                    mask(&mut error, batch);
                    return Err(WriteError { step: index, done, error });
                }
            }
        }
        Ok(done)
    }
}

/// The spec that a step is about.
fn spec_of(step: &Step) -> &Map {
    match &step.action {
        StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => spec,
        StepAction::Delete { before } => &before.spec,
    }
}

/// The conflict of an update whose resource is gone.
fn vanished() -> Failure {
    Failure::Conflict("it no longer exists; plan again".to_owned())
}

/// What a step does, for messages.
fn attempted(step: &Step) -> String {
    let verb = match step.action {
        StepAction::Create { .. } => "creating",
        StepAction::Update { .. } => "updating",
        StepAction::Delete { .. } => "deleting",
    };
    let noun = step.kind.name.rsplit('.').next().unwrap_or(step.kind.name).replace('_', " ");
    format!("{verb} {noun} \"{}\"", step.identity)
}

/// Takes the values of secrets out of an error, should the server have quoted one.
fn mask(error: &mut ProviderError, batch: &[Step]) {
    for step in batch {
        let (StepAction::Create { spec, secrets } | StepAction::Update { spec, secrets, .. }) = &step.action else {
            continue;
        };
        let spec = Value::from(spec.clone());
        for pointer in secrets {
            if let Some(secret) = spec.pointer(pointer).and_then(Value::as_str)
                && !secret.is_empty()
            {
                error.cause = error.cause.replace(secret, "(secret)");
            }
        }
    }
}
