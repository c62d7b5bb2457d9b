//! Tenantry: a declarative reconciler for the tenants of a SaaS product.
//!
//! Tenants, tiers and quotas live as versioned YAML in a Git repository, the *estate*. Tenantry compares what the estate
//! asks for with what really exists, shows a plan, and applies it so that doing it again changes nothing.
//!
//! # The way of the data
//!
//! ```text
//! Git tree or revision
//!   → source     documents with positions, schema-checked
//!   → resolve    tier defaults + overrides → resolved tenant, each value knowing where it came from
//!   → desired    blueprint × tenant → desired resources, with their order
//!   → observe    one bulk read per kind and target → absent | present | unknown
//!   → diff       desired × observed × applied → changes; drift and pending told apart
//!   → guard      guards → findings, approvals
//!   → plan       ordered, digested, saved or rendered ──────────── `plan` and `drift` end here
//!   → apply      lock → still fresh? → journal, write, journal → verify by observing again
//! ```
//!
//! # The rooms
//!
//! ```text
//!   ┌──────────────────────── cli ────────────────────────┐
//!   │          one file per command; streams, prompts     │
//!   └───┬───────────┬───────────┬─────────────────────────┘
//!       │           │        engine      observe, plan, apply, verify
//!       │           │           ├───────────┬───────────┐
//!     source     render     provider     secret       store
//!     YAML, Git  text,      contract,    values,      journal,
//!       │        JSON       sandbox,     age file     inventory,
//!       │           │       postgres       │          locks
//!   ┌───┴───────────┴───────────┴───────────┴───────────┴─┐
//!   │ core     model, diagnostics, expression, resolve,   │
//!   │          desired, diff, policy, lifecycle, plan     │
//!   └─────────────────────────────────────────────────────┘
//! ```
//!
//! A room knows `core`; `engine` knows the three below it, and `cli` knows all. [`core`] is pure: no IO, no clock, no randomness;
//! what it needs of them comes in as arguments. A provider knows `core` and [`provider::contract`], and no other provider.
//! Only [`engine`] and [`cli`] see several rooms. `tests/rooms.rs` holds every file to that.
//!
//! A reader may begin with [`core::model`] for the words, [`core::plan::build`] for what is decided, and
//! [`engine::apply`] for what is promised of a run.

pub mod cli;
pub mod core;
pub mod engine;
pub mod provider;
pub mod render;
pub mod secret;
pub mod source;
pub mod store;
