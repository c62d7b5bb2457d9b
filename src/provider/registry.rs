//! Every provider, and every kind that they have.

use std::sync::Arc;

use super::contract::Provider;
use super::http::Http;
use super::postgres::Postgres;
use super::stripe::Stripe;
use crate::core::model::kind::Catalogue;

/// One line per provider.
pub fn providers() -> Vec<Arc<dyn Provider>> {
    vec![Arc::new(Postgres), Arc::new(Stripe), Arc::new(Http)]
}

/// The kinds of all providers.
pub fn catalogue(providers: &[Arc<dyn Provider>]) -> Catalogue {
    Catalogue::new(providers.iter().flat_map(|provider| provider.kinds()))
}
