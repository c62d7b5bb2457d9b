//! The systems that tenants live in, behind one contract.

pub mod contract;
pub mod postgres;
pub mod registry;
pub mod sandbox;
