//! Every provider, and every kind that they have.

use std::sync::Arc;

use tenantry_core::model::kind::Catalogue;
use tenantry_core::rules::Rule;
use tenantry_provider::contract::Provider;

/// One line per provider.
pub fn providers() -> Vec<Arc<dyn Provider>> {
    vec![
        #[cfg(feature = "http")]
        Arc::new(tenantry_http::Http),
        #[cfg(feature = "kubernetes")]
        Arc::new(tenantry_kubernetes::Kubernetes),
        #[cfg(feature = "mysql")]
        Arc::new(tenantry_mysql::MySql),
        #[cfg(feature = "postgres")]
        Arc::new(tenantry_postgres::Postgres),
        #[cfg(feature = "rabbitmq")]
        Arc::new(tenantry_rabbitmq::RabbitMq),
        #[cfg(feature = "redis")]
        Arc::new(tenantry_redis::Redis),
        #[cfg(feature = "s3")]
        Arc::new(tenantry_s3::S3),
        #[cfg(feature = "stripe")]
        Arc::new(tenantry_stripe::Stripe),
    ]
}

/// The kinds of all providers.
pub fn catalogue(providers: &[Arc<dyn Provider>]) -> Catalogue {
    Catalogue::new(providers.iter().flat_map(|provider| provider.kinds()))
}

/// Every rule, in the order of the codes.
pub fn rules() -> Vec<&'static Rule> {
    let sets: Vec<_> = providers().iter().filter_map(|provider| provider.rules()).collect();
    tenantry_core::rules::all(&sets)
}
