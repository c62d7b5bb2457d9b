//! Whole platforms as estates, each on all of its real servers at once, from the first plan to the last tenant's end.
//!
//! The estates are folders of `estates/`. What is there, and that nothing is left, is told by clients of the tests' own.

mod commerce_platform;
mod estate;
mod operators;
mod row_level;
mod serverless;
mod servers;
mod subscription_app;
