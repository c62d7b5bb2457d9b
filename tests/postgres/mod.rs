//! The PostgreSQL provider against a real server.

mod access;
mod contents;
mod contract;
mod fence;
mod quoting;
mod shared;
mod systems;
