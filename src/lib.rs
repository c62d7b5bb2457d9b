//! Tenantry: a declarative reconciler for the tenants of a SaaS product.

pub mod core;
pub mod provider;
pub mod secret;
pub mod store;
pub mod engine;
