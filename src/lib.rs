//! Tenantry: a declarative reconciler for the tenants of a SaaS product.

pub mod cli;
pub mod core;
pub mod engine;
pub mod provider;
pub mod render;
pub mod secret;
pub mod source;
pub mod store;
