//! Kubernetes: any object of a cluster.
//!
//! ```text
//! types/   the one kind, `kubernetes.object`, and what the planner has to know of each object
//! files/   the same as files of a folder
//! mark     the mark in labels and annotations
//! ```

pub mod files;
pub mod mark;
pub mod types;
