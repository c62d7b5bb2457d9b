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
use super::types::{
    RabbitMqKind, binding::BindingSpec, exchange::ExchangeSpec, permission::PermissionSpec, policy::PolicySpec,
    queue::QueueSpec, topic_permission::TopicPermissionSpec, user_limits::UserLimitsSpec,
    vhost_limits::VhostLimitsSpec,
};
use tenantry_kit::{ProviderKind as _, Steps};
use tenantry_provider::contract::{CommitGuard, Step, Written};

pub struct RabbitMqWriter {
    client: Arc<Client>,
    /// Virtual hosts are made one by one: the server takes longer for several at a time.
    making_vhosts: Mutex<()>,
}

impl RabbitMqWriter {
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, making_vhosts: Mutex::default() }
    }
}

#[async_trait]
impl Steps for RabbitMqWriter {
    type Failure = Failure;

    async fn step(&self, step: &Step, _: &dyn CommitGuard) -> Result<Written, Failure> {
        let client = &*self.client;
        match RabbitMqKind::of(step.kind.name)? {
            RabbitMqKind::Vhost => {
                let _turn = self.making_vhosts.lock().await;
                marked::write_vhost(client, step).await
            }
            RabbitMqKind::User => marked::write_user(client, step).await,
            RabbitMqKind::VhostLimits => unmarked::write::<VhostLimitsSpec>(client, step).await,
            RabbitMqKind::UserLimits => unmarked::write::<UserLimitsSpec>(client, step).await,
            RabbitMqKind::Permission => unmarked::write::<PermissionSpec>(client, step).await,
            RabbitMqKind::TopicPermission => unmarked::write::<TopicPermissionSpec>(client, step).await,
            RabbitMqKind::Policy => unmarked::write::<PolicySpec>(client, step).await,
            RabbitMqKind::Exchange => unmarked::write::<ExchangeSpec>(client, step).await,
            RabbitMqKind::Queue => unmarked::write::<QueueSpec>(client, step).await,
            RabbitMqKind::Binding => unmarked::write::<BindingSpec>(client, step).await,
        }?;
        Ok(Written::default())
    }

    async fn prove(&self, step: &Step) -> Result<(), Failure> {
        prove::try_out(&self.client, step).await
    }
}
