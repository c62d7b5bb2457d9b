//! The provider of REST APIs: every ready definition on a stand-in of its API, and what can go wrong with any API.

mod answers;
mod compared;
mod definitions;
mod repeated;
mod signed;
mod tls;
mod vendors;
