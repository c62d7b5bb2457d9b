//! The PostgreSQL provider against a real server.

mod access;
mod applied;
mod cause;
mod contents;
mod contract;
mod fence;
mod limited;
mod quoting;
mod shared;
mod systems;
mod values;
mod ways_in;
