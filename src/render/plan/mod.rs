//! A plan as people read it.
//!
//! ```text
//! Plan ── view ──┬── text       on a terminal and in a log
//!                ├── markdown   as a comment of a pull request
//!                └── html       as one file, for a browser
//! ```
//!
//! [`view`] decides what is said: which owners are shown as one, what is masked, how values differ, in which words. A renderer
//! decides what it looks like. The plan as JSON is the plan itself (`core::plan::json`).

pub mod fate;
pub mod html;
pub mod markdown;
pub mod text;
pub mod view;
