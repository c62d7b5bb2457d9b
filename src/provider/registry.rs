//! Every provider, and every kind that they have.

use std::sync::Arc;

use super::contract::Provider;
use super::http::Http;
use super::kubernetes::Kubernetes;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::rabbitmq::RabbitMq;
use super::redis::Redis;
use super::s3::S3;
use super::stripe::Stripe;
use crate::core::model::kind::Catalogue;

/// One line per provider.
pub fn providers() -> Vec<Arc<dyn Provider>> {
    vec![
        Arc::new(Http),
        Arc::new(Kubernetes),
        Arc::new(MySql),
        Arc::new(Postgres),
        Arc::new(RabbitMq),
        Arc::new(Redis),
        Arc::new(S3),
        Arc::new(Stripe),
    ]
}

/// The kinds of all providers.
pub fn catalogue(providers: &[Arc<dyn Provider>]) -> Catalogue {
    Catalogue::new(providers.iter().flat_map(|provider| provider.kinds()))
}
