//! Servers that do not answer, or answer something else: every provider, the same way.

#[path = "../command/mod.rs"]
mod command;
#[allow(dead_code, reason = "each test binary takes its part")]
#[path = "../support/mod.rs"]
mod support;

mod faulty;
mod pages;
mod reads;
mod runs;
mod subjects;
mod writes;
