//! Every test that needs more than one room, in one program: linking everything once is what its building takes longest for.
//!
//! A module is a subject: `cargo test --test all postgres::` runs what is about PostgreSQL. Modules that need a server ask
//! the environment for it (see `docs/testing.md`).

mod answers;
mod command;
mod conformance;
mod crash;
mod documents;
mod drift;
mod estates;
mod explain;
mod fates;
mod fingerprint;
mod flow;
mod forget;
mod guides;
mod history;
mod http;
mod import;
mod inventory;
mod kubernetes;
mod kubernetes_files;
mod lifecycle;
mod mysql;
mod notices;
mod plan;
mod policy;
mod postgres;
mod properties;
mod rabbitmq;
mod redis;
mod rehearse;
mod review;
mod rollout;
mod s3;
mod sandbox;
mod secret;
mod source;
mod store;
mod stripe;
mod support;
mod usage;
