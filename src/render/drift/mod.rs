//! What is said of drift, and its renderers.
//!
//! ```text
//! view       what is shown, whatever the format
//! text       for people                      markdown    for an issue or a message
//! junit      for the test report of a pipeline
//! metrics    for Prometheus                  webhook     for a chat
//! mail       for a mailbox
//! ```
//!
//! The form for programs is that of [`tenantry_core::drift::json`].

pub mod junit;
pub mod mail;
pub mod markdown;
pub mod metrics;
pub mod text;
pub mod view;
pub mod webhook;
