//! What every provider is made with, so that a new one is its kinds and its requests.
//!
//! ```text
//! failure.rs    what goes wrong everywhere alike, and how a provider's own failures are told
//! kinds.rs      the kinds of a provider as an enum of its own: who forgets one does not compile
//! settings.rs   the `url` of a target, and what it must not hold
//! pool.rs       connections that are opened when they are needed
//! read.rs       what is asked of each kind, and an outage that makes a kind unknown and no other
//! write.rs      one step after the other: guard, step, and an error without secrets
//! spec.rs       a spec as its typed struct
//! prefix.rs     a tenant's part of a namespace that it shares with others
//! script.rs     what scripts of SQL have in common
//! fixture.rs    settings for tests
//! ```
//!
//! A provider declares its kinds with [`kinds!`], implements [`Failed`] for its error, [`KindReader`] or a `Reader` of its
//! own, and [`Steps`] or a `Writer` of its own.

mod failure;
pub mod fixture;
mod kinds;
mod pool;
pub mod prefix;
mod read;
pub mod script;
pub mod settings;
mod spec;
mod write;

pub use failure::{Failed, Obstacle};
pub use kinds::{Kinds, ProviderKind, Stakes, defaults_of, describe, filled};
pub use pool::{Pool, Session};
pub use read::{Answers, Asked, KindReader, Subject, by_key, in_turn, known, side_by_side, subjects, unknown};
pub use spec::parse;
pub use write::{InTurn, Steps, failed, within, write_in_turn};

#[doc(hidden)]
pub use tenantry_core::model::kind::Kind;
