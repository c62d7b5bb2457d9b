//! The systems that tenants live in, behind one contract.

pub mod conformance;
pub mod contract;
#[cfg(test)]
mod descriptions;
pub mod http;
pub mod kubernetes;
pub mod mysql;
pub mod postgres;
pub mod rabbitmq;
pub mod redis;
pub mod registry;
pub mod s3;
pub mod sandbox;
pub mod stripe;
pub mod transport;
