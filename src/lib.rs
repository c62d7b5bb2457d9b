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
//! Each room is a crate, so that the compiler keeps the borders. A room knows `tenantry_core`; `tenantry_engine` joins those
//! below it, and `tenantry_cli` knows all. Core is pure: no IO, no clock, no randomness; what it needs of them comes in as
//! arguments. A provider knows core, the contract, `tenantry_provider::contract`, and the kit, and no other provider; it is
//! a feature of this package. `tests/rooms.rs` holds every file to what the compiler cannot see.
//!
//! A reader may begin with `tenantry_core::model` for the words, `tenantry_core::plan::build` for what is decided, and
//! `tenantry_engine::apply` for what is promised of a run.

pub use tenantry_cli::main;
