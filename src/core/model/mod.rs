//! The words of Tenantry as types.

pub mod address;
pub mod clear;
pub mod config;
pub mod deferred;
pub mod document;
pub mod kind;
pub mod mark;
pub mod names;
pub mod normal;
pub mod policy;
pub mod quantity;
pub mod resource;
pub mod secret;
pub mod spec;
pub mod tenant_id;
mod text;
pub mod time;
pub mod unknown;
pub mod value;
