//! Kubernetes: any object of a cluster.
//!
//! ```text
//! types/   the one kind, `kubernetes.object`, and what the planner has to know of each object
//! mark     the mark in labels and annotations
//! ```

pub mod mark;
pub mod types;
