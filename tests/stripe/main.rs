//! The Stripe provider on a replica of Stripe.

#[allow(dead_code, reason = "each test binary takes its part")]
#[path = "../support/mod.rs"]
mod support;

mod downgrades;
mod faults;
mod kinds;
mod limits;
mod modes;
mod prices;
mod repeats;
mod runs;
mod subscriptions;
