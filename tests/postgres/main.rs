//! The PostgreSQL provider against a real server.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other providers' tests use the rest")]
mod support;

mod access;
mod contents;
mod contract;
mod fence;
mod quoting;
mod shared;
