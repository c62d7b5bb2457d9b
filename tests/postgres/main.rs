//! The PostgreSQL provider against a real server.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod contents;
mod contract;
mod shared;
