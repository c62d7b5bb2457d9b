//! Tenantry: a declarative reconciler for the tenants of a SaaS product.

pub mod core;
pub mod provider;
pub mod render;
pub mod secret;
pub mod source;
pub mod store;
pub mod engine;
pub mod cli;
